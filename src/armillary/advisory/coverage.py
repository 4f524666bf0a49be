# SPDX-License-Identifier: Apache-2.0
"""How much an answer is worth: which feeds speak of an ecosystem, and whether they are fresh.

A feed says by its ecosystems for what its silence counts. It is fresh until its policy's age; one whose time lies in
the future (beyond what clocks differ) is not believed. No feed for an ecosystem, or none that is fresh, makes every
answer about its components *unknown* that would have been good news.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Feeds are exported daily at least; an operator of a site without internet may allow more.
DEFAULT_MAX_AGE_S: Final = 3 * 24 * 3600
# What two clocks that are kept differ at most.
MAX_AHEAD_S: Final = 300


class Freshness(StrEnum):
    """What a feed is worth at a time."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A feed that is held; ``as_of`` is when its content was true, seconds since 1970.

    ``ecosystems`` are OSV's names without releases, or with one where the feed has only that: ``Debian:12``.
    """

    name: str
    as_of: int
    ecosystems: frozenset[str]
    max_age_s: int = DEFAULT_MAX_AGE_S


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the feeds are worth for an ecosystem: the best of them, and when its content was true."""

    freshness: Freshness
    feed: str = ""
    as_of: int | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether silence counts as an answer."""
        return self.freshness is Freshness.FRESH


def freshness_of(as_of: int | None, max_age_s: int, now: int) -> Freshness:
    """What content of a time is worth; None is missing."""
    if as_of is None:
        return Freshness.MISSING
    if as_of > now + MAX_AHEAD_S:
        return Freshness.AHEAD
    return Freshness.FRESH if now - as_of <= max_age_s else Freshness.STALE


def coverage_of(feeds: Iterable[Feed], ecosystem: str, release: str, now: int) -> Coverage:
    """The best feed for an ecosystem and its release ("" where there is none): fresh ones first, then by their time."""
    names = {ecosystem, f"{ecosystem}:{release}", f"{ecosystem}:v{release}"} if release else {ecosystem}
    found = [
        Coverage(freshness_of(each.as_of, each.max_age_s, now), each.name, each.as_of)
        for each in feeds
        if names & each.ecosystems
    ]
    return max(found, key=lambda each: (each.is_fresh, each.as_of or 0, each.feed), default=Coverage(Freshness.MISSING))
