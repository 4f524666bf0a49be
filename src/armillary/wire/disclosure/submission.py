# SPDX-License-Identifier: Apache-2.0
"""What a stranger says of a vulnerability: a few fields of text, as a form or JSON brings them, and as they are kept.

Nothing that is written is trusted, and little is refused: invisible characters (controls, marks that turn the direction
of writing, halves of characters) are written out as Python escapes them, so that no screen, log or header obeys them
and nothing is lost. There are no attachments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from armillary.errors import InvalidArgumentError
from armillary.wire.text.given_text import unseen

# Of a body: the longest description in ASCII, or 8,000 characters of other scripts in a form, with the rest.
MAX_BODY_BYTES: Final = 96 << 10
# Field -> most characters.
LIMITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "title": 200,
        "description": 20_000,
        "product": 200,
        "version": 100,
        "contact": 200,
        "exploited": 8,
        "publication": 200,
    }
)
NEEDED: Final = ("title", "description")
_LINES: Final = frozenset({"description"})  # which may have several lines
EXPLOITED: Final = ("unknown", "yes", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A report as it came, invisible characters written out.

    Attributes:
        contact: Where its writer is reached; empty: nowhere.
        exploited: Whether its writer knows it to be exploited: one of :data:`EXPLOITED`.
        publication: When its writer means to publish it.
    """

    title: str
    description: str
    product: str = ""
    version: str = ""
    contact: str = ""
    exploited: str = "unknown"
    publication: str = ""


def read_form(content: bytes) -> Submission:
    """A report out of ``application/x-www-form-urlencoded``.

    Raises:
        InvalidArgumentError: not UTF-8, a field twice or one that there is not, or as :func:`read_fields`.
    """
    try:
        pairs = parse_qsl(
            content.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=20
        )
    except ValueError as error:
        raise InvalidArgumentError("report: expected a form in UTF-8", remedy="Use the page's own form.") from error
    if len({name for name, _ in pairs}) != len(pairs):
        raise InvalidArgumentError("report: expected each field once", remedy="Use the page's own form.")
    return read_fields(dict(pairs))


def read_fields(given: Mapping[str, str]) -> Submission:
    """A report out of its fields.

    Raises:
        InvalidArgumentError: a field that there is not, one that is too long, or nothing in one that is needed.
    """
    for name in given:
        if name not in LIMITS:
            raise InvalidArgumentError(f"report: there is no field {name!a:.40}", remedy=f"Use {', '.join(LIMITS)}.")
    found = {name: _read(name, given.get(name, "")) for name in LIMITS}
    found["exploited"] = found["exploited"] or EXPLOITED[0]
    if found["exploited"] not in EXPLOITED:
        raise InvalidArgumentError(f"exploited: expected {', '.join(EXPLOITED)}", remedy="Use one of these words.")
    return Submission(**found)


def encode(submission: Submission) -> bytes:
    """A report as it is kept."""
    return json.dumps(asdict(submission), ensure_ascii=False, sort_keys=True).encode()


def decode(content: bytes) -> Submission:
    """A report that was kept."""
    found = json.loads(content)
    return Submission(**{each.name: found[each.name] for each in fields(Submission)})


def visible(text: str, *, lines: bool = False) -> str:
    """``text`` with invisible characters written out; with ``lines`` it may have line ends and tabs."""
    if not unseen(text, lines=lines):
        return text
    return "".join(
        each if not unseen(each, lines=lines) else each.encode("unicode_escape", "backslashreplace").decode("ascii")
        for each in text
    )


def _read(name: str, text: str) -> str:
    has_lines = name in _LINES
    bare = text.strip()
    shown = visible(bare.replace("\r\n", "\n").replace("\r", "\n") if has_lines else bare, lines=has_lines)
    if len(shown) > LIMITS[name]:
        raise InvalidArgumentError(
            f"{name}: expected at most {LIMITS[name]} characters, got {len(shown)}",
            remedy="Shorten it, or say in it where the rest is.",
        )
    if name in NEEDED and not shown:
        raise InvalidArgumentError(f"{name}: expected a text, got none", remedy="Write what you found.")
    return shown
