# SPDX-License-Identifier: Apache-2.0
"""Documents stay true to the code: generated pages, promises with their tests, links, paths named in prose."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROSE = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
GENERATED_AT_RUN_TIME = {"bench/results/latest.json", "tests/artefacts/"}


def test_generated_pages_are_current():
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_of_a_page_exist(page: Path):
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"dead link: {target}"
    for path in re.findall(r"`((?:src|tests|bench|docs|fuzz|scripts)/[\w./-]+)`", text):
        if path not in GENERATED_AT_RUN_TIME:
            assert (ROOT / path).exists(), f"names a path that is not there: {path}"


def promises() -> list[tuple[str, str]]:
    """(number, what holds it) of every promise row of SPECIFICATION.md."""
    text = (ROOT / "SPECIFICATION.md").read_text("utf-8")
    return re.findall(r"^\| (\d+\.\d+) \|.*\| ([^|]+) \|$", text, re.MULTILINE)


def test_specification_has_promises_with_unique_numbers():
    numbers = [number for number, _ in promises()]
    assert len(numbers) > 20
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(("number", "holder"), promises())
def test_promise_names_what_holds_it(number: str, holder: str):
    if holder.strip().startswith("pending"):
        return
    names = re.findall(r"`([^`]+)`", holder)
    assert names, f"promise {number} names neither a test nor a benchmark, nor says pending"
    for name in names:
        path, _, test = name.partition("::")
        assert (ROOT / path).exists(), f"promise {number}: {path} is not there"
        if test:
            assert f"def {test}" in (ROOT / path).read_text("utf-8"), f"promise {number}: no {test} in {path}"
