# SPDX-License-Identifier: Apache-2.0
"""OS releases with their measured components, the feeds that they are in, and the lowest security versions accepted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from armillary.engines.records.queries import pages
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import OS_FEEDS, OsComponent, OsRelease, SecurityFloor, from_row, to_row
from armillary.engines.records.schema.update_rows import OwnFeed
from armillary.engines.records.transparency import release_log

_release, _component, _floor = schema.os_release, schema.os_component, schema.security_floor
_device, _status, _group = schema.device, schema.device_status, schema.device_group
_feed = schema.os_feed


class RunningRelease(NamedTuple):
    """A release that devices booted by their last evidence.

    Attributes:
        is_attested: Whether they were attested with it; otherwise it is their word alone.
        device_id: One of them.
    """

    version: str
    is_attested: bool
    device_id: str


def add(connection: Connection, release: OsRelease, *, by_time: bool = False, before: UUID | None = None) -> None:
    """Record a release and its components.

    One that is published comes last, ``before`` the one of an id, or where its time is (``by_time``).
    """
    number = None if release.published_at is None or by_time else _next_publication(connection, before)
    connection.execute(insert(_release).values(to_row(_release, release, publication=number)))
    _add_components(connection, release)
    if release.published_at is not None:
        done = release_log.PUBLISHED if release.imported_from is None else release_log.IMPORTED
        release_log.of_release(connection, done, release, at=release.published_at)


def change(connection: Connection, release: OsRelease, *, at: int, before: UUID | None = None) -> None:
    """Replace what is recorded of a release, its components too; ``before`` as in :func:`add` where it is published."""
    here = _release.c.release_id == release.release_id
    known = _one(connection, release.release_id)
    values = to_row(_release, release)
    if known.published_at is None and release.published_at is not None:
        values["publication"] = _next_publication(connection, before)
        release_log.of_release(connection, release_log.PUBLISHED, release, at=at)
    elif release.published_at is not None and known.feed != release.feed:
        release_log.of_release(connection, release_log.MOVED, release, at=at, before=known.feed)
    connection.execute(update(_release).where(here).values(values))
    connection.execute(delete(_component).where(_component.c.release_id == release.release_id))
    _add_components(connection, release)


def _next_publication(connection: Connection, before: UUID | None) -> int:
    """The place of a release that is published now: the time does not tell, two may have the same second.

    It is the last one, or that of the release ``before`` which it comes: that one and all after it move up.
    """
    place = _release.c.publication
    if before is None:
        return int(connection.execute(select(func.coalesce(func.max(place), 0))).scalar_one()) + 1
    number = int(connection.execute(select(place).where(_release.c.release_id == before)).scalar_one())
    # In two steps: places are unique after each single row, too.
    connection.execute(update(_release).where(place >= number).values(publication=-place - 1))
    connection.execute(update(_release).where(place < 0).values(publication=-place))
    return number


def _add_components(connection: Connection, release: OsRelease) -> None:
    for position, one in enumerate(release.components):
        values = to_row(_component, one, release_id=release.release_id, position=position)
        connection.execute(insert(_component).values(values))


def _one(connection: Connection, release_id: UUID) -> OsRelease:
    """A release that is there."""
    query = select(_component).where(_component.c.release_id == release_id).order_by(_component.c.position)
    components = tuple(from_row(OsComponent, row, digest=bytes(row.digest)) for row in connection.execute(query))
    found = connection.execute(select(_release).where(_release.c.release_id == release_id)).one()
    return from_row(OsRelease, found, components=components)


def has_image(connection: Connection, image_id: UUID) -> bool:
    """Whether a boot component of any release has this image id."""
    query = select(_component.c.image_id).where(_component.c.image_id == image_id).limit(1)
    return connection.execute(query).first() is not None


def has_component(connection: Connection, chip: str, digest: bytes) -> bool:
    """Whether a release for a chip has a component with this digest."""
    query = (
        select(_component.c.image_id)
        .join(_release, _release.c.release_id == _component.c.release_id)
        .where(_release.c.chip == chip, _component.c.digest == digest)
    )
    return connection.execute(query.limit(1)).first() is not None


def versions_by_image(connection: Connection, image_ids: Collection[UUID]) -> dict[UUID, dict[UUID, str]]:
    """Image id of a boot component -> the releases that have it, oldest first: id -> version."""
    query = (
        select(_component.c.image_id, _release.c.release_id, _release.c.version)
        .join(_release, _release.c.release_id == _component.c.release_id)
        .where(_component.c.image_id.in_(image_ids))
        .order_by(_release.c.created_at, _release.c.release_id)
    )
    found: dict[UUID, dict[UUID, str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.image_id, {})[row.release_id] = row.version
    return found


def every(connection: Connection, *, drafts: bool = False) -> tuple[OsRelease, ...]:
    """All published releases, by chip, then in the order of publication (``before`` in :func:`add`).

    Imported ones stand where they say that they were published, with ``drafts`` these where they were made.
    """
    components: dict[UUID, list[OsComponent]] = {}
    for row in connection.execute(select(_component).order_by(_component.c.release_id, _component.c.position)):
        component = from_row(OsComponent, row, digest=bytes(row.digest))
        components.setdefault(row.release_id, []).append(component)
    order = (_release.c.publication.is_(None), _release.c.publication, _release.c.published_at, _release.c.created_at)
    query = select(_release).order_by(_release.c.chip, *order, _release.c.version)
    if not drafts:
        query = query.where(_release.c.published_at.is_not(None))

    def numbered(row: Row[Any]) -> tuple[int | None, OsRelease]:
        return row.publication, from_row(OsRelease, row, components=tuple(components.get(row.release_id, ())))

    return _in_order(pages.every(connection, query, numbered))


def _in_order(releases: Iterable[tuple[int | None, OsRelease]]) -> tuple[OsRelease, ...]:
    """Releases in the order of their numbers, where they have one; the others between them, by their times."""
    latest: dict[str, int] = {}
    placed = []
    for number, one in releases:
        at = one.created_at if one.published_at is None else one.published_at
        if number is not None:  # by a clock that was set back it may seem earlier than the one before
            at = latest[one.chip] = max(at, latest.get(one.chip, 0))
        placed.append(((one.chip, at, number is not None), one))
    return tuple(one for _, one in sorted(placed, key=itemgetter(0)))  # what is equal keeps its order


def image_ids(connection: Connection, release_id: UUID) -> frozenset[UUID]:
    """Image ids of a release's components."""
    query = select(_component.c.image_id).where(_component.c.release_id == release_id)
    return frozenset(connection.execute(query).scalars())


def devices_of_feeds(connection: Connection, chip: str, feeds: Collection[str]) -> tuple[int, int]:
    """How many device groups of these feeds have devices of a chip that are not revoked, and how many devices."""
    query = (
        select(func.count(_device.c.group_id.distinct()), func.count())
        .select_from(_device.join(_group, _group.c.group_id == _device.c.group_id))
        .where(_group.c.os_feed.in_(feeds), _device.c.chip == chip, _device.c.revoked_at.is_(None))
    )
    groups, devices = connection.execute(query).one()
    return groups, devices


def chips_of_catalog(connection: Connection, catalog_id: UUID) -> frozenset[str]:
    """The chips of which a catalog has devices that are not revoked."""
    query = select(_device.c.chip).where(_device.c.catalog_id == catalog_id, _device.c.revoked_at.is_(None)).distinct()
    return frozenset(connection.execute(query).scalars())


def places_of_devices(connection: Connection, chip: str, catalog_id: UUID | None = None) -> frozenset[tuple[UUID, str]]:
    """Catalog and OS feed of the device groups that have devices of a chip, of one catalog or of all."""
    query = (
        select(_device.c.catalog_id, _group.c.os_feed)
        .select_from(_device.join(_group, _group.c.group_id == _device.c.group_id))
        .where(_device.c.chip == chip, _device.c.revoked_at.is_(None))
        .distinct()
    )
    if catalog_id is not None:
        query = query.where(_device.c.catalog_id == catalog_id)
    return frozenset((row.catalog_id, row.os_feed) for row in connection.execute(query))


def running(connection: Connection, chip: str, catalog_id: UUID | None = None) -> tuple[RunningRelease, ...]:
    """What devices of a chip, of one catalog or of all, booted by their last evidence; of one without any nothing."""
    kinds = (_status.c.os_version, _status.c.verdict == "attested")
    query = (
        select(*kinds, func.min(_device.c.device_id))
        .join(_status, _status.c.device_number == _device.c.number)
        .where(_device.c.chip == chip, _device.c.revoked_at.is_(None), _status.c.verdict.is_not(None))
        .group_by(*kinds)
        .order_by(*kinds)
    )
    if catalog_id is not None:
        query = query.where(_device.c.catalog_id == catalog_id)
    return tuple(RunningRelease(version, bool(ok), device_id) for version, ok, device_id in connection.execute(query))


def devices_running(connection: Connection, chip: str, version: str) -> int:
    """How many devices of a chip booted a release by their last evidence."""
    query = (
        select(func.count())
        .select_from(_device.join(_status, _status.c.device_number == _device.c.number))
        .where(_device.c.chip == chip, _status.c.os_version == version, _device.c.revoked_at.is_(None))
    )
    return int(connection.execute(query).scalar_one())


def set_feed(connection: Connection, release_id: UUID, feed: str, *, at: int) -> None:
    """Put a release into another feed."""
    before = _one(connection, release_id)
    if before.feed != feed:
        moved = replace(before, feed=feed)
        release_log.of_release(connection, release_log.MOVED, moved, at=at, before=before.feed)
    connection.execute(update(_release).where(_release.c.release_id == release_id).values(feed=feed))


def set_expiry(connection: Connection, release_id: UUID, expires_at: int | None, *, at: int) -> None:
    """Set when a release expires."""
    found = _one(connection, release_id)
    release_log.of_release(connection, release_log.ENDS, found, at=at, expires_at=expires_at)
    connection.execute(update(_release).where(_release.c.release_id == release_id).values(expires_at=expires_at))


def withdraw(connection: Connection, release_id: UUID, *, at: int, reason: str) -> None:
    """Record that a release was withdrawn."""
    found = _one(connection, release_id)
    release_log.of_release(connection, release_log.WITHDRAWN, found, at=at, reason=reason)
    connection.execute(
        update(_release).where(_release.c.release_id == release_id).values(withdrawn_at=at, withdrawn_reason=reason)
    )


def floors(connection: Connection) -> tuple[SecurityFloor, ...]:
    """All security floors."""
    query = select(_floor).order_by(_floor.c.chip, _floor.c.image_type)
    return pages.every(connection, query, partial(from_row, SecurityFloor))


def raise_floor(connection: Connection, floor: SecurityFloor) -> SecurityFloor:
    """Raise a floor; a lower value changes nothing. Returns the floor afterwards."""
    dialect.insert_new(connection, _floor, [to_row(_floor, floor)])
    here = (_floor.c.chip == floor.chip) & (_floor.c.image_type == floor.image_type)
    connection.execute(
        update(_floor)
        .where(here, _floor.c.minimum < floor.minimum)
        .values(minimum=floor.minimum, changed_at=floor.changed_at)
    )
    said = {"image_type": floor.image_type, "minimum": floor.minimum}
    release_log.append(connection, release_log.FLOOR, floor.chip, said, at=floor.changed_at)
    return from_row(SecurityFloor, connection.execute(select(_floor).where(here)).one())


def add_feed(connection: Connection, feed: OwnFeed) -> None:
    """Record a feed."""
    connection.execute(insert(_feed).values(to_row(_feed, feed)))


def remove_feed(connection: Connection, name: str) -> None:
    """Delete a feed."""
    connection.execute(delete(_feed).where(_feed.c.name == name))


def own_feeds(connection: Connection) -> tuple[OwnFeed, ...]:
    """The feeds that operators made, oldest first."""
    query = select(_feed).order_by(_feed.c.created_at, _feed.c.name)
    return pages.every(connection, query, partial(from_row, OwnFeed))


def follows(connection: Connection) -> Mapping[str, str | None]:
    """Every feed -> the feed whose releases its groups get as well; None for the retail feed, which follows none."""
    built_in: dict[str, str | None] = {OS_FEEDS[0]: None, OS_FEEDS[1]: OS_FEEDS[0]}
    return built_in | {each.name: each.follows for each in own_feeds(connection)}


def feed_used_by(connection: Connection, name: str) -> tuple[int, int]:
    """How many device groups have a feed, and how many releases in it are not withdrawn."""
    groups = select(func.count()).select_from(_group).where(_group.c.os_feed == name)
    releases = select(func.count()).select_from(_release).where(_release.c.feed == name)
    return (
        int(connection.execute(groups).scalar_one()),
        int(connection.execute(releases.where(_release.c.withdrawn_at.is_(None))).scalar_one()),
    )
