# SPDX-License-Identifier: Apache-2.0
"""CSV (RFC 4180) for spreadsheets: a text that one would take for a formula gets an apostrophe before it.

Names and answers come from devices; a cell that begins with ``=`` would be a formula on the reader's machine (OWASP,
CSV injection).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_head(columns: Sequence[str]) -> str:
    """The first line."""
    return _text([columns])


def csv_rows(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Lines of rows, their fields in the order of ``columns``."""
    return _text([[_cell(row.get(name)) for name in columns] for row in rows])


def _text(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return "'" + value
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
