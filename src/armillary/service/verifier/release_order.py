# SPDX-License-Identifier: Apache-2.0
"""Which OS release is older than another, and that a feed does not go back to an older one unless somebody says so.

Devices are given the release of their feed that was published last. So that this is the newest one, too, the numbers of
versions rise with each publication; a device refuses a component with a lower security version than it has confirmed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.schema.rows import OsRelease
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.service.updates.os_feeds import given_to, higher_component, systems_of

# Azure Sphere OS names its releases so, 22.07 or 24.12.1. A version is a part of the paths under which the repository
# serves its components (service/repository/files.py): 32 characters, and of these the numbers are all that is ordered.
MAX_CHARACTERS: Final = 32
_SORTABLE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)*)(?:-[A-Za-z0-9][A-Za-z0-9.-]*)?", re.ASCII)


def numbers_of(version: str) -> tuple[int, ...] | None:
    """What of a version is compared: 26.12-rc1 is (26, 12), and 26.12.0 is the same; None for one without such a form.

    Releases whose reference values were imported have whatever version their maker gave them.
    """
    found = _SORTABLE.fullmatch(version) if len(version) <= MAX_CHARACTERS else None
    if found is None:
        return None
    numbers = [int(number) for number in found[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def check_sortable(version: str) -> None:
    """Raise InvalidArgumentError unless a version begins with numbers, by which it is older or newer than another."""
    if numbers_of(version) is None:
        raise InvalidArgumentError(
            "version: expected numbers with dots between them, and if need be a dash with letters, digits, dots and "
            f"dashes after it, at most {MAX_CHARACTERS} characters, got {version!a:.60}",
            remedy="For example 26.12 or 26.12.1; by the numbers a release is older or newer than another.",
        )


def check_not_older(connection: Connection, release: OsRelease, *, now: int) -> None:
    """Raise ConflictError where a release, published in its feed, would lead the feed's devices back.

    That is where it takes the place of a release with a higher version, or where one of its components has a lower
    security version than in the release that was there last, in force or not: who confirmed that one refuses it.
    """
    before, after = systems_of(connection, now=now), systems_of(connection, now=now, more=[release])
    key = (release.feed, release.chip)
    given, replaced = after.everybody.get(key), before.everybody.get(key)
    if given is None or given.release_id != release.release_id:
        return  # the feed gives another release, before and after
    current = next((one for one in before.releases if replaced and one.release_id == replaced.release_id), None)
    last = _last(before.releases, release, given_to(release.feed, after.follows))
    why = next(_reasons(release, current, last), None)
    if why is not None:
        raise ConflictError(
            f"release {release.version} of {release.chip} would take {release.feed} back: {why}",
            remedy="Give it a higher version and at least that security version; or say that an older one is meant: "
            "armillary release publish --allow-older.",
        )


def _reasons(release: OsRelease, current: OsRelease | None, last: OsRelease | None) -> Iterator[str]:
    """Why a release is older than the one that a feed gives, or than the one that was published there last."""
    if current is not None and current.release_id != release.release_id:
        here, there = numbers_of(release.version), numbers_of(current.version)
        if here is not None and there is not None and here < there:
            yield f"its devices are given {current.version} now, which is newer"
    for other in (current, last):
        one = None if other is None or other.release_id == release.release_id else higher_component(other, release)
        if other is not None and one is not None:
            mine = min((c.security_version for c in release.components if c.image_type == one.image_type), default=0)
            yield (
                f"its {one.name} has security version {mine}, in {other.version} it has {one.security_version}, and "
                f"devices that run {other.version} refuse a lower one"
            )


def _last(releases: tuple[OsRelease, ...], release: OsRelease, feeds: tuple[str, ...]) -> OsRelease | None:
    """The release for the same chip that was published last in these feeds, whether it is in force or not."""
    mine = [one for one in releases if one.chip == release.chip and one.feed in feeds and one.imported_from is None]
    return mine[-1] if mine else None
