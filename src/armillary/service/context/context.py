# SPDX-License-Identifier: Apache-2.0
"""What the parts of the service share: the records, the settings and the clock; the address of the device endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.records.folder import DataFolder
from armillary.engines.records.queries import audit as audit_rows
from armillary.engines.records.store import Records
from armillary.settings import Settings

# A device is silent when it has missed this many of the check-ins it was asked for.
MISSED_CHECK_INS = 3
# Never call a device silent sooner than this, whatever the interval: a reboot takes a while.
SILENT_FLOOR_S = 60


@dataclass(slots=True)
class OwnIntervals:
    """What is known of the check intervals that device groups have of their own: the longest, in seconds; 0 for none.

    Silence is told by one number for all devices, which queries over a million of them compare with an index alone.
    """

    longest_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Shared by all parts; built once by ``assemble.py``."""

    settings: Settings
    folder: DataFolder
    records: Records
    clock: Callable[[], float] = time.time
    own_intervals: OwnIntervals = field(default_factory=OwnIntervals)

    def now(self) -> int:
        """Unix seconds UTC."""
        return int(self.clock())

    @property
    def silent_after_s(self) -> int:
        """Seconds without a check-in after which a device counts as silent, whatever the interval of its group."""
        longest_s = max(self.settings.check_in_interval_s, self.own_intervals.longest_s)
        interval = longest_s * (1 + self.settings.check_in_jitter)
        return max(SILENT_FLOOR_S, int(MISSED_CHECK_INS * interval))

    @property
    def as_of(self) -> dict[str, int]:
        """The time, and what counts as silent: the arguments of queries that say how devices are."""
        return {"now": self.now(), "silent_after_s": self.silent_after_s}

    def audit(
        self,
        connection: Connection,
        actor: str,
        operation: str,
        target: str,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Append the audit line of an operation in its transaction."""
        audit_rows.append(connection, AuditEntry(actor, operation, target, detail, self.now()))


class DeviceAddress:
    """Host and port of the device endpoint; ``port`` is 0 before it listens."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.port = 0

    @property
    def url(self) -> str:
        """``https://HOST:PORT``."""
        return f"https://{self._settings.public_host}:{self.port or self._settings.device_port}"
