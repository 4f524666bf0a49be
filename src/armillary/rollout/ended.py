# SPDX-License-Identifier: Apache-2.0
"""What roll-outs of OS releases leave behind for a catalog: releases that it is given, and that are taken back from it.

Rules, over the roll-outs of one release to one feed, oldest first; those that are proposed or were cancelled decide
nothing:

(1) One for a single catalog that is completed gives the release to that catalog's groups of the feed and to nobody
    else's. While it stands, what roll-outs for all catalogs decide about the release is not about that catalog.
(2) The last one takes the release back from whom it was for if it rolls back or has done so: no device of theirs in a
    group of the feed stays with it, also one that says so only afterwards.

One for a single catalog whose release was put into the feed for everybody, as it was done once, was for all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

# A release, and the feed that it was rolled out to.
InFeed = tuple[UUID, str]

_DECIDING: Final = ("running", "held", "rolling-back", "rolled-back", "completed")
_TAKES_BACK: Final = ("rolling-back", "rolled-back")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRollout:
    """A roll-out of an OS release, as far as it leaves something behind."""

    rollout_id: UUID
    release_id: UUID
    feed: str
    catalog_id: UUID | None  # None: for all catalogs
    state: str
    from_feed: str | None  # The feed from which its release was put into ``feed``, for everybody; None: it was not

    @property
    def only(self) -> UUID | None:
        """The catalog that it was for alone, None for all."""
        return self.catalog_id if self.from_feed is None else None


@dataclass(frozen=True, slots=True)
class Left:
    """What roll-outs leave behind for a catalog.

    Attributes:
        given: Releases that a feed gives to its groups, although they are in another feed.
        taken: Releases that its groups of a feed do not stay with.
    """

    given: frozenset[InFeed] = frozenset()
    taken: frozenset[InFeed] = frozenset()


NOTHING_LEFT: Final = Left()


def catalogs_apart(past: Iterable[PastRollout]) -> frozenset[UUID]:
    """The catalogs that roll-outs of their own were for."""
    return frozenset(one.only for one in past if one.only is not None)


def left_for(catalog_id: UUID | None, past: Iterable[PastRollout]) -> Left:
    """What roll-outs, oldest first, leave behind for a catalog; None for those that had none of their own."""
    last: dict[InFeed, PastRollout] = {}
    given: set[InFeed] = set()
    for one in past:
        key = (one.release_id, one.feed)
        if one.state not in _DECIDING or one.only not in (None, catalog_id) or (one.only is None and key in given):
            continue
        last[key] = one
        if one.only is not None and one.state == "completed":
            given.add(key)
        else:
            given.discard(key)
    taken = frozenset(key for key, one in last.items() if one.state in _TAKES_BACK)
    return Left(frozenset(given), taken)
