# SPDX-License-Identifier: Apache-2.0
"""Which advisory comes first: known to be exploited, then how likely that is, then how grave; each with its date.

The order is that of ``advisory.priority``, over what the records keep. Where a catalogue is stale or missing, an
advisory is not "not exploited": that is not known, and said so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.advisory.priority import UNSCORED
from armillary.engines.records.schema.advisory_rows import EPSS, KEV, AdvisoryVersion, Exploitation, Feed

CRITICAL: Final = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Urgency:
    """What speaks for acting first; times are Unix seconds UTC, None where nothing is known."""

    exploited_since: int | None
    due_at: int | None
    exploitation_known: bool  # whether a fresh catalogue was asked
    epss: float | None
    epss_percentile: float | None
    epss_as_of: int | None
    cvss: float | None
    cvss_vector: str
    severity: str

    @property
    def rank(self) -> tuple[int, int, float, float]:
        """Sorts the most urgent last."""
        return (
            int(self.exploited_since is not None),
            self.exploited_since or 0,
            -1.0 if self.epss is None else self.epss,
            UNSCORED if self.cvss is None else self.cvss,
        )

    @property
    def is_exploited(self) -> bool:
        """Whether it is known to be exploited."""
        return self.exploited_since is not None

    @property
    def is_grave(self) -> bool:
        """Whether it is a finding when a device runs it."""
        return self.exploited_since is not None or self.severity == CRITICAL

    def document(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "exploited_since": self.exploited_since,
            "exploited_due_at": self.due_at,
            "exploitation_known": self.exploitation_known,
            "epss": self.epss,
            "epss_percentile": self.epss_percentile,
            "epss_as_of": self.epss_as_of,
            "cvss": self.cvss,
            "cvss_vector": self.cvss_vector,
            "severity": self.severity,
        }


def urgency_of(
    versions: Sequence[AdvisoryVersion],
    names: Sequence[str],
    known: Mapping[str, Exploitation],
    feeds: Sequence[Feed],
    now: int,
) -> Urgency:
    """The urgency of an advisory by all of its names and records."""
    entries = [known[name] for name in names if name in known]
    listed = [each for each in entries if each.kev_added_at is not None]
    first = min(listed, key=lambda each: each.kev_added_at or 0, default=None)
    rated = max((each for each in entries if each.epss is not None), key=lambda each: each.epss or 0, default=None)
    scored = max((each for each in versions if each.cvss is not None), key=lambda each: each.cvss or 0, default=None)
    words = [each.severity for each in versions if each.severity]
    return Urgency(
        exploited_since=None if first is None else first.kev_added_at,
        due_at=None if first is None else first.kev_due_at,
        exploitation_known=any(each.kind == KEV and not each.is_stale(now) for each in feeds),
        epss=None if rated is None else rated.epss,
        epss_percentile=None if rated is None else rated.epss_percentile,
        epss_as_of=None if rated is None else rated.epss_as_of,
        cvss=None if scored is None else scored.cvss,
        cvss_vector="" if scored is None else scored.cvss_vector,
        severity=scored.severity if scored is not None else next(iter(words), ""),
    )


def has_fresh_scores(feeds: Sequence[Feed], now: int) -> bool:
    """Whether fresh EPSS scores are held."""
    return any(each.kind == EPSS and not each.is_stale(now) for each in feeds)
