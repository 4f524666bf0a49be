# SPDX-License-Identifier: Apache-2.0
"""Makes a finding of a feed that is stale: once for each of its editions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from armillary.engines.records.queries import findings as finding_rows
from armillary.engines.records.schema.advisory_rows import Feed
from armillary.service.context.context import Context
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import Watch


class Staleness:
    """Looks at feeds, and remembers of which edition it was said."""

    def __init__(self, context: Context, watch: Watch) -> None:
        self._context = context
        self._watch = watch
        self._said: set[str] = set()

    def look(self, feeds: Iterable[Feed]) -> int:
        """Make the findings that are due; returns how many."""
        made, now = 0, self._context.now()
        for feed in feeds:
            if feed.current is None or not feed.is_stale(now):
                continue
            seen = _observation(feed.name, feed.current.edition, feed.current.as_of, now)
            if seen.fingerprint in self._said:
                continue
            if self._context.records.read(partial(finding_rows.gravest, fingerprint=seen.fingerprint)) is None:
                self._watch.observe(seen)
                made += 1
            self._said.add(seen.fingerprint)
        return made


def _observation(feed: str, edition: int, as_of: int, now: int) -> Observation:
    age = f"is {max(0, now - as_of) // 86_400} days old" if as_of <= now else "has a time in the future"
    return Observation(
        kind="feed-stale",
        key=(feed, str(edition)),
        severity="high",
        title=f"The feed {feed} {age}: what it does not name is unknown",
        cause=f"Its edition {edition} is as of {as_of} (Unix seconds). Nothing is called fixed or not affected by it.",
        proposed_action="Fetch it from its source, pack and import it: armillary advisory-feed import --file FILE. "
        "If its source changes less often: armillary advisory-feed set-max-age.",
        at=now,
    )
