# SPDX-License-Identifier: Apache-2.0
"""Forms as values: fields with their labels, hints and limits. ``forms.html`` lays all of them out alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from armillary.console.frame.model import ModelEditor
from armillary.errors import ArmillaryError, InvalidArgumentError

# What a field is drawn as; ``area`` is several lines of text, ``code`` the same in the typewriter's letters. What was
# typed into a ``password``, or chosen as a ``file``, is not sent back.
Kind = Literal["text", "number", "date", "password", "select", "area", "code", "check", "file"]
# What was wrong with what was sent last: message and remedy.
Wrong = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field, posted as ``name``.

    Attributes:
        value: What stands in it; of a ``check``, whether it is ticked: "" or "on".
        choices: (value, words) of a ``select``; ``groups`` the same under headings: (heading, choices).
        hint: Below it: what it takes, and what an empty one means.
        unit: Behind it.
        limits: HTML attributes, e.g. ``min``, ``step``, ``maxlength``, ``pattern``.
        required: Whether a browser asks for it.
        error: What is wrong with what stands in it, or "".
        rows: Lines of an ``area`` or ``code``.
    """

    name: str
    label: str
    kind: Kind = "text"
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    hint: str = ""
    unit: str = ""
    limits: tuple[tuple[str, str], ...] = ()
    required: bool = False
    error: str = ""
    rows: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Fields that are posted together.

    Attributes:
        title: Heading, with ``about`` beside it; "" where it stands below something that has one.
        hidden: Names and values that go along.
        error: What was wrong with what was sent last.
        primary: Whether the button is the page's main one.
        anchor: Id of its section, for addresses.
        editor: Models in DTDL, below the fields.
        shown: Text above the fields: what goes along, to be looked at.
        has_progress: Whether it is said how much of its files has been sent.
    """

    post: str
    label: str
    fields: tuple[Field, ...]
    title: str = ""
    about: str = ""
    hidden: tuple[tuple[str, str], ...] = ()
    error: Wrong | None = None
    primary: bool = False
    anchor: str = ""
    shown: str = ""
    editor: ModelEditor | None = None
    has_progress: bool = False

    @property
    def has_files(self) -> bool:
        """Whether files go along: it is sent in another form type."""
        return any(each.kind == "file" for each in self.fields)


def choices(words: Sequence[str], *, none: str | None = None) -> tuple[tuple[str, str], ...]:
    """Choices that say what they send; ``none`` are the words of the empty one, which is first."""
    return ((("", none),) if none is not None else ()) + tuple((word, word) for word in words)


def offered(what: str, given: str, known: Collection[str]) -> str:
    """A word that an address or a form chose, "" for none. Raises InvalidArgumentError for one that is not offered."""
    if given and given not in known:
        raise InvalidArgumentError(
            f"{what}: expected {', '.join(known)}, got {given!a:.40}", remedy="Choose one of them, or none."
        )
    return given


def limits(**found: object) -> tuple[tuple[str, str], ...]:
    """HTML attributes of those that are not None."""
    return tuple(
        (name.rstrip("_"), value if isinstance(value, str) else str(value))
        for name, value in found.items()
        if value is not None
    )


def filled(fields: Sequence[Field], sent: Mapping[str, str]) -> tuple[Field, ...]:
    """Fields with what was sent in them: nothing that somebody typed is lost over an error."""
    return tuple(
        each
        if each.kind in ("password", "file")
        else replace(each, value=sent.get(each.name, "" if each.kind == "check" else each.value))
        for each in fields
    )


def wrong_of(error: ArmillaryError) -> Wrong:
    """What a form says of an error."""
    return (f"{error.message}.", error.remedy)
