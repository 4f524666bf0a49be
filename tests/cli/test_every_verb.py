# SPDX-License-Identifier: Apache-2.0
"""Every command of the reference is there as people call it, whatever module it is loaded from for its arguments."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from armillary.cli.main import COMMANDS, IN_SERVICE

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
BLOCK = re.compile(r"^## armillary ([^\n]+)\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMISED = {tuple(name.split()): text for name, text in BLOCK.findall(REFERENCE.read_text("utf-8"))}
# What a module adds to a group when it is loaded stays there: whatever is loaded for the first command is seen alone.
SAID = """
import contextlib, functools, io, json, sys
from armillary.cli import main
main._command = functools.cache(main._command)  # each module's command is made once, not for each name
for name in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        main.run([*name, "--help"])
    print(json.dumps(said.getvalue()))
"""


def together() -> list[list[tuple[str, ...]]]:
    """The commands of the reference, for a process each: every group of a noun with a module for the service is alone."""
    processes: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for name in PROMISED:
        parted = name[: len(name) - 1][:2] if name[0] in IN_SERVICE else ()
        processes.setdefault(parted, []).append(name)
    return list(processes.values())


def test_the_reference_has_every_noun() -> None:
    assert {name[0] for name in PROMISED} == set(COMMANDS)


@pytest.mark.parametrize("names", together(), ids=lambda names: " ".join(names[0]))
def test_every_command_of_the_reference_says_what_the_reference_says(names: list[tuple[str, ...]]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAID], input=json.dumps(names), capture_output=True, text=True, check=True
    )
    said = dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))
    wrong = [
        f"armillary {' '.join(name)}: {said[name]}" for name in names if letters(said[name]) != letters(PROMISED[name])
    ]
    assert wrong == [], "\n".join(wrong)


def letters(text: str) -> str:
    """A text however its lines are broken: terminals differ in width."""
    return "".join(text.split())
