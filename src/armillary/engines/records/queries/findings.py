# SPDX-License-Identifier: Apache-2.0
"""Findings, deduplicated: at most one row per fingerprint that is not closed ("living"); each device counts once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from armillary.engines.records.queries.pages import first, newest_first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import Page, from_row, to_row
from armillary.wire.device.finding import SEVERITIES, Finding

# Devices that are listed in a finding; its count covers all.
MAX_NAMED_DEVICES = 100

_finding, _concerned, _position = schema.finding, schema.finding_device, schema.watch_position


class Observed(NamedTuple):
    """What an observation has made of its finding."""

    finding: Finding
    before: str | None  # the severity that it had; None: it is new

    @property
    def is_news(self) -> bool:
        """Whether it is new, or graver than it was."""
        return self.before != self.finding.severity


class KindCount(NamedTuple):
    """How many findings of a kind have a severity; ``newest`` is the highest number among them, times are Unix s."""

    kind: str
    severity: str
    findings: int
    observations: int
    first_seen: int
    last_seen: int
    newest: int


def observe(connection: Connection, seen: Finding) -> Observed:
    """Record an observation: a new finding, or one more of a living finding with the same fingerprint.

    A repeated observation adds to the count and to the devices, moves ``last_seen``, replaces the texts and can only
    raise the severity. A closed finding is not opened again: the next observation makes a new one.
    """
    row = connection.execute(select(_finding).where(_finding.c.open_key == seen.fingerprint)).first()
    if row is None:
        values = to_row(_finding, seen, open_key=seen.fingerprint, status="open")
        connection.execute(insert(_finding).values(values))
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
                advisory_id=seen.advisory_id or row.advisory_id,
            )
        )
    dialect.insert_new(
        connection, _concerned, [{"finding_id": finding_id, "device_id": one} for one in seen.device_ids]
    )
    found = one(connection, finding_id)
    if found is None:
        raise AssertionError("a finding written in this transaction is not there")
    return Observed(found, None if row is None else str(row.severity))


def one(connection: Connection, finding_id: UUID) -> Finding | None:
    """The finding of an id."""
    return first(connection, _findings().where(_finding.c.finding_id == finding_id), partial(_as_finding, connection))


def page(
    connection: Connection,
    *,
    conditions: Mapping[str, object],
    device_id: str | None = None,
    limit: int,
    before: int | None,
) -> Page[Finding]:
    """Findings whose columns have the given values, newest first; ``status`` "living" is everything but closed."""
    query = _where(_findings(), conditions)
    if device_id is not None:
        named = select(_concerned.c.finding_id).where(_concerned.c.device_id == device_id)
        query = query.where(_finding.c.finding_id.in_(named))
    return newest_first(connection, query, _finding, partial(_as_finding, connection), limit=limit, before=before)


def kinds(connection: Connection, conditions: Mapping[str, object]) -> tuple[KindCount, ...]:
    """Findings whose columns have the given values (as :func:`page`), counted by kind and severity."""
    key = (_finding.c.kind, _finding.c.severity)
    counted = select(
        *key,
        func.count(),
        func.sum(_finding.c.count),
        func.min(_finding.c.first_seen),
        func.max(_finding.c.last_seen),
        func.max(_finding.c.number),
    )
    rows = connection.execute(_where(counted, conditions).group_by(*key).order_by(*key)).all()
    return tuple(KindCount(row[0], row[1], *map(int, row[2:])) for row in rows)


def titles(
    connection: Connection, conditions: Mapping[str, object], *, up_to: int, limit: int
) -> tuple[tuple[UUID, str], ...]:
    """Ids and titles of the oldest findings whose columns have the given values, up to a number."""
    query = _where(select(_finding.c.finding_id, _finding.c.title), conditions).where(_finding.c.number <= up_to)
    rows = connection.execute(query.order_by(_finding.c.number).limit(limit)).all()
    return tuple((row.finding_id, row.title) for row in rows)


def names(connection: Connection, fingerprint: str, device_id: str) -> bool:
    """Whether a living finding of this fingerprint names the device."""
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


def headlines(connection: Connection, catalog_id: UUID | None) -> tuple[Finding, ...]:
    """The findings of a catalog (None: of all) that are not closed, without the ids of their devices."""
    here = _finding.c.status != "closed"
    if catalog_id is not None:
        here &= _finding.c.catalog_id == catalog_id
    rows = connection.execute(_findings().where(here).order_by(_finding.c.number)).all()
    return tuple(from_row(Finding, row, device_ids=()) for row in rows)


def set_status(connection: Connection, finding_id: UUID, status: str) -> None:
    """Acknowledge or close a finding."""
    values: dict[str, Any] = {"status": status}
    if status == "closed":
        values["open_key"] = None
    connection.execute(update(_finding).where(_finding.c.finding_id == finding_id).values(values))


def close_open(connection: Connection, fingerprint: str) -> None:
    """Close the living finding of a fingerprint, if there is one: what it said is over."""
    living = _finding.c.open_key == fingerprint
    connection.execute(update(_finding).where(living).values(status="closed", open_key=None))


def position(connection: Connection, source: str) -> int:
    """The last row of ``source`` that the watch has read; 0 before the first."""
    found = connection.execute(select(_position.c.number).where(_position.c.source == source)).scalar()
    return 0 if found is None else int(found)


def set_position(connection: Connection, source: str, number: int) -> None:
    """Store how far the watch has read, in the transaction that records its findings."""
    dialect.insert_new(connection, _position, [{"source": source, "number": number}])
    connection.execute(update(_position).where(_position.c.source == source).values(number=number))


def _where(query: Select[Any], conditions: Mapping[str, object]) -> Select[Any]:
    for name, value in conditions.items():
        if name == "status" and value == "living":
            query = query.where(_finding.c.status != "closed")
        else:
            query = query.where(_finding.c[name] == value)
    return query


def _findings() -> Select[Any]:
    devices = (
        select(func.count())
        .where(_concerned.c.finding_id == _finding.c.finding_id)
        .correlate(_finding)
        .scalar_subquery()
    )
    return select(_finding, devices.label("device_count"))


def _as_finding(connection: Connection, row: Row[Any]) -> Finding:
    devices = select(_concerned.c.device_id).where(_concerned.c.finding_id == row.finding_id)
    devices = devices.order_by(_concerned.c.device_id).limit(MAX_NAMED_DEVICES)
    return from_row(Finding, row, device_ids=tuple(connection.execute(devices).scalars()))


def count_of(connection: Connection, fingerprint: str) -> int:
    """How often a living finding was observed so far; 0 when there is none."""
    found = connection.execute(select(_finding.c.count).where(_finding.c.open_key == fingerprint)).scalar()
    return 0 if found is None else int(found)


def living_of_kind(connection: Connection, kind: str) -> tuple[str, ...]:
    """Fingerprints of the findings of a kind that are not closed."""
    query = select(_finding.c.open_key).where(_finding.c.kind == kind, _finding.c.open_key.is_not(None))
    return tuple(connection.execute(query).scalars())


def gravest(connection: Connection, fingerprint: str) -> str | None:
    """The gravest severity of the findings that this observation made so far, closed ones too; None if it made none."""
    query = select(_finding.c.severity).where(_finding.c.fingerprint == fingerprint)
    return max(connection.execute(query).scalars(), key=SEVERITIES.index, default=None)
