# SPDX-License-Identifier: Apache-2.0
"""What devices reported: error reports, update outcomes, and the requests that were refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, delete, func, select, update

from armillary.engines.records.queries import images as image_rows
from armillary.engines.records.queries.pages import newest_first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import (
    ErrorReportRow,
    Page,
    Refusal,
    UnreadRefusal,
    UpdateOutcome,
    from_row,
    to_row,
)
from armillary.rollout.state import LIVING
from armillary.wire.device.crash_record import encode_crash
from armillary.wire.device.error_report import ErrorReport

_device, _check_in, _action = schema.device, schema.check_in, schema.bridge_action
_as_outcome, _as_refusal = partial(from_row, UpdateOutcome), partial(from_row, Refusal)

# The error report that this service writes itself, one row an hour: how many reports of a device it did not store. No
# device can send this boot count.
SUPPRESSED = "ReportsSuppressed"
SUPPRESSED_BOOT = -1
# Rows for the refused requests of one device in a day, one for each code and minute; and the most codes there are.
MAX_REFUSALS_A_DAY = 500
REFUSAL_CODES = 24


def error_reports(
    connection: Connection,
    *,
    catalog_id: UUID | None,
    device_id: str | None,
    event_type: str | None,
    limit: int,
    before: int | None,
) -> Page[ErrorReportRow]:
    """Error reports, newest first."""
    table = schema.error_report
    query = _with_device(table)
    if catalog_id is not None:
        query = query.where(_device.c.catalog_id == catalog_id)
    if device_id is not None:
        query = query.where(_device.c.device_id == device_id)
    if event_type is not None:
        query = query.where(table.c.event_type == event_type)
    return newest_first(connection, query, table, _as_report, limit=limit, before=before)


def error_reports_since(connection: Connection, number: int, *, limit: int) -> list[ErrorReportRow]:
    """Error reports of devices after row ``number``, oldest first."""
    table = schema.error_report
    query = _with_device(table).where(table.c.boot_count != SUPPRESSED_BOOT)
    return [_as_report(row) for row in connection.execute(_after(query, table, number, limit))]


def gap_before(connection: Connection, device_id: str, sequence: int) -> int:
    """How many error reports of a device are missing right before one: neither stored nor counted.

    0 where nothing is stored from before it: older reports are not kept for ever.
    """
    table, status = schema.error_report, schema.device_status
    number = select(_device.c.number).where(_device.c.device_id == device_id).scalar_subquery()
    stored = select(func.max(table.c.sequence)).where(
        table.c.device_number == number, table.c.boot_count != SUPPRESSED_BOOT, table.c.sequence < sequence
    )
    counted = select(status.c.suppressed_up_to).where(status.c.device_number == number)
    newest = connection.execute(stored).scalar_one()
    if newest is None:
        return 0
    return max(0, sequence - 1 - max(int(newest), int(connection.execute(counted).scalar_one_or_none() or 0)))


def unread_suppressions(connection: Connection, *, limit: int) -> list[ErrorReportRow]:
    """The service's own error reports that the watch has not read to the end, oldest first; ``count`` is the rest."""
    table = schema.error_report
    return [_as_report(row, row.unread) for row in connection.execute(_unread(_with_device(table), table, limit))]


def outcomes(
    connection: Connection, *, device_id: str | None, deployment_id: UUID | None, limit: int, before: int | None
) -> Page[UpdateOutcome]:
    """Update outcomes, newest first."""
    table = schema.outcome
    query = _with_device(table)
    if device_id is not None:
        query = query.where(_device.c.device_id == device_id)
    if deployment_id is not None:
        query = query.where(table.c.deployment_id == deployment_id)
    return newest_first(connection, query, table, _as_outcome, limit=limit, before=before)


def last_outcome(connection: Connection, device_id: str, image_ids: Collection[UUID]) -> UpdateOutcome | None:
    """The newest outcome of any of these images on a device; None if there is none."""
    table = schema.outcome
    query = _with_device(table).where(_device.c.device_id == device_id, table.c.image_id.in_(image_ids))
    row = connection.execute(query.order_by(table.c.number.desc()).limit(1)).first()
    return None if row is None else _as_outcome(row)


def outcomes_since(connection: Connection, number: int, *, limit: int) -> list[UpdateOutcome]:
    """Update outcomes after row ``number``, oldest first."""
    table = schema.outcome
    return [_as_outcome(row) for row in connection.execute(_after(_with_device(table), table, number, limit))]


def refusals(connection: Connection, *, device_id: str | None, limit: int, before: int | None) -> Page[Refusal]:
    """Refused requests, newest first."""
    table = schema.refusal
    query = select(table)
    if device_id is not None:
        query = query.where(table.c.device_id == device_id)
    return newest_first(connection, query, table, _as_refusal, limit=limit, before=before)


def unread_refusals(connection: Connection, *, limit: int) -> list[UnreadRefusal]:
    """Refused requests that the watch has not read to the end, oldest first; ``count`` is the rest of a row."""
    table = schema.refusal
    rows = connection.execute(_unread(select(table), table, limit))
    return [from_row(UnreadRefusal, row, count=row.unread, total=row.count) for row in rows]


def mark_read(connection: Connection, table_name: str, read: Mapping[int, int]) -> bool:
    """Note that so many of these rows (number -> count) were read.

    False, and nothing is noted, if another process has read of them meanwhile.
    """
    table = schema.metadata.tables[table_name]
    query = select(table.c.number, table.c.unread).where(table.c.number.in_(read), table.c.unread.is_not(None))
    unread = {row.number: row.unread for row in connection.execute(query)}
    if any(unread.get(number, 0) < count for number, count in read.items()):
        return False
    for number, count in read.items():
        rest = unread[number] - count or None  # counted up since: the next time
        connection.execute(update(table).where(table.c.number == number).values(unread=rest))
    return True


def image_was_offered(connection: Connection, device_id: str, catalog_id: UUID, image_id: UUID) -> bool:
    """Whether a check-in, or an action of the bridge, offered the device a deployment that names the image."""
    part = schema.deployment_image
    of_image = select(part.c.deployment_id).where(part.c.catalog_id == catalog_id, part.c.image_id == image_id)
    return _was_offered(connection, device_id, list(connection.execute(of_image).scalars()))


def deployment_was_offered(connection: Connection, device_id: str, catalog_id: UUID, deployment_id: UUID) -> bool:
    """Whether a check-in, or an action of the bridge, offered the device the deployment, and the catalog has it."""
    found = image_rows.deployment(connection, deployment_id)
    if found is None or found.catalog_id != catalog_id:
        return False
    return _was_offered(connection, device_id, [deployment_id])


def release_was_offered(connection: Connection, device_id: str, release_id: UUID) -> bool:
    """Whether a check-in offered the device an OS release, and nothing with it."""
    number = select(_device.c.number).where(_device.c.device_id == device_id).scalar_subquery()
    offered = select(_check_in.c.number).where(_check_in.c.device_number == number, _check_in.c.offer_id == release_id)
    return connection.execute(offered.limit(1)).first() is not None


def _was_offered(connection: Connection, device_id: str, deployments: Sequence[UUID]) -> bool:
    if not deployments:
        return False
    number = select(_device.c.number).where(_device.c.device_id == device_id).scalar_subquery()
    offered = select(_check_in.c.number).where(
        _check_in.c.device_number == number, _check_in.c.deployment_id.in_(deployments)
    )
    bridged = select(_action.c.number).where(
        _action.c.device_number == number, _action.c.deployment_id.in_(deployments)
    )
    return any(connection.execute(query.limit(1)).first() is not None for query in (offered, bridged))


def add(
    connection: Connection,
    device_number: int,
    kept: Sequence[ErrorReport],
    suppressed: Sequence[ErrorReport],
    *,
    at: int,
) -> None:
    """Store a device's error reports, once each, and count those that are suppressed."""
    table = schema.error_report
    rows = [
        to_row(
            table,
            one,
            device_number=device_number,
            start_at=one.start,
            end_at=one.end,
            received_at=at,
            crash=None if one.crash is None else encode_crash(one.crash),
        )
        for one in kept
    ]
    dialect.insert_new(connection, table, rows)
    if suppressed:
        _count(connection, device_number, suppressed, at)


def _count(connection: Connection, device_number: int, suppressed: Sequence[ErrorReport], at: int) -> None:
    """Count suppressed reports in one row an hour; a report that comes again is counted once."""
    table, status = schema.error_report, schema.device_status
    mine = status.c.device_number == device_number
    up_to = connection.execute(select(status.c.suppressed_up_to).where(mine)).scalar_one() or 0
    reported = [one for one in suppressed if one.sequence > up_to]
    stored = select(table.c.boot_count, table.c.sequence).where(
        table.c.device_number == device_number, table.c.sequence.in_([one.sequence for one in reported])
    )
    known = {(row.boot_count, row.sequence) for row in connection.execute(stored)}
    fresh = [one for one in reported if (one.boot_count, one.sequence) not in known]
    if not fresh:
        return
    connection.execute(update(status).where(mine).values(suppressed_up_to=max(one.sequence for one in fresh)))
    key = {"device_number": device_number, "boot_count": SUPPRESSED_BOOT, "sequence": at // 3600}
    row = {
        **key,
        "event_category": "Unplanned",
        "event_class": "OS",
        "event_type": SUPPRESSED,
        "description": "So many error reports of this device came beyond what is kept of one device, and were counted",
        "count": len(fresh),
        "unread": len(fresh),
        "start_at": at,
        "end_at": at,
        "received_at": at,
    }
    if not dialect.insert_new(connection, table, [row]):
        same = _has(table, key)
        connection.execute(update(table).where(same).values(**_counted_up(table, len(fresh)), end_at=at))


def refused(connection: Connection, *, device_id: str, code: str, message: str, at: int, count: int = 1) -> None:
    """Count a refused request in a row for its device, code and minute; also sets the status of a known device.

    Beyond :data:`MAX_REFUSALS_A_DAY` rows of a device in a day, a code has one row for the whole day.
    """
    table = schema.refusal
    key = {"device_id": device_id, "code": code, "minute": at // 60}
    if _refusals_of_day(connection, device_id, at) >= MAX_REFUSALS_A_DAY:
        is_new = connection.execute(select(table.c.number).where(_has(table, key))).first() is None
        key["minute"] = at // 86_400 * 1440 if is_new else at // 60
    row = {**key, "at": at, "message": message, "count": count, "unread": count}
    if not dialect.insert_new(connection, table, [row]):
        connection.execute(update(table).where(_has(table, key)).values(**_counted_up(table, count), at=at))
    known = select(_device.c.number).where(_device.c.device_id == device_id).scalar_subquery()
    connection.execute(
        update(schema.device_status)
        .where(schema.device_status.c.device_number == known)
        .values(refused_at=at, refusal=code)
    )


def _refusals_of_day(connection: Connection, device_id: str, at: int) -> int:
    table = schema.refusal
    today = (table.c.device_id == device_id) & (table.c.minute > at // 60 - 1440)
    return int(connection.execute(select(func.count()).select_from(table).where(today)).scalar_one())


def prune(connection: Connection, *, before: int, most: int) -> int:
    """Delete old error reports, refusals and update outcomes, and those of a device beyond its newest ``most``.

    Returns how many. Outcomes of a roll-out under way stay, because it decides by them.
    """
    report, refusal, outcome = schema.error_report, schema.refusal, schema.outcome
    rollout, further = schema.rollout, schema.rollout_group
    is_living = rollout.c.state.in_(LIVING) & rollout.c.deployment_id.is_not(None)
    living = select(rollout.c.deployment_id).where(is_living)
    named = select(further.c.deployment_id).join(rollout, rollout.c.rollout_id == further.c.rollout_id).where(is_living)
    done = outcome.c.deployment_id.is_(None) | outcome.c.deployment_id.not_in(living.union_all(named))
    removed = connection.execute(delete(report).where(report.c.received_at < before)).rowcount
    removed += connection.execute(delete(refusal).where(refusal.c.at < before)).rowcount
    removed += connection.execute(delete(outcome).where(outcome.c.received_at < before, done)).rowcount
    removed += dialect.keep_newest(connection, report, most)
    return removed + dialect.keep_newest(connection, outcome, most, also=done)


def newest_number(connection: Connection, table_name: str) -> int:
    """The highest row number of ``error_report``, ``outcome``, ``refusal`` or ``check_in``; 0 when empty."""
    table = schema.metadata.tables[table_name]
    return int(connection.execute(select(func.coalesce(func.max(table.c.number), 0))).scalar_one())


def _has(table: Table, key: Mapping[str, object]) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in key.items()))


def _counted_up(table: Table, count: int) -> dict[str, ColumnElement[int]]:
    return {"count": table.c.count + count, "unread": func.coalesce(table.c.unread, 0) + count}


def _unread(query: Select[Any], table: Table, limit: int) -> Select[Any]:
    return query.where(table.c.unread.is_not(None)).order_by(table.c.number).limit(limit)


def _after(query: Select[Any], table: Table, number: int, limit: int) -> Select[Any]:
    return query.where(table.c.number > number).order_by(table.c.number).limit(limit)


def _with_device(table: Table) -> Select[Any]:
    return select(table, _device.c.device_id, _device.c.catalog_id).join(
        _device, _device.c.number == table.c.device_number
    )


def _as_report(row: Row[Any], count: int | None = None) -> ErrorReportRow:
    return from_row(
        ErrorReportRow, row, start=row.start_at, end=row.end_at, count=row.count if count is None else count
    )
