# SPDX-License-Identifier: Apache-2.0
"""The table of docs/reference/kernel.md: what the device needs of a kernel is in the fragments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from armillary.device_image.own_kernel import fragments
from armillary.device_image.own_kernel.fragments import FRAGMENTS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "kernel.md"
HEAD = "| what | who needs it | options |"
OPTION = re.compile(r"`(CONFIG_\w+)(?:=(\w+))?`")


def rows(text: str) -> list[tuple[str, str, tuple[tuple[str, str], ...]]]:
    """(what, who needs it, options with the value that is needed) of each row."""
    found = []
    for line in text.partition(f"{HEAD}\n|---|---|---|\n")[2].splitlines():
        if not line.startswith("| "):
            break
        what, who, options = (cell.strip() for cell in line.strip("| ").split(" | "))
        found.append((what, who, tuple((name, value or "y") for name, value in OPTION.findall(options))))
    return found


def lacking(text: str, architecture: str, wanted: dict[str, str]) -> list[str]:
    """What the table says of an architecture and these options have otherwise."""
    return [
        f"{what}: {name}={value}"
        for what, who, options in rows(text)
        if not any(f"({other})" in who for other in FRAGMENTS if other != architecture)
        for name, value in options
        if wanted.get(name) != value and not (value == "y" and wanted.get(name, "n").isdigit())
    ]


def wanted_of(architecture: str) -> dict[str, str]:
    return {option.name: option.value for option in fragments.read_fragments(fragments.kernel_folder(), architecture)}


@pytest.mark.parametrize("architecture", sorted(FRAGMENTS))
def test_the_fragments_have_what_the_device_needs(architecture: str) -> None:
    assert lacking(PAGE.read_text("utf-8"), architecture, wanted_of(architecture)) == []


def test_the_table_is_read() -> None:
    found = rows(PAGE.read_text("utf-8"))
    assert len(found) > 30
    assert all(options for _, _, options in found)


def test_an_option_that_the_fragments_have_otherwise_is_found() -> None:
    text = f"{HEAD}\n|---|---|---|\n| a | b | `CONFIG_A` `CONFIG_B=n` `CONFIG_N` |\n| c | d (arm64) | `CONFIG_C` |\n\n"
    have = {"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_N": "5"}
    assert lacking(text, "x86_64", have) == []
    assert lacking(text, "x86_64", {"CONFIG_A": "n"}) == ["a: CONFIG_A=y", "a: CONFIG_B=n", "a: CONFIG_N=y"]
    assert lacking(text, "arm64", have) == ["c: CONFIG_C=y"]
