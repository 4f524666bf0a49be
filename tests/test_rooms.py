# SPDX-License-Identifier: Apache-2.0
"""The rooms: how many modules a folder has, what imports what, who knows SQL and HTTP, and that nobody takes a whole.

Every import counts: at the top, lazy, and for types only. ``pyproject.toml`` has the layers (import-linter).
"""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.fixtures.source_code import SOURCE, files_of, forget, text_of, trees as parsed_trees

MODULES_OF_A_FOLDER = 20
PUBLIC_METHODS = 12
ATTRIBUTES = 20
# Classes that are wider: facades, formats with a method for each kind of field. A new one takes the place of another.
WIDE_CLASSES = 12
# Who may import a module by a name that is computed: commands, operations and pages that are loaded when they are used.
BY_NAME = {
    "armillary.api.central.route",
    "armillary.cli.main",
    "armillary.cli.service.bench",
    "armillary.console.on_demand",
}
SQL = re.compile(r'f?"(SELECT (?![*$])|INSERT INTO|DELETE FROM|UPDATE \w+ SET)|exec_driver_sql')
HTTP = re.compile(r"^\s*(?:from|import) (?:starlette|fastapi)\b", re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def parsed() -> Iterator[None]:
    """What these tests parse is theirs alone."""
    yield
    forget()


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def texts() -> Mapping[str, str]:
    """Every module and package by its dotted name."""
    return {name_of(path): text_of(path) for path in files_of(SOURCE)}


def trees() -> Mapping[str, ast.Module]:
    return {name_of(path): tree for path, tree in parsed_trees(SOURCE).items()}


@functools.cache
def packages() -> frozenset[str]:
    return frozenset(name.rpartition(".")[0] for name in texts()) - {""}


@functools.cache
def imports() -> Mapping[str, frozenset[str]]:
    """Which modules of ours each module imports."""
    found = {}
    for name, tree in trees().items():
        if name not in packages():
            wanted = {owner for node in ast.walk(tree) for owner in named(node)}
            found[name] = frozenset(wanted & texts().keys()) - packages() - {name}
    return found


def named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (each.name for each in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{each.name}" for each in node.names)


def hall_of(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def circles(graph: Mapping[str, frozenset[str] | set[str]]) -> list[list[str]]:
    """Groups of names that reach one another: what is left when whatever imports nothing more is taken away, twice."""
    left = {name: set(graph[name]) & graph.keys() for name in graph}
    for _ in range(2):  # from the leaves up, then from the tops down
        gone: set[str] = {name for name, wanted in left.items() if not wanted}
        while gone:
            left = {name: wanted - gone for name, wanted in left.items() if name not in gone}
            gone = {name for name, wanted in left.items() if not wanted}
        turned: dict[str, set[str]] = {name: set() for name in left}
        for name, wanted in left.items():
            for each in wanted:
                turned[each].add(name)
        left = turned
    return [sorted(left)] if left else []


def test_the_search_for_circles_finds_one() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_no_folder_has_too_many_modules() -> None:
    per = Counter(name.rpartition(".")[0] for name in texts() if name not in packages())
    assert [
        (folder, count)
        for folder, count in per.items()
        if count > MODULES_OF_A_FOLDER and not folder.endswith("versions")
    ] == []


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert circles(imports()) == []


@pytest.mark.parametrize("parent", sorted(packages()))
def test_no_siblings_import_one_another_in_a_circle(parent: str) -> None:
    depth, graph = parent.count(".") + 2, defaultdict[str, set[str]](set)
    for name, wanted in imports().items():
        for each in wanted:
            if name.startswith(f"{parent}.") and each.startswith(f"{parent}."):
                one, other = (".".join(whole.split(".")[:depth]) for whole in (name, each))
                if one != other:
                    graph[one].add(other)
                    graph[other] |= set()
    assert circles(graph) == []


def test_only_engines_know_sql() -> None:
    assert [name for name, text in texts().items() if hall_of(name) != "engines" and SQL.search(text)] == []


def test_only_the_api_and_the_console_know_the_web_framework() -> None:
    knowing = {hall_of(name) for name, text in texts().items() if HTTP.search(text)}
    assert knowing <= {"api", "console", "roles"}


def test_no_part_of_hub_or_platform_takes_the_whole() -> None:
    wholes = {"Hub", "Front", "Platform", "SecurityService"}
    found = [
        f"{name}:{node.lineno} {node.name}"
        for name, tree in trees().items()
        if hall_of(name) in ("hub", "platform")
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for argument in (*node.args.args, *node.args.kwonlyargs)
        if argument.annotation is not None and ast.unparse(argument.annotation).strip("'\"") in wholes
    ]
    assert found == []


def test_no_module_of_ours_is_imported_by_name() -> None:
    found = {name for name, text in texts().items() if re.search(r'import_module\(\s*f?"armillary', text)}
    assert found <= BY_NAME


def test_nothing_reaches_into_private_members_of_others() -> None:
    assert [
        name
        for name, text in texts().items()
        if re.search(r"noqa: SLF001(?! - (?:SQLAlchemy|paho|a row is a tuple))", text)
    ] == []


def test_classes_are_narrow() -> None:
    wide = [
        f"{name}.{node.name}"
        for name, tree in trees().items()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and "Protocol" not in " ".join(map(ast.unparse, node.bases)) and is_wide(node)
    ]
    assert len(wide) <= WIDE_CLASSES, wide


def is_wide(node: ast.ClassDef) -> bool:
    functions = [each for each in node.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))]
    public = [each for each in functions if not each.name.startswith("_")]
    kept = {
        target.attr
        for function in functions
        if function.name == "__init__"
        for target in ast.walk(function)
        if isinstance(target, ast.Attribute)
        and isinstance(target.ctx, ast.Store)
        and ast.unparse(target.value) == "self"
    }
    return len(public) > PUBLIC_METHODS or len(kept) > ATTRIBUTES
