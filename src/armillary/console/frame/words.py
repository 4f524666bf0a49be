# SPDX-License-Identifier: Apache-2.0
"""How the console writes figures, times, sizes and ids. Pure: the present is an argument.

Times are Unix seconds UTC. Every moment carries three forms: relative for the eye, exact UTC for the pointer and
the clipboard, ISO 8601 for the machine (``<time datetime>``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from armillary.console.language.say import Text, apart, say, shaped
from armillary.wire.hub.credentials import is_attested_id

MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S
# Below this an age is "just now": clocks of two machines differ by a few seconds and a page takes time to read.
JUST_NOW_S = 5
# Two of a unit are shown before the next larger one takes over: "90 s" says more than "1 min".
SWITCH = 2
# Ids longer than this are shortened in the middle; a UUID (36) is still recognised by its first and last group.
SHORT_ID_LENGTH = 14
# Names of people's things (catalog/product/group) are read, not recognised: they are cut only beyond this.
LONG_NAME_LENGTH = 48
_ID_CHARACTERS = frozenset("0123456789abcdefABCDEF-")
# Ids of documents that a name gives, and the words of it that they are made of.
MAX_ID_CHARACTERS = 60
_PART = re.compile(r"[a-z0-9]+")
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Moment:
    """One point in time, three ways.

    Attributes:
        at: Unix seconds UTC.
        iso: ``2026-11-24T14:55:18Z``.
        exact: ``2026-11-24 14:55:18 UTC``.
        relative: ``2 h ago`` or ``in 5 min``.
    """

    at: int
    iso: str
    exact: str
    relative: str


@dataclass(frozen=True, slots=True)
class ShortId:
    """An identifier: shortened to be looked at, whole to be copied."""

    full: str
    short: str


@dataclass(frozen=True, slots=True)
class Called:
    """A device: its name, its id in small beside it, and where its page is."""

    name: str
    id: ShortId
    href: str


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, for a bar: the count, its share in words and the left edge and width in percent."""

    label: str
    state: str
    count: int
    grouped: str
    percent: str
    left: float
    width: float


def grouped(number: float) -> str:
    """``1204`` -> ``1,204``; keeps at most three decimals of a fraction."""
    if isinstance(number, int) or float(number).is_integer():
        return f"{int(number):,}"
    return f"{number:,.3f}".rstrip("0").rstrip(".")


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 device``, ``1,204 devices``: two texts, ``{count} device`` and ``{count} devices``.

    ``one`` and ``many`` are literals; or both are marked texts, which are put behind the figure.
    """
    if isinstance(one, Text):
        return say("{count} {noun}", count=grouped(number), noun=one if number == 1 else many)
    values = {"count": grouped(number)}
    return Text(f"{{count}} {one}", values, many=f"{{count}} {many or one + 's'}", count=number)


def counted_page(page: Mapping[str, Any], one: str) -> str:
    """How many a page of the API has, ``1,000 or more devices`` where there are more pages."""
    count = len(page["items"])
    return Text(f"{{count}} or more {one}s", {"count": grouped(count)}) if page["next"] else counted(count, one)


def joined(parts: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``; ``last`` is ``and`` or ``or``."""
    if len(parts) < SWITCH:
        return parts[0] if parts else ""
    first = apart(parts[:-1])
    if last == "or":
        return say("{first} or {last}", first=first, last=parts[-1])
    return say("{first} and {last}", first=first, last=parts[-1])


def span(seconds: float) -> str:
    """A length of time: ``45 s``, ``12 min``, ``3 h``, ``2 d``."""
    whole = int(abs(seconds))
    for size, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if whole >= size * SWITCH:
            return f"{grouped(whole // size)} {unit}"
    return f"{whole} s"


def ago(seconds: float) -> str:
    """``2 h ago``."""
    return say("{span} ago", span=span(seconds))


def moment(at: int | None, now: int) -> Moment | None:
    """The three forms of ``at`` seen from ``now``; None stays None (a template then writes that it is not known)."""
    if at is None:
        return None
    when = datetime.fromtimestamp(at, UTC)
    age = now - at
    relative = ago(age) if age > 0 else say("in {span}", span=span(age))
    if abs(age) < JUST_NOW_S:
        relative = say("just now")
    return Moment(at, f"{when:%Y-%m-%dT%H:%M:%SZ}", f"{when:%Y-%m-%d %H:%M:%S} UTC", relative)


def size(count: int) -> str:
    """Bytes in binary units: ``512 B``, ``1.5 KiB``, ``20 MiB``."""
    value = float(count)
    unit = _SIZES[0]
    for name in _SIZES:
        unit = name
        if value < 1024 or name == _SIZES[-1]:
            break
        value /= 1024
    return f"{int(value)} {unit}" if unit == "B" else f"{value:.1f}".rstrip("0").rstrip(".") + f" {unit}"


def short_id(identifier: str) -> ShortId:
    """Keep the first eight and last four characters of a long hexadecimal id; names stay whole up to a limit."""
    limit = SHORT_ID_LENGTH if set(identifier) <= _ID_CHARACTERS else LONG_NAME_LENGTH
    if len(identifier) <= limit:
        return ShortId(identifier, identifier)
    return ShortId(identifier, f"{identifier[:8]}…{identifier[-4:]}")


def called(device_id: str, name: str) -> Called:
    """A device as pages show it; one without a name by its id."""
    shown = short_id(device_id)
    root = "/devices" if is_attested_id(device_id) else "/hub-devices"
    return Called(name or shown.short, shown, f"{root}/{quote(device_id, safe='')}")


def percent(part: int, whole: int) -> str:
    """A share in words that never rounds a rest away: ``<1 %`` and ``>99 %`` instead of 0 and 100."""
    if whole <= 0:
        return say("none")
    exact = 100 * part / whole
    if 0 < exact < 1:
        return "<1 %"
    if 99 < exact < 100:
        return ">99 %"
    return f"{exact:.0f} %"


def shares(parts: list[tuple[str, str, int]]) -> tuple[Share, ...]:
    """Lay ``(label, state, count)`` out on a bar of 100; parts of zero are kept for the legend with no width."""
    whole = sum(count for _, _, count in parts)
    left = 0.0
    laid = []
    for label, state, count in parts:
        width = 0.0 if whole == 0 else 100 * count / whole
        laid.append(Share(label, state, count, grouped(count), percent(count, whole), round(left, 3), round(width, 3)))
        left += width
    return tuple(laid)


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    return shaped(text, _sentence)


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?" else text + "."


def owner(catalog: str | None) -> str:
    """A catalog's name; one that was deleted since says so."""
    return catalog or say("a catalog that was deleted since")


def slug(name: str, taken: frozenset[str]) -> str:
    """An id that a name gives: its letters and digits, and a number where there is one already."""
    stem = "-".join(_PART.findall(name.lower()))[:MAX_ID_CHARACTERS].strip("-") or "dashboard"
    made, number = stem, 1
    while made in taken:
        number += 1
        made = f"{stem}-{number}"
    return made
