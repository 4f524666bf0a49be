# SPDX-License-Identifier: Apache-2.0
"""Which vulnerability comes first: known exploited ones, then by how likely one is exploited, then by its severity.

All three are kept and shown with their dates. A catalogue or scores that are missing or stale say nothing: then a
vulnerability is not "not exploited" but *unknown*.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from armillary.advisory.severity import Score, score_of
from armillary.wire.advisory.epss import Scores
from armillary.wire.advisory.kev import Catalogue, Exploited
from armillary.wire.advisory.osv import Advisory

# Without a score a vulnerability stands where CVSS's "medium" begins, not last.
UNSCORED: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """What speaks for acting first.

    Attributes:
        exploited: The catalogue's entry; None if there is none, or if it is not known.
        exploitation_known: A fresh catalogue was asked.
        likelihood, percentile: EPSS's, 0 to 1; None if there is none, or if it is not known.
        likelihood_day: When the scores were computed, seconds since 1970; None without fresh scores.
        severity: By CVSS; None if the advisory has no vector.
    """

    exploited: Exploited | None
    exploitation_known: bool
    likelihood: float | None
    percentile: float | None
    likelihood_day: int | None
    severity: Score | None

    @property
    def rank(self) -> tuple[date, float, float]:
        """Sorts the most urgent last: exploited (the latest added last), likelihood, severity."""
        return (
            date.min if self.exploited is None else self.exploited.added,
            -1.0 if self.likelihood is None else self.likelihood,
            UNSCORED if self.severity is None else self.severity.score,
        )


def priority_of(advisory: Advisory, catalogue: Catalogue | None, scores: Scores | None) -> Priority:
    """The priority of an advisory, looked up by all its names; None for a catalogue or scores that are not fresh."""
    entries = (
        () if catalogue is None else [catalogue.entries[each] for each in advisory.names if each in catalogue.entries]
    )
    rated = () if scores is None else [scores.scores[each] for each in advisory.names if each in scores.scores]
    likelihood, percentile = max(rated, default=(None, None))
    return Priority(
        exploited=min(entries, key=lambda each: each.added, default=None),
        exploitation_known=catalogue is not None,
        likelihood=likelihood,
        percentile=percentile,
        likelihood_day=None if scores is None else scores.day,
        severity=score_of((*advisory.severity, *(one for each in advisory.affected for one in each.severity))),
    )


def in_order(priorities: Iterable[tuple[str, Priority]]) -> list[str]:
    """Advisory ids, the most urgent first; those of one rank by id."""
    by_id = sorted(priorities, key=lambda each: each[0])
    return [each for each, _ in sorted(by_id, key=lambda one: one[1].rank, reverse=True)]
