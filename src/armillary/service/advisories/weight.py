# SPDX-License-Identifier: Apache-2.0
"""How grave an advisory is by its own words: the score of its CVSS vector, else a word of its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.advisory.severity import score_of
from armillary.wire.advisory.osv import Advisory

# CVSS 3.1 §5 and 4.0 §6: from which score on which word.
_WORDS: Final = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"), (0.0, "none"))
# Words of distributions that mean one of these.
_OF_SOURCES: Final = {
    "critical": "critical", "high": "high", "important": "high", "medium": "medium", "moderate": "medium",
    "low": "low", "negligible": "low",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weight:
    """``severity`` is a word, empty where the advisory says nothing; ``cvss`` is 0.0 to 10.0."""

    severity: str
    cvss: float | None
    vector: str


def weight_of(advisory: Advisory) -> Weight:
    """The highest that the advisory says, of itself or of one of its packages."""
    said = (*advisory.severity, *(one for each in advisory.affected for one in each.severity))
    score = score_of(said)
    if score is not None:
        return Weight(next(word for least, word in _WORDS if score.score >= least), score.score, score.vector)
    words = [_OF_SOURCES[each.score.lower()] for each in said if each.score.lower() in _OF_SOURCES]
    order = [word for _, word in _WORDS]
    return Weight(min(filter(None, words), key=order.index, default=""), None, "")
