# SPDX-License-Identifier: Apache-2.0
"""The base score of a CVSS vector (2.0, 3.0, 3.1, 4.0), computed by the library ``cvss``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from armillary.wire.advisory.osv import Severity

# Newer ones count first; a vector with all metrics of CVSS 4.0 has about 250 characters.
_KINDS: Final = (("CVSS_V4", CVSS4), ("CVSS_V3", CVSS3), ("CVSS_V2", CVSS2))
MAX_CHARACTERS: Final = 512


@dataclass(frozen=True, slots=True)
class Score:
    """``score`` is 0.0 to 10.0, ``vector`` what it was computed from."""

    score: float
    vector: str


def score_of(severities: Iterable[Severity]) -> Score | None:
    """The score by the newest version of CVSS among several, the highest of it; None if no vector is one."""
    given = tuple(severities)
    for kind, computed in _KINDS:
        found = []
        for each in given:
            if each.kind == kind and len(each.score) <= MAX_CHARACTERS:
                try:
                    found.append(Score(float(computed(each.score).scores()[0]), each.score))
                except (CVSSError, ValueError, KeyError):  # a vector with a metric that there is not
                    continue
        if found:
            return max(found, key=lambda one: one.score)
    return None
