# SPDX-License-Identifier: Apache-2.0
"""A file of playbooks: YAML documents, one a playbook. Loads the YAML library: imported where playbooks are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml

from armillary.errors import WireError
from armillary.response.playbook import Place, Playbook, playbook_from

MAX_FILE_CHARACTERS: Final = 256 * 1024  # a hundred playbooks
MAX_DEPTH: Final = 8  # a playbook has four levels
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REMEDY: Final = "docs/reference/playbooks.md has the form of playbooks."


def read_playbooks(text: str, file: str) -> tuple[Playbook, ...]:
    """The playbooks of a file, in order; raises WireError that names file, line and what is wrong."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise WireError(file, expected=f"at most {MAX_FILE_CHARACTERS} characters", got=f"{len(text)}", remedy=_REMEDY)
    try:
        if any(isinstance(token, (yaml.AliasToken, yaml.AnchorToken)) for token in yaml.scan(text, _LOADER)):
            raise WireError(file, expected="YAML without anchors and aliases", got="one", remedy=_REMEDY)
        found = [_playbook(node, file) for node in yaml.compose_all(text, _LOADER) if node is not None]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = file if mark is None else f"{file} line {mark.line + 1}"
        problem = getattr(error, "problem", None) or f"{error}"[:80]
        raise WireError(where, expected="YAML", got=f"{problem}", remedy=_REMEDY) from error
    if not found:
        raise WireError(file, expected="a playbook", got="none", remedy=_REMEDY)
    names = [each.name for each in found]
    for each in found:
        if names.count(each.name) > 1:
            raise WireError(
                f"{file}, playbook {each.name}", expected="an id of its own", got="one twice", remedy=_REMEDY
            )
    return tuple(found)


def _playbook(node: Any, file: str) -> Playbook:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise WireError(f"{file} line {line}", expected="a playbook: a map", got=f"a {node.id}", remedy=_REMEDY)
    lines: dict[str, int] = {}
    for path, at in _lines(node, "", file):
        if path in lines:
            raise WireError(f"{file} line {at}, {path}", expected="each key once", got="it twice", remedy=_REMEDY)
        lines[path] = at
    loader = _LOADER("")
    try:
        document = loader.construct_document(node)
    finally:
        loader.dispose()
    return playbook_from(document, Place(file, line, lines))


def _lines(node: Any, path: str, file: str, depth: int = 0) -> Iterator[tuple[str, int]]:
    """The path of each key and item below a node, and its line."""
    if depth > MAX_DEPTH:
        raise WireError(
            f"{file} line {node.start_mark.line + 1}",
            expected=f"at most {MAX_DEPTH} levels",
            got="more",
            remedy=_REMEDY,
        )
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise WireError(
                    f"{file} line {key.start_mark.line + 1}",
                    expected="text as a key",
                    got=f"a {key.id}",
                    remedy=_REMEDY,
                )
            below = f"{path}.{key.value}" if path else str(key.value)
            yield below, key.start_mark.line + 1
            yield from _lines(value, below, file, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            below = f"{path}.{index}"
            yield below, value.start_mark.line + 1
            yield from _lines(value, below, file, depth + 1)
