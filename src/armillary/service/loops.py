# SPDX-License-Identifier: Apache-2.0
"""The loops of the service: watch, then plan, whenever something came in and at least every few seconds; renew daily.

The work is synchronous and runs in a thread, so that the event loop goes on serving devices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy import Connection

from armillary.engines.records.queries import check_ins as check_in_rows, reports as report_rows
from armillary.service.advisories.advisories import Advisories
from armillary.service.authority.authority import Authority
from armillary.service.authority.server_certificate import ServerFiles
from armillary.service.context.context import Context
from armillary.service.repository.repository import Repository
from armillary.service.response.response import Response
from armillary.service.updates.planner import Planner
from armillary.service.watch.watch import Watch

# After being woken, wait this long for more to come in: a thousand check-ins are one run.
GATHER_S: Final = 0.2
# Steps of each of its sources that the watch reads before actions and roll-outs have their turn: half a second or so.
WATCH_STEPS: Final = 8
DAILY_S: Final = 86_400
# History kept: check-ins, refusals, error reports and update outcomes older than this are deleted daily.
KEEP_S: Final = 90 * 86_400
# And of one device no more than so many: its hourly check-ins of 90 days are 2,160, and its reports a few.
KEEP_CHECK_INS: Final = 10_000
KEEP_REPORTS: Final = 2_000

_log = structlog.get_logger("armillary.service.loops")


@dataclass(eq=False)
class ServiceLoops:
    """The service's own two loops; the first also keeps the repository true to the records."""

    _context: Context
    _planner: Planner
    _watch: Watch
    _advisories: Advisories
    _authority: Authority
    _use_certificate: Callable[[ServerFiles], object]
    _repository: Repository
    _renew_offers: Callable[[], object]
    _look_at_clocks: Callable[[], object]
    _notify: Callable[[], object]
    _response: Response
    last_run_at: int | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _failures: int = 0
    _work: asyncio.Future[object] | None = None

    @property
    def healthy(self) -> bool:
        """Whether the loops run and their last run succeeded."""
        return self._failures == 0 and all(not task.done() for task in self._tasks)

    def start(self) -> None:
        """Start the loops in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [self._loop.create_task(self._watch_and_plan()), self._loop.create_task(self._daily())]

    def wake(self) -> None:
        """Run soon; safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def close(self) -> None:
        """End the loops; work under way in a thread is waited for."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._work is not None:
            await asyncio.gather(self._work, return_exceptions=True)

    async def _watch_and_plan(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._context.settings.planner_interval_s):
                    await self._woken.wait()
                await asyncio.sleep(min(GATHER_S, self._context.settings.planner_interval_s))
            except TimeoutError:
                pass
            self._woken.clear()
            await self._guarded("watch and plan", self._look)

    def _look(self) -> None:
        self._watch.run_once(WATCH_STEPS)
        if self._watch.is_behind:
            self.wake()  # in a flood what acts and what plans have their turn in between
        self._notify()
        try:
            self._act()  # before the planner: what a playbook halts starts no further device
        finally:  # an action that cannot be done, whatever it raises, keeps no roll-out from being stopped
            self._planner.run_once()
        self._repository.follow()
        self._renew_offers()
        if self._advisories.look():
            self.wake()  # more to take in: the watch and the planner in between
        self._act()  # on what is exploited, at once
        self._look_at_clocks()
        self._notify()
        self.last_run_at = self._context.now()

    def _act(self) -> None:
        self._response.run_once()
        if self._response.is_behind:
            self.wake()

    async def _daily(self) -> None:
        while True:
            await asyncio.sleep(DAILY_S)
            await self._guarded("daily renewal and clean-up", self._clean_up)

    def _clean_up(self) -> None:
        now = self._context.now()
        self._authority.renew()
        self._use_certificate(self._authority.server.files())
        self._context.records.write(lambda c: check_in_rows.prune(c, before=now - KEEP_S, now=now, most=KEEP_CHECK_INS))
        self._context.records.write(lambda c: report_rows.prune(c, before=now - KEEP_S, most=KEEP_REPORTS))
        self._context.records.write(_prune_crash_rates)
        self._advisories.prune()
        self._response.prune()

    async def _guarded(self, what: str, work: Callable[[], object]) -> None:
        try:
            self._work = asyncio.get_running_loop().run_in_executor(None, work)
            await asyncio.shield(self._work)
            self._failures = 0
        except Exception:  # noqa: BLE001 - the outermost loop of this process part: one bad run must not end the watch
            self._failures += 1
            _log.exception("a run failed", work=what, failures=self._failures)


def _prune_crash_rates(connection: Connection) -> int:
    from armillary.engines.records.queries.planning import crashes  # noqa: PLC0415 - memory: once a day

    return crashes.prune(connection)
