# SPDX-License-Identifier: Apache-2.0
"""Check-ins: batches, which are written before the devices get their certificates, and lists.

A batch is one INSERT and one UPDATE of many rows. Two check-ins of a healthy device differ little, so the long parts
(appraisal steps, installed applications, enforcement) are written only when they have changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, Select, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from armillary.attest.firmware_reference import FirmwareValue
from armillary.engines.database.outbox import AuditEntry
from armillary.engines.records.queries import (
    audit as audit_rows,
    firmware as firmware_rows,
    reports as report_rows,
)
from armillary.engines.records.queries.devices import BootDetails, keep_directive
from armillary.engines.records.queries.pages import newest_first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import CheckIn, Page, from_row, to_row
from armillary.wire.device.checkin import AppraisalStep
from armillary.wire.device.error_report import ErrorReport

# Distinct lists of appraisal steps that are cached; healthy devices share a few.
MAX_KNOWN_STEPS = 4096


@dataclass(frozen=True, slots=True)
class OutcomeWrite:
    """One reported update outcome."""

    offer_id: UUID
    deployment_id: UUID | None
    image_id: UUID
    component_id: UUID
    outcome: str
    reason: str
    at: int


class CheckInWrite(NamedTuple):
    """Everything that is stored of one accepted check-in, in one transaction.

    A named tuple: a frozen dataclass of this many fields costs 4 us to make, once per check-in.
    """

    device_number: int
    at: int
    verdict: str
    steps: tuple[AppraisalStep, ...]  # Equal lists are stored once
    boot_count: int
    os_version: str
    certificate_serial: str
    certificate_not_after: int
    purpose: str
    offer_id: UUID | None
    deployment_id: UUID | None
    challenge_id: bytes  # Identity of the spent challenge; the database refuses it a second time
    challenge_expires_at: int
    installed: str | None = None  # JSON text of the installed images; None when unchanged
    details: BootDetails | None = None  # What is written once per boot; None when unchanged
    outcomes: tuple[OutcomeWrite, ...] = ()
    error_reports: tuple[ErrorReport, ...] = ()
    # What the proof showed of an earlier reply, as stored (``engines/records/schema/lineage.py``)
    lineage: str | None = None
    held: str = ""  # Why the device is held from now on; empty if it is not, or was held before
    # Serial of the previous check-in's certificate as the verifier knows it: the database refuses this check-in if
    # another worker has recorded one since. None checks nothing.
    after: str | None = None
    firmware: tuple[FirmwareValue, ...] | None = None  # What the machine's firmware measured; None when unchanged
    suppressed: tuple[ErrorReport, ...] = ()  # Error reports that are counted but not stored
    directive_version: int | None = None  # Of a directive made for this reply; None for none or an earlier one
    update_status: str | None = None  # JSON text of what the device says of its update; None when unchanged

    @property
    def is_plain(self) -> bool:
        """Whether it needs no more than a row and a status: the steady state."""
        return (
            self.installed is None
            and self.details is None
            and self.firmware is None
            and self.directive_version is None
            and self.update_status is None
            and not (self.outcomes or self.error_reports or self.suppressed or self.held)
        )


_CHECK_IN = (
    "device_number",
    "at",
    "verdict",
    "steps_id",
    "boot_count",
    "os_version",
    "certificate_serial",
    "certificate_not_after",
    "purpose",
    "offer_id",
    "deployment_id",
    "challenge_id",
    "challenge_expires_at",
)
_STATUS = (
    "verdict",
    "checked_in_at",
    "boot_count",
    "os_version",
    "certificate_serial",
    "certificate_not_after",
    "offered_deployment_id",
    "lineage",
)


class CheckInStatements:
    """The compiled statements of the check-in path and a cache of stored step lists; for the writer thread only."""

    def __init__(self) -> None:
        self._insert = dialect.insert_rows(schema.check_in, _CHECK_IN)
        self._update = dialect.update_rows(schema.device_status, _STATUS, "device_number", "certificate_serial")
        # Step lists by identity: thousands of check-ins share one tuple object, and hashing it costs more than the rest
        # of the row. The object is kept, so that no other object gets its identity.
        self._steps: dict[int, tuple[tuple[AppraisalStep, ...], int]] = {}

    def plain(self, writes: Sequence[CheckInWrite]) -> dialect.Batch | None:
        """The batch as driver text and rows for two statements; None unless all its check-ins are plain."""
        rows = []
        for write in writes:
            known = self._steps.get(id(write.steps))
            if known is None or known[0] is not write.steps or not write.is_plain:
                return None
            rows.append(_row(write, known[1]))
        return (self._insert, rows), (self._update, list(map(_status, rows, writes)))

    def execute(self, connection: Connection, writes: Sequence[CheckInWrite]) -> None:
        """Write a batch of any check-ins.

        Raises:
            IntegrityError: one of the challenges was spent before, or another worker was faster; the caller rolls back.
        """
        rows = [_row(write, self._steps_id(connection, write.steps)) for write in writes]
        for text, values in dialect.in_portions(self._insert, rows):
            connection.exec_driver_sql(text, values)
        due = dialect.changes(connection) + len(rows)
        for text, values in dialect.in_portions(self._update, list(map(_status, rows, writes))):
            connection.exec_driver_sql(text, values)
        if dialect.changes(connection) != due:
            raise IntegrityError(self._update(1), None, LookupError(dialect.MOVED_ON))
        for write in writes:
            if not write.is_plain:
                _write_rest(connection, write)

    def forget(self) -> None:
        """Empty the cache of step lists: the transaction that stored some was rolled back."""
        self._steps.clear()

    def _steps_id(self, connection: Connection, steps: tuple[AppraisalStep, ...]) -> int:
        known = self._steps.get(id(steps))
        if known is not None and known[0] is steps:
            return known[1]
        document = json.dumps([[s.number, s.name, s.prevents, s.result, s.detail] for s in steps])
        digest = sha256(document.encode()).digest()
        table = schema.appraisal_steps
        dialect.insert_new(connection, table, [{"digest": digest, "document": document}])
        steps_id = int(connection.execute(select(table.c.steps_id).where(table.c.digest == digest)).scalar_one())
        if len(self._steps) >= MAX_KNOWN_STEPS:
            self._steps.clear()
        self._steps[id(steps)] = (steps, steps_id)
        return steps_id


def _row(write: CheckInWrite, steps_id: int) -> tuple[Any, ...]:
    """The columns of :data:`_CHECK_IN`."""
    return (
        write.device_number,
        write.at,
        write.verdict,
        steps_id,
        write.boot_count,
        write.os_version,
        write.certificate_serial,
        write.certificate_not_after,
        write.purpose,
        None if write.offer_id is None else write.offer_id.hex,
        None if write.deployment_id is None else write.deployment_id.hex,
        write.challenge_id,
        write.challenge_expires_at,
    )


def _status(row: tuple[Any, ...], write: CheckInWrite) -> tuple[Any, ...]:
    """The columns of :data:`_STATUS` and the device's number, most from those of :data:`_CHECK_IN`."""
    return row[2], row[1], row[4], row[5], row[6], row[7], row[10], write.lineage, row[0], write.after


def _write_rest(connection: Connection, write: CheckInWrite) -> None:
    status: dict[str, Any] = {}
    if write.installed is not None:
        status["installed"] = write.installed
    if write.details is not None:
        status |= asdict(write.details)
    if write.update_status is not None:
        status["update_status"] = write.update_status
    if write.outcomes:
        status["updated_at"] = write.at
    if write.held:
        status["held_at"] = write.at
        known = select(schema.device.c.device_id).where(schema.device.c.number == write.device_number)
        device_id = connection.execute(known).scalar_one()
        entry = AuditEntry("service", "device.hold", device_id, {"reason": write.held}, write.at)
        audit_rows.append(connection, entry)
    if status:
        table = schema.device_status
        connection.execute(update(table).where(table.c.device_number == write.device_number).values(status))
    if write.firmware is not None:
        firmware_rows.remember(connection, write.device_number, write.at, write.firmware)
    if write.directive_version is not None:
        keep_directive(connection, write.device_number, write.directive_version)
    number, table = write.device_number, schema.outcome
    outcomes = [to_row(table, one, device_number=number, received_at=write.at) for one in write.outcomes]
    dialect.insert_new(connection, table, outcomes)
    report_rows.add(connection, number, write.error_reports, write.suppressed, at=write.at)


def list_of_device(connection: Connection, device_id: str, *, limit: int, before: int | None) -> Page[CheckIn]:
    """A device's check-ins, newest first."""
    query = _check_ins().where(schema.device.c.device_id == device_id)
    return newest_first(connection, query, schema.check_in, _check_in, limit=limit, before=before)


def refused_since(connection: Connection, number: int, *, limit: int) -> list[CheckIn]:
    """Check-ins after row ``number`` whose verdict is not "attested", oldest first."""
    table = schema.check_in
    query = _check_ins().where(table.c.number > number, table.c.verdict != "attested")
    return [_check_in(row) for row in connection.execute(query.order_by(table.c.number).limit(limit))]


def recorded_after(connection: Connection, at: int) -> tuple[int, int] | None:
    """The earliest and the latest time of check-ins that are recorded later than ``at``; None where there are none.

    It looks at every check-in: for what people ask for, once.
    """
    column = schema.check_in.c.at
    first, last = connection.execute(select(func.min(column), func.max(column)).where(column > at)).one()
    return None if first is None else (first, last)


def prune(connection: Connection, *, before: int, now: int, most: int) -> int:
    """Delete check-ins older than ``before`` and those of a device beyond its newest ``most``; returns how many.

    Check-ins whose challenge has not expired stay: the database needs them to refuse it a second time.
    """
    table = schema.check_in
    spent = table.c.challenge_expires_at < now
    removed = connection.execute(delete(table).where(table.c.at < before, spent)).rowcount
    return removed + dialect.keep_newest(connection, table, most, also=spent)


def _check_ins() -> Select[Any]:
    table, steps = schema.check_in, schema.appraisal_steps
    return (
        select(table, steps.c.document, schema.device.c.device_id)
        .join(steps, steps.c.steps_id == table.c.steps_id)
        .join(schema.device, schema.device.c.number == table.c.device_number)
    )


def _check_in(row: Row[Any]) -> CheckIn:
    return from_row(CheckIn, row, steps=tuple(AppraisalStep(*step) for step in json.loads(row.document)))


def has_certificate(connection: Connection, device_number: int, serial: str, *, since: int = 0) -> bool:
    """Whether a client certificate of this serial was recorded for the device at or after a time."""
    table = schema.check_in
    here = (table.c.device_number == device_number) & (table.c.certificate_serial == serial) & (table.c.at >= since)
    return connection.execute(select(table.c.number).where(here).limit(1)).first() is not None


def is_beyond(connection: Connection, device_number: int, *, serial: str, expires_at: int) -> bool:
    """Whether a lineage value that expires at ``expires_at`` is from a reply newer than all that is recorded."""
    status = schema.device_status
    seen = connection.execute(
        select(status.c.checked_in_at).where(status.c.device_number == device_number)
    ).scalar_one_or_none()
    return expires_at > (seen or 0) and not has_certificate(connection, device_number, serial)
