# SPDX-License-Identifier: Apache-2.0
"""Check-ins from their arrival to the reply: judged together, committed together, answered after the commit."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

import structlog

from armillary.engines.database.group_commit import LoopSink, Rejected
from armillary.engines.records.queries.check_ins import CheckInWrite
from armillary.engines.records.store import CheckInSink, Query, Records
from armillary.errors import ArmillaryError, ChallengeError, RateLimitedError
from armillary.service.context.notices import Notices
from armillary.service.endpoint.connection import DeviceConnection
from armillary.service.endpoint.problem import RequestRefusedError
from armillary.service.verifier.verifier import Accepted, Verifier

# Check-ins waiting for the disk; beyond, devices are asked to come back: the queue would only grow older.
MAX_WAITING: Final = 5_000
BUSY_RETRY_S: Final = 5
# Check-ins are gathered this long and committed together. A commit costs 170 us and two disk writes, a check-in in it
# 15 us; no device minds the delay.
GATHER_S: Final = 0.02

_log = structlog.get_logger("armillary.service.endpoint.endpoint")


class CheckIns:
    """The check-ins in progress, in one event loop."""

    def __init__(self, records: Records, verifier: Verifier, notices: Notices, counts: Counter[str]) -> None:
        self._records = records
        self._verifier = verifier
        self._notices = notices
        self._counts = counts
        self._arrived: list[tuple[DeviceConnection, bytes, int]] = []
        self._gathered: list[CheckInWrite] = []
        self._waiting: dict[int, tuple[DeviceConnection, Accepted]] = {}
        self._failed: list[Exception] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sink: CheckInSink | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        """Begin to take check-ins, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._sink = LoopSink(self._loop, self._delivered)

    def take(self, connection: DeviceConnection, body: bytes, now: int) -> None:
        """Queue a check-in that arrived; it is judged in the next turn of the loop."""
        self._arrived.append((connection, body, now))
        if len(self._arrived) == 1 and self._loop is not None:
            self._loop.call_soon(self._judge)

    def is_waiting(self, connection: DeviceConnection) -> bool:
        """Whether a check-in of this connection waits for the disk."""
        return connection.busy and any(one is connection for one, _ in self._waiting.values())

    def oldest_wait_s(self, now: int) -> int:
        """Seconds that the oldest check-in has waited for the disk."""
        oldest = next(iter(self._waiting.values()), None)
        return 0 if oldest is None else now - oldest[1].write.at

    def log_unrecorded(self) -> None:
        """Log one line for all check-ins that could not be recorded since the last call."""
        failed, self._failed = self._failed, []
        if failed:
            last = failed[-1]
            _log.error(
                "check-ins could not be recorded: these devices got no certificate",
                count=len(failed),
                code=last.code if isinstance(last, ArmillaryError) else "service.bug",
                error=str(last),
                remedy=last.remedy if isinstance(last, ArmillaryError) else "",
            )

    def _judge(self) -> None:
        """Decide about the check-ins that arrived in this turn of the loop: one after the other keeps caches warm."""
        arrived, self._arrived = self._arrived, []
        for connection, body, now in arrived:
            try:
                self._check_in(connection, body, now)
            except ArmillaryError as error:
                connection.fail(error)
            except Exception:  # noqa: BLE001 - a bug that one request finds must not take the others with it
                _log.exception("a check-in could not be judged", device=connection.peer and connection.peer.device_id)
                connection.abort()

    def _check_in(self, connection: DeviceConnection, body: bytes, now: int) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise RateLimitedError("too many check-ins wait for the disk", retry_after_s=BUSY_RETRY_S)
        if connection.peer is None or self._sink is None:
            raise RequestRefusedError(503, "the endpoint is not running")
        accepted = self._verifier.check_in(connection.peer, body, now=now)
        self._verifier.begin(accepted)
        self._waiting[id(accepted.write)] = (connection, accepted)
        self._gathered.append(accepted.write)
        if len(self._gathered) == 1 and self._loop is not None:
            self._loop.call_later(GATHER_S, self._post)

    def _post(self) -> None:
        """Hand the gathered check-ins to the writer."""
        gathered, self._gathered = self._gathered, []
        for write in gathered:
            try:
                if self._sink is not None:
                    self._records.post(write, self._sink)
            except RateLimitedError as error:
                connection, accepted = self._waiting.pop(id(write))
                self._verifier.failed(accepted)
                connection.fail(error)

    def _delivered(self, items: list[CheckInWrite | Query[object]], outcomes: list[object]) -> None:
        """Send the replies of a batch that is durable."""
        news = False
        for item, outcome in zip(items, outcomes, strict=True):
            connection, accepted = self._waiting.pop(id(item))
            if isinstance(outcome, Rejected):
                self._verifier.failed(accepted)
                connection.fail(self._unrecorded(outcome.error))
                continue
            self._verifier.recorded(accepted)
            connection.reply_ok(accepted.reply)
            write = accepted.write
            if write.held:
                self._notices.device_held(accepted.state.device_id)
            news = news or bool(
                write.outcomes
                or write.error_reports
                or write.suppressed
                or write.installed
                or write.verdict != "attested"
            )
        self._counts["check-ins"] += len(items)
        if news:
            self._notices.news()

    def _unrecorded(self, error: Exception) -> ArmillaryError:
        """The answer to a device whose check-in could not be recorded; counted for the log."""
        if not isinstance(error, ChallengeError):  # that one is the device's own doing
            self._counts["check-ins not recorded"] += 1
            self._failed.append(error)
        if isinstance(error, ArmillaryError):
            return error
        return RequestRefusedError(503, "the check-in could not be recorded")
