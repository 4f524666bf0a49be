# SPDX-License-Identifier: Apache-2.0
"""Which operating system a feed gives to each chip: the newest release in force, as it is offered to devices.

A device that runs a newer release than its feed's newest one is left alone as long as that release is in force: a group
that leaves the evaluation feed is not set back. Once that release is withdrawn, its time is over, or a roll-out to the
feed was rolled back, the device is offered the feed's newest: that is the way back. Where the feed's newest has a lower
security version than what the device runs, which it would refuse, it is offered the newest that it can take.

Releases are in the order of publication, but one of lower numbers comes before those that its feed's groups do not get
(:func:`comes_before`): a correction in the retail feed leaves evaluation groups where they are, ahead of it.

What roll-outs leave behind for a catalog (``rollout/ended.py``) makes a difference: one for that catalog alone has its
groups of the feed given a release that is in another feed. :func:`systems_of` reads what is given now; the rule itself
is :func:`newest_of_feeds`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.queries import releases as release_rows, rollouts as rollout_rows
from armillary.engines.records.schema.rows import OsComponent, OsRelease, SecurityFloor
from armillary.errors import ConflictError
from armillary.rollout.ended import NOTHING_LEFT, InFeed, Left, PastRollout, catalogs_apart, left_for
from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.device.checkin import OfferedImage

# (OS feed, chip)
FeedOfChip = tuple[str, str]
# Every OS feed -> the feed whose releases its groups get as well; None for the retail feed.
Follows = Mapping[str, str | None]

# Azure Sphere OS names its releases so, 22.07 or 24.12.1. A version is a part of the paths under which the repository
# serves its components (service/repository/files.py): 32 characters, and of these the numbers are all that is ordered.
MAX_VERSION_CHARACTERS: Final = 32
_SORTABLE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)*)(?:-[A-Za-z0-9][A-Za-z0-9.-]*)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedOs:
    """A release as it is offered to devices of its chip.

    Attributes:
        abi: What it gives to applications; 0 for not said.
        digests: SHA-256 of each component's package: what a device that runs it measures at boot.
        signer: Serial of the certificate whose key signed its components.
        newer: The same of each newer release in force, by its version: a device may run it instead.
        instead: By the version that a device runs, what it gets where this one's security version is too low for it.
    """

    release_id: UUID
    version: str
    abi: int
    images: tuple[OfferedImage, ...]
    digests: frozenset[bytes]
    signer: str = ""
    newer: Mapping[str, frozenset[bytes]] = field(default_factory=dict)
    instead: Mapping[str, Instead] = field(default_factory=dict)

    def for_version(self, version: str) -> WantedOs:
        """What a device that runs this version should have."""
        found = self.instead.get(version)
        return self if found is None else found.system

    def for_boot(self, events: Sequence[BootEvent]) -> WantedOs:
        """What a device with these measured components should have."""
        measured = {event.digest for event in events} if self.instead else frozenset()
        return next((one.system for one in self.instead.values() if one.digests <= measured), self)

    def is_enough(self, version: str) -> bool:
        """Whether a device that runs this version needs no other."""
        return version == self.version or version in self.newer

    def is_behind(self, events: Sequence[BootEvent]) -> bool:
        """Whether a device with these measured components runs a newer release, which it may stay with."""
        measured = {event.digest for event in events}
        return not self.digests <= measured and any(digests <= measured for digests in self.newer.values())

    def runs(self, events: Sequence[BootEvent]) -> bool:
        """Whether a device with these measured components needs no other operating system."""
        measured = {event.digest for event in events}
        return self.digests <= measured or any(digests <= measured for digests in self.newer.values())


class Instead(NamedTuple):
    """What devices get that measured the components of a release with these digests at boot."""

    digests: frozenset[bytes]
    system: WantedOs


@dataclass(frozen=True, slots=True)
class Systems:
    """What is given now, and what it follows from.

    Attributes:
        everybody: What each feed gives to each chip; to catalogs that no roll-out was for alone.
        apart: The same for each of the other catalogs.
        releases: All published ones, by chip, then oldest first.
        past: Roll-outs of OS releases that are not revoked, oldest first.
        now: Unix seconds UTC.
    """

    everybody: Mapping[FeedOfChip, WantedOs]
    apart: Mapping[UUID, Mapping[FeedOfChip, WantedOs]]
    releases: tuple[OsRelease, ...] = ()
    past: tuple[PastRollout, ...] = ()
    follows: Follows = field(default_factory=dict)
    now: int = 0

    def of(self, catalog_id: UUID | None) -> Mapping[FeedOfChip, WantedOs]:
        """What the groups of a catalog are given; None for everybody who is not apart."""
        return self.everybody if catalog_id is None else self.apart.get(catalog_id, self.everybody)

    def each(self, catalog_id: UUID | None) -> Iterator[tuple[UUID | None, Mapping[FeedOfChip, WantedOs]]]:
        """What is given to one catalog, or where there is none to each of all, with the catalog."""
        yield catalog_id, self.of(catalog_id)
        if catalog_id is None:
            yield from self.apart.items()

    def left(self, catalog_id: UUID | None) -> Left:
        """What roll-outs left behind for a catalog."""
        return left_for(catalog_id, self.past)

    def release(self, release_id: UUID, feed: str, catalog_id: UUID | None) -> WantedOs | None:
        """A release as a roll-out offers it to devices of a feed; None while it is not in force."""
        left = self.left(catalog_id)
        return system_of(self.releases, release_id, feed, follows=self.follows, now=self.now, left=left)

    def under(self, floors: Sequence[SecurityFloor], chip: str) -> Systems:
        """What would be given to a chip under other security floors, of which the last one of a component counts."""
        mine = tuple(one for one in self.releases if one.chip == chip)
        return systems_under(floors, releases=mine, past=self.past, follows=self.follows, now=self.now)

    def having_alone(self, release_id: UUID, feed: str) -> frozenset[UUID]:
        """The catalogs whose groups of a feed have a release by a roll-out for that catalog alone."""
        return frozenset(one for one in self.apart if (release_id, feed) in self.left(one).given)


def systems_of(
    connection: Connection, *, now: int, states: Mapping[UUID, str] | None = None, more: Iterable[OsRelease] = ()
) -> Systems:
    """What is given at a time, Unix seconds UTC.

    It can be asked what would be: with roll-outs in other ``states``, and with releases that are not published yet or
    are in another feed, in place of those of the same id.
    """
    new = {one.release_id: one for one in more}
    releases = [new.pop(one.release_id, one) for one in release_rows.every(connection)]
    floors, follows = release_rows.floors(connection), release_rows.follows(connection)
    for one in new.values():
        before = comes_before(releases, one, floors, follows=follows, now=now)
        at = next((at for at, each in enumerate(releases) if each.release_id == before), len(releases))
        releases.insert(at, one)  # where it would stand once it is published
    changed = states or {}
    past = tuple(
        replace(one, state=changed.get(one.rollout_id, one.state)) for one in rollout_rows.past_of_systems(connection)
    )
    return systems_under(floors, releases=tuple(releases), past=past, follows=follows, now=now)


def systems_under(
    floors: Sequence[SecurityFloor],
    *,
    releases: tuple[OsRelease, ...],
    past: tuple[PastRollout, ...],
    follows: Follows,
    now: int,
) -> Systems:
    """What is given at a time under security floors, of which the last one of a component counts."""

    def given(catalog_id: UUID | None) -> Mapping[FeedOfChip, WantedOs]:
        left = left_for(catalog_id, past)
        return newest_of_feeds(releases, floors, follows=follows, now=now, left=left)

    apart = {catalog_id: given(catalog_id) for catalog_id in catalogs_apart(past)}
    return Systems(given(None), apart, releases, past, follows, now)


def newest_of_feeds(
    releases: Sequence[OsRelease],
    floors: Iterable[SecurityFloor],
    *,
    follows: Follows,
    now: int,
    left: Left = NOTHING_LEFT,
) -> Mapping[FeedOfChip, WantedOs]:
    """What each feed gives to each chip at a time, Unix seconds UTC; ``releases`` are oldest first.

    To a catalog for which roll-outs have ``left`` something behind. Releases without packages (imported reference
    values), stand-ins for :func:`real_chips` and those below a security floor are given to nobody; the first may be
    what a device runs.
    """
    living = _living_above(releases, floors, now)
    found: dict[FeedOfChip, WantedOs] = {}
    for chip in {one.chip for one in living}:
        mine = [one for one in living if one.chip == chip]
        for feed in follows:
            sources = given_to(feed, follows)
            given = [at for at, one in enumerate(mine) if is_given(one, sources, left.given)]
            if given:
                *older, newest = (_wanted(mine[at], _may_stay(mine[at], mine[at + 1 :], sources, left)) for at in given)
                found[feed, chip] = replace(newest, instead=_instead(newest, older, releases))
    return found


def newest_given(
    releases: Sequence[OsRelease], floors: Iterable[SecurityFloor], feed: str, *, follows: Follows, now: int
) -> OsRelease | None:
    """Of one chip's releases, oldest first, the one that :func:`newest_of_feeds` has a feed give to everybody."""
    sources = given_to(feed, follows)
    living = _living_above(releases, floors, now)
    return next((one for one in reversed(living) if is_given(one, sources, NOTHING_LEFT.given)), None)


def _living_above(releases: Sequence[OsRelease], floors: Iterable[SecurityFloor], now: int) -> list[OsRelease]:
    """Those in force that are below no security floor."""
    lowest = {(floor.chip, floor.image_type): floor.minimum for floor in floors}
    return [one for one in living_of(releases, now) if is_above(one, lowest)]


def _instead(newest: WantedOs, older: Sequence[WantedOs], releases: Sequence[OsRelease]) -> Mapping[str, Instead]:
    """By the version that a device runs the newest of the ``older`` ones that it can take, where not ``newest``."""
    by_id = {one.release_id: one for one in releases}
    last, found = by_id[newest.release_id], dict[str, Instead]()
    for runs in (one for one in releases if one.chip == last.chip and higher_component(one, last) is not None):
        takes = (one for one in reversed(older) if higher_component(runs, by_id[one.release_id]) is None)
        best = next(takes, None)
        if best is not None:
            found[runs.version] = Instead(_digests(runs), best)
    return found


def system_of(
    releases: Sequence[OsRelease], release_id: UUID, feed: str, *, follows: Follows, now: int, left: Left = NOTHING_LEFT
) -> WantedOs | None:
    """A release as it is offered to devices of a feed that it is not in; None while it is not in force at a time."""
    living = living_of(releases, now)
    release = next((one for one in living if one.release_id == release_id), None)
    if release is None:
        return None
    mine = [one for one in living if one.chip == release.chip]
    newer = mine[mine.index(release) + 1 :]
    return _wanted(release, _may_stay(release, newer, given_to(feed, follows), left))


def higher_component(release: OsRelease, before: OsRelease) -> OsComponent | None:
    """A component of a release that devices which confirmed it do not exchange for that of ``before``; None: they do.

    A security version that was confirmed is never left again.
    """
    lowest = {one.image_type: one.security_version for one in before.components}
    return next((one for one in release.components if one.security_version > lowest.get(one.image_type, 0)), None)


def given_to(feed: str, follows: Follows) -> tuple[str, ...]:
    """The feeds whose releases a group of ``feed`` gets, its own first: everybody gets what is for everybody."""
    found: list[str] = []
    following: str | None = feed
    while following is not None and following not in found:
        found.append(following)
        following = follows.get(following)
    return tuple(found)


def numbers_of(version: str) -> tuple[int, ...] | None:
    """What of a version is compared: 26.12-rc1 is (26, 12), and 26.12.0 is the same; None for one without such a form.

    Releases whose reference values were imported have whatever version their maker gave them.
    """
    found = _SORTABLE.fullmatch(version) if len(version) <= MAX_VERSION_CHARACTERS else None
    if found is None:
        return None
    numbers = [int(number) for number in found[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def is_lower(version: str, other: str) -> bool:
    """Whether a version has lower numbers than another one; no, where one of them does not sort."""
    mine, its = numbers_of(version), numbers_of(other)
    return mine is not None and its is not None and mine < its


def comes_before(
    releases: Sequence[OsRelease],
    new: OsRelease,
    floors: Iterable[SecurityFloor],
    *,
    follows: Follows,
    now: int,
) -> UUID | None:
    """The release that a newly published one stands before, among those in order, oldest first; None: it comes last.

    It comes after whatever its feed's groups get, and before the newest of other feeds that have higher numbers: groups
    that are ahead stay so, and what is ahead can still be promoted. What nobody gets at this time (Unix seconds UTC),
    withdrawn, over, below a floor or imported, has no say.
    """
    own = given_to(new.feed, follows)
    others: dict[str, OsRelease] = {}  # the newest of each, in order
    for one in _living_above(releases, floors, now):
        if one.chip != new.chip or one.imported_from is not None:
            continue
        if one.feed in own:
            others.clear()
        else:
            others.pop(one.feed, None)
            others[one.feed] = one
    return next((one.release_id for one in others.values() if is_lower(new.version, one.version)), None)


def place_of(connection: Connection, new: OsRelease, *, now: int) -> UUID | None:
    """:func:`comes_before` among what is recorded."""
    floors, follows = release_rows.floors(connection), release_rows.follows(connection)
    return comes_before(release_rows.every(connection), new, floors, follows=follows, now=now)


def feeds_given(feed: str, follows: Follows) -> tuple[str, ...]:
    """The feeds whose groups get the releases of ``feed``."""
    return tuple(each for each in follows if feed in given_to(each, follows))


def signed_by_key(systems: Mapping[FeedOfChip, WantedOs], follows: Follows, serial: str) -> list[tuple[str, str, str]]:
    """Chip, feed and version of each release that devices get and a key signed, in this order.

    Of feeds that follow one another only the first is named: a newer release in it goes to all of them.
    """
    found = {at for at, one in systems.items() if one.signer == serial}
    tops = [(feed, chip) for feed, chip in found if not {(one, chip) for one in given_to(feed, follows)[1:]} & found]
    return sorted((chip, feed, systems[feed, chip].version) for feed, chip in tops)


def living_of(releases: Sequence[OsRelease], now: int) -> list[OsRelease]:
    """The published releases that may be given at a time, Unix seconds UTC: those in force, but for two kinds.

    One is what has the very components of one that is not in force: what is equal to the byte is one software, and is
    judged by the strictest word on it (appraisal step 18). The other are stand-ins for :func:`real_chips`.
    """
    gone, real = {(one.chip, _in_order(one)) for one in releases if not is_in_force(one, now)}, real_chips(releases)
    return [
        one for one in releases if (one.chip, _in_order(one)) not in gone and not (one.is_stand_in and one.chip in real)
    ]


def real_chips(releases: Iterable[OsRelease]) -> frozenset[str]:
    """The chips that have had a published release with real packages, of which none is a stand-in, in force or not.

    There may be machines of them, which start no stand-in: it would take the place of what they can go back to.
    """
    return frozenset(one.chip for one in releases if not one.is_stand_in and one.imported_from is None)


def is_passed_over(release: OsRelease, real: Collection[str]) -> bool:
    """Whether a published release is a stand-in that is given to nobody any more; ``real`` are :func:`real_chips`."""
    return release.is_stand_in and release.published_at is not None and release.chip in real


def check_no_stand_in(connection: Connection, release: OsRelease) -> None:
    """Raise ConflictError for a release of stand-ins for one of :func:`real_chips`."""
    chip = release.chip
    if release.is_stand_in and chip in real_chips(release_rows.every(connection)):
        raise ConflictError(
            f"release {release.version} of {chip} has stand-ins, which no machine starts, and {chip} has had a release "
            "of real packages",
            remedy="Make one of packages: "
            f"armillary release create --chip {chip} --os-version VERSION --component NAME=FILE.",
        )


def is_in_force(release: OsRelease, now: int) -> bool:
    """Whether a published release is neither withdrawn nor over at a time, Unix seconds UTC."""
    return release.withdrawn_at is None and (release.expires_at is None or now < release.expires_at)


def is_above(release: OsRelease, lowest: Mapping[tuple[str, int], int]) -> bool:
    """Whether no component of a release is below the floor of its chip and image type."""
    return all(one.security_version >= lowest.get((release.chip, one.image_type), 0) for one in release.components)


def is_given(release: OsRelease, sources: Sequence[str], given: Collection[InFeed]) -> bool:
    """Whether groups that get the releases of these feeds get this one: it is there for all, or for their catalog."""
    is_there = release.feed in sources or any((release.release_id, feed) in given for feed in sources)
    return is_there and release.imported_from is None


def lowest_version(release: OsRelease, image_type: int) -> int:
    """The security version of a release's components of a type, 0 where it has none."""
    return min((one.security_version for one in release.components if one.image_type == image_type), default=0)


def _may_stay(given: OsRelease, newer: Iterable[OsRelease], sources: Sequence[str], left: Left) -> Iterator[OsRelease]:
    """The newer releases that a device may run instead of the given one: all but those that were taken back.

    Of these a device is not offered what it could not go back to.
    """
    for one in newer:
        is_taken = any((one.release_id, feed) in left.taken for feed in sources)
        if not is_taken or higher_component(one, given) is not None:
            yield one


def _wanted(release: OsRelease, newer: Iterable[OsRelease]) -> WantedOs:
    return WantedOs(
        release_id=release.release_id,
        version=release.version,
        abi=release.os_abi,
        images=tuple(
            OfferedImage(
                component_id=one.component_id,
                image_id=one.image_id,
                image_type=one.image_type,
                name=one.name,
                size=one.size,
                sha256=one.digest,
            )
            for one in release.components
        ),
        digests=_digests(release),
        signer=release.signer,
        newer={one.version: _digests(one) for one in newer},
    )


def _in_order(release: OsRelease) -> tuple[bytes, ...]:
    return tuple(one.digest for one in release.components)


def _digests(release: OsRelease) -> frozenset[bytes]:
    return frozenset(one.digest for one in release.components)
