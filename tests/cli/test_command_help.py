# SPDX-License-Identifier: Apache-2.0
"""Every command of the table loads, and its help is whole, plain and free of noise at 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from armillary.cli.main import COMMANDS, command_of, overview

TERMINAL_COLUMNS = 80


def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(f"{path} {name}", child)


def test_overview_names_every_command_once() -> None:
    listed = [line.split()[0] for line in overview().splitlines() if line.startswith("  ") and "--" not in line]
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("noun", COMMANDS)
def test_help_is_whole_and_without_noise(noun: str) -> None:
    for path, command in walk(f"armillary {noun}", command_of(noun)):
        is_whole_and_without_noise(path, command)


def is_whole_and_without_noise(path: str, command: Any) -> None:
    context = command.make_context(path, [], resilient_parsing=True, terminal_width=TERMINAL_COLUMNS - 2)
    text = command.get_help(context)
    cut = re.findall(r"^  [a-z-]+ {2,}.*\.\.\.$", text, re.MULTILINE)
    assert cut == [], f"{path}: a one-line description is too long for its list"
    assert path == "armillary completion" or "completion" not in text.lower()
    assert "\x1b" not in text, path
    assert command.help, f"{path} does not say what it does"
    for option in command.params:
        assert getattr(option, "help", None), f"{path} {option.opts[0]}: no help"
    unnamed = re.findall(r"^ +-.*<(?:str|path|int|float|UUID)[^|>]*>", text, re.MULTILINE)
    assert unnamed == [], f"{path}: a value needs a name for people"
