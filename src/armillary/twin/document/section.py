# SPDX-License-Identifier: Apache-2.0
"""One section of a twin, desired or reported: merge patches (RFC 7396), metadata and limits.

A patch is a JSON object. Its members replace the section's; an object is merged member by member; null deletes.
Metadata has the section's structure: every object and leaf has ``$lastUpdated`` (ISO 8601 UTC), in the desired section
also ``$lastUpdatedVersion``. Names, depth and sizes have IoT Hub's limits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from armillary.errors import InvalidArgumentError

# IoT Hub: 32 KB for desired and reported each, 8 KB for tags; counted here as the section's compact JSON in UTF-8.
MAX_SECTION_BYTES = 32 * 1024
MAX_TAGS_BYTES = 8 * 1024

# IoT Hub: at most ten levels below the section.
MAX_DEPTH = 10

# IoT Hub: 1 KB a key, 4 KB a string.
MAX_KEY_BYTES = 1024
MAX_STRING_BYTES = 4096

# IoT Hub: integers within -4503599627370496 to 4503599627370495, so that every client's double holds them.
MIN_INTEGER = -(2**52)
MAX_INTEGER = 2**52 - 1

# Characters that IoT Hub does not allow in keys, besides control characters.
_BAD_KEY_CHARACTERS = frozenset(".$ ")

_REMEDY = "Correct the patch; nothing of it was applied."

Document = dict[str, Any]


def merge(document: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """``document`` with ``patch`` merged in; null members delete. Neither argument is changed."""
    merged = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            present = merged.get(key)
            merged[key] = merge(present if isinstance(present, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def merge_metadata(
    metadata: Mapping[str, Any], patch: Mapping[str, Any], stamp: Mapping[str, Any], document: Mapping[str, Any]
) -> Document:
    """Metadata after ``patch``, which made ``document``: every touched object and leaf gets the ``stamp`` members."""
    merged = {key: value for key, value in metadata.items() if key.startswith("$") or key in document}
    merged.update(stamp)
    for key, value in patch.items():
        if value is None:
            continue
        present = merged.get(key)
        inner = document[key]
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            merged[key] = merge_metadata(present if isinstance(present, Mapping) else {}, value, stamp, inner)
        else:
            merged[key] = dict(stamp)
    return merged


def check_patch(patch: object, section: str) -> Document:
    """A decoded JSON value as a patch of ``section``; raises InvalidArgumentError with the path and the limit."""
    if not isinstance(patch, dict):
        raise InvalidArgumentError(f"{section}: expected a JSON object, got {type(patch).__name__}", remedy=_REMEDY)
    _check(patch, section, 1)
    return patch


def check_size(document: Mapping[str, Any], section: str, limit: int) -> None:
    """Check that a section has not grown beyond ``limit`` bytes, else raise InvalidArgumentError."""
    size = len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
    if size > limit:
        raise InvalidArgumentError(
            f"{section}: expected at most {limit} bytes, got {size}", remedy="Remove properties."
        )


def parse_patch(payload: bytes, section: str) -> Document:
    """Bytes from a device as a patch of ``section``; raises InvalidArgumentError if not JSON, or a limit is broken."""
    if len(payload) > 2 * MAX_SECTION_BYTES:  # room for deletions and white space
        raise InvalidArgumentError(
            f"{section}: expected at most {2 * MAX_SECTION_BYTES} bytes, got {len(payload)}", remedy=_REMEDY
        )
    try:
        patch = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidArgumentError(f"{section}: expected at most {MAX_DEPTH} levels", remedy=_REMEDY) from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise InvalidArgumentError(f"{section}: expected JSON in UTF-8 ({error})", remedy=_REMEDY) from None
    return check_patch(patch, section)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _check(value: object, path: str, depth: int) -> None:
    if depth > MAX_DEPTH + 1:
        raise InvalidArgumentError(f"{path[:200]}: expected at most {MAX_DEPTH} levels", remedy=_REMEDY)
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_key(key, path)
            _check(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if inner is None:
                raise InvalidArgumentError(f"{path[:200]}[{index}]: null cannot stand in an array", remedy=_REMEDY)
            _check(inner, f"{path}[{index}]", depth + 1)
    else:
        _check_leaf(value, path)


def _check_key(key: str, path: str) -> None:
    bad = not key or any(c in _BAD_KEY_CHARACTERS or ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in key)
    if bad or not _is_text(key) or len(key.encode("utf-8")) > MAX_KEY_BYTES:
        raise InvalidArgumentError(
            f"{path[:200]}: the key {key[:64]!a} is not allowed: "
            f"1 to {MAX_KEY_BYTES} bytes without . $ space and controls",
            remedy=_REMEDY,
        )


def _check_leaf(value: object, path: str) -> None:
    if isinstance(value, str):
        if not _is_text(value) or len(value.encode("utf-8")) > MAX_STRING_BYTES:
            raise InvalidArgumentError(
                f"{path[:200]}: expected text of at most {MAX_STRING_BYTES} bytes", remedy=_REMEDY
            )
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidArgumentError(f"{path[:200]}: expected a finite number, got {value}", remedy=_REMEDY)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise InvalidArgumentError(
                f"{path[:200]}: expected an integer of {MIN_INTEGER} to {MAX_INTEGER}", remedy=_REMEDY
            )
    else:
        raise InvalidArgumentError(f"{path[:200]}: expected a JSON value, got {type(value).__name__}", remedy=_REMEDY)


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)
