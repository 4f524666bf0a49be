# SPDX-License-Identifier: Apache-2.0
"""Caches slow answers for a while: a page that asks every few seconds costs the disk a tenth of the time at most."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

# An answer is kept for so many times as long as it took: one question costs a tenth of a core at most.
KEPT_TIMES: Final = 10
# A faster answer (seconds) is not kept: a change is seen at once.
QUICK_S: Final = 0.1
# No answer older than this is given (seconds).
MAX_AGE_S: Final = 120.0
# Questions kept, e.g. one a catalog; beyond, all are dropped.
MAX_QUESTIONS: Final = 256


class AnswerCache(Generic[Value]):
    """Answers by question, for any thread; of several threads with the same question one computes and the others wait.

    ``monotonic`` gives seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._asking: dict[Hashable, threading.Lock] = {}
        self._answers: dict[Hashable, tuple[float, Value]] = {}

    def get(self, question: Hashable, find_out: Callable[[], Value]) -> Value:
        """The kept answer while it is good, else ``find_out()``; when that raises, nothing is kept."""
        with self._lock:
            asking = self._asking.setdefault(question, threading.Lock())
        with asking:
            known = self._answers.get(question)
            start = self._monotonic()
            if known is not None and start < known[0]:
                return known[1]
            answer = find_out()
            end = self._monotonic()
            with self._lock:
                if len(self._asking) > MAX_QUESTIONS:
                    self._asking.clear()
                    self._answers.clear()
                if end - start > QUICK_S:
                    self._answers[question] = (end + min(MAX_AGE_S, KEPT_TIMES * (end - start)), answer)
            return answer
