# SPDX-License-Identifier: Apache-2.0
"""Methods of health: an application may ask to be watched. One that then gives no sign of life is started again.

A watch is counted in ticks, :data:`TICKS` to the time that the application asked for, and not by the clock: where the
device itself stood still, or had too much to do to read, that was one tick, and what waits is read before the next.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping
from functools import partial
from typing import Any

from armillary.device.interface.method import Call, Method
from armillary.device.interface.session import Session

# A shorter one would end applications of a busy host, a longer one would say nothing.
LEAST_S, MOST_S = 2, 3600
TICKS = 4


class Watch:
    """The watch over one run, from when it was asked for until it is given up or the run ends."""

    def __init__(self, session: Session, seconds: int) -> None:
        self.seconds = seconds
        self._session = session
        self._quiet = 0
        self._task = asyncio.create_task(self._look(), name="watchdog")

    def beat(self) -> None:
        """The application lives."""
        self._quiet = 0

    def tick(self) -> bool:
        """A part of the time has passed; whether the application has been quiet for all of it."""
        self._quiet += 1
        return self._quiet > TICKS

    def close(self) -> None:
        """Look no more."""
        self._task.cancel()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self.seconds / TICKS)
            if self.tick():
                self._session.run.end(f"no heartbeat within {self.seconds} s")
                return


class Health:
    """Watches the applications that ask for it."""

    def __init__(self) -> None:
        self._watches: dict[Session, Watch | None] = {}  # of runs that have asked once, until they end

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("health.watch", None, self._watch),
            Method("health.beat", None, self._beat),
            Method("health.unwatch", None, self._unwatch),
        )

    async def _watch(self, call: Call) -> Mapping[str, Any]:
        """Begin, or begin anew with another time."""
        seconds = call.parameters.integer("within_s", LEAST_S, MOST_S)
        call.parameters.finish()
        self._end(call.session)
        if call.session not in self._watches:
            call.session.on_close(partial(self._forget, call.session))
        self._watches[call.session] = Watch(call.session, seconds)
        return {"within_s": seconds}

    async def _beat(self, call: Call) -> None:
        call.parameters.finish()
        watch = self._watches.get(call.session)
        if watch is None:
            raise OSError(errno.ENOENT, "health.watch was not asked for in this run")
        watch.beat()

    async def _unwatch(self, call: Call) -> None:
        call.parameters.finish()
        self._end(call.session)

    def _end(self, session: Session) -> None:
        watch = self._watches.get(session)
        if watch is not None:
            watch.close()
            self._watches[session] = None

    def _forget(self, session: Session) -> None:
        self._end(session)
        del self._watches[session]
