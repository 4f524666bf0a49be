# SPDX-License-Identifier: Apache-2.0
"""What means the same has one name in all commands, and its earlier names go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command

from armillary.cli.earlier_options import EARLIER_OPTIONS, with_present_names
from armillary.cli.main import COMMANDS, command_of

# Azure's own names: its commands are written like ours.
AZURE = {("hardware-definition generate-header", "--output")}
# Names that another name has taken the place of, where they meant a file, a folder or the ends of a span of time.
GIVEN_UP = {"--out", "--output"}


def verbs(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from verbs(child, f"{path} {name}")


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """The names of each verb's options."""
    return {
        path: {name for each in command.params for name in each.opts}
        for noun in COMMANDS
        for path, command in verbs(command_of(noun), noun)
    }


def test_a_file_or_folder_that_is_written_has_one_name(options: dict[str, set[str]]) -> None:
    found = {(verb, name) for verb, names in options.items() for name in names & GIVEN_UP}
    assert found == AZURE


@pytest.mark.parametrize("verb", EARLIER_OPTIONS)
def test_an_earlier_name_is_no_option_and_stands_for_one(options: dict[str, set[str]], verb: str) -> None:
    for earlier, present in EARLIER_OPTIONS[verb].items():
        assert earlier not in options[verb]
        assert present in options[verb]
        words = verb.split()
        assert with_present_names([*words, earlier, "x=y", "-d"]) == [*words, present, "x=y", "-d"]
        assert with_present_names([*words, f"{earlier}=x=y"]) == [*words, f"{present}=x=y"]


def test_a_command_takes_an_earlier_name(armillary: Command, tmp_path: Path) -> None:
    assert armillary("audit", "list", "--since", "0", "--until=1").code == 0
    assert armillary("audit", "checkpoint", "--out", str(tmp_path / "note")).code == 0
    assert (tmp_path / "note").is_file()


@pytest.mark.parametrize("line", ["", "audit", "audit logs --out x", "hardware-definition generate-header --output f"])
def test_other_commands_stay_as_they_are_written(line: str) -> None:
    assert with_present_names(line.split()) == line.split()
