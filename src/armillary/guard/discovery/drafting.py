# SPDX-License-Identifier: Apache-2.0
"""A draft of a profile from what a machine answered, for a person to complete.

Every address that held something, or changed between two looks, becomes a point with its raw number: no unit, no scale
and no meaning is guessed. Addresses that held 0 both times are named in a comment. The draft is a profile that loads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from armillary.guard.discovery.searching import Span, TableFound
from armillary.wire.equipment.profile import Table
from armillary.wire.equipment.profile_fields import MAX_POINTS, MAX_TITLE

NAME: Final = "draft/machine"
GROUP: Final = "all"
# A person looks at each; more would be no help.
MAX_DRAFTED: Final = min(200, MAX_POINTS)
# Often enough to look at, seldom enough for any machine.
PERIOD_S: Final = 5


@dataclass(frozen=True, slots=True)
class UnitFound:
    """What was found out about one unit."""

    unit: int
    identification: Mapping[int, str]  # Object of the device identification -> text
    tables: tuple[TableFound, ...]
    later: Mapping[tuple[Table, int], int]  # What addresses held at the second look, where they answered again

    def changed(self, table: Table, span: Span) -> list[int]:
        """Addresses of a span that held something else at the second look."""
        return [
            address
            for address, value in enumerate(span.values, span.first)
            if self.later.get((table, address), value) != value
        ]


def draft_profile(found: UnitFound, link: Mapping[str, object]) -> str:
    """The draft, YAML. ``link`` are the link's settings as a profile has them, without the unit."""
    drafted = list(_points(found))
    settings = ", ".join(f"{name}: {_scalar(value)}" for name, value in {**link, "unit": found.unit}.items())
    lines = [
        "# A draft: what the machine answered when it was asked. What the numbers mean, nobody has said yet.",
        "# Give each point a name, title, unit, scale and range by the manual, remove what nobody needs, then:",
        "#   armillary guardian profile check FILE",
        "#   armillary guardian test FILE --link host=... (reads only)",
        f"profile: {NAME}",
        "version: 1",
        f"title: {_text(_identity(found, 4, 5, 1) or 'Unknown machine')}",
        f"manufacturer: {_text(_identity(found, 0) or 'Unknown')}",
        f"model: {_text(_identity(found, 5, 1, 4) or 'Unknown')}",
        f"link: {{{settings}}}",
        f"groups: {{{GROUP}: {PERIOD_S}}}",
        "",
        *_left_out(found, {place for place, _ in drafted}),
        "points:",
        *(line for _, line in drafted),
    ]
    if not drafted:
        lines[-1] = "points: {}"
    return "\n".join(lines) + "\n"


Place = tuple[Table, int]


def _points(found: UnitFound) -> Iterator[tuple[Place, str]]:
    number = 0
    for each in found.tables:
        for span in each.answers:
            changed = set(found.changed(each.table, span))
            for address, value in enumerate(span.values, span.first):
                if number == MAX_DRAFTED or not (value or address in changed):
                    continue
                number += 1
                later = f", then {found.later[each.table, address]}" if address in changed else ""
                raw = "bool" if each.table in (Table.COIL, Table.DISCRETE) else "u16"
                name = f"{each.table}{address}"
                point = f"{{table: {each.table}, address: {address}, raw: {raw}, group: {GROUP}}}"
                yield (each.table, address), f"  {name}: {point}  # held {value}{later}"


def _left_out(found: UnitFound, drafted: set[Place]) -> Iterator[str]:
    for each in found.tables:
        rest: list[int] = []
        for span in each.answers:
            rest += [address for address in range(span.first, span.end) if (each.table, address) not in drafted]
        if rest:
            yield f"# {each.table}: these answer too, and are not below: {ranges_text(rest)}"


def ranges_text(addresses: Sequence[int]) -> str:
    """``0-15, 40, 100-131`` of sorted addresses."""
    parts: list[list[int]] = []
    for address in addresses:
        if parts and parts[-1][1] == address - 1:
            parts[-1][1] = address
        else:
            parts.append([address, address])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in parts)


def _identity(found: UnitFound, *objects: int) -> str:
    """The first of these objects of the identification that is a text fit for a title."""
    for each in objects:
        text = re.sub(r"[^\w .,:()/+&-]", "", found.identification.get(each, ""), flags=re.ASCII).strip()[:MAX_TITLE]
        if re.match(r"\w", text):
            return text.strip()
    return ""


def _text(text: str) -> str:
    return f'"{text}"'


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value}" if isinstance(value, (int, float)) else f'"{value}"'
