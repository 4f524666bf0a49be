# SPDX-License-Identifier: Apache-2.0
"""Which operating system a feed gives to each chip: the newest release in force, as it is offered to devices.

A device that runs a newer release than its feed's newest one is left alone as long as that release is in force: a group
that leaves the evaluation feed is not set back. Once that release is withdrawn, or its time is over, the device is
offered the feed's newest: that is the way back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from armillary.engines.records.schema.rows import OsRelease, SecurityFloor
from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.device.checkin import OfferedImage

# (OS feed, chip)
FeedOfChip = tuple[str, str]
# Every OS feed -> the feed whose releases its groups get as well; None for the retail feed.
Follows = Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedOs:
    """A release as it is offered to devices of its chip.

    Attributes:
        abi: What it gives to applications; 0 for not said.
        digests: SHA-256 of each component's package: what a device that runs it measures at boot.
        signer: Serial of the certificate whose key signed its components.
        newer: The same of each newer release in force, by its version: a device may run it instead.
    """

    release_id: UUID
    version: str
    abi: int
    images: tuple[OfferedImage, ...]
    digests: frozenset[bytes]
    signer: str = ""
    newer: Mapping[str, frozenset[bytes]] = field(default_factory=dict)

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


def newest_of_feeds(
    releases: Sequence[OsRelease], floors: Iterable[SecurityFloor], *, follows: Follows, now: int
) -> Mapping[FeedOfChip, WantedOs]:
    """What each feed gives to each chip at a time, Unix seconds UTC; ``releases`` are oldest first.

    Releases without packages (imported reference values) and those below a security floor are given to nobody; the
    former may be what a device runs.
    """
    lowest = {(floor.chip, floor.image_type): floor.minimum for floor in floors}
    living = [one for one in releases if _is_in_force(one, now) and _is_above(one, lowest)]
    found: dict[FeedOfChip, WantedOs] = {}
    for chip in {one.chip for one in living}:
        mine = [one for one in living if one.chip == chip]
        for feed in follows:
            sources = given_to(feed, follows)
            given = [at for at, one in enumerate(mine) if one.feed in sources and one.imported_from is None]
            if given:
                found[feed, chip] = _wanted(mine[given[-1]], mine[given[-1] + 1 :])
    return found


def system_of(releases: Sequence[OsRelease], release_id: UUID, *, now: int) -> WantedOs | None:
    """A release as it is offered to devices, whatever its feed; None while it is not in force at a time."""
    release = next((one for one in releases if one.release_id == release_id and _is_in_force(one, now)), None)
    if release is None:
        return None
    mine = [one for one in releases if one.chip == release.chip and _is_in_force(one, now)]
    return _wanted(release, mine[mine.index(release) + 1 :])


def given_to(feed: str, follows: Follows) -> tuple[str, ...]:
    """The feeds whose releases a group of ``feed`` gets, its own first: everybody gets what is for everybody."""
    found: list[str] = []
    following: str | None = feed
    while following is not None and following not in found:
        found.append(following)
        following = follows.get(following)
    return tuple(found)


def feeds_given(feed: str, follows: Follows) -> tuple[str, ...]:
    """The feeds whose groups get the releases of ``feed``."""
    return tuple(each for each in follows if feed in given_to(each, follows))


def _is_in_force(release: OsRelease, now: int) -> bool:
    return release.withdrawn_at is None and (release.expires_at is None or now < release.expires_at)


def _is_above(release: OsRelease, lowest: Mapping[tuple[str, int], int]) -> bool:
    return all(one.security_version >= lowest.get((release.chip, one.image_type), 0) for one in release.components)


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


def _digests(release: OsRelease) -> frozenset[bytes]:
    return frozenset(one.digest for one in release.components)
