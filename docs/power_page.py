# SPDX-License-Identifier: Apache-2.0
"""The page of power cuts: media, what a cut leaves, and transactions, from the tables that the search runs."""

from __future__ import annotations

from armillary import content
from armillary.sim.power import geometry
from armillary.sim.power.boards import board_names
from armillary.sim.power.cut import NAMED
from armillary.sim.power.flash import Kind
from armillary.sim.power.transactions import TRANSACTIONS

DONE = {
    Kind.WRITE: "a sector is given to the cache",
    Kind.ERASE: "a block is erased, on media that are erased before they are written",
    Kind.PROGRAM: "a sector is programmed there",
    Kind.SYNC: "a region and its name become durable",
    Kind.RENAME: "a region takes another's name and place",
    Kind.REMOVE: "a region is removed",
    Kind.END: "nothing: the power goes after the last operation",
}


def power_page(notice: str) -> str:
    """The page."""
    lines = ["# Power cuts: media, damage, transactions", notice]
    lines.append(
        "What `armillary sim power-cut` cuts and on what; [the guide](../guides/power-cut.md) says how it works.\n"
    )
    lines += [
        "## Media",
        "",
        "Data in `src/armillary/content/flash/`; a chip profile names its usual one. Sizes in bytes.",
        "",
    ]
    lines += ["| name | | sector | erase block | written whole | cache |", "|---|---|---|---|---|---|"]
    for name in content.flash_names():
        each = geometry.parse(content.flash_document(name))
        erase = each.erase_block_bytes or "-"
        cache = "yes" if each.cached else "no"
        lines.append(f"| `{name}` | {each.title} | {each.sector_bytes} | {erase} | {each.atomic_bytes} | {cache} |")
    lines += ["", f"Boards: {', '.join(f'`{name}`' for name in board_names())}."]
    lines += ["", "## Operations", "", "Each is counted and cut.", "", "| operation | what is done |", "|---|---|"]
    lines += [f"| {kind} | {DONE[kind]} |" for kind in Kind]
    lines += ["", "## What a cut leaves of what was not synced", ""]
    lines += [f"- {fate.value}" for fate in NAMED]
    lines += [
        "- some sectors arrive, some torn, some not: as a seeded generator picks",
        "- on media that are erased: one half done, the other half done, all but one bit, some units, some of all bits",
        "",
        "## Transactions",
        "",
        "| name | what happens |",
        "|---|---|",
    ]
    lines += [f"| `{each.name}` | {each.about} |" for each in TRANSACTIONS]
    return "\n".join(lines) + "\n"
