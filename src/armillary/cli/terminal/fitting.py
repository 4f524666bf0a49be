# SPDX-License-Identifier: Apache-2.0
"""Makes a table fit a terminal: cuts what is long, then leaves columns out that say least, and says which.

Pure: the width is an argument. Output that goes into a pipe or a file is never fitted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

GAP: Final = "  "
# Characters of a cell below which cutting leaves nothing to recognise.
LEAST: Final = 8
# Ids are never cut, as people copy them; a longer one (128 digits) is no id that a table should show.
LONGEST_ID: Final = 36
ELLIPSIS: Final = "…"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table as it is printed: ``columns`` with their ``widths``, the rows' cells, and what is not among them.

    ``same`` are columns left out because every row says the same, with what they say; ``left_out`` are those for which
    there was no room.
    """

    columns: tuple[str, ...]
    widths: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]
    same: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()


def fit(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int | None) -> Fitted:
    """A table of cells in ``room`` characters a line, None for as many as it takes.

    In this order, until it fits: the longest cells are cut, down to :data:`LEAST` characters; columns in which all rows
    say the same are left out, from the right; other columns are, but for the first one, and for the last one unless it
    is an id.
    """
    kept = list(range(len(columns)))
    natural = [max(width_of(columns[i]), *(width_of(row[i]) for row in rows), 0) for i in kept]
    same: list[int] = []
    left_out: list[int] = []
    if room is not None:
        floors = [_floor(columns[i], natural[i]) for i in kept]
        while _total([floors[i] for i in kept]) > room and len(kept) > 2:
            alike = [i for i in kept[1:] if len(rows) > 1 and len({row[i] for row in rows}) == 1]
            last = kept[-1] if _is_id(columns[kept[-1]]) else kept[-2]  # words at the end, such as why, stay
            gone = alike[-1] if alike else last
            kept.remove(gone)
            (same if alike else left_out).append(gone)
        widths = _shared([natural[i] for i in kept], [floors[i] for i in kept], room)
    else:
        widths = natural
    return Fitted(
        tuple(columns[i] for i in kept),
        tuple(widths),
        tuple(tuple(row[i] for i in kept) for row in rows),
        tuple((columns[i], rows[0][i]) for i in sorted(same)),
        tuple(columns[i] for i in sorted(left_out)),
    )


def cut(text: str, width: int, *, ellipsis: str = ELLIPSIS) -> str:
    """The text in at most ``width`` characters of a terminal, ending in ``ellipsis`` where some are missing."""
    if width_of(text) <= width:
        return text
    found, used = "", len(ellipsis)
    for each in text:
        used += _columns_of(each)
        if used > width:
            break
        found += each
    return found.rstrip() + ellipsis


def padded(text: str, width: int) -> str:
    """The text with spaces behind it, ``width`` characters of a terminal wide."""
    return text + " " * (width - width_of(text))


def width_of(text: str) -> int:
    """How many characters of a terminal a text takes (Unicode's UAX #11): wide ones two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _floor(column: str, width: int) -> int:
    """How narrow a column may become."""
    return min(width, LONGEST_ID if _is_id(column) else LEAST)


def _is_id(column: str) -> bool:
    return column == "id" or column.endswith(("_id", "Id"))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _shared(natural: Sequence[int], floors: Sequence[int], room: int) -> list[int]:
    """Widths within ``room``: the widest column gives way first, none below its floor."""
    widths = list(natural)
    while _total(widths) > room:
        able = [i for i, width in enumerate(widths) if width > floors[i]]
        if not able:
            break
        widest = max(able, key=lambda i: widths[i])
        widths[widest] -= 1
    return widths
