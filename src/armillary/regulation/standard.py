# SPDX-License-Identifier: Apache-2.0
"""Tables of requirements (``content/standards/*.yml``): which facts of ours speak for each. Loads the YAML library.

::

    standard: cra-annex-vii           id of the table, the file's name
    title: Regulation (EU) 2024/2847, Annex VII
    source: https://...               where the requirements are, in the words of their authors
    requirements:
    - id: 2c                          unique in the table
      reference: Annex VII(2)(b)
      title: Vulnerability handling   in words of ours
      status: M                       optional: what the standard calls it, mandatory or recommended
      facts: [bill-of-materials]      names of facts (``service/dossier``, ``service/cases``)
      out_of_scope: why               instead of facts: why software of this service shows nothing of it
      kinds: [severe-incident]        of reports only: for which cases
      stages: [24h, 72h]              of reports only: in which drafts
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from armillary.errors import WireError
from armillary.regulation.clocks import KINDS, STAGES

MAX_FILE_CHARACTERS: Final = 256 << 10
MAX_REQUIREMENTS: Final = 500
MAX_TEXT: Final = 500
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REMEDY: Final = "docs/concepts/dossier.md has the form of these tables."
_HEAD: Final = ("standard", "title", "source", "requirements")
_TEXTS: Final = ("id", "reference", "title", "status", "out_of_scope")
_LISTS: Final = ("facts", "kinds", "stages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement; ``kinds`` and ``stages`` are empty for all."""

    id: str
    reference: str
    title: str
    status: str = ""
    facts: tuple[str, ...] = ()
    out_of_scope: str = ""
    kinds: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()

    def asks_of(self, kind: str, stage: str) -> bool:
        """Whether it is asked of a case of a kind in a stage."""
        return (not self.kinds or kind in self.kinds) and (not self.stages or stage in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """A table of requirements."""

    id: str
    title: str
    source: str
    requirements: tuple[Requirement, ...]


def read_standard(text: str, file: str) -> Standard:
    """The table of a file; raises WireError that names file, line and what was expected."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise WireError(file, expected=f"at most {MAX_FILE_CHARACTERS} characters", got=f"{len(text)}", remedy=_REMEDY)
    try:
        if any(isinstance(token, (yaml.AliasToken, yaml.AnchorToken)) for token in yaml.scan(text, _LOADER)):
            raise WireError(file, expected="YAML without anchors and aliases", got="one", remedy=_REMEDY)
        node = yaml.compose(text, _LOADER)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = file if mark is None else f"{file} line {mark.line + 1}"
        raise WireError(where, expected="YAML", got=f"{getattr(error, 'problem', error)}", remedy=_REMEDY) from error
    head = _Map(node, file, _HEAD, ())
    listed = head.node("requirements")
    if not isinstance(listed, yaml.SequenceNode) or not 0 < len(listed.value) <= MAX_REQUIREMENTS:
        raise head.fault(f"a list of 1 to {MAX_REQUIREMENTS} requirements", "something else", listed)
    found = tuple(_requirement(each, file) for each in listed.value)
    known: set[str] = set()
    for each, place in zip(found, listed.value, strict=True):
        if each.id in known:
            raise head.fault("an id of its own", each.id, place)
        known.add(each.id)
    return Standard(id=head.text("standard"), title=head.text("title"), source=head.text("source"), requirements=found)


def _requirement(node: Any, file: str) -> Requirement:
    row = _Map(node, file, ("id", "reference", "title"), ("status", "out_of_scope", *_LISTS))
    texts = {name: row.text(name) for name in _TEXTS if row.has(name)}
    lists = {name: row.texts(name) for name in _LISTS if row.has(name)}
    if ("facts" in lists) == ("out_of_scope" in texts):
        raise row.fault("facts, or out_of_scope with its reason", "both or neither", node)
    for name, allowed in (("kinds", KINDS), ("stages", STAGES)):
        if wrong := set(lists.get(name, ())) - set(allowed):
            raise row.fault(f"{name} of {', '.join(allowed)}", ", ".join(sorted(wrong)), row.node(name))
    return Requirement(**texts, **lists)  # type: ignore[arg-type]  # texts are str, lists are tuples, by their names


class _Map:
    """A map of YAML whose keys are known; its faults name the line."""

    def __init__(self, node: Any, file: str, needed: Collection[str], optional: Collection[str]) -> None:
        self._file = file
        if not isinstance(node, yaml.MappingNode):
            raise self.fault("a map", "something else", node)
        self._nodes: Mapping[str, Any] = {str(key.value): value for key, value in node.value}
        if len(self._nodes) != len(node.value):
            raise self.fault("each key once", "one twice", node)
        if missing := set(needed) - set(self._nodes):
            raise self.fault(f"the key {min(missing)}", "none", node)
        if unknown := set(self._nodes) - set(needed) - set(optional):
            raise self.fault(f"keys of {', '.join((*needed, *optional))}", min(unknown), node)

    def has(self, name: str) -> bool:
        return name in self._nodes

    def node(self, name: str) -> Any:
        return self._nodes[name]

    def text(self, name: str) -> str:
        return self._text(self._nodes[name], name)

    def texts(self, name: str) -> tuple[str, ...]:
        node = self._nodes[name]
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.fault(f"{name}: a list of words", "something else", node)
        return tuple(self._text(each, name) for each in node.value)

    def _text(self, node: Any, name: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or not 0 < len(node.value) <= MAX_TEXT:
            raise self.fault(f"{name}: a text of 1 to {MAX_TEXT} characters", "something else", node)
        return str(node.value)

    def fault(self, expected: str, got: str, node: Any) -> WireError:
        line = "" if node is None else f" line {node.start_mark.line + 1}"
        return WireError(f"{self._file}{line}", expected=expected, got=got, remedy=_REMEDY)
