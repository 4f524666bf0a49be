# SPDX-License-Identifier: Apache-2.0
"""Documents: kinds, ids, bodies, and the text form of a body.

A document is named by kind and id. The kinds are fixed, so that a misspelt kind is an error. Ids are file names on
every file system and parts of a URL without escapes (a document of a device has the device's id). Bodies are JSON
objects, written in one way only (keys sorted, two spaces, UTF-8, a newline at the end), so that two exports of the same
documents are equal and a version control system shows a change as the lines that changed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError

# Kinds of documents. ``device`` is what operators keep of a device: its template and cloud properties; ``simulation``
# is what was made of an application template, and the devices that are simulated for it.
KINDS: tuple[str, ...] = (
    "dashboard", "device", "export", "group", "job", "organisation", "picture", "rule", "simulation",
    "template",
)  # fmt: skip

# A device id has 128 digits, and is the longest id there is.
MAX_ID_CHARACTERS = 128
# For descriptions (JSON Schema), and below: two dots in a row would climb out of a folder.
ID_PATTERN = rf"^(?!.*\.\.)[a-z0-9](?:[a-z0-9._-]{{0,{MAX_ID_CHARACTERS - 2}}}[a-z0-9])?$"
_ID = re.compile(ID_PATTERN)
# What a device, or a module of it (``device/module``), may be called (wire/hub/credentials.py); an export writes such
# an id as a file name (files.py).
_DEVICE_ID = re.compile(rf"[A-Za-z0-9._:@=-]{{1,{MAX_ID_CHARACTERS}}}(?:/[A-Za-z0-9$][A-Za-z0-9._:@=-]{{0,63}})?\Z")

# A device template of 300 capabilities in several languages is 200 KB; a dashboard with pictures inside is not one.
MAX_BODY_BYTES = 1 << 20

# DTDL allows schemas five levels deep, each three levels of JSON; nothing else comes near.
MAX_DEPTH = 48

_REMEDY = "Correct the document; nothing of it was kept."


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One version of a document."""

    kind: str  # One of :data:`KINDS`
    id: str  # Name within its kind
    version: int  # 1 for the first, one more for every change
    etag: str  # Opaque; differs between any two versions that this store ever held. Without quotes.
    changed_ms: int  # Unix milliseconds
    changed_by: str  # As in the audit log
    # What it says; None where this version is the document's deletion (in a history only)
    body: Mapping[str, Any] | None

    @property
    def content(self) -> Mapping[str, Any]:
        """The body of a version that is not a deletion."""
        if self.body is None:
            raise not_found(self.kind, self.id)
        return self.body


def check_kind(kind: str) -> str:
    """Return ``kind`` if it exists.

    Raises:
        InvalidArgumentError: there is not.
    """
    if kind not in KINDS:
        raise InvalidArgumentError(f"kind: expected one of {', '.join(KINDS)}, got {kind[:40]!a}", remedy=_REMEDY)
    return kind


def check_id(document_id: str, kind: str = "") -> str:
    """Return ``document_id`` if it is allowed; documents of kind ``device`` may have any id of a device or module.

    Raises:
        InvalidArgumentError: it may not.
    """
    if is_device_id(document_id) if kind == "device" else _ID.fullmatch(document_id):
        return document_id
    expected = "A-Z a-z 0-9 . _ : @ = -"
    if kind != "device":
        expected = "a-z 0-9 . _ -, a letter or digit first and last and no '..'"
    raise InvalidArgumentError(
        f"id: expected 1 to {MAX_ID_CHARACTERS} of {expected}, got {document_id[:64]!a}",
        remedy="Choose such an id; what people read is the display name.",
    )


def is_device_id(text: str) -> bool:
    """Whether a device, or a module, of this id can have a document."""
    return _DEVICE_ID.match(text) is not None


def encode_body(body: object) -> str:
    """A body in the text form that is stored and exported.

    Raises:
        InvalidArgumentError: not a JSON object, too deep or too large.
    """
    if not isinstance(body, Mapping):
        raise InvalidArgumentError(f"body: expected a JSON object, got {type(body).__name__}", remedy=_REMEDY)
    _check(body, "body", 1)
    text = json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidArgumentError("body: expected text without lone surrogates", remedy=_REMEDY) from None
    if size > MAX_BODY_BYTES:
        raise InvalidArgumentError(f"body: expected at most {MAX_BODY_BYTES} bytes, got {size}", remedy=_REMEDY)
    return text


def decode_body(text: str) -> dict[str, Any]:
    """Read what :func:`encode_body` wrote."""
    body: dict[str, Any] = json.loads(text)
    return body


def folded(text: str) -> str:
    """A text in which upper and lower case of every alphabet are alike."""
    return text.casefold()


def word_of(kind: str) -> str:
    """What people call a kind of document."""
    return "segment" if kind == "group" else kind


def not_found(kind: str, document_id: str) -> NotFoundError:
    """The error for a document that does not exist."""
    word = word_of(kind)
    return NotFoundError(
        f"there is no {word} {document_id[:64]!a}", remedy=f"List them: armillary {word} list, or make it first."
    )


def check_match(kind: str, document_id: str, expected: str | None, present: str | None) -> None:
    """Check an If-Match: None always holds, "" if there is no document, ``*`` if there is one.

    Raises:
        ConflictError: it does not.
    """
    if expected is None:
        return
    stripped = expected.strip().removeprefix("W/").strip('"')
    holds = present is None if stripped == "" else present is not None and stripped in ("*", present)
    if not holds:
        raise changed_since(kind, document_id, expected, present)


def none_there(if_match: str | None, if_none_match: str) -> str:
    """The If-Match with the meaning of ``If-None-Match: *``: the ETag of a document that does not exist.

    Raises:
        InvalidArgumentError: both are given, or an If-None-Match that makes no sense for a change.
    """
    if if_match is not None or if_none_match.strip() != "*":
        raise InvalidArgumentError(
            f"If-None-Match: expected * and no If-Match beside it, got {if_none_match[:64]!a}",
            remedy="Send If-None-Match: * to make something new, or If-Match to change what there is.",
        )
    return '""'


def changed_since(kind: str, document_id: str, expected: str, present: str | None) -> ConflictError:
    """The error for an If-Match that does not hold."""
    state = "is not there" if present is None else f"has ETag {present}"
    wanted = f"ETag {expected[:64]!a}" if expected.strip().strip('"') else "none to be there"
    return ConflictError(
        f"{kind} {document_id[:64]!a}: expected {wanted}, and it {state}",
        remedy="Read it again and apply the change to what it says now.",
        code="request.precondition",
    )


def _check(value: object, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidArgumentError(f"{path[:200]}: expected at most {MAX_DEPTH} levels", remedy=_REMEDY)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise InvalidArgumentError(f"{path[:200]}: expected text as names, got {key!a:.40}", remedy=_REMEDY)
            _check(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _check(inner, f"{path}[{index}]", depth + 1)
    else:
        _check_leaf(value, path)


def _check_leaf(value: object, path: str) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidArgumentError(f"{path[:200]}: expected a finite number, got {value}", remedy=_REMEDY)
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 2**63:  # what every reader of JSON holds or rounds; thousands of digits are an attack
            raise InvalidArgumentError(f"{path[:200]}: expected an integer of 64 bits", remedy=_REMEDY)
    elif value is not None and not isinstance(value, (str, bool)):
        raise InvalidArgumentError(f"{path[:200]}: expected JSON, got {type(value).__name__}", remedy=_REMEDY)
