# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: D102 - ``Field`` says once what ``read``, ``write`` and ``schema`` do
"""Kinds of fields that a profile's document has: each reads a plain value, writes it back and says its JSON Schema.

A reader gets the place of a value and refuses with it; nothing is converted that was not of the kind (no number from
a text, no truth from a number).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from armillary.wire.equipment.faults import ProfileError

# No quantity of a machine needs more; beyond 2**53 a float no longer counts in ones.
MAX_NUMBER: Final = 1e15
MAX_KEY: Final = 64
MAX_SHOWN: Final = 60  # Characters of a wrong value that an error repeats
# Keys and texts by which other gateways evaluate what a configuration says. None is evaluated here.
EXPRESSION_KEYS: Final = frozenset(
    {"expr", "expression", "formula", "script", "eval", "code", "lambda", "transform", "function", "converter"}
)
_EXPRESSION: Final = re.compile(r"\$[{(]|\{\{|__|\blambda\b|\b\w+\(|^\s*=|[\w.)]\s*[*/+]\s*[\w.(]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in a document."""

    path: str = ""  # ``points.brewTemp.scale``
    lines: Mapping[str, int] = field(default_factory=dict)  # Path -> line, where the document was YAML
    file: str = ""

    def below(self, key: object) -> Place:
        """The place of a member."""
        return Place(f"{self.path}.{key}" if self.path else f"{key}", self.lines, self.file)

    def fault(self, rule: str, expected: str, got: str) -> ProfileError:
        """The error of this place, with the line of the nearest thing that has one."""
        path = self.path
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return ProfileError(self.path, expected=expected, got=got, rule=rule, line=self.lines.get(path), file=self.file)


def shown(value: object) -> str:
    """A wrong value as an error repeats it: cut, without control characters."""
    if isinstance(value, (Mapping, list, tuple)):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    try:
        text = ascii(value)
    except ValueError:  # An integer of more digits than Python writes
        return "a huge number"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def refused(place: Place, expected: str, value: object) -> ProfileError:
    """The error of a value of the wrong form; a text that looks like a calculation is named as one."""
    if isinstance(value, str) and _EXPRESSION.search(value):
        return place.fault("expression", f"{expected}: nothing in a profile is evaluated", shown(value))
    return place.fault("form", expected, shown(value))


class Field(Protocol):
    """A kind of field."""

    def read(self, value: object, place: Place) -> Any:
        """The value that a document has; raises ProfileError."""
        ...

    def write(self, value: Any) -> object:
        """The document's form of a value."""
        ...

    def schema(self) -> dict[str, object]:
        """JSON Schema 2020-12 of the document's form."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    low: int
    high: int

    def read(self, value: object, place: Place) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise refused(place, "a whole number", value)
        if not self.low <= value <= self.high:
            raise place.fault("limit", f"{self.low} to {self.high}", shown(value))
        return value

    def write(self, value: Any) -> object:
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number within bounds."""

    low: float = -MAX_NUMBER
    high: float = MAX_NUMBER

    def read(self, value: object, place: Place) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise refused(place, "a number", value)
        if not self.low <= value <= self.high:  # Not a number is not between either
            raise place.fault("limit", f"{self.low:g} to {self.high:g}", shown(value))
        return float(value)

    def write(self, value: Any) -> object:
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Text:
    """A text that a pattern matches as a whole."""

    pattern: str
    what: str
    limit: int

    def read(self, value: object, place: Place) -> str:
        if not isinstance(value, str):
            raise refused(place, self.what, value)
        if len(value) > self.limit:
            raise place.fault("limit", f"at most {self.limit} characters", f"{len(value)}")
        if not re.fullmatch(self.pattern, value):
            raise refused(place, self.what, value)
        return value

    def write(self, value: Any) -> object:
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": f"^(?:{self.pattern})$", "maxLength": self.limit}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, value: object, place: Place) -> bool:
        if not isinstance(value, bool):
            raise refused(place, "true or false", value)
        return value

    def write(self, value: Any) -> object:
        return value

    def schema(self) -> dict[str, object]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some texts or whole numbers; ``rule`` is the one that others break."""

    options: tuple[str | int, ...]
    rule: str = "form"

    def read(self, value: object, place: Place) -> Any:
        if isinstance(value, bool) or not isinstance(value, (str, int)) or value not in self.options:
            listed = ", ".join(f"{each}" for each in self.options[:12])
            more = ", ..." if len(self.options) > 12 else ""
            if isinstance(value, str) and _EXPRESSION.search(value):
                raise refused(place, f"one of {listed}{more}", value)
            raise place.fault(self.rule, f"one of {listed}{more}", shown(value))
        return next(each for each in self.options if each == value)

    def write(self, value: Any) -> object:
        return str(value) if isinstance(value, str) else value

    def schema(self) -> dict[str, object]:
        return {"enum": [self.write(each) for each in self.options]}


@dataclass(frozen=True, slots=True)
class Either:
    """True or false, a finite number, or a name: what a condition compares with."""

    name: Text

    def read(self, value: object, place: Place) -> bool | int | float | str:
        if isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            Number().read(value, place)
            return value
        return self.name.read(value, place)

    def write(self, value: Any) -> object:
        return value

    def schema(self) -> dict[str, object]:
        return {"anyOf": [Flag().schema(), Number().schema(), self.name.schema()]}


@dataclass(frozen=True, slots=True)
class Several:
    """A list of a kind, each different."""

    of: Field
    low: int
    high: int

    def read(self, value: object, place: Place) -> tuple[Any, ...]:
        if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
            raise refused(place, "a list", value)
        if not self.low <= len(value) <= self.high:
            raise place.fault("limit", f"{self.low} to {self.high} items", f"{len(value)}")
        items = tuple(self.of.read(each, place.below(index)) for index, each in enumerate(value))
        for index, each in enumerate(items):
            if any(each == other and type(each) is type(other) for other in items[:index]):
                raise place.below(index).fault("duplicate", "each item once", shown(each))
        return items

    def write(self, value: Any) -> object:
        return [self.of.write(each) for each in value]

    def schema(self) -> dict[str, object]:
        return {"type": "array", "items": self.of.schema(), "minItems": self.low, "maxItems": self.high}


@dataclass(frozen=True, slots=True)
class Numbered:
    """Names with a whole number each, ``{idle: 0, heating: 1}``; kept as number -> name, ordered."""

    name: Text
    low: int
    high: int
    limit: int

    def read(self, value: object, place: Place) -> dict[int, str]:
        found: dict[int, str] = {}
        for key, number in members(value, place, self.limit):
            self.name.read(key, place.below(key))
            whole = Whole(self.low, self.high).read(number, place.below(key))
            if whole in found:
                raise place.below(key).fault("duplicate", "each number once", f"{whole} is {found[whole]} too")
            found[whole] = key
        return dict(sorted(found.items()))

    def write(self, value: Any) -> object:
        return {name: number for number, name in value.items()}

    def schema(self) -> dict[str, object]:
        whole = Whole(self.low, self.high).schema()
        return {
            "type": "object",
            "propertyNames": self.name.schema(),
            "additionalProperties": whole,
            "maxProperties": self.limit,
        }


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping of names to values of a kind, ordered by name."""

    name: Text
    of: Field
    limit: int

    def read(self, value: object, place: Place) -> dict[str, Any]:
        return {
            self.name.read(key, place.below(key)): self.of.read(each, place.below(key))
            for key, each in sorted(members(value, place, self.limit))
        }

    def write(self, value: Any) -> object:
        return {name: self.of.write(each) for name, each in value.items()}

    def schema(self) -> dict[str, object]:
        return {
            "type": "object",
            "propertyNames": self.name.schema(),
            "additionalProperties": self.of.schema(),
            "maxProperties": self.limit,
        }


def members(value: object, place: Place, limit: int) -> list[tuple[str, object]]:
    """The members of a mapping of at most ``limit``; its keys are texts, each safe to repeat in an error."""
    if not isinstance(value, Mapping):
        raise refused(place, "a mapping", value)
    if len(value) > limit:
        raise place.fault("limit", f"at most {limit} entries", f"{len(value)}")
    for key in value:
        if not isinstance(key, str) or not key.isprintable() or not 0 < len(key) <= MAX_KEY:
            raise place.fault("form", f"a name of at most {MAX_KEY} characters as a key", shown(key))
    return list(value.items())
