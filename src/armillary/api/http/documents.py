# SPDX-License-Identifier: Apache-2.0
"""Rows to JSON: field names stay, UUIDs become strings, bytes become lower-case hex, tuples become lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from armillary.engines.records.schema.rows import Page

T = TypeVar("T")


def as_document(value: object) -> Any:
    """``value`` as what ``json.dumps`` takes. Raises TypeError for a type that no row has."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(name): as_document(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, frozenset)):
        return [as_document(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_document(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"a row holds a {type(value).__name__}")


def row_document(row: object) -> dict[str, Any]:
    """A row as :func:`as_document` has it."""
    found: dict[str, Any] = as_document(row)
    return found


def as_page(page: Page[T], document: Callable[[T], dict[str, Any]] = row_document) -> dict[str, Any]:
    """A page of rows: ``{"items": [...], "next": cursor or null}``."""
    return {"items": [document(item) for item in page.items], "next": page.next_cursor}
