# SPDX-License-Identifier: Apache-2.0
"""Refused requests on their way to the records: folded, bounded, and never delaying a check-in.

An attacker decides how often a request is refused, so equal refusals of a minute become one row with a count, and a
second holds at most a few thousand different ones; what is beyond is only counted.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.queries import reports as report_rows
from armillary.engines.records.store import Query
from armillary.errors import ArmillaryError, RateLimitedError, ReplayedProofError

MAX_PENDING: Final = 2000
MAX_MESSAGE_LENGTH: Final = 500

# How a replayed proof is recorded; the device gets the plain ``device.challenge``.
REPLAYED: Final = "device.challenge.replayed"


@dataclass(slots=True)
class _Pending:
    at: int
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class TakenRefusals:
    """Refusals on their way: the change that records them, and how many they are."""

    change: Query[None]
    count: int


class RefusalLog:
    """Collects refusals between two flushes; from any thread."""

    def __init__(self) -> None:
        self._noting = threading.Lock()
        self._pending: dict[tuple[str, str], _Pending] = {}
        self.dropped = 0

    def note(self, device_id: str, error: ArmillaryError, at: int) -> None:
        """Note a refusal; "try later" is no fault of the device and is left out."""
        if isinstance(error, RateLimitedError):
            return
        code = REPLAYED if isinstance(error, ReplayedProofError) else error.code
        with self._noting:
            found = self._pending.get((device_id, code))
            if found is not None:
                found.count += 1
                found.at = at
            elif len(self._pending) < MAX_PENDING:
                self._pending[device_id, code] = _Pending(at, error.message[:MAX_MESSAGE_LENGTH], 1)
            else:
                self.dropped += 1

    def take(self) -> TakenRefusals | None:
        """What was noted since the last call, or None."""
        with self._noting:
            if not self._pending:
                return None
            pending, self._pending = self._pending, {}
        return TakenRefusals(lambda c: _record(c, pending), sum(one.count for one in pending.values()))


def _record(connection: Connection, pending: Mapping[tuple[str, str], _Pending]) -> None:
    for (device_id, code), one in pending.items():
        report_rows.refused(connection, device_id=device_id, code=code, message=one.message, at=one.at, count=one.count)
