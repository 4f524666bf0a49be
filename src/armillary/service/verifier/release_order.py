# SPDX-License-Identifier: Apache-2.0
"""Which OS release is older than another, and that a feed does not go back to an older one unless somebody says so.

Devices are given the last release of their feed. So that this is the newest one, too, the numbers of versions rise with
each publication in it; a device refuses a component with a lower security version than it has confirmed. Groups of
feeds that follow it are not led back by it: ``comes_before`` in ``service/updates/os_feeds.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from armillary.engines.records.schema.rows import OsRelease
from armillary.errors import ConflictError, InvalidArgumentError
from armillary.service.updates.os_feeds import (
    MAX_VERSION_CHARACTERS,
    given_to,
    higher_component,
    is_lower,
    lowest_version,
    numbers_of,
    systems_of,
)


def check_sortable(version: str) -> None:
    """Raise InvalidArgumentError unless a version begins with numbers, by which it is older or newer than another."""
    if numbers_of(version) is None:
        raise InvalidArgumentError(
            "version: expected numbers with dots between them, and if need be a dash with letters, digits, dots and "
            f"dashes after it, at most {MAX_VERSION_CHARACTERS} characters, got {version!a:.60}",
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
    if current is not None and current.release_id != release.release_id and is_lower(release.version, current.version):
        yield f"its devices are given {current.version} now, which is newer"
    for other in (current, last):
        one = None if other is None or other.release_id == release.release_id else higher_component(other, release)
        if other is not None and one is not None:
            mine = lowest_version(release, one.image_type)
            whom = "virtual devices" if other.is_stand_in else "devices"  # no machine runs a stand-in
            yield (
                f"its {one.name} has security version {mine}, in {other.version} it has {one.security_version}, and "
                f"{whom} that run {other.version} refuse a lower one"
            )


def _last(releases: tuple[OsRelease, ...], release: OsRelease, feeds: tuple[str, ...]) -> OsRelease | None:
    """The release for the same chip that was published last in these feeds, whether it is in force or not."""
    mine = [one for one in releases if one.chip == release.chip and one.feed in feeds and one.imported_from is None]
    return mine[-1] if mine else None
