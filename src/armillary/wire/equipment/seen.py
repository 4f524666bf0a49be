# SPDX-License-Identifier: Apache-2.0
"""Which messages of one identity and boot have come: the hub's side of ``Place`` (``message.py``).

1. A sequence below the floor, or in a span, has come: the message is one that is sent again.
2. Any other has not: its span reaches back to the message before it, as there is none in between.
3. Everything below the floor that the message states is settled: spans below it are not needed any more.
4. More than MAX_SPANS are not kept: the lowest is forgotten. A message of it that is sent again would be stored twice,
   and none is ever lost by it. In order there are three: backfill, live, and what was rejected once.

::

    seen = floor ":" [ low "-" high *( "," low "-" high ) ]     decimal numbers, ascending, at least one apart
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError
from armillary.wire.equipment.message import Place

FORMAT: Final = "guardian-seen"

# As many as 256 messages on the way leave at worst, whatever order they come in; 5 KB of text at most.
MAX_SPANS: Final = 128

_SPAN: Final = "[0-9]{1,19}-[0-9]{1,19}"
_TEXT: Final = re.compile(rf"([0-9]{{1,19}}):((?:{_SPAN}(?:,{_SPAN})*)?)", re.ASCII)

Span = tuple[int, int]  # First and last sequence


@dataclass(frozen=True, slots=True)
class Seen:
    """What has come."""

    floor: int = 0  # Everything below it
    spans: tuple[Span, ...] = ()  # And these, above it

    def __contains__(self, sequence: int) -> bool:
        """Whether this sequence has come."""
        if sequence < self.floor:
            return True
        index = bisect_right(self.spans, (sequence, sequence + (1 << 64))) - 1
        return index >= 0 and sequence <= self.spans[index][1]

    def __str__(self) -> str:
        """The text that :func:`read_seen` reads."""
        return f"{self.floor}:" + ",".join(f"{low}-{high}" for low, high in self.spans)

    def with_place(self, place: Place) -> Seen:
        """With a message that had not come."""
        floor = max(self.floor, place.floor)
        merged: list[Span] = []
        for low, high in sorted([*self.spans, (place.after + 1, place.sequence)]):
            if high < floor:
                continue
            if low <= floor:
                floor = high + 1  # the floor rises with what is joined to it
            elif merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        return Seen(floor, tuple(merged[-MAX_SPANS:]))


def read_seen(text: str) -> Seen:
    """What :meth:`Seen.__str__` wrote.

    Raises:
        WireError: it is something else.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise WireError(FORMAT, expected="floor:low-high,...", got=ascii(text[:80]))
    spans: list[Span] = []
    end = floor = int(found[1])
    for each in found[2].split(",") if found[2] else ():
        low, high = (int(number) for number in each.split("-"))
        if not end < low <= high:
            raise WireError(FORMAT, expected="spans above the floor, one after the other", got=ascii(each))
        spans.append((low, high))
        end = high + 1
    return Seen(floor, tuple(spans))
