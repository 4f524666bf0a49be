# SPDX-License-Identifier: Apache-2.0
"""Pages as somebody reads them who does what they say: their fenced blocks, in order, with what is written before each.

What a block is, the page itself says, in words that people read or in a comment before the block:

- The words ``Save as `NAME` `` (also "Save it as", "saved as") between the block before and this one: a file of that name.
- ``<!-- not run: REASON -->``: it is not run; the reason is one of :data:`REASONS`, whose evidence is in the block.
- ``<!-- checked as: KIND -->``: text that is checked by the part that reads it, one of ``checks.KINDS``.
- ``<!-- numbers vary -->``: measured values of the shown output are not compared, its words are.
- ``<!-- Ctrl-C: COMMAND -->``: what the words before the block say, said for the test: a running command is ended first.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
COMMANDS = frozenset({"console", "sh", "bash"})
FILES = frozenset({"json", "yaml", "toml", "html", "python", "js", "nginx", "c"})
# What nobody types and nothing reads: pictures made of letters, formats, lists of routes.
PROSE = frozenset({"text"})
FENCE = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"<!-- (not run|checked as|numbers vary|Ctrl-C)(?:: ([^>]*?))? -->")
SAVED = re.compile(r"\b[Ss]aved? (?:it |this |them )?as `([A-Za-z0-9_./-]+)`")
# Why a block is not run -> what the block has that shows it.
REASONS: Mapping[str, re.Pattern[str]] = {
    "has a test of its own": re.compile(r"\A\$ make demo\Z"),  # tests/e2e/test_demo.py
    "installs Armillary": re.compile(r"make setup\b"),
    "is the test suite": re.compile(r"make test\b"),
    "changes this computer": re.compile(r"\b(sudo|npm install|pip install|apt)\b|/etc/|/usr/local/"),
    "needs a host name of yours": re.compile(r"\b[a-z0-9.-]+\.example(\.com)?\b"),
    "needs boot components of yours": re.compile(r"--component services=\S+ \.\.\."),
    "needs a clock that was wrong": re.compile(r"correct-clock"),
    "needs a fault": re.compile(r"\b(held|reverted)\b"),
    "needs a picture of yours": re.compile(r"picture upload"),
    "needs a sign-in provider of yours": re.compile(r"person (invite|grant)"),
    "needs somebody who is signed in": re.compile(r"session end"),
    "needs every device to have come": re.compile(r"signing-keys drop"),
    "is played by a demo": re.compile(r"guardian (command|recipe) "),
    "needs a device of another maker": re.compile(r"suricatta|hawkbit_server"),
    "needs software of another maker": re.compile(r"imx-atf|u-boot-2025\.01"),
    "needs several people": re.compile(r"/media/\w+"),
    "takes minutes": re.compile(
        r"--all|--cuts \d{5,}|--count \d{4,}|--soak|make image|--machine|image (package|attack)"
    ),
    "needs a machine that forbids namespaces": re.compile(r"sandbox=reduced"),
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: Path of the page, below the repository.
        number: Place among the blocks of the page, from 0.
        line: Line of its first fence.
        kind: What stands behind the fence.
        file: Name that the words before it tell to save it as; empty where they tell none.
        marks: Its comments: what is marked, and what with.
        section: The nearest heading above it.
    """

    page: str
    number: int
    line: int
    kind: str
    text: str
    file: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)
    section: str = ""

    @property
    def key(self) -> str:
        """What the table calls it: the file that it is saved as, else its first command."""
        if self.file or self.kind not in COMMANDS:
            return self.file
        return re.sub(r"\s+#.*", "", next(steps_of(self)).command)

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Step:
    """A command of a block and the output that is shown for it; the command of output alone is empty."""

    command: str
    output: tuple[str, ...] = ()


def pages() -> list[Path]:
    """The pages whose every block is run or says why not: README and the guides."""
    return [ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]


def blocks_of(page: Path | str) -> list[Block]:
    """The blocks of a page, which may be named by its path below the repository."""
    path = ROOT / page
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
    text, before, found = path.read_text("utf-8"), 0, list[Block]()
    for number, match in enumerate(FENCE.finditer(text)):
        words = text[before : match.start()]
        marks = {each[1]: each[2] or "" for each in COMMENT.finditer(words)}
        saved = SAVED.findall(words) if match[2] not in COMMANDS else []
        headings = re.findall(r"^#+ (.*)$", re.sub(FENCE, "", text[: match.start()]), re.MULTILINE)
        line = text.count("\n", 0, match.start()) + 1
        inside = textwrap.dedent(match[3])
        found.append(
            Block(
                name,
                number,
                line,
                match[2],
                inside,
                saved[-1] if saved else "",
                marks,
                headings[-1] if headings else "",
            )
        )
        before = match.end()
    return found


def block_of(page: str, name: str) -> str:
    """The text of the one block of a guide that is saved as ``name``, for a test that runs it."""
    (found,) = (each for each in blocks_of(page) if each.file == name)
    return found.text


def steps_of(block: Block) -> Iterator[Step]:
    """The commands of a block, each with its output. Without prompts, every line of ``sh`` and ``bash`` is a command."""
    command, output = "", list[str]()
    lines = iter(block.text.splitlines())
    for line in lines:
        if line.startswith("$ ") or block.kind != "console":
            if command or output:
                yield Step(command, tuple(output))
            command, output = line.removeprefix("$ "), []
            while command.endswith("\\"):
                command = f"{command[:-1].rstrip()} {next(lines).strip()}"
        else:
            output.append(line)
    if command or output:
        yield Step(command, tuple(output))


def step_of(page: str, command: str) -> Step:
    """The first command of the one block that begins with it, and its output, for a test that runs it."""
    (found,) = (each for each in blocks_of(page) if each.key == command)
    return next(steps_of(found))


def unfenced(page: Path) -> list[int]:
    """Lines of a page that are code by their indentation alone; a block has a fence that says what it is."""
    text = FENCE.sub(lambda match: "\n" * match[0].count("\n"), page.read_text("utf-8"))
    found, blank, in_list = [], True, False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r" *([-*]|\d+\.) ", line):
            in_list = True
        elif line and not line.startswith(" "):
            in_list = False
        if blank and not in_list and re.match(r" {4,}\S", line):
            found.append(number)
        blank = not line.strip()
    return found
