# SPDX-License-Identifier: Apache-2.0
"""Which addresses of a table answer: blocks are read, and what refuses as a block is asked address by address.

What comes of it is what the machine said, no more: an address *answers* when a read with it in it did, *refuses* when
it was refused alone (as a part of a value may be that is only read whole), is *silent* when nothing came, and is *not
asked* when the search ended before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from armillary.wire.equipment.modbus import ExceptionCode, unpack_bits
from armillary.wire.equipment.profile import Table

# Few requests where all of a table answers, and few too many where none does.
BLOCK: Final = 16
# Refusals of a block that may be about a part of it. §7: some servers say ILLEGAL_VALUE or fail for a gap.
_DIVISIBLE: Final = frozenset(
    {ExceptionCode.ILLEGAL_ADDRESS, ExceptionCode.ILLEGAL_VALUE, ExceptionCode.SERVER_FAILURE}
)


@dataclass(frozen=True, slots=True)
class Span:
    """Addresses side by side, and what they held when they were read."""

    first: int
    values: tuple[int, ...]  # Registers, or bits as 0 and 1

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.first + len(self.values)


@dataclass(frozen=True, slots=True)
class TableFound:
    """What a table's search came to."""

    table: Table
    known: bool  # False: the machine does not know the function that reads it
    answers: tuple[Span, ...]
    refused: int  # How many addresses
    silent: int
    not_asked: int
    reasons: Mapping[int, int]  # Exception code -> how many requests


class TableSearch:
    """The search through the addresses ``first`` to ``last`` of one table."""

    def __init__(self, table: Table, first: int, last: int) -> None:
        self._table = table
        self._values: dict[int, int] = {}
        self._refused = self._silent = 0
        self._reasons: dict[int, int] = {}
        self._known = True
        self._size = last - first + 1
        # What is still to be asked, the next at the end.
        self._left = [(start, min(BLOCK, last + 1 - start)) for start in range(first, last + 1, BLOCK)][::-1]

    @property
    def wanted(self) -> tuple[int, int] | None:
        """Address and count of the next read; None: the search is over."""
        return self._left[-1] if self._left else None

    def answered(self, data: bytes) -> None:
        """The wanted read had a reply; ``data`` is what follows its byte count."""
        first, count = self._left.pop()
        if self._table in (Table.COIL, Table.DISCRETE):
            values: Iterable[int] = map(int, unpack_bits(data, count))
        else:
            values = (int.from_bytes(data[place : place + 2]) for place in range(0, 2 * count, 2))
        self._values |= dict(enumerate(values, first))

    def refused(self, code: int) -> None:
        """The machine refused the wanted read with this exception."""
        first, count = self._left.pop()
        self._reasons[code] = self._reasons.get(code, 0) + 1
        if code == ExceptionCode.ILLEGAL_FUNCTION and not self._values:
            self._known, self._left = False, []
        elif count > 1 and code in _DIVISIBLE:
            self._left += [(address, 1) for address in range(first + count - 1, first - 1, -1)]
        else:
            self._refused += count

    def unanswered(self) -> None:
        """Nothing came that is a reply to the wanted read."""
        self._silent += self._left.pop()[1]

    def found(self) -> TableFound:
        """What is known so far."""
        asked = len(self._values) + self._refused + self._silent
        return TableFound(
            table=self._table,
            known=self._known,
            answers=tuple(self._spans()),
            refused=self._refused,
            silent=self._silent,
            not_asked=self._size - asked,
            reasons=dict(sorted(self._reasons.items())),
        )

    def _spans(self) -> Iterator[Span]:
        first, values = 0, list[int]()
        for address, value in sorted(self._values.items()):
            if values and address != first + len(values):
                yield Span(first, tuple(values))
                values = []
            if not values:
                first = address
            values.append(value)
        if values:
            yield Span(first, tuple(values))
