# SPDX-License-Identifier: Apache-2.0
"""One word for one thing: what people read says none of the words that docs/concepts/words.md gives up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "src" / "armillary"
# Where texts that people read are written.
ROOMS = ("console", "cli", "api", "service", "platform", "rollout", "update", "wire")
QUOTE = r"[\"']"
# What no text that people read says, in any place.
NOWHERE = re.compile(
    r"nothing is wanted of|[Ww]ant other values|wanted values?\b|null takes away|What is let in|\bIt shows:|"
    r"This is wide|cannot be done that way|There is nothing here|Somebody else was faster|Devices take back|"
    r"offered devices? waits?|[Dd]emands nothing beyond|\bgravest first|No \w+ was made yet|None was made yet|"
    r"\b[Rr]ing by ring|(?<!`)\b[Hh]eld roll-outs?\b|roll-outs? (is|was|were|are) held|holds? (a|the) roll-out|"
    r"\b(devices|updates?|trial|OS|images?) (is|are|was|were) (then )?taken back|"
    r"there is no group\b|in (a|this) group now|armillary group\b|devices of a \[group\]"
)
# What no text of the console says besides: buttons, labels, states and first words.
CONSOLE = re.compile(
    r"^Make( |$)|^Keep( (cloud|view|model|the JSON|out|and go on)|$)|^Kept[. ]and|^Kept\.|^Made\.|^Made( by)?$|\b[Ll]et in\b|"
    r"\b[Kk]ept out\b|^It runs$|^It shows$|under way|^Rings?( {}|:|$)|^Appraisal$|^as made$|^Quiet\.|"
    r"^Somebody else|\bwanted of\b|Nobody is in it|^Who is in it"
)
# What a module says somewhere if one of its texts may be found; and where a text goes on in the next line of a module.
HINTS = (NOWHERE, re.compile(rf"{NOWHERE.pattern}|{CONSOLE.pattern.replace('^', QUOTE).replace('$', QUOTE)}"))
BROKEN = re.compile(r"\"\n\s*f?\"")
# Where one of them is right.
ALLOWED = {"Make room."}


def texts_of(source: str, *, with_docs: bool) -> Iterator[tuple[int, str]]:
    """Each text of a module with its line, gaps as ``{}``; docstrings are texts only of commands and routes."""
    tree = ast.parse(source)
    passed: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and not with_docs:
            passed.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            passed.update(id(each) for each in node.values)
            yield (
                node.lineno,
                "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values),
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            yield node.lineno, node.value


def texts_of_template(source: str) -> Iterator[tuple[int, str]]:
    """Texts between tags of a template, a line at a time; what Jinja does is no text."""
    for number, line in enumerate(source.splitlines(), 1):
        for text in re.split(r"<[^>]*>|{[%#].*?[%#]}", line):
            yield number, text.strip()


def old(text: str, *, of_console: bool) -> str:
    """What a text says of the words that are given up, or ""."""
    if text in ALLOWED:
        return ""
    found = NOWHERE.search(text) or (CONSOLE.search(text) if of_console else None)
    return found[0] if found else ""


def read() -> Iterator[tuple[Path, int, str, bool]]:
    """Every text that people read: (file, line, text, whether it is the console's)."""
    for path in (each for room in ROOMS for each in (SOURCE / room).rglob("*.py")):
        room = path.relative_to(SOURCE).parts[0]
        source = path.read_text("utf-8")
        if not HINTS[room == "console"].search(BROKEN.sub("", source)):
            continue  # to parse every module takes seconds
        for line, text in texts_of(source, with_docs=room in {"cli", "api"}):
            yield path, line, text, room == "console"
    for path in (SOURCE / "console" / "templates").rglob("*.html"):
        for line, text in texts_of_template(path.read_text("utf-8")):
            yield path, line, text, True
    for path in (ROOT / "docs").rglob("*.md"):
        if path.name != "words.md":
            for line, text in enumerate(path.read_text("utf-8").splitlines(), 1):
                yield path, line, text, False


def test_no_text_says_a_word_that_was_given_up():
    found, count = [], 0
    for path, line, text, of_console in read():
        count += 1
        if said := old(text, of_console=of_console):
            found.append(f"{path.relative_to(ROOT)}:{line}: {said!r} in {text[:80]!r}")
    assert not found, "see docs/concepts/words.md:\n" + "\n".join(found)
    assert count > 5_000, "the texts were read"


@pytest.mark.parametrize(
    "module",
    [
        'label = "Want other values"',
        'label = f"{name}: nothing is wanted of it."',
        'label = f"Make {kind}"',
        'label = "Keep"',
        'State(GOOD, "kept out")',
        'title = "This cannot be done that way."',
        'state = State(UNKNOWN, "under way")',
        'label = f"Ring {number}: name"',
        'none = "None was made yet."',
    ],
)
def test_the_words_that_were_given_up_are_found(module: str):
    assert any(old(text, of_console=True) for _, text in texts_of(module, with_docs=False))


@pytest.mark.parametrize(
    "line", ['<button class="button">Make a token</button>', "<p>{{ x }}</p><button>Keep</button>", "<h2>It shows</h2>"]
)
def test_they_are_found_in_templates(line: str):
    assert any(old(text, of_console=True) for _, text in texts_of_template(line))


@pytest.mark.parametrize("text", ["Keep checkpoints elsewhere.", "Make room.", "the key was made inside the chip"])
def test_ordinary_sentences_stay(text: str):
    assert not old(text, of_console=True)
