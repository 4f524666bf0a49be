# SPDX-License-Identifier: Apache-2.0
"""``armillary chip``: the chip profiles that this Armillary ships, and what is behind each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from armillary import content
from armillary.boot.profile import ChipProfile, parse
from armillary.capability import board
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import noun, record, table

app = noun("Chip profiles: what a chip boots and has, and what of it was seen to work.")

COLUMNS = ("chip", "title", "architecture", "boards")


@app.command("list")
def list_chips(as_json: JsonOption = False) -> None:
    """List chip profiles, with the boards that are shipped for them."""
    boards = _boards()
    rows = [_facts(_profile(name), boards) for name in content.chip_names()]
    table(rows, COLUMNS, empty="No chip profile.", row=_row).show(as_json=as_json)


@app.command("show")
def show(
    chip: Annotated[str, typer.Option("--chip", metavar="NAME", help="Chip profile.")],
    as_json: JsonOption = False,
) -> None:
    """Show a chip profile.

    Its boot components in their order, its limits and boards, and what is emulated, real and unproven.
    """
    record(_facts(_profile(chip), _boards()), row=_row).show(as_json=as_json)


def _profile(name: str) -> ChipProfile:
    return parse(content.chip_document(name))


def _boards() -> list[tuple[str, str]]:
    """(chip, board) of every shipped board."""
    return [(board.parse(content.board_file(name)).chip, name) for name in content.board_folders()]


def _facts(profile: ChipProfile, boards: list[tuple[str, str]]) -> dict[str, Any]:
    limits = profile.limits
    return {
        "chip": profile.name,
        "title": profile.title,
        "maker": profile.maker,
        "sku": profile.sku,
        "architecture": profile.architecture,
        "flash": profile.flash,
        "boot": [{"name": each.name, "about": each.about} for each in profile.boot_components],
        "cores": [{"name": each.name, "kind": each.kind} for each in profile.cores],
        "application_flash_bytes": limits.application_flash_bytes,
        "application_ram_bytes": limits.application_ram_bytes,
        "mutable_storage_kb": limits.mutable_storage_kb,
        "boards": [name for chip, name in boards if chip == profile.name],
        "emulated": profile.proof.emulated,
        "real": profile.proof.real,
        "unproven": profile.proof.unproven,
    }


def _row(facts: dict[str, Any]) -> dict[str, object]:
    """As people see it: names in one line."""
    return {name: _line(value) for name, value in facts.items()}


def _line(value: object) -> object:
    return ", ".join(_names(value)) if isinstance(value, list) else value


def _names(values: list[Any]) -> Iterator[str]:
    return (each["name"] if isinstance(each, dict) else each for each in values)
