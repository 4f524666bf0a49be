# SPDX-License-Identifier: Apache-2.0
"""Checks names and descriptions that people write: one rule for all names, and one for descriptions.

A name is one line of visible characters: invisible ones (controls, zero widths, byte order marks, line separators, lone
surrogates) make different names look alike, and so do those that change the direction of writing. A blank name makes a
link that cannot be clicked. A description may have several lines.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from armillary.errors import InvalidArgumentError

# Invisible characters that a description may have; spaces of other widths, which pasted text has, are allowed too.
_LINES: Final = frozenset("\n\r\t")
# Fields of a document that are names, at the top and in the objects of these lists.
_NAMES: Final = ("name", "display_name", "title")
_LISTS: Final = ("actions", "cloud_properties", "tiles", "views")


def unseen(text: str, *, lines: bool = False) -> str:
    """The first invisible character, as ``U+202E``; ``""`` where there is none.

    ``lines`` is for descriptions, which may have line ends, tabs and spaces of any width.
    """
    for each in text:
        if each.isprintable() or (lines and (each in _LINES or unicodedata.category(each) == "Zs")):
            continue
        return f"U+{ord(each):04X}"
    return ""


def check_given_name(text: str, what: str) -> str:
    """``text``, if it is a valid name, else raise InvalidArgumentError; ``what`` is the field, for the message."""
    hidden = unseen(text)
    if hidden or not text.strip():
        raise InvalidArgumentError(
            f"{what}: expected printable characters and not only spaces, got "
            + (f"the character {hidden}" if hidden else "a blank name" if text else "an empty name"),
            remedy="Use letters, digits, spaces and punctuation.",
        )
    return text


def check_given_text(text: str, what: str) -> str:
    """``text``, if it is a valid description, else raise InvalidArgumentError; it may be empty."""
    hidden = unseen(text, lines=True)
    if hidden:
        raise InvalidArgumentError(
            f"{what}: expected printable characters and ends of lines, got the character {hidden}",
            remedy="Take the character out; it may have come with text that was pasted.",
        )
    return text


def check_given(body: Mapping[str, object], what: str, kept: Mapping[str, object] | None = None) -> None:
    """Check the names and the description of a document of kind ``what``, but no text that the stored ``kept`` has.

    Raises InvalidArgumentError as :func:`check_given_name` and :func:`check_given_text`.
    """
    before = {} if kept is None else dict(_given(kept, what))
    for place, text in _given(body, what):
        if before.get(place) == text:
            continue
        if place.endswith(".description"):
            check_given_text(text, place)
        elif text or place in (f"{what}.name", f"{what}.display_name"):  # a tile need not have a title
            check_given_name(text, place)


def _given(body: Mapping[str, object], what: str) -> Iterator[tuple[str, str]]:
    for name in (*_NAMES, "description"):
        value = body.get(name)
        if isinstance(value, str):
            yield f"{what}.{name}", value
    for name in _LISTS:
        values = body.get(name)
        for number, each in enumerate(values if isinstance(values, (list, tuple)) else ()):
            for key in _NAMES:
                value = each.get(key) if isinstance(each, Mapping) else None
                if isinstance(value, str):
                    yield f"{what}.{name}[{number}].{key}", value
