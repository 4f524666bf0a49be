# SPDX-License-Identifier: Apache-2.0
"""The page of chip profiles, from the files that ship."""

from __future__ import annotations

from armillary import content
from armillary.boot.profile import ChipProfile, parse
from armillary.capability import board

HEAD = """\
A device is made for a chip: `armillary device create --chip NAME`. Its **profile** says what it boots, what it has and
how much of it applications may use; each says of itself what Armillary emulates, what is real, and what nobody has seen
work. `armillary chip list` and `armillary chip show --chip NAME` print them. To add one: a file in
`src/armillary/content/chips/`; what it can say stands in `src/armillary/boot/profile.py`, and
`python -m armillary.sim.check` validates it.

A compiled application runs on chips of its architecture alone: an image is refused if no chip has it, and a deployment
if its device group has devices of another. A PC's own programs are for `gateway-x86-64`. Scripts run on all.

A virtual device has no processor of its own: its applications run on its computer's. So what is loaded by hand onto a
device of another chip runs where the computer can run it, and `armillary device sideload deploy` says so."""


def chips_page(notice: str) -> str:
    """The page."""
    lines = ["# Chips", notice]
    lines += [HEAD, "", "| chip | | architecture | boots | boards |", "|---|---|---|---|---|"]
    profiles = [parse(content.chip_document(name)) for name in content.chip_names()]
    boards = [(board.parse(content.board_file(name)).chip, name) for name in content.board_folders()]
    for each in profiles:
        boots = ", ".join(component.name for component in each.boot_components)
        its_boards = ", ".join(f"`{name}`" for chip, name in boards if chip == each.name)
        lines.append(f"| `{each.name}` | {each.title} | {each.architecture} | {boots} | {its_boards} |")
    for each in profiles:
        lines += _section(each)
    return "\n".join(lines) + "\n"


def _section(profile: ChipProfile) -> list[str]:
    limits, proof = profile.limits, profile.proof
    flash, memory = limits.application_flash_bytes >> 10, limits.application_ram_bytes >> 10
    share = f"{memory} KiB of memory and {limits.mutable_storage_kb} KiB of mutable storage each"
    return [
        "",
        f"## {profile.name}",
        "",
        f"Applications: {flash} KiB of flash for all packages together, {share}.",
        "",
        f"- **Emulated**: {proof.emulated}",
        f"- **Real**: {proof.real}",
        f"- **Not proven**: {proof.unproven}",
    ]
