# SPDX-License-Identifier: Apache-2.0
"""Profiles of equipment as people write them: YAML 1.2, a safe subset, with the line of every place.

Shipped profiles are files of ``content/equipment``. In a profile there are mappings, lists, texts, numbers, true, false
and comments; no anchors, aliases, tags, merge keys, several documents, nor keys that stand twice. Plain words mean what
YAML 1.2's core schema says: ``no`` and ``on`` are texts, ``012`` is twelve.

Loads the YAML library: imported where profiles are read. A guardian gets JSON (``wire/equipment/profile_reader.py``).

Source: YAML 1.2.2 §10.3; ``docs/reference/equipment-profile.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import yaml

from armillary import content
from armillary.errors import NotFoundError
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.field import Place, shown
from armillary.wire.equipment.profile import Profile
from armillary.wire.equipment.profile_reader import MAX_DOCUMENT_BYTES, read_profile

MAX_DEPTH: Final = 10  # a profile has six levels
_LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
# YAML 1.2.2 §10.3.2, without infinity and "not a number", which no profile may have.
_WORDS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NOTHING: Final = frozenset({"", "~", "null", "Null", "NULL"})
_NUMBERS: Final[tuple[tuple[re.Pattern[str], Callable[[str], float]], ...]] = (
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (re.compile(r"0o[0-7]+"), lambda text: int(text, 8)),
    (re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"), float),
)
MAX_DIGITS: Final = 40  # no number of a profile has more; Python refuses to read thousands


def names() -> tuple[str, ...]:
    """Names of the shipped profiles, sorted: ``cable``, ``cable-opcua``, ``coffee``, ``dispenser``."""
    found = (entry.name for entry in content.folder("equipment").iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


def load(name: str) -> Profile:
    """A shipped profile by its file's name. Raises NotFoundError."""
    if name not in names():
        raise NotFoundError(f"no profile {name!a:.60}", remedy=f"Use one of: {', '.join(names())}.")
    return read_text((content.folder("equipment") / f"{name}.yaml").read_bytes(), f"{name}.yaml")


def read_text(data: bytes, file: str) -> Profile:
    """The profile of a YAML file.

    Raises:
        ProfileError: not of the subset, or it breaks the form or a rule; it names file, line, place and rule.
    """
    document, lines = read_yaml(data, file)
    return read_profile(document, lines=lines, file=file)


def read_yaml(data: bytes, file: str) -> tuple[object, dict[str, int]]:
    """The document of YAML bytes, and the line of each path of keys in it. Raises ProfileError."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise Place(file=file).fault("limit", f"at most {MAX_DOCUMENT_BYTES} bytes", f"{len(data)}")
    try:
        return _Builder(file).build(yaml.parse(data.decode("utf-8-sig"), _LOADER))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or f"{error}"
        raise ProfileError(
            "", expected="YAML in UTF-8", got=f"{problem:.120}", rule="yaml", line=mark and mark.line + 1, file=file
        ) from error


class _Builder:
    """Makes plain values of YAML's events, and remembers lines."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lines: dict[str, int] = {}

    def build(self, events: Any) -> tuple[object, dict[str, int]]:
        root: list[Any] = []
        stack = [_Open(root, "")]
        for event in events:
            self._check(event, stack[-1].path)
            if isinstance(event, yaml.ScalarEvent):
                self._put(stack[-1], event, event.value if stack[-1].wants_key else self._scalar(event, stack[-1].path))
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                inner: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                if stack[-1].wants_key:
                    raise self._fault(event, stack[-1].path, "a text as a key", "a mapping or list")
                path = self._put(stack[-1], event, inner)
                stack.append(_Open(inner, path))
                if len(stack) > MAX_DEPTH:
                    raise self._fault(event, path, f"at most {MAX_DEPTH} levels", "more")
            elif isinstance(event, yaml.CollectionEndEvent):
                stack.pop()
            elif isinstance(event, yaml.DocumentStartEvent) and root:
                raise self._fault(event, "", "one document", "several")
        if not root:
            raise ProfileError("", expected="a document", got="nothing", rule="yaml", file=self._file)
        return root[0], self._lines

    def _check(self, event: Any, path: str) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._fault(event, path, "no anchors and aliases", "one")
        if getattr(event, "tag", None):
            raise self._fault(event, path, "no tags", f"{event.tag:.40}")
        if getattr(event, "tags", None):
            raise self._fault(event, path, "no tag directives", "one")

    def _put(self, into: _Open, event: Any, value: Any) -> str:
        """Take a key, or a value into a mapping or list; return the value's path."""
        if isinstance(into.value, list):
            path = f"{into.path}.{len(into.value)}" if into.path else ""  # The document itself has the empty path
            into.value.append(value)
        elif into.wants_key:
            path = f"{into.path}.{value}" if into.path else value
            if value == "<<":
                raise self._fault(event, into.path, "no merge keys", "<<")
            if value in into.value:
                raise self._fault(event, path, f"each key once; line {self._lines.get(path)} has it", "it twice")
            into.key = value
        else:
            path = f"{into.path}.{into.key}" if into.path else str(into.key)
            into.value[into.key] = value
            into.key = None
        self._lines.setdefault(path, event.start_mark.line + 1)
        return path

    def _scalar(self, event: Any, path: str) -> object:
        text = event.value
        if event.style or len(text) > MAX_DIGITS:
            return text
        if text in _NOTHING:
            raise self._fault(event, path, "a value", "nothing")
        if text in _WORDS:
            return _WORDS[text]
        for form, make in _NUMBERS:
            if form.fullmatch(text):
                return make(text)
        return text

    def _fault(self, event: Any, path: str, expected: str, got: str) -> ProfileError:
        line = event.start_mark.line + 1
        return ProfileError(path, expected=expected, got=shown(got), rule="yaml", line=line, file=self._file)


class _Open:
    """A mapping or list that is being filled."""

    __slots__ = ("key", "path", "value")

    def __init__(self, value: Any, path: str) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None

    @property
    def wants_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None
