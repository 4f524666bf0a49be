# SPDX-License-Identifier: Apache-2.0
"""Crashes of a roll-out's devices, with the release and with the one before, and the evidence that they make."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, and_, case, delete, func, insert, or_, select, update

from armillary.engines.records.queries.planning.before import SAMPLE
from armillary.engines.records.queries.planning.reach import in_reach, portions
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.state import LIVING
from armillary.rollout.tally import UNFINISHED

_device, _status, _part, _report = schema.device, schema.device_status, schema.rollout_device, schema.error_report
_evidence, _crash, _rollout = schema.rollout_evidence, schema.rollout_crash, schema.rollout
# Types of error reports that say that an application ended by itself (service/watch/detections.py).
CRASHES: Final = ("AppCrash", "AppExit")


class KeptEvidence(NamedTuple):
    """What is kept of a roll-out: up to which error report, and the evidence as a JSON document."""

    position: int
    document: str


class CrashedDevice(NamedTuple):
    """A device with new error reports of crashes.

    Attributes:
        is_new: It had the release when the last one came; None where it is neither on it nor on the one before, or
            was chosen by people: devices of rings are not like the others.
        crashes: That came since a time.
        counted: Of them, those that are counted already.
    """

    number: int
    is_new: bool | None
    crashes: int
    counted: int


def evidence(connection: Connection, rollout: Rollout) -> KeptEvidence | None:
    """What is kept of a roll-out since it runs or was last resumed; None before the first crash."""
    mine = (_evidence.c.rollout_id == rollout.rollout_id) & (_evidence.c.since == rollout.changed_at)
    row = connection.execute(select(_evidence.c.position, _evidence.c.document).where(mine)).first()
    return None if row is None else KeptEvidence(*row)


def crashed(
    connection: Connection, rollout: Rollout, image_ids: Collection[UUID] | None, *, after: int, up_to: int
) -> list[CrashedDevice]:
    """Devices in reach with error reports of crashes numbered above ``after``, up to ``up_to``, by the newest one.

    ``image_ids``: of these images only; None: of any.
    """
    is_crash = _report.c.event_type.in_(CRASHES) & (_report.c.received_at >= rollout.changed_at)
    if image_ids is not None:
        is_crash &= _report.c.image_id.in_(image_ids)
    fresh = select(_report.c.device_number).where(_report.c.number > after, _report.c.number <= up_to, is_crash)
    numbers = sorted(set(connection.execute(fresh).scalars()))
    mine = and_(_part.c.device_number == _device.c.number, _part.c.rollout_id == rollout.rollout_id)
    counted = and_(_crash.c.device_number == _device.c.number, _crash.c.rollout_id == rollout.rollout_id)
    found: list[Row[Any]] = []
    for some in portions(numbers):
        query = (
            select(
                _device.c.number,
                _part.c.state,
                _part.c.cohort,
                _part.c.finished_at,
                _crash.c.crashes.label("counted"),
                func.sum(_report.c.count).label("crashes"),
                func.max(_report.c.received_at).label("last"),
                func.max(_report.c.number).label("newest"),
            )
            .join(_report, _report.c.device_number == _device.c.number)
            .join(_part, mine, isouter=True)
            .join(_crash, counted, isouter=True)
            .where(_device.c.number.in_(some), _report.c.number <= up_to, is_crash, in_reach(rollout))
            .group_by(_device.c.number, _part.c.state, _part.c.cohort, _part.c.finished_at, _crash.c.crashes)
        )
        found += connection.execute(query)
    return [
        CrashedDevice(row.number, _has_release(row, len(rollout.policy.rings)), int(row.crashes), int(row.counted or 0))
        for row in sorted(found, key=lambda row: int(row.newest))
    ]


def _has_release(row: Row[Any], rings: int) -> bool | None:
    """By a device's state in the roll-out. What came with its confirmation may be of either release."""
    if row.cohort is not None and row.cohort < rings:
        return None
    if row.state is None or row.state in UNFINISHED:
        return False
    return True if row.state == "confirmed" and row.finished_at is not None and row.last > row.finished_at else None


def without_release(connection: Connection, rollout: Rollout, *, devices: int) -> int:
    """Devices in reach that have the release before, and checked in since the roll-out runs or was last resumed.

    Without those of rings. Of more than :data:`SAMPLE` devices every n-th is counted.
    """
    step = max(1, devices // SAMPLE)
    mine = and_(_part.c.device_number == _device.c.number, _part.c.rollout_id == rollout.rollout_id)
    by_chance = _part.c.cohort >= len(rollout.policy.rings)
    waits = or_(_part.c.device_number.is_(None), _part.c.state.in_(UNFINISHED) & by_chance)
    query = (
        select(func.count())
        .select_from(_device)
        .join(_status, _status.c.device_number == _device.c.number)
        .join(_part, mine, isouter=True)
        .where(in_reach(rollout), waits, _device.c.number % step == 0, _status.c.checked_in_at >= rollout.changed_at)
    )
    return step * int(connection.execute(query).scalar_one())


def counted(connection: Connection, rollout: Rollout, most: int) -> list[tuple[int, int]]:
    """How many devices have crashed once, twice and so on up to ``most`` times or more often.

    Each as devices with the release, and devices with the one before; without those of rings. What a device had before
    it confirmed counts for it afterwards as well.
    """
    by_chance = _part.c.cohort >= len(rollout.policy.rings)
    is_new = (_part.c.state == "confirmed") & by_chance
    is_before = or_(_part.c.device_number.is_(None), _part.c.state.in_(UNFINISHED) & by_chance)
    times = _crash.c.crashes
    sums = [
        func.coalesce(func.sum(case((which & (times == number if number < most else times >= number), 1), else_=0)), 0)
        for number in range(1, most + 1)
        for which in (is_new, is_before)
    ]
    mine = and_(_part.c.device_number == _crash.c.device_number, _part.c.rollout_id == rollout.rollout_id)
    query = select(*sums).select_from(_crash.outerjoin(_part, mine)).where(_crash.c.rollout_id == rollout.rollout_id)
    values = [int(value) for value in connection.execute(query).one()]
    return list(zip(values[::2], values[1::2], strict=True))


def keep(
    connection: Connection, rollout: Rollout, before: KeptEvidence | None, now: KeptEvidence, devices: Mapping[int, int]
) -> bool:
    """Keep the evidence and how often devices crashed, together; False if somebody else kept another meanwhile."""
    if evidence(connection, rollout) != before:
        return False
    mine = _evidence.c.rollout_id == rollout.rollout_id
    if before is None:  # of an earlier run of the roll-out nothing counts any more
        connection.execute(delete(_crash).where(_crash.c.rollout_id == rollout.rollout_id))
        connection.execute(delete(_evidence).where(mine))
        values = {"rollout_id": rollout.rollout_id, "since": rollout.changed_at, **now._asdict()}
        connection.execute(insert(_evidence).values(values))
    else:
        connection.execute(update(_evidence).where(mine).values(now._asdict()))
    for number, crashes in devices.items():
        key = {"rollout_id": rollout.rollout_id, "device_number": number}
        if not dialect.insert_new(connection, _crash, [{**key, "crashes": crashes}]):
            connection.execute(update(_crash).filter_by(**key).values(crashes=crashes))
    return True


def prune(connection: Connection) -> int:
    """Delete what is kept of roll-outs that have ended; returns how many devices."""
    living = select(_rollout.c.rollout_id).where(_rollout.c.state.in_(LIVING))
    connection.execute(delete(_evidence).where(_evidence.c.rollout_id.not_in(living)))
    return connection.execute(delete(_crash).where(_crash.c.rollout_id.not_in(living))).rowcount


def evidence_from(document: str) -> tuple[tuple[float, ...], int, int]:
    """The logarithms of a document, and how many devices crashed with the release and before."""
    logs, new, before = json.loads(document)
    return tuple(map(float, logs)), int(new), int(before)


def document_of(logs: tuple[float, ...], new: int, before: int) -> str:
    """The document that :func:`evidence_from` reads."""
    return json.dumps([logs, new, before])
