# SPDX-License-Identifier: Apache-2.0
"""Checks the fields of a rule's JSON: each function returns the value or raises an InvalidArgumentError.

The message names the field, what was expected and what was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.rule.rule import MAX_SECONDS
from armillary.wire.encoding.json_fields import kind_of

_REMEDY: Final = "docs/concepts/rules.md lists every field; nothing of the rule was kept."


def json_object(document: object, path: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    """A JSON object with no other fields than ``known``."""
    if not isinstance(document, Mapping):
        raise refused(path, "a JSON object", kind_of(document) if document is not None else "null")
    unknown = sorted(str(name)[:40] for name in set(document) - set(known))
    if unknown:
        raise refused(path, f"only {', '.join(known)}", ", ".join(unknown[:5]))
    return document


def json_list(value: object, path: str, least: int, most: int) -> list[Any]:
    """A list of ``least`` to ``most`` items."""
    if not isinstance(value, list) or not least <= len(value) <= most:
        got = f"{len(value)}" if isinstance(value, list) else repr(value)
        raise refused(path, f"a list of {least} to {most}" if least < most else f"a list of {most}", got)
    return value


def json_text(value: object, path: str, least: int, most: int, *, lines: bool = False) -> str:
    """Text of ``least`` to ``most`` characters; of several lines only where ``lines`` says so."""
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise refused(path, f"text of {least} to {most} characters", repr(value))
    if any((ord(each) < 0x20 and not (lines and each in "\n\r\t")) or "\ud800" <= each <= "\udfff" for each in value):
        raise refused(path, "text without control characters and lone surrogates", repr(value))
    return value


def one_of(value: object, path: str, known: tuple[str, ...]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in known:
        raise refused(path, f"one of {', '.join(known)}", repr(value))
    return value


def json_truth(value: object, path: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise refused(path, "true or false", repr(value))
    return value


def json_integer(value: object, path: str) -> int:
    """A whole number, not a truth value."""
    if type(value) is not int:
        raise refused(path, "a whole number", repr(value))
    return value


def json_seconds(value: object, path: str, least: int) -> int:
    """Whole seconds, ``least`` to MAX_SECONDS."""
    if type(value) is not int or not least <= value <= MAX_SECONDS:
        raise refused(path, f"{least} to {MAX_SECONDS} whole seconds", repr(value))
    return value


def refused(path: str, expected: str, got: str) -> InvalidArgumentError:
    """The error for a field: its path, what was expected, what was found; the caller raises it."""
    shown = got if len(got) <= 100 else got[:100] + "..."
    return InvalidArgumentError(f"{path}: expected {expected}, got {shown}", remedy=_REMEDY)
