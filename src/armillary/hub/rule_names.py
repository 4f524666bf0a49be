# SPDX-License-Identifier: Apache-2.0
"""Names in a rule that nothing has: said when the rule is kept, so that a misspelt one does not wait in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armillary.twin.rule import Rule, telemetry_names

if TYPE_CHECKING:
    from armillary.hub.hub import Hub


def warnings_of(hub: Hub, rule: Rule) -> list[str]:
    """What the rule names and nobody has, as sentences. Blocks for a read."""
    sent = set(hub.series.tail.names().values())
    return [
        f"telemetry {name}: no device has sent such a value yet; the rule waits for it"
        for name in telemetry_names(rule)
        if name not in sent
    ]
