# SPDX-License-Identifier: Apache-2.0
"""Every block of README and of the guides is run by a story or by another test, or says why not; and that holds if a page changes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.e2e.guides.blocks import COMMANDS, FILES, PROSE, REASONS, ROOT, Block, blocks_of, pages, steps_of, unfenced
from tests.e2e.guides.checks import KINDS
from tests.e2e.guides.output import OF_THE_HOST
from tests.e2e.guides.stories import ELSEWHERE, STORIES, WITHOUT_STORY

BLOCKS = [block for page in pages() for block in blocks_of(page)]
FOLLOWED = {part.page for parts in STORIES.values() for part in parts}


def run_somewhere(block: Block) -> bool:
    return block.page in FOLLOWED or (block.page, block.key) in ELSEWHERE


def faults(block: Block, text: str) -> list[str]:
    """What is wrong with a block of a page of this text, in words."""
    found = []
    if block.kind not in COMMANDS | FILES | PROSE:
        found.append(f"say what it is behind its fence: {sorted(COMMANDS | FILES | PROSE)}")
    reason = block.marks.get("not run")
    if reason is not None:
        if reason not in REASONS:
            found.append(f"no such reason: {reason!r}; one of {sorted(REASONS)}")
        elif not REASONS[reason].search(block.text.strip()):
            found.append(f"it could run: nothing in it {reason}")
    elif block.kind in PROSE and re.search(r"^(\$ |armillary [a-z-]+ )", block.text, re.MULTILINE):
        found.append("it has commands: call it console")
    elif block.kind in FILES and not block.file and block.marks.get("checked as") not in KINDS:
        found.append(f"say as what to save it, or as what it is checked: {sorted(KINDS)}")
    elif block.file and (block.page, block.file) not in ELSEWHERE:
        named = "|".join(re.escape(each) for each in (block.file, block.file.partition("/")[0]))
        after = text[text.index(block.text) + len(block.text) :]
        if not re.search(rf"^\s*\$ .*(?<![\w.-])(?:{named})\b", text, re.MULTILINE) and block.file not in after:
            found.append(f"nothing uses {block.file}")
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_block_of_a_page_is_run_or_says_why_not(page: Path) -> None:
    name, text = str(page.relative_to(ROOT)), page.read_text("utf-8")
    wrong = [f"{name}:{line}: code needs a fence" for line in unfenced(page)]
    for block in blocks_of(page):
        wrong += [f"{block.place}: {each}" for each in faults(block, text)]
        if "not run" not in block.marks and block.kind not in PROSE and not run_somewhere(block):
            wrong.append(f"{block.place}: no story has its page, and no other test takes it")
    assert wrong == [], "\n".join(wrong)


def test_the_reader_finds_the_blocks_of_the_pages() -> None:
    assert len(BLOCKS) > 100
    assert sum(len(list(steps_of(block))) for block in BLOCKS if block.kind in COMMANDS) > 200
    fences = sum(len(re.findall(r"^ *```", page.read_text("utf-8"), re.MULTILINE)) for page in pages())
    assert fences == 2 * len(BLOCKS)


def test_the_table_names_pages_and_blocks_that_are_there() -> None:
    there = {(block.page, block.key) for block in BLOCKS}
    assert {page for page in FOLLOWED if not (ROOT / page).exists()} == set()
    assert set(ELSEWHERE) <= there
    assert {str(page.relative_to(ROOT)) for page in pages()} == FOLLOWED | WITHOUT_STORY
    assert not FOLLOWED & WITHOUT_STORY


@pytest.mark.parametrize(("page", "file"), ELSEWHERE, ids=str)
def test_a_block_that_another_test_runs_is_taken_from_the_page_there(page: str, file: str) -> None:
    path, _, name = ELSEWHERE[page, file].partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    taken = [
        [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("block_of", "step_of")
    ]
    assert [page, file] in taken


def test_what_pages_show_of_this_machine_are_the_products_own_words() -> None:
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "src" / "armillary").rglob("*.py"))
    source = re.sub(r'"\s*\n\s*f?"', "", source)
    shown = [found for block in BLOCKS for line in block.text.splitlines() for found in OF_THE_HOST.findall(line)]
    assert len(shown) > 8
    missing = [each for each in shown if re.split(r"[:…]", each)[0].strip() not in source]
    assert missing == []


PAGE = """# A page

<!-- not run: {reason} -->
```{kind}
{text}
```
"""


@pytest.mark.parametrize(
    ("kind", "text", "reason", "told"),
    [
        ("", "$ armillary status", None, "say what it is"),
        ("text", "$ armillary status", None, "it has commands"),
        ("toml", "api_port = 1", None, "say as what to save it"),
        ("console", "$ armillary status", "it rains", "no such reason"),
        ("console", "$ armillary status", "changes this computer", "it could run"),
        ("console", "$ sudo armillary status", "changes this computer", None),
        ("console", "$ armillary status", None, None),
    ],
)
def test_a_block_that_says_nothing_or_something_wrong_is_found(
    tmp_path: Path, kind: str, text: str, reason: str | None, told: str | None
) -> None:
    written = PAGE.format(kind=kind, text=text, reason=reason)
    page = tmp_path / "page.md"
    page.write_text(written if reason else re.sub("<!--.*-->\n", "", written))
    (block,) = blocks_of(page)
    assert faults(block, written) == [] if told is None else told in faults(block, written)[0]


def test_code_without_a_fence_is_found_and_a_list_is_none(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Words\n\n    armillary status\n\n- a list\n\n      its second paragraph\n")
    assert unfenced(page) == [3]
