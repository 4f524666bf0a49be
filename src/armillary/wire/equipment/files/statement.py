# SPDX-License-Identifier: Apache-2.0
"""Reads the members of what somebody signed, each in its form; a member too many or too few is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from armillary.wire.equipment.faults import ProfileError

FORMAT: Final = 1
MAX_VERSION: Final = 2**31 - 1
PROFILE_NAME: Final = re.compile(r"[a-z][a-z0-9-]*(?:/[a-z][a-z0-9-]*){0,3}")


def read_statement(payload: bytes, members: set[str]) -> Mapping[str, object]:
    """The members of a payload, which has these and ``format``. Raises ProfileError."""
    try:
        found = json.loads(payload.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProfileError("", expected="JSON without doubled members", got=f"{error!s:.80}") from None
    if not isinstance(found, dict) or found.keys() != members | {"format"}:
        raise ProfileError("", expected=f"an object with format, {', '.join(sorted(members))}", got="another thing")
    if found["format"] != FORMAT or isinstance(found["format"], bool):
        raise fault("format", str(FORMAT), found["format"])
    return found


def statement(members: Mapping[str, object]) -> bytes:
    """The payload with these members, as it is signed: canonical JSON."""
    document = {"format": FORMAT, **members}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def text(found: Mapping[str, object], name: str, form: re.Pattern[str]) -> str:
    """A member that is a text of a form. Raises ProfileError."""
    value = found[name]
    if not isinstance(value, str) or not form.fullmatch(value):
        raise fault(name, f"a text of the form {form.pattern}", value)
    return value


def whole(found: Mapping[str, object], name: str, low: int, high: int) -> int:
    """A member that is a whole number within these. Raises ProfileError."""
    value = found[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise fault(name, f"a whole number from {low} to {high}", value)
    return value


def fault(place: str, expected: str, value: object) -> ProfileError:
    """The error of a member."""
    return ProfileError(place, expected=expected, got=ascii(value)[:60])


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")
