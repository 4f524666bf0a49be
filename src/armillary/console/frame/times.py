# SPDX-License-Identifier: Apache-2.0
"""Times as people type them into forms, UTC; stretches of time, as addresses have them and links keep them. Pure.

A range is a word (``range=24h``, up to now) or from one moment to another (``start=``, ``end=``, as people type them,
UTC). Lists are narrowed by one. Charts, raw values and dashboards show one, and whoever goes from such a page to
another sees the same stretch there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, urlencode

from armillary.console.frame.form import Field, limits
from armillary.console.frame.words import Moment, moment
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError
from armillary.twin.author.dashboard import MAX_RANGE_S, MIN_RANGE_S

# What a field of a time says below it.
HINT: Final = say("UTC, such as 2026-11-28 04:00")
# Relative range -> seconds before now, and its words; "" is any time.
RANGES: Final[Mapping[str, int]] = MappingProxyType(
    {"15m": 900, "1h": 3600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000}
)
RANGE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "15m": say("Last 15 minutes"),
        "1h": say("Last hour"),
        "24h": say("Last 24 hours"),
        "7d": say("Last 7 days"),
        "30d": say("Last 30 days"),
    }
)
# Names of a range in an address.
NAMES: Final = ("range", "start", "end")
# Pages below these show a stretch of time, or lead to one that does.
PLACES: Final = ("/devices/", "/hub-devices/", "/dashboards/", "/alerts/", "/search?")
# Of a range of which only the end was typed.
DEFAULT_S: Final = 3600
# On both sides of what a chart is shown around (seconds).
AROUND_S: Final = 1800
# Range -> its words where one of several is chosen.
CHIPS: Final[Mapping[str, str]] = MappingProxyType(
    {"15m": "15 min", "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d"}
)
_CHARACTERS: Final = 40
_NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})
_TYPED: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?)?\s*(?:UTC|Z)?", re.ASCII)


def typed_time(name: str, typed: str) -> int | None:
    """Unix seconds of a time that was typed into the field ``name``; None of an empty one.

    Raises:
        InvalidArgumentError: it is none.
    """
    text = typed.strip()
    if not text:
        return None
    found = _TYPED.fullmatch(text)
    try:
        parts = [int(each or 0) for each in found.groups()] if found else []
        return int(datetime(*parts[:6], tzinfo=UTC).timestamp())  # type: ignore[misc, arg-type] # of none: TypeError
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            f"{name}: expected a time such as 2026-11-28 04:00, in UTC, got {text!a:.40}",
            remedy="Write the date, and the time if it matters.",
        ) from None


def time_field(at: int | None) -> str:
    """A time as a form has it."""
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def ranged(asked: str, start: str, end: str, now: int) -> tuple[int | None, int | None]:
    """Since when and until when (Unix seconds) a range of an address is: a time that was typed counts before a word.

    Raises:
        InvalidArgumentError: a time that was typed is none.
    """
    since, until = typed_time("From", start), typed_time("To", end)
    if since is None and asked in RANGES:
        since = now - RANGES[asked]
    return since, until


def range_fields(label: str, asked: str, start: str, end: str) -> tuple[Field, ...]:
    """The fields of a range: a word, or times in UTC; posted as ``range``, ``start`` and ``end``."""
    words = (("", say("Any time")), *RANGE_WORDS.items())
    return (
        Field(name="range", label=label, kind="select", value=asked, choices=words),
        _moment_field("start", say("From (UTC)"), start, "2026-11-28 04:00"),
        _moment_field("end", say("To (UTC)"), end, "2026-11-28 05:00"),
    )


def _moment_field(name: str, label: str, value: str, example: str) -> Field:
    """A field of a moment; ``static/time-fields.js`` makes it one of the browser's zone where that is chosen."""
    return Field(
        name=name, label=label, value=value, limits=(*limits(maxlength=24, placeholder=example), ("data-time", ""))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """A range of an address.

    Attributes:
        word: Of :data:`RANGES`; "" where the range is fixed, or the page's own counts.
        start: Unix seconds of a fixed one, else None; so is ``end``.
        given: Its names and values in the address.
    """

    word: str = ""
    start: int | None = None
    end: int | None = None
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_fixed(self) -> bool:
        """Whether it is from one moment to another, and does not move on with the time."""
        return self.start is not None

    def bounds(self, now: int, default_s: int) -> tuple[int, int]:
        """From when until when it is, Unix seconds; ``default_s`` is the page's own length, up to now."""
        if self.start is not None and self.end is not None:
            return self.start, self.end
        return now - RANGES.get(self.word, default_s), now


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeChoice:
    """How a page offers other ranges.

    Attributes:
        path: Of the page.
        chips: Words, address and whether it is shown, of each range up to now.
        kept: What else the address has: (name, value).
        start: What was typed; so is ``end``.
        shown: From when until when a fixed range is; None of any other.
        problem: What is wrong with what was typed, or "".
    """

    path: str
    chips: tuple[tuple[str, str, bool], ...]
    kept: tuple[tuple[str, str], ...] = ()
    start: str = ""
    end: str = ""
    shown: tuple[Moment, Moment] | None = None
    problem: str = ""


def given_in(query: Mapping[str, str]) -> dict[str, str]:
    """The range of an address as it stands there, to be carried on."""
    return {name: query[name].strip()[:_CHARACTERS] for name in NAMES if query.get(name, "").strip()}


def asked_range(query: Mapping[str, str], now: int) -> TimeRange:
    """The range that an address asks for; moments that were typed count before a word.

    Raises:
        InvalidArgumentError: a moment is none, they are the wrong way round, or too far apart.
    """
    given = given_in(query)
    word = given.get("range", "") if given.get("range", "") in RANGES else ""
    start, end = typed_time("From", given.get("start", "")), typed_time("To", given.get("end", ""))
    if start is None and end is None:
        return TimeRange(word=word, given={"range": word} if word else {})
    last = now if end is None else end
    first = last - RANGES.get(word, DEFAULT_S) if start is None else start
    if first < 0 or not MIN_RANGE_S <= last - first <= MAX_RANGE_S:
        raise InvalidArgumentError(
            f"From, To: expected a minute to {MAX_RANGE_S // 86_400} days since 1970, the earlier first",
            remedy="Correct the times.",
        )
    return TimeRange(start=first, end=last, given={name: given[name] for name in ("start", "end") if name in given})


def choice_of(
    path: str,
    query: Mapping[str, str],
    shown: TimeRange,
    now: int,
    *,
    default: str,
    kept: Mapping[str, str] = _NO_NAMES,
    problem: str = "",
) -> RangeChoice:
    """How the page at ``path`` offers ranges.

    ``default`` is the word of its own range, or what its own ranges are called; ``kept`` is what its address keeps.
    """
    words = {**({} if default in RANGES else {"": default}), **CHIPS}
    now_shown = shown.word or (default if default in RANGES else "")

    def address(word: str) -> str:
        wanted = {**kept, **({"range": word} if word else {})}
        return f"{path}?{urlencode(wanted)}" if wanted else path

    given, first, last = given_in(query), moment(shown.start, now), moment(shown.end, now)
    return RangeChoice(
        path=path,
        chips=tuple(
            (says, address(word), not shown.is_fixed and not problem and word == now_shown)
            for word, says in words.items()
        ),
        kept=tuple(kept.items()),
        start=given.get("start", ""),
        end=given.get("end", ""),
        shown=(first, last) if first and last else None,
        problem=problem,
    )


def carried(href: str, given: Mapping[str, str]) -> str:
    """A way to another page, with the range that is shown now where that page has a use for it and names none."""
    if not given or not href.startswith(PLACES):
        return href
    path, _, fragment = href.partition("#")
    path, _, query = path.partition("?")
    kept = parse_qsl(query, keep_blank_values=True)
    if any(name in NAMES for name, _ in kept):
        return href
    return f"{path}?{urlencode([*kept, *given.items()])}" + (f"#{fragment}" if fragment else "")


def around(at: int, until: int | None = None) -> dict[str, str]:
    """The range around a moment, or around what lasted until another (Unix seconds), as an address has it."""
    last = max(at, at if until is None else until)
    last = min(last, at + MAX_RANGE_S - 2 * AROUND_S)
    return {"start": time_field(at - AROUND_S), "end": time_field(last + AROUND_S)}
