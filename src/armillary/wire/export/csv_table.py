# SPDX-License-Identifier: Apache-2.0
"""CSV (RFC 4180) for spreadsheets: a text that one would take for a formula gets an apostrophe before it.

Names and answers come from devices; a cell that begins with ``=`` would be a formula on the reader's machine (OWASP,
CSV injection).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

# A spreadsheet runs a cell that begins with one of these, some of them also after blanks.
_FORMULA_STARTS: Final = ("=", "+", "-", "@")
_SEPARATORS: Final = ("\t", "\r")
_FIGURE: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")


def csv_head(columns: Sequence[str]) -> str:
    """The first line."""
    return _text([columns])


def csv_rows(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Lines of rows, their fields in the order of ``columns``."""
    return _text([[_cell(row.get(name)) for name in columns] for row in rows])


def shielded(text: str) -> str:
    """A text that no spreadsheet takes for a formula; a figure, such as -1.5, is none."""
    if _FIGURE.fullmatch(text):
        return text
    return "'" + text if text.startswith(_SEPARATORS) or text.lstrip().startswith(_FORMULA_STARTS) else text


def _text(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str):
        return shielded(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
