# SPDX-License-Identifier: Apache-2.0
"""What a notification channel wants to hear: topics, kinds of findings, and from which severity on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from armillary.wire.device.finding import SEVERITIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The choice of one channel; empty ``topics`` and ``finding_kinds`` are for all."""

    topics: Sequence[str] = ()
    finding_kinds: Sequence[str] = ()
    min_severity: str = SEVERITIES[0]

    def hears_of(self, topic: str, finding_kind: str | None = None) -> bool:
        """Whether the channel hears of a topic, and where one is named of a kind of finding, at some severity."""
        if self.topics and topic not in self.topics:
            return False
        return (
            topic != "finding" or finding_kind is None or not self.finding_kinds or finding_kind in self.finding_kinds
        )

    def hears_from(self, severity: str) -> bool:
        """Whether the channel hears of a severity."""
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)
