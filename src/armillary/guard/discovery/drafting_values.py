# SPDX-License-Identifier: Apache-2.0
"""A draft of a profile from values that a machine shows with their types (OPC UA, BACnet), for a person to complete.

Each becomes a point without unit, scale and meaning; what the machine calls it stands beside it as a comment. The draft
is a profile that loads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from armillary.guard.discovery.drafting import GROUP, MAX_DRAFTED, NAME, PERIOD_S

REMARK_MAX = 100  # Characters of what a machine says of a value


@dataclass(frozen=True, slots=True)
class ValueFound:
    """A value that a profile can have as a point."""

    place: str  # As a profile has it: ``node: "ns=2;s=Pump"``
    raw: str  # Key of RAW_KINDS
    remark: str  # What the machine says of it, unverified


def draft_of_values(link: Mapping[str, object], found: Sequence[ValueFound]) -> str:
    """The draft, YAML. ``link``: the settings as a profile has them."""
    settings = ", ".join(f"{name}: {_scalar(value)}" for name, value in link.items())
    points = [
        f"  value{number}: {{{each.place}, raw: {each.raw}, group: {GROUP}}}  # {_comment(each.remark)}"
        for number, each in enumerate(found[:MAX_DRAFTED], 1)
    ]
    more = len(found) - len(points)
    lines = [
        "# A draft: what the machine showed when it was asked. Names in comments are the machine's own.",
        "# Give each point a name, title, unit and range by the manual, remove what nobody needs, then:",
        "#   armillary guardian profile check FILE",
        *([f"# {more} more were found, and are not below."] if more else []),
        f"profile: {NAME}",
        "version: 1",
        'title: "Unknown machine"',
        'manufacturer: "Unknown"',
        'model: "Unknown"',
        f"link: {{{settings}}}",
        f"groups: {{{GROUP}: {PERIOD_S}}}",
        "",
        *(["points:", *points] if points else ["points: {}"]),
    ]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """Text of a machine as a comment: one line of ASCII."""
    return re.sub(r"[^\x20-\x7e]", "?", text)[:REMARK_MAX].rstrip()


def _scalar(value: object) -> str:
    return f"{value}" if isinstance(value, (int, float)) else f'"{value}"'
