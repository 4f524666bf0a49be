# SPDX-License-Identifier: Apache-2.0
"""Text that people give to be shown: one rule for the names of all they make, and one for descriptions.

A name is one line that can be seen: characters that are not there to the eye (controls, zero widths, byte order marks,
separators of lines, halves of characters) make two names look alike, and those that turn the direction of writing make
one look like another. A blank one makes a link that nobody can follow. A description may have several lines.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

from armillary.errors import InvalidArgumentError

# What stands in a description besides what can be seen; spaces of other widths come with what is pasted.
_LINES: Final = frozenset("\n\r\t")
# Where names are in what people write: at the top of a document, and in the objects of these lists of it.
_NAMES: Final = ("name", "display_name", "title")
_LISTS: Final = ("actions", "cloud_properties", "tiles", "views")


def unseen(text: str, *, lines: bool = False) -> str:
    """The first character that cannot be seen, as ``U+202E``; ``""`` where there is none.

    Args:
        text: What somebody gave.
        lines: It is a description: ends of lines, tabs and spaces of any width may be in it.
    """
    for each in text:
        if each.isprintable() or (lines and (each in _LINES or unicodedata.category(each) == "Zs")):
            continue
        return f"U+{ord(each):04X}"
    return ""


def check_given_name(text: str, what: str) -> str:
    """A name that can be seen.

    Args:
        text: What somebody gave.
        what: What it is the name of, for the message.

    Raises:
        InvalidArgumentError: blank, or with a character that cannot be seen.
    """
    hidden = unseen(text)
    if hidden or not text.strip():
        raise InvalidArgumentError(
            f"{what}: expected printable characters and not only spaces, got "
            + (f"the character {hidden}" if hidden else "a blank name" if text else "an empty name"),
            remedy="Use letters, digits, spaces and punctuation.",
        )
    return text


def check_given_text(text: str, what: str) -> str:
    """A description: as a name, of several lines, and it may be empty.

    Raises:
        InvalidArgumentError: with a character that cannot be seen.
    """
    hidden = unseen(text, lines=True)
    if hidden:
        raise InvalidArgumentError(
            f"{what}: expected printable characters and ends of lines, got the character {hidden}",
            remedy="Take the character out; it may have come with text that was pasted.",
        )
    return text


def check_given(body: Mapping[str, object], what: str, kept: Mapping[str, object] | None = None) -> None:
    """Check every name and the description of a document that somebody wrote.

    Args:
        body: The document; other faults of it are not looked for.
        what: What it is, for messages.
        kept: As it was kept before: texts that it had stay as they are.

    Raises:
        InvalidArgumentError: as :func:`check_given_name` and :func:`check_given_text`.
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
