# SPDX-License-Identifier: Apache-2.0
"""Formats JSON documents for people: times as ISO 8601 in UTC, empty text as ``-``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from armillary.cli.terminal.device_reference import device_row
from armillary.cli.terminal.output import Row
from armillary.twin.template.value_names import from_fields

# Names of Unix seconds beside those that end in _at; *_ms are milliseconds.
SECONDS = frozenset(
    {
        "at", "first_seen", "last_seen", "certificate_not_after", "not_before", "not_after", "waits_until",
        "as_of", "epss_as_of", "exploited_since", "known_since", "support_ends", "placed_on_market",
    }
)  # fmt: skip


def readable(document: Mapping[str, Any]) -> dict[str, Any]:
    """``document`` with its times written out and empty texts as None."""
    return {name: _readable(name, value) for name, value in document.items()}


def readable_of(*names: str) -> Row:
    """What people see of a record: these fields of it, readable."""
    return lambda record: readable({name: record[name] for name in names})


def with_unit(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A row of a table whose values ``names`` are written with the unit of its ``label``, and its display name."""
    called = from_fields(row["label"])
    return {
        **row,
        "display_name": called.display_name,
        **{name: called.text(row[name]) for name in names if isinstance(row[name], (bool, int, float, str))},
    }


def readable_device(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table about a device (:func:`device_row`), with its times written out."""
    return device_row(readable(row))


def _readable(name: str, value: Any) -> Any:
    if value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if name in SECONDS or name.endswith("_at"):
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if name.endswith("_ms"):
            moment = datetime.fromtimestamp(value / 1000, UTC)
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
