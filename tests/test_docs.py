# SPDX-License-Identifier: Apache-2.0
"""Documents stay true to the code: generated pages, promises with their tests, links, paths named in prose."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from armillary.cli.service.bench import FLOORS

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


def test_links_and_paths_of_all_pages_exist():
    for page in PROSE:
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.name}: dead link: {target}"
        for path in re.findall(r"`((?:src|tests|bench|docs|fuzz|scripts)/[\w./-]+)`", text):
            if path not in GENERATED_AT_RUN_TIME:
                assert (ROOT / path).exists(), f"{page.name} names a path that is not there: {path}"


def promises() -> list[tuple[str, str]]:
    """(number, what holds it) of every promise row of SPECIFICATION.md."""
    text = (ROOT / "SPECIFICATION.md").read_text("utf-8")
    return re.findall(r"^\| (\d+\.\d+) \|.*\| ([^|]+) \|$", text, re.MULTILINE)


def test_specification_has_promises_with_unique_numbers():
    numbers = [number for number, _ in promises()]
    assert len(numbers) > 20
    assert len(set(numbers)) == len(numbers)


def test_each_promise_names_what_holds_it():
    for number, holder in promises():
        if holder.strip().startswith("pending"):
            continue
        names = re.findall(r"`([^`]+)`", holder)
        assert names, f"promise {number} names neither a test nor a benchmark, nor says pending"
        for name in names:
            path, _, test = name.partition("::")
            assert (ROOT / path).exists(), f"promise {number}: {path} is not there"
            if test:
                assert f"def {test}" in (ROOT / path).read_text("utf-8"), f"promise {number}: no {test} in {path}"


def test_floors_of_benchmarks_are_the_promised_ones():
    promised: dict[str, str] = {}
    for row in re.findall(
        r"^\| \d+\.\d+ \|.*`bench/.*\|$", (ROOT / "SPECIFICATION.md").read_text("utf-8"), re.MULTILINE
    ):
        _, number, promise, holder, _ = (cell.strip() for cell in row.split("|"))
        floors = dict(re.findall(r"([a-z][a-z0-9-]+) ([<>]=\d+\.\d\d)\b", holder))
        assert floors or "no floor" in holder, f"promise {number}: neither a floor nor the words that it has none"
        for floor in floors.values():
            bound = float(floor[2:])
            assert bound == 1 or f"{bound:g}" in promise, f"promise {number} does not say {bound:g}"
        promised |= floors
    assert promised == {name: floor.text for name, floor in FLOORS.items()}
