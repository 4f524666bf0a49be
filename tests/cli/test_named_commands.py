# SPDX-License-Identifier: Apache-2.0
"""Every command that a message, a page of the console or a page of the docs tells people to use is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from armillary.cli.main import COMMANDS, command_of

ROOT = Path(__file__).resolve().parents[2]
# ``armillary NOUN VERB`` and the options behind it.
NAMED = re.compile(r"armillary((?: [a-z][a-z0-9-]*)+)((?: +--?[a-z][a-z0-9-]*(?: +[^\s,.;:`)-][^\s,;:`)]*)?)*)")
# What a file has that has such a string, in one piece or in several.
MAY_NAME = re.compile(r"""armillary[ "']""")
FORMAT = re.compile(r"armillary(?: [a-z][a-z-]*)+ \d")  # ``armillary release metadata 1`` is no command


def below(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group) or hasattr(command, "list_commands"):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from below(command.get_command(context, name), (*path, name))


@pytest.fixture(scope="module")
def commands() -> dict[tuple[str, ...], click.Command]:
    return dict(pair for name in COMMANDS for pair in below(command_of(name), (name,)))


def missing(text: str, commands: Mapping[tuple[str, ...], click.Command]) -> list[str]:
    """The commands and options that a text names, and that there are not."""
    found = []
    for match in NAMED.finditer(FORMAT.sub("", text)):
        words, path = match[1].split(), ()
        for word in words:
            if (*path, word) not in commands:
                break
            path = (*path, word)
        if not path:
            continue  # the product's name in a sentence
        command = commands[path]
        if hasattr(command, "list_commands"):
            found += [" ".join(words[: len(path) + 1])] if len(words) > len(path) else []
            continue
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
        found += [
            f"{' '.join(path)} {one}" for one in re.findall(r"(?<= )--[a-z][a-z0-9-]*", match[2]) if one not in known
        ]
    return found


def texts() -> Iterator[tuple[str, str]]:
    """Place and text of every string of the source, and of every line of prose, templates and content."""
    for file in sorted(ROOT.glob("src/**/*.py")):
        written = file.read_text("utf-8")
        if not MAY_NAME.search(written):
            continue
        for node in ast.walk(ast.parse(written)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "armillary " in node.value:
                yield f"{file.relative_to(ROOT)}:{node.lineno}", node.value
    for pattern in ("*.md", "docs/**/*.md", "src/**/*.html", "src/**/*.yml"):
        for file in sorted(ROOT.glob(pattern)):
            if file.name == "CHANGELOG.md":
                continue  # tells of commands as they were
            for number, line in enumerate(file.read_text("utf-8").replace("\\\n", " ").split("\n"), 1):
                yield f"{file.relative_to(ROOT)}:{number}", line


def test_every_command_that_people_are_told_to_use_is_there(commands):
    assert len(commands) > 400
    wrong = [f"{place}: armillary {name}" for place, text in texts() for name in missing(text, commands)]
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Use armillary rollout start.", ["rollout start"]),
        ("armillary action run --kind raise-floor", ["action run --kind"]),
        ("armillary rollout create --product Cable --soak 1d", []),
        ("the format armillary release metadata 1", []),
        ("Armillary is kind; armillary means rings", []),
    ],
)
def test_what_is_not_there_is_found(commands, text, wrong):
    assert missing(text, commands) == wrong
