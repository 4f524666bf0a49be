# SPDX-License-Identifier: Apache-2.0
"""Asks the host's resolver for applications, a thread for each name that is asked for, so that none waits for another.

A lookup cannot be broken off: a thread is in it until the resolver gives up, half a minute where a name's servers are
silent, whether somebody still waits for the answer or not. So an application has few lookups under way at a time, those
that nobody waits for counted too, and all who want the same name share one. What it asks beyond that waits in a line of
its own. The threads take lookups in the order in which they came, and of each application at most those few are before
another's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

# Names of one application that are looked up at a time: one whose servers are silent does not stop its others.
AT_ONCE = 2
# Eight applications whose names are all silent leave a neighbour's lookup its thread, and devices run fewer; beyond
# that lookups wait their turn. A thread is made when no other is free, and an idle one costs some ten kilobytes.
THREADS = 8 * AT_ONCE + 2
_THREADS = ThreadPoolExecutor(THREADS, thread_name_prefix="sandbox-resolve")

# What the resolver said, or why it has no answer.
_Answer = list[tuple[Any, ...]] | OSError


class Lookups:
    """The lookups of one application; answers come to any number of loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[str, Future[_Answer]] = {}  # Those under way and those in line
        self._line: deque[str] = deque()
        self._under_way = 0

    async def ask(self, name: str) -> list[tuple[Any, ...]]:
        """What ``getaddrinfo`` says of a name. Who stops waiting leaves the lookup to others who ask the same.

        Raises:
            OSError: the name does not resolve (socket.gaierror).
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[_Answer] = loop.create_future()

        def tell(asked: Future[_Answer]) -> None:
            with contextlib.suppress(RuntimeError):  # nobody waits any more: that loop is closed
                loop.call_soon_threadsafe(_give, answered, asked.result())

        self._asked_for(name).add_done_callback(tell)
        found = await answered
        if isinstance(found, OSError):
            raise found
        return found

    def _asked_for(self, name: str) -> Future[_Answer]:
        with self._lock:
            if name not in self._asked:
                self._asked[name] = Future()
                self._line.append(name)
            asked = self._asked[name]
            self._begin()
        return asked

    def _begin(self) -> None:
        """Begin what may be begun; with the lock."""
        while self._line and self._under_way < AT_ONCE:
            self._under_way += 1
            _THREADS.submit(self._look_up, self._line.popleft())

    def _look_up(self, name: str) -> None:
        answer: _Answer
        try:
            answer = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)  # each address once
        except OSError as error:
            answer = error
        except UnicodeError as error:  # no name at all, such as one with a label of 64 characters
            answer = OSError(str(error))
        with self._lock:
            self._under_way -= 1
            asked = self._asked.pop(name)
            self._begin()
        asked.set_result(answer)


# Of an application that ended too, while a lookup of its is under way: one that starts again and again gets no more.
_of_components: WeakValueDictionary[UUID, Lookups] = WeakValueDictionary()


def lookups_of(component_id: UUID) -> Lookups:
    """The lookups of an application, the same for each of its runs."""
    return _of_components.setdefault(component_id, Lookups())


def _give(answered: asyncio.Future[_Answer], answer: _Answer) -> None:
    if not answered.done():
        answered.set_result(answer)
