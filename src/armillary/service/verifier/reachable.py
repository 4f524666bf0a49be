# SPDX-License-Identifier: Apache-2.0
"""Whether devices can come to what a security floor, or a catalog's minimum security version, demands of them.

Neither falls again. So neither is raised to where a device would be shut out and offered nothing that lets it in: what
counts is what feeds give, not what was published somewhere. A release of another feed, or one without packages
(imported reference values), helps no device; unless the devices of a chip run imported ones alone, which come to them
by another way than this service's feeds. And what counts is what devices take: none exchanges a security version that
it confirmed for a lower one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from armillary.engines.records.queries.releases import RunningRelease
from armillary.engines.records.schema.rows import OsRelease, SecurityFloor
from armillary.service.updates.os_feeds import (
    FeedOfChip,
    Systems,
    given_to,
    higher_component,
    is_given,
    living_of,
    lowest_version,
    real_chips,
)

# A catalog and the OS feed of groups of it.
Place = tuple[UUID, str]


class GivenSystem(NamedTuple):
    """The version that a feed gives to a chip; ``catalog_id`` is of whose groups, None for all that are not apart."""

    catalog_id: UUID | None
    feed: str
    version: str


class Unmet(NamedTuple):
    """What a feed gives to a chip and a minimum shuts out: a release with this security version of an image type."""

    feed: str
    chip: str
    image_type: int
    security_version: int


class Stranded(NamedTuple):
    """A release that is shut out, and whose devices do not take what their feed gives them, or are shut out with it."""

    version: str
    feed: str
    given: str


def given_to_chip(systems: Systems, chip: str) -> tuple[GivenSystem, ...]:
    """What each feed gives to a chip: to everybody, then to each catalog apart."""
    return tuple(
        GivenSystem(catalog_id, feed, system.version)
        for catalog_id, given in systems.each(None)
        for (feed, its_chip), system in given.items()
        if its_chip == chip
    )


def emptied(systems: Systems, floors: Sequence[SecurityFloor], chip: str) -> tuple[GivenSystem, ...]:
    """What feeds give to a chip now that would give it nothing under other security floors."""
    after = systems.under(floors, chip)
    return tuple(one for one in given_to_chip(systems, chip) if (one.feed, chip) not in after.of(one.catalog_id))


def stranded(
    before: Systems,
    after: Systems,
    catalog_id: UUID | None,
    chip: str,
    is_shut_out: Callable[[OsRelease], bool],
    feeds: Collection[str] | None = None,
) -> Stranded | None:
    """The first release in force of a chip that strands devices once it ``is_shut_out``; None: there is none.

    Of a catalog, or of all that are not apart, in those of ``feeds`` (None for all of them) that gave it, or whose
    devices may stay with it, as what is given ``before`` and ``after`` says. Imported ones come by another way.
    """
    by_id, left = {one.release_id: one for one in after.releases}, after.left(catalog_id)
    for runs in living_of(after.releases, after.now):
        if runs.chip != chip or runs.imported_from is not None or not is_shut_out(runs):
            continue
        for (feed, its_chip), system in after.of(catalog_id).items():
            if its_chip != chip or (feeds is not None and feed not in feeds):
                continue
            given = before.of(catalog_id).get((feed, chip))
            may_stay = given is not None and runs.version in given.newer
            if may_stay or is_given(runs, given_to(feed, after.follows), left.given):
                offered = by_id[system.for_version(runs.version).release_id]
                if higher_component(runs, offered) is not None or is_shut_out(offered):
                    return Stranded(runs.version, feed, offered.version)
    return None


def ungiven(systems: Systems, chip: str, places: Iterable[Place]) -> Place | None:
    """The first of the places that have devices of a chip and are given nothing for it; None: there is none."""
    order = list(systems.follows)
    missing = [one for one in places if (one[1], chip) not in systems.of(one[0])]
    return min(missing, key=lambda one: (order.index(one[1]), one[0]), default=None)


def imported_alone(systems: Systems, chip: str, running: Collection[RunningRelease]) -> tuple[OsRelease, ...]:
    """The imported releases in force of a chip whose devices run imported ones alone; otherwise none.

    ``running`` is what they booted by their last evidence. A device without any runs nothing else; nor does one by its
    word alone, so that none bars the others by a claim. With an imported release it counts although it gets only
    updates: that may be withdrawn. A chip that has had real packages here is given them.
    """
    return () if beside_imported(systems, chip, running) is not None else _imported(systems, chip, running)


def beside_imported(systems: Systems, chip: str, running: Collection[RunningRelease]) -> RunningRelease | None:
    """What a device of a chip was attested with that is not imported, while others run what is; None: there is none."""
    if not _imported(systems, chip, running):
        return None
    versions = _imported_versions(systems, chip)
    return min((one for one in running if one.is_attested and one.version not in versions), default=None)


def remedy_beside(systems: Systems, chip: str, running: Collection[RunningRelease]) -> str:
    """What to do about :func:`beside_imported`, as a further sentence of a remedy; empty where there is none."""
    one = beside_imported(systems, chip, running)
    if one is None:
        return ""
    return (
        f" The imported releases of {chip} count instead once no device is attested with another one, as "
        f"{one.device_id[:16]} is with {one.version}: armillary device revoke."
    )


def _imported(systems: Systems, chip: str, running: Iterable[RunningRelease]) -> tuple[OsRelease, ...]:
    """The imported releases in force of a chip of which devices run imported ones."""
    versions = _imported_versions(systems, chip)
    if chip in real_chips(systems.releases) or not any(one.version in versions for one in running):
        return ()
    return tuple(
        one for one in living_of(systems.releases, systems.now) if one.chip == chip and one.version in versions
    )


def _imported_versions(systems: Systems, chip: str) -> frozenset[str]:
    return frozenset(one.version for one in systems.releases if one.chip == chip and one.imported_from is not None)


def unmet(
    given: Mapping[FeedOfChip, OsRelease], minimums: Mapping[int, int], raised: Collection[int], *, by_all: bool
) -> Unmet | None:
    """What stands in the way of raising minimums, which are by image type; None where nothing does.

    Each release that feeds give has to meet all of them together, not the ``raised`` ones alone. Where not ``by_all``,
    as no device would be shut out, it is enough that of each raised type there is a chip that has it and meets them.
    """
    short = {place: found for place, release in given.items() if (found := missed(release, minimums)) is not None}
    if not short:
        return None
    short_chips = {chip for _, chip in short}
    met = [release for (_, chip), release in given.items() if chip not in short_chips]
    if not by_all and all(any(has_component(release, kind) for release in met) for kind in raised):
        return None
    nearest = min if by_all else max
    (feed, chip), (image_type, has) = nearest(short.items(), key=lambda item: item[1][1])
    return Unmet(feed, chip, image_type, has)


def missed(release: OsRelease, minimums: Mapping[int, int]) -> tuple[int, int] | None:
    """The first image type that a release has below its minimum, and the security version that it has of it."""
    for image_type, minimum in minimums.items():
        has = lowest_version(release, image_type)
        if has < minimum and has_component(release, image_type):
            return image_type, has
    return None


def has_component(release: OsRelease, image_type: int) -> bool:
    """Whether a release has a component of an image type."""
    return any(component.image_type == image_type for component in release.components)
