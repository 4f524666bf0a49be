# SPDX-License-Identifier: Apache-2.0
"""What a notification channel wants to hear: topics, kinds of findings, and from which severity on. Pure.

Alerts of rules are told only where their topic is chosen: a rule may fire every minute for each device, and who makes
a channel for findings should not find it flooded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from armillary.wire.device.finding import SEVERITIES

# Topics of a channel that chooses none.
USUAL: Final = ("finding", "action")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The choice of one channel; empty ``topics`` are the usual ones, empty ``finding_kinds`` are for all."""

    topics: Sequence[str] = ()
    finding_kinds: Sequence[str] = ()
    min_severity: str = SEVERITIES[0]

    def hears_of(self, topic: str, finding_kind: str | None = None) -> bool:
        """Whether the channel hears of a topic, and where one is named of a kind of finding, at some severity."""
        if topic not in (self.topics or USUAL):
            return False
        return (
            topic != "finding" or finding_kind is None or not self.finding_kinds or finding_kind in self.finding_kinds
        )

    def hears_from(self, severity: str) -> bool:
        """Whether the channel hears of a severity."""
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)
