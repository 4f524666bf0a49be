# SPDX-License-Identifier: Apache-2.0
"""Which modules of ours a device runs with: those that its entry modules import, at the top or in a function."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from armillary.errors import InvalidArgumentError

PACKAGE = "armillary"


def closure(source: Path, entries: Iterable[str]) -> dict[str, Path]:
    """Modules that ``entries`` lead to, by name; ``source`` is the folder that has our package.

    Imports that are for types only do not count. InvalidArgumentError for an entry that does not exist.
    """
    found: dict[str, Path] = {}
    waiting = list(entries)
    for name in waiting:
        if module_file(source, name) is None:
            raise InvalidArgumentError(f"image.toml: there is no module {name}", remedy="Mend [python] modules.")
    while waiting:
        name = waiting.pop()
        path = module_file(source, name)
        if path is None or name in found:
            continue
        found[name] = path
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        waiting += [other for other in imported(path.read_text("utf-8")) if other.partition(".")[0] == PACKAGE]
    return dict(sorted(found.items()))


def module_file(source: Path, name: str) -> Path | None:
    """The file of a module or package; None if there is none (a name inside a module, for instance)."""
    place = source.joinpath(*name.split("."))
    for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
        if path.is_file():
            return path
    return None


def imported(text: str) -> set[str]:
    """Names that a module imports; of ``from a import b`` both ``a`` and ``a.b``, for b may be a module."""
    return set(_imported(ast.parse(text)))


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for other in node.orelse:
            yield from _imported(other)
        return
    if isinstance(node, ast.Import):
        yield from (each.name for each in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{each.name}" for each in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _imported(child)
