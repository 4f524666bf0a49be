# SPDX-License-Identifier: Apache-2.0
"""What runs where: sets of software, the devices that have each, and how many moved from one to another when.

Devices whose status says something else than what is kept here are found by one join, whatever was written meanwhile:
among the newest check-ins, among some ids, or among all by their numbers. :func:`place` keeps them and their sums.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Uuid,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.software_tables import NO_GROUP, NO_SET

# Moves are summed over so many seconds: a curve shows the fix of a morning, and a roll-out writes few rows.
SPAN_S: Final = 10
# Where it is noted since when all is noted that a device had: migration 0038.
NOTED: Final = "software-noted"
# Parameters of one query; SQLite takes 32,766.
AT_ONCE: Final = 500
# Sets and groups of some devices up to which they are taken in together.
MAX_KINDS: Final = 50

_device, _status, _check_in = schema.device, schema.device_status, schema.check_in
_set, _part, _kept = schema.software_set, schema.software_part, schema.device_software
_count, _move, _past = schema.software_count, schema.software_move, schema.software_past
_position = schema.watch_position
_GROUP = func.coalesce(_device.c.group_id, literal(NO_GROUP, Uuid))
_ATTESTED = _status.c.verdict == "attested"


class SoftwareSet(NamedTuple):
    """What some devices run together."""

    set_id: int
    attested: bool  # Whether their last check-in was attested: else what they say they run is their word alone
    chip: str
    os_version: str
    image_ids: frozenset[UUID]


class Pair(NamedTuple):
    """How many devices of a group have a set."""

    set_id: int
    group_id: UUID
    devices: int


class Move(NamedTuple):
    """How many devices of a group went from one set to another in :data:`SPAN_S` seconds; ``NO_SET`` is neither."""

    at: int
    group_id: UUID
    from_set: int
    to_set: int
    devices: int


class Held(NamedTuple):
    """What a device had in a group, since it was noted; ``until`` is None for what it has now."""

    set_id: int
    group_id: UUID
    since: int
    until: int | None


# -- what has changed -------------------------------------------------------------------------------------------------


def by_number(after: int, until: int) -> ColumnElement[bool]:
    """Devices with row numbers above ``after`` up to ``until``."""
    return (_device.c.number > after) & (_device.c.number <= until)


def by_check_in(after: int, until: int) -> ColumnElement[bool]:
    """Devices whose check-ins have row numbers above ``after`` up to ``until``."""
    lately = select(_check_in.c.device_number).where(_check_in.c.number > after, _check_in.c.number <= until)
    return _device.c.number.in_(lately)


def by_id(device_ids: Collection[str]) -> ColumnElement[bool]:
    """Devices of these ids, :data:`AT_ONCE` at most."""
    return _device.c.device_id.in_(device_ids)


def newest(connection: Connection) -> tuple[int, int]:
    """The highest row numbers of devices and of check-ins."""
    device = connection.execute(select(func.coalesce(func.max(_device.c.number), 0))).scalar_one()
    check_in = connection.execute(select(func.coalesce(func.max(_check_in.c.number), 0))).scalar_one()
    return int(device), int(check_in)


def has_moved(connection: Connection, among: ColumnElement[bool]) -> bool:
    """Whether one of these devices has other software, or another group, than what is kept."""
    return connection.execute(_moved(among).limit(1)).first() is not None


def _moved(among: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            _device.c.number,
            _GROUP.label("group_id"),
            _device.c.chip,
            _ATTESTED.label("attested"),
            _status.c.os_version,
            _status.c.installed,
            _kept.c.group_id.label("kept_group"),
            _kept.c.set_id.label("kept_set"),
            _kept.c.since.label("kept_since"),
        )
        .join(_status, _status.c.device_number == _device.c.number)
        .join(_kept, _kept.c.device_number == _device.c.number, isouter=True)
        .join(_set, _set.c.set_id == _kept.c.set_id, isouter=True)
        .where(
            among,
            _status.c.verdict.is_not(None),
            or_(
                _kept.c.device_number.is_(None),
                _kept.c.group_id != _GROUP,
                _set.c.attested != _ATTESTED,
                _set.c.os_version != _status.c.os_version,
                _set.c.installed != _status.c.installed,
            ),
        )
    )


def take_in(connection: Connection, among: ColumnElement[bool], *, now: int) -> int:
    """Keep what those of these devices have that are not kept yet, where they have a few sets; returns how many.

    All at once in the database, a millisecond for a hundred: an older data folder has all of its devices to take in.
    """
    fresh = _moved(among).where(_kept.c.device_number.is_(None)).subquery()
    name = (fresh.c.attested, fresh.c.chip, fresh.c.os_version, fresh.c.installed)
    query = select(*name, fresh.c.group_id, func.count().label("devices")).group_by(*name, fresh.c.group_id)
    rows = connection.execute(query.limit(MAX_KINDS + 1)).all()
    if len(rows) > MAX_KINDS:
        return 0
    counts: Counter[tuple[int, UUID]] = Counter()
    known: dict[tuple[bool, str, str, str], int] = {}
    for row in rows:
        key = (bool(row.attested), row.chip, row.os_version, row.installed)
        set_id = known.get(key) or known.setdefault(key, _set_of(connection, *key))
        counts[set_id, row.group_id] += row.devices
    for key, set_id in known.items():
        same = and_(*(column == value for column, value in zip(name, key, strict=True)))
        chosen = select(fresh.c.number, fresh.c.group_id, literal(set_id), literal(now)).where(same)
        dialect.insert_selected(connection, _kept, ("device_number", "group_id", "set_id", "since"), chosen)
    moves = Counter({(group_id, NO_SET, set_id): devices for (set_id, group_id), devices in counts.items()})
    _add_up(connection, counts, moves, now - now % SPAN_S)
    return sum(counts.values())


def place(connection: Connection, among: ColumnElement[bool], *, now: int) -> int:
    """Keep what these devices have now, and count who came, went and moved; returns how many did."""
    known: dict[tuple[bool, str, str, str], int] = {}
    fresh, changed, past = [], [], []
    counts: Counter[tuple[int, UUID]] = Counter()
    moves: Counter[tuple[UUID, int, int]] = Counter()
    for row in connection.execute(_moved(among)).all():
        key = (bool(row.attested), row.chip, row.os_version, row.installed)
        set_id = known.get(key) or known.setdefault(key, _set_of(connection, *key))
        if row.kept_set is None:
            fresh.append({"device_number": row.number, "group_id": row.group_id, "set_id": set_id, "since": now})
            moves[row.group_id, NO_SET, set_id] += 1
        else:
            changed.append({"numbered": row.number, "new_group": row.group_id, "new_set": set_id})
            past.append(_past_of(row, now))
            counts[row.kept_set, row.kept_group] -= 1
            if row.kept_group == row.group_id:
                moves[row.group_id, row.kept_set, set_id] += 1
            else:
                moves[row.kept_group, row.kept_set, NO_SET] += 1
                moves[row.group_id, NO_SET, set_id] += 1
        counts[set_id, row.group_id] += 1
    if fresh:
        connection.execute(insert(_kept), fresh)
    if changed:
        here = _kept.c.device_number == bindparam("numbered")
        to = {"group_id": bindparam("new_group", type_=Uuid), "set_id": bindparam("new_set"), "since": now}
        connection.execute(update(_kept).where(here).values(to), changed)
        connection.execute(insert(_past), past)
    _add_up(connection, counts, moves, now - now % SPAN_S)
    return len(fresh) + len(changed)


def _past_of(row: Any, now: int) -> dict[str, Any]:
    """What a device had until now."""
    return {
        "device_number": row.number,
        "group_id": row.kept_group,
        "set_id": row.kept_set,
        "since": row.kept_since,
        "until": now,
    }


def _add_up(
    connection: Connection,
    counts: Counter[tuple[int, UUID]],
    moves: Counter[tuple[UUID, int, int]],
    at: int,
) -> None:
    for (set_id, group_id), devices in counts.items():
        if devices:
            row: dict[str, Any] = {"set_id": set_id, "group_id": group_id}
            _increase(connection, _count, row, devices)
    for (group_id, from_set, to_set), devices in moves.items():
        if from_set != to_set:
            row = {"at": at, "group_id": group_id, "from_set": from_set, "to_set": to_set}
            _increase(connection, _move, row, devices)


def _increase(connection: Connection, table: Any, row: dict[str, Any], devices: int) -> None:
    here = [table.c[name] == value for name, value in row.items()]
    done = connection.execute(update(table).where(*here).values(devices=table.c.devices + devices))
    if not done.rowcount:
        connection.execute(insert(table).values(**row, devices=devices))


def _set_of(connection: Connection, attested: bool, chip: str, os_version: str, installed: str) -> int:  # noqa: FBT001 - a part of the set's name
    """The set of this name, which is made if it is not there."""
    digest = sha256(json.dumps([attested, chip, os_version, installed]).encode()).digest()
    found = select(_set.c.set_id).where(_set.c.digest == digest)
    known = connection.execute(found).scalar_one_or_none()
    if known is not None:
        return int(known)
    values = {"attested": attested, "chip": chip, "os_version": os_version, "installed": installed}
    connection.execute(insert(_set).values(digest=digest, **values))
    made = int(connection.execute(found).scalar_one())
    images = {UUID(each[1]) for each in json.loads(installed)}
    if images:
        connection.execute(insert(_part), [{"set_id": made, "image_id": each} for each in sorted(images)])
    return made


def prune(connection: Connection, *, before: int) -> int:
    """Delete moves and pasts from before a time, and sets that no device has and nothing names; how many sets."""
    connection.execute(delete(_move).where(_move.c.at < before))
    connection.execute(delete(_past).where(_past.c.until < before))
    connection.execute(delete(_count).where(_count.c.devices == 0))
    used = [select(_kept.c.set_id), select(_past.c.set_id), select(_move.c.from_set), select(_move.c.to_set)]
    idle = [_set.c.set_id.not_in(each) for each in used]
    gone = connection.execute(select(_set.c.set_id).where(*idle)).scalars().all()
    for some in portions(gone):
        connection.execute(delete(_part).where(_part.c.set_id.in_(some)))
        connection.execute(delete(_set).where(_set.c.set_id.in_(some)))
    return len(gone)


# -- what is asked ----------------------------------------------------------------------------------------------------


def sets_after(connection: Connection, set_id: int) -> tuple[SoftwareSet, ...]:
    """All sets with a number above ``set_id``, by number. A set never changes."""
    parts: dict[int, set[UUID]] = {}
    for row in connection.execute(select(_part).where(_part.c.set_id > set_id)):
        parts.setdefault(row.set_id, set()).add(row.image_id)
    query = select(_set.c.set_id, _set.c.attested, _set.c.chip, _set.c.os_version).where(_set.c.set_id > set_id)
    return tuple(
        SoftwareSet(row.set_id, bool(row.attested), row.chip, row.os_version, frozenset(parts.get(row.set_id, ())))
        for row in connection.execute(query.order_by(_set.c.set_id))
    )


def pairs(connection: Connection, set_ids: Iterable[int] | None = None) -> list[Pair]:
    """How many devices of each group have each set: of these sets, or of all; by set and group."""
    query = select(_count.c.set_id, _count.c.group_id, _count.c.devices).where(_count.c.devices > 0)
    rows: list[Any] = []
    if set_ids is None:
        rows += connection.execute(query)
    else:
        for some in portions(sorted(set_ids)):
            rows += connection.execute(query.where(_count.c.set_id.in_(some)))
    return sorted(Pair(*row) for row in rows)


def pairs_at(connection: Connection, at: int) -> list[Pair]:
    """As :func:`pairs` for all sets, at a time: what is now without what moved since."""
    found: Counter[tuple[int, UUID]] = Counter(
        {(each.set_id, each.group_id): each.devices for each in pairs(connection)}
    )
    query = select(_move.c.group_id, _move.c.from_set, _move.c.to_set, func.sum(_move.c.devices).label("devices"))
    later = query.where(_move.c.at > at).group_by(_move.c.group_id, _move.c.from_set, _move.c.to_set)
    for row in connection.execute(later):
        found[row.to_set, row.group_id] -= int(row.devices)
        found[row.from_set, row.group_id] += int(row.devices)
    return sorted(Pair(*key, devices) for key, devices in found.items() if devices > 0 and key[0] != NO_SET)


def noted_since(connection: Connection) -> int | None:
    """Since when it is noted which devices have what; None before the first."""
    return connection.execute(select(func.min(_move.c.at))).scalar_one_or_none()


def number_of(connection: Connection, device_id: str) -> int | None:
    """The row number of a device."""
    return connection.execute(select(_device.c.number).where(_device.c.device_id == device_id)).scalar_one_or_none()


def count_pairs(connection: Connection) -> int:
    """How many sets there are in how many groups, each with a device."""
    query = select(func.count()).select_from(_count).where(_count.c.devices > 0)
    return int(connection.execute(query).scalar_one())


def moves(connection: Connection, set_ids: Collection[int], *, since: int) -> list[Move]:
    """Moves from and to these sets after a time, in order."""
    found: set[Move] = set()
    for some in portions(sorted(set_ids)):
        either = or_(_move.c.from_set.in_(some), _move.c.to_set.in_(some))
        query = select(_move.c.at, _move.c.group_id, _move.c.from_set, _move.c.to_set, _move.c.devices)
        found.update(Move(*row) for row in connection.execute(query.where(either, _move.c.at > since)))
    return sorted(found)


def devices_of(connection: Connection, set_id: int, group_id: UUID, *, after: int, limit: int) -> list[int]:
    """Row numbers of devices of a group that have a set, above ``after``, in order."""
    here = (_kept.c.set_id == set_id) & (_kept.c.group_id == group_id) & (_kept.c.device_number > after)
    query = select(_kept.c.device_number).where(here).order_by(_kept.c.device_number).limit(limit)
    return list(connection.execute(query).scalars())


def portions(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """The values in lists that a statement takes."""
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))


def held_at(connection: Connection, device_number: int, at: int) -> Held | None:
    """What a device had at a time; None where that is not known: it was not there yet, or nothing was noted then."""
    columns = (_past.c.set_id, _past.c.group_id, _past.c.since, _past.c.until)
    before = select(*columns).where(_past.c.device_number == device_number, _past.c.until > at)
    row = connection.execute(before.order_by(_past.c.until, _past.c.number).limit(1)).first()
    if row is None:
        columns_now = (_kept.c.set_id, _kept.c.group_id, _kept.c.since, literal(None).label("until"))
        row = connection.execute(select(*columns_now).where(_kept.c.device_number == device_number)).first()
    if row is None:
        return None
    noted = select(_position.c.number).where(_position.c.source == NOTED)
    since = row.since if row.since is not None else connection.execute(noted).scalar_one_or_none()
    return None if since is None or since > at else Held(row.set_id, row.group_id, since, row.until)


def described(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What lists say of devices: row number -> id, catalog, product, group and last check-in."""
    catalog, product, group = schema.catalog, schema.product, schema.device_group
    query = (
        select(
            _device.c.number,
            _device.c.device_id,
            catalog.c.name.label("catalog"),
            product.c.name.label("product"),
            group.c.name.label("group"),
            group.c.country,
            _status.c.os_version,
            _status.c.checked_in_at.label("last_check_in_at"),
            _device.c.revoked_at,
        )
        .join(_status, _status.c.device_number == _device.c.number)
        .join(catalog, catalog.c.catalog_id == _device.c.catalog_id, isouter=True)
        .join(group, group.c.group_id == _device.c.group_id, isouter=True)
        .join(product, product.c.product_id == group.c.product_id, isouter=True)
    )
    found: dict[int, dict[str, Any]] = {}
    for some in portions(numbers):
        rows = connection.execute(query.where(_device.c.number.in_(some))).mappings()
        found |= {row["number"]: {name: row[name] for name in row if name != "number"} for row in rows}
    return found
