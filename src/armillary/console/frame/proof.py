# SPDX-License-Identifier: Apache-2.0
"""What proves a page: the audit lines that it rests on, as a section. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from armillary.console.frame.sheet import Cell, Section, text
from armillary.console.frame.words import grouped, moment, short_id


def audit_section(lines: Sequence[Mapping[str, Any]], now: int) -> Section:
    """Audit lines with the hashes that chain them."""
    return Section(
        title="Audit lines",
        note="what this rests on; the log verifies itself on the audit page",
        columns=("Line", "When", "What", "By", "Hash"),
        rows=[
            (
                text(grouped(each["number"]), href="/audit"),
                Cell(at=moment(each["at"], now)),
                text(each["operation"], reason=each["target"]),
                text(each["actor"]),
                Cell(ident=short_id(each["hash"])),
            )
            for each in lines
        ],
        none="None.",
    )
