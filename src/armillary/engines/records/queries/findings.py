# SPDX-License-Identifier: Apache-2.0
"""Findings, deduplicated: one living row per fingerprint, with every device it concerns counted once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from armillary.engines.records.queries.pages import newest_first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import Page
from armillary.wire.device.finding import SEVERITIES, Finding

# Devices named inside a finding; the count covers all.
MAX_NAMED_DEVICES = 100

_finding, _concerned, _position = schema.finding, schema.finding_device, schema.watch_position


def observe(connection: Connection, seen: Finding) -> Finding:
    """Record an observation: a new finding, or one more of a living one with the same fingerprint.

    A repeated observation adds to the count and to the devices, moves ``last_seen``, takes the newer words and can
    only raise the severity. A closed finding is not revived: seen again, it is a new one.
    """
    row = connection.execute(select(_finding).where(_finding.c.open_key == seen.fingerprint)).first()
    if row is None:
        connection.execute(
            insert(_finding).values(
                finding_id=seen.finding_id,
                fingerprint=seen.fingerprint,
                open_key=seen.fingerprint,
                kind=seen.kind,
                severity=seen.severity,
                title=seen.title,
                cause=seen.cause,
                proposed_action=seen.proposed_action,
                status="open",
                count=seen.count,
                first_seen=seen.first_seen,
                last_seen=seen.last_seen,
                catalog_id=seen.catalog_id,
                group_id=seen.group_id,
                deployment_id=seen.deployment_id,
                rollout_id=seen.rollout_id,
                image_id=seen.image_id,
                component_id=seen.component_id,
            )
        )
        finding_id = seen.finding_id
    else:
        finding_id = row.finding_id
        connection.execute(
            update(_finding)
            .where(_finding.c.finding_id == finding_id)
            .values(
                count=_finding.c.count + seen.count,
                first_seen=min(row.first_seen, seen.first_seen),
                last_seen=max(row.last_seen, seen.last_seen),
                severity=max(row.severity, seen.severity, key=SEVERITIES.index),
                title=seen.title,
                cause=seen.cause,
                proposed_action=seen.proposed_action,
            )
        )
    dialect.insert_new(
        connection, _concerned, [{"finding_id": finding_id, "device_id": one} for one in seen.device_ids]
    )
    found = one(connection, finding_id)
    if found is None:
        raise AssertionError("a finding written in this transaction is not there")
    return found


def one(connection: Connection, finding_id: UUID) -> Finding | None:
    """A finding."""
    row = connection.execute(_findings().where(_finding.c.finding_id == finding_id)).first()
    return None if row is None else _as_finding(connection, row)


def page(
    connection: Connection,
    *,
    conditions: Mapping[str, object],
    device_id: str | None = None,
    limit: int,
    before: int | None,
) -> Page[Finding]:
    """Findings whose columns have the given values, newest first; ``status`` "living" is everything but closed."""
    query = _findings()
    for name, value in conditions.items():
        if name == "status" and value == "living":
            query = query.where(_finding.c.status != "closed")
        else:
            query = query.where(_finding.c[name] == value)
    if device_id is not None:
        named = select(_concerned.c.finding_id).where(_concerned.c.device_id == device_id)
        query = query.where(_finding.c.finding_id.in_(named))
    return newest_first(
        connection, query, _finding, lambda row: _as_finding(connection, row), limit=limit, before=before
    )


def names(connection: Connection, fingerprint: str, device_id: str) -> bool:
    """Whether the living finding of a fingerprint, if there is one, names the device."""
    query = (
        select(_finding.c.number)
        .join(_concerned, _concerned.c.finding_id == _finding.c.finding_id)
        .where(_finding.c.open_key == fingerprint, _concerned.c.device_id == device_id)
    )
    return connection.execute(query).first() is not None


def named_in(connection: Connection, device_id: str, *, since: int) -> int:
    """How many findings name the device: those that are not closed, and those first seen since a time."""
    query = (
        select(func.count())
        .select_from(_concerned)
        .join(_finding, _finding.c.finding_id == _concerned.c.finding_id)
        .where(_concerned.c.device_id == device_id, (_finding.c.status != "closed") | (_finding.c.first_seen >= since))
    )
    return int(connection.execute(query).scalar_one())


def living(connection: Connection, catalog_id: UUID) -> tuple[Finding, ...]:
    """The findings of a catalog that are not closed, with all their devices."""
    here = (_finding.c.status != "closed") & (_finding.c.catalog_id == catalog_id)
    rows = connection.execute(_findings().where(here).order_by(_finding.c.number)).all()
    return tuple(_as_finding(connection, row, named=None) for row in rows)


def set_status(connection: Connection, finding_id: UUID, status: str) -> None:
    """Acknowledge or close a finding."""
    values: dict[str, Any] = {"status": status}
    if status == "closed":
        values["open_key"] = None
    connection.execute(update(_finding).where(_finding.c.finding_id == finding_id).values(values))


def position(connection: Connection, source: str) -> int:
    """Up to which row of ``source`` the watch has looked; 0 before the first."""
    found = connection.execute(select(_position.c.number).where(_position.c.source == source)).scalar()
    return 0 if found is None else int(found)


def set_position(connection: Connection, source: str, number: int) -> None:
    """Note how far the watch has looked, in the transaction that records what it saw."""
    dialect.insert_new(connection, _position, [{"source": source, "number": number}])
    connection.execute(update(_position).where(_position.c.source == source).values(number=number))


def _findings() -> Select[Any]:
    devices = (
        select(func.count())
        .where(_concerned.c.finding_id == _finding.c.finding_id)
        .correlate(_finding)
        .scalar_subquery()
    )
    return select(_finding, devices.label("device_count"))


def _devices_of(connection: Connection, finding_id: UUID, named: int | None) -> Sequence[str]:
    query = select(_concerned.c.device_id).where(_concerned.c.finding_id == finding_id).order_by(_concerned.c.device_id)
    return [row.device_id for row in connection.execute(query if named is None else query.limit(named))]


def _as_finding(connection: Connection, row: Row[Any], named: int | None = MAX_NAMED_DEVICES) -> Finding:
    return Finding(
        finding_id=row.finding_id,
        fingerprint=row.fingerprint,
        kind=row.kind,
        severity=row.severity,
        title=row.title,
        cause=row.cause,
        device_ids=tuple(_devices_of(connection, row.finding_id, named)),
        device_count=row.device_count,
        proposed_action=row.proposed_action,
        status=row.status,
        count=row._mapping["count"],  # noqa: SLF001 - a row is a tuple, and "count" a method of tuples
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        catalog_id=row.catalog_id,
        group_id=row.group_id,
        deployment_id=row.deployment_id,
        rollout_id=row.rollout_id,
        image_id=row.image_id,
        component_id=row.component_id,
    )


def count_of(connection: Connection, fingerprint: str) -> int:
    """How often a living finding was observed so far; 0 when there is none."""
    found = connection.execute(select(_finding.c.count).where(_finding.c.open_key == fingerprint)).scalar()
    return 0 if found is None else int(found)
