# SPDX-License-Identifier: Apache-2.0
"""The house rules that a machine can hold: sizes, names, licence lines, package docstrings, silent excepts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "armillary"
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 80  # design: near 50; the hard stop leaves room for one annotated table or format
BANNED_WORDS = (
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "base",
    "manager",
    "handler",
    "processor",
    "misc",
)

# Demo applications are content that runs on the device with its own packed libraries, not part of the package's code.
MODULES = sorted(path for path in SOURCE.rglob("*.py") if not re.search(r"content/applications/[^/]+/", str(path)))
OWN_FILES = sorted(
    [*MODULES] + [path for folder in ("tests", "bench", "fuzz", "docs") for path in (ROOT / folder).rglob("*.py")]
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_search_finds_the_code():
    assert len(MODULES) > 40
    assert SOURCE / "errors.py" in MODULES


@pytest.mark.parametrize("path", OWN_FILES, ids=relative)
def test_file_carries_its_licence_and_is_short(path: Path):
    text = path.read_text("utf-8")
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), "first line: the SPDX licence identifier"
    assert len(text.splitlines()) <= FILE_LINES_MAX, f"split it: at most {FILE_LINES_MAX} lines a file"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_names_say_what_they_are(path: Path):
    words = re.split(r"[_.]", path.stem)
    assert not set(words) & set(BANNED_WORDS), f"module name {path.stem} says nothing"
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            name_words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", node.name)]
            assert not set(name_words) & set(BANNED_WORDS), f"class name {node.name} says nothing"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_functions_are_short(path: Path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=relative)
def test_package_says_what_it_is(path: Path):
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert docstring, "a package docstring says what it is, what it is not, and its specification"
    assert len(docstring) > 80, "one line is not enough: what it is, what it is not, its specification"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_broad_excepts_give_their_reason(path: Path):
    lines = path.read_text("utf-8").splitlines()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if not isinstance(node, ast.ExceptHandler):
            continue
        names = [n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)] if node.type else ["everything"]
        if set(names) & {"Exception", "BaseException", "everything"}:
            nearby = "\n".join(lines[max(0, node.lineno - 2) : node.lineno + 1])
            assert "#" in nearby, f"line {node.lineno}: a broad except needs its reason beside it"


def test_every_folder_of_tests_mirrors_a_room():
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir()}
    kinds = {"properties", "attacks", "conformance", "e2e", "fault", "fuzz", "power", "artefacts"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= rooms | kinds, f"tests folders that mirror nothing: {sorted(folders - rooms - kinds)}"
