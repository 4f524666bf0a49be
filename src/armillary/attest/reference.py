# SPDX-License-Identifier: Apache-2.0
"""Reference values: which boot components are known good, on which chip, in which OS release, until when (RFC 9334 §2).

A flat store: one row per component of a release, one standing per release. CoRIM is not the core of it (the draft
still moves); its reference triples map to these rows one to one (``wire/attestation/corim.py``).
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

# A time that no clock reaches: what has no end ends then.
FOREVER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceValue:
    """One known good boot component.

    Attributes:
        digest: SHA-256 of the whole image package, 32 bytes.
        security_version: Anti-rollback version of the package.
        os_version: OS release it is part of. A component that did not change is listed once per release.
    """

    component_id: UUID
    image_type: int
    digest: bytes
    security_version: int
    chip: str
    os_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStanding:
    """What is known of a release as a whole.

    Attributes:
        published_at: Unix seconds UTC.
        publication: Its place in the order of publication, which the time does not tell of two of the same second.
        expires_at: Unix seconds UTC from which it is no longer good; None: no end was set.
        withdrawn: Why it was taken back; empty while it is in force.
        retail: Whether it was published to everybody; a trial release makes no other one old.
    """

    chip: str
    os_version: str
    published_at: int
    expires_at: int | None = None
    withdrawn: str = ""
    retail: bool = True
    publication: int = 0


class ReferenceValues:
    """An unchangeable set of reference values; a new release makes a new set.

    Args:
        values: All known good components; those of one release in the order in which its chip boots them.
        minimum_security_versions: (chip, image type) to the lowest security version that is still accepted.
        standings: Of the releases; one that has none is in force without end.
    """

    __slots__ = (
        "_by_digest",
        "_ends",
        "_minimum",
        "_releases",
        "_retail",
        "_security_versions",
        "_standings",
        "values",
    )

    def __init__(
        self,
        values: Iterable[ReferenceValue],
        minimum_security_versions: Mapping[tuple[str, int], int] | None = None,
        standings: Iterable[ReleaseStanding] = (),
    ) -> None:
        self.values = tuple(values)
        self._minimum = dict(minimum_security_versions or {})
        by_digest: dict[tuple[str, UUID, bytes], list[ReferenceValue]] = {}
        releases: dict[tuple[str, str], list[UUID]] = {}
        versions: dict[tuple[str, str], dict[int, int]] = {}  # of each release: image type to security version
        for value in self.values:
            by_digest.setdefault((value.chip, value.component_id, value.digest), []).append(value)
            releases.setdefault((value.chip, value.os_version), []).append(value.component_id)
            versions.setdefault((value.chip, value.os_version), {})[value.image_type] = value.security_version
        self._by_digest = {key: tuple(found) for key, found in by_digest.items()}
        self._security_versions = versions
        self._releases = {key: tuple(components) for key, components in releases.items()}
        self._standings = {(one.chip, one.os_version): one for one in standings}
        below = {
            (each.chip, each.os_version)
            for each in self.values
            if each.security_version < self.minimum_security_version(each.chip, each.image_type)
        }
        self._retail: dict[str, list[ReleaseStanding]] = {}  # what was published to everybody, the newest first
        for one in sorted(self._standings.values(), key=_age, reverse=True):
            if one.retail and not one.withdrawn and (one.chip, one.os_version) not in below:
                self._retail.setdefault(one.chip, []).append(one)
        self._ends = sorted({one.expires_at for one in self._standings.values() if one.expires_at is not None})

    def lookup(self, chip: str, component_id: UUID, digest: bytes) -> tuple[ReferenceValue, ...]:
        """The reference values of this component with this digest on this chip, one per release; empty if unknown."""
        return self._by_digest.get((chip, component_id, digest), ())

    def components(self, chip: str, os_version: str) -> tuple[UUID, ...]:
        """The boot components of a release on a chip, in boot order; empty if there is no such release."""
        return self._releases.get((chip, os_version), ())

    def standing(self, chip: str, os_version: str) -> ReleaseStanding | None:
        """What is known of a release as a whole; None if nothing."""
        return self._standings.get((chip, os_version))

    def newer(self, chip: str, os_version: str, now: int) -> str:
        """The newest release that was published to everybody after this one; empty if there is none.

        One that a device can come to: it is in force at ``now``, Unix seconds UTC, not below a minimum, and none of its
        components has a lower security version than in this one, which a device that confirmed this one refuses.
        """
        here = self._standings.get((chip, os_version))
        later = (one for one in self._retail.get(chip, ()) if here is not None and _age(one) > _age(here))
        living = (one.os_version for one in later if one.expires_at is None or now < one.expires_at)
        return next((version for version in living if self._is_taken(chip, version, os_version)), "")

    def _is_taken(self, chip: str, os_version: str, booted: str) -> bool:
        """Whether a device that booted one release takes another: no security version falls."""
        offered = self._security_versions.get((chip, os_version), {})
        confirmed = self._security_versions.get((chip, booted), {})
        return all(offered.get(image_type, 0) >= version for image_type, version in confirmed.items())

    def unchanged(self, now: int) -> range:
        """The seconds around ``now`` in which no release comes to its end, so that what was judged once holds."""
        at = bisect_right(self._ends, now)
        return range(self._ends[at - 1] if at else 0, self._ends[at] if at < len(self._ends) else FOREVER)

    def minimum_security_version(self, chip: str, image_type: int) -> int:
        """The lowest accepted security version of this kind of component, 0 where none is set."""
        return self._minimum.get((chip, image_type), 0)


class Verdict(NamedTuple):
    """What is wrong with something, as a function of time: it can become too old.

    Attributes:
        fault: What is wrong at any time; empty if nothing.
        deadline: Unix seconds UTC from which ``late`` is wrong too.
        late: What is wrong from then on.
    """

    fault: str
    deadline: int
    late: str

    def at(self, now: int) -> str:
        """What is wrong at a time, Unix seconds UTC; empty if nothing."""
        return self.fault if now < self.deadline else self.fault or self.late


def utc(moment: int) -> str:
    """Unix seconds as ``2026-11-24 18:30 UTC``."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _age(standing: ReleaseStanding) -> tuple[int, int]:
    """Order of publication."""
    return standing.publication, standing.published_at
