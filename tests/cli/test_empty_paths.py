# SPDX-License-Identifier: Apache-2.0
"""An empty text names no file and no folder: it comes of a variable that is not set, and nothing is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command
from typer.models import TyperPath

from armillary.cli.empty_paths import EMPTY_PATH_REMEDY
from armillary.cli.main import COMMANDS, ON_THEIR_OWN, command_of, needed
from armillary.errors import InvalidArgumentError
from armillary.settings import load_settings


def verbs(command: Any) -> Iterator[Any]:
    if hasattr(command, "commands"):
        for each in command.commands.values():
            yield from verbs(each)
    else:
        yield command


def paths_of(command: Any) -> list[Any]:
    return [each for verb in verbs(command) for each in verb.params if isinstance(each.type, TyperPath)]


@pytest.mark.parametrize("words", [*((name,) for name in COMMANDS), *ON_THEIR_OWN], ids=" ".join)
def test_no_command_takes_an_empty_text_for_a_path(words: tuple[str, ...]) -> None:
    for each in paths_of(command_of(*words) if len(words) == 1 else needed(words[0], words[1:])):
        with pytest.raises(InvalidArgumentError, match=r"^\S+: expected the name of a file or folder"):
            each.type("", param=each)


def test_another_text_is_a_path() -> None:
    paths = {each.opts[0]: each for each in paths_of(needed("device", ["boot"]))}
    assert {"--data", "--image", "--enrolment"} <= paths.keys()
    for text in (".", " ", "a"):
        assert paths["--data"].type(text, param=paths["--data"]) == text


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (["device", "boot", "--machine", "x86_64", "--data", ""], "--data"),
        (["device", "boot", "--data="], "--data"),
        (["device", "create", "--chip", "mt3620", "--data", ""], "--data"),
        (["up", "--data", ""], "--data"),
        (["up", "--data", "here", "--config="], "--config"),
        (["image", "power-cuts", "--folder", ""], "--folder"),
        (["image", "flash", "--board", "x86-gateway", "--to", ""], "--to"),
        (["guardian", "image", "--config", "a.yaml", "--output-directory", ""], "--output-directory"),
        (["application", "export", ""], "DIR|FILE.zip"),
    ],
    ids=str,
)
def test_an_empty_text_is_one_line_and_nothing_is_made(
    line: list[str], named: str, armillary: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    found = armillary(*line)
    assert (found.code, found.out) == (1, "")
    assert found.err.splitlines() == [
        f"error: {named}: expected the name of a file or folder, got an empty text [request.invalid]",
        "",
        f"hint: {EMPTY_PATH_REMEDY}",
    ]
    assert list(here.iterdir()) == []


def test_a_variable_of_the_service_is_no_empty_text_either() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^ARMILLARY_DATA: data: expected a folder, got an empty text"):
        load_settings(None, {}, {"ARMILLARY_DATA": ""})
    assert load_settings(None, {}, {"ARMILLARY_DATA": "."}).data == Path()
