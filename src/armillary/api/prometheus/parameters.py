# SPDX-License-Identifier: Apache-2.0
"""Parameters of Prometheus' API, of a query or of a form: moments, durations, steps, selectors."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

from armillary.errors import InvalidArgumentError
from armillary.promql.evaluation import Steps
from armillary.promql.expression import MAX_SELECTORS, Selector, parse_selector

# Steps of one range: Prometheus' own limit.
MAX_STEPS: Final = 11_000
# Parameters of one request: a dashboard sends a handful, and a selector for each panel at most.
MAX_PARAMETERS: Final = 100
# One past the last millisecond that a moment may name.
END_OF_TIME_MS: Final = 10**14
LISTS: Final = frozenset(("match[]",))

_UNITS: Final[Mapping[str, int]] = {
    "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000,
}  # fmt: skip
_PART: Final = re.compile(r"([0-9]{1,9})(ms|[smhdwy])")
_DURATION: Final = re.compile(r"(?:[0-9]{1,9}(?:ms|[smhdwy]))+")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a request asks."""

    _single: Mapping[str, str]
    match: tuple[str, ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Parameters:
        """From names and values. Raises InvalidArgumentError if one is there twice that may be there once."""
        single: dict[str, str] = {}
        match: list[str] = []
        for name, value in pairs:
            if name in LISTS:
                match.append(value)
                continue
            if name in single:
                raise _wrong(name[:40], "one value", "several")
            single[name] = value
        return cls(single, tuple(match))

    @classmethod
    def of_form(cls, body: bytes, pairs: Iterable[tuple[str, str]]) -> Parameters:
        """From a form (application/x-www-form-urlencoded) and the query beside it. Raises InvalidArgumentError."""
        try:
            given = parse_qsl(
                body.decode(), keep_blank_values=False, strict_parsing=bool(body), errors="strict",
                max_num_fields=MAX_PARAMETERS,
            )  # fmt: skip
        except ValueError:
            raise _wrong("body", f"a form in UTF-8 of at most {MAX_PARAMETERS} fields", "something else") from None
        return cls.of([*pairs, *given])

    def text(self, name: str) -> str:
        """A parameter that must be there. Raises InvalidArgumentError."""
        found = self._single.get(name, "")
        if not found:
            raise _wrong(name, "a value", "none")
        return found

    def optional(self, name: str) -> str:
        """A parameter, or the empty text."""
        return self._single.get(name, "")

    def moment_ms(self, name: str, now_ms: int | None = None) -> int:
        """A moment as Unix seconds or RFC 3339, in milliseconds; ``now_ms`` where it may be absent."""
        if now_ms is not None and not self.optional(name):
            return now_ms
        given = self.text(name)
        found = _seconds(given)
        if found is None:
            try:
                read = datetime.fromisoformat(given)
            except ValueError:
                raise _wrong(name, "Unix seconds or a time of RFC 3339", f"{given[:40]!a}") from None
            found = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
        if not 0 <= found * 1000 < END_OF_TIME_MS:
            raise _wrong(name, f"a moment from 0 to before {END_OF_TIME_MS // 1000}", f"{given[:40]!a}")
        return round(found * 1000)

    def count(self, name: str) -> int | None:
        """How many at most; None for no limit (absent, or 0 as with Prometheus)."""
        given = self.optional(name)
        if given and not (given.isascii() and given.isdecimal() and len(given) < 10):
            raise _wrong(name, "a whole number", f"{given[:40]!a}")
        return int(given or "0") or None

    def selectors(self, *, needed: bool) -> tuple[Selector, ...]:
        """Those of ``match[]``. Raises InvalidArgumentError for one that cannot be read, or if one is needed."""
        if needed and not self.match:
            raise _wrong("match[]", "a selector", "none")
        if len(self.match) > MAX_SELECTORS:
            raise _wrong("match[]", f"at most {MAX_SELECTORS} selectors", str(len(self.match)))
        return tuple(parse_selector(each) for each in self.match)

    def steps(self) -> Steps:
        """``start``, ``end`` and ``step``. Raises InvalidArgumentError, also for more than MAX_STEPS."""
        start, end = self.moment_ms("start"), self.moment_ms("end")
        given = self.text("step")
        step = duration_ms(given)
        if step is None or step <= 0:
            raise _wrong("step", "seconds above 0, or a duration such as 5m", f"{given[:40]!a}")
        if start > end:
            raise _wrong("start, end", "a start that is not after the end", f"{start / 1000} and {end / 1000}")
        if (end - start) // step >= MAX_STEPS:
            raise InvalidArgumentError(
                f"step: expected at most {MAX_STEPS:,} points a series, got {(end - start) // step + 1:,}",
                remedy="Make the step longer, or the range shorter.",
            )
        return Steps(start, end, step)


def duration_ms(text: str) -> int | None:
    """A duration in milliseconds: seconds (``15``, ``0.5``) or numbers with units (``1h30m``); None if it is none."""
    found = _seconds(text)
    if found is not None:
        return round(found * 1000) if abs(found) * 1000 < END_OF_TIME_MS else None
    if _DURATION.fullmatch(text) is None or len(text) > 100:
        return None
    total = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return total if total < END_OF_TIME_MS else None


def _seconds(text: str) -> float | None:
    if not text.isascii() or "_" in text or len(text) > 40:
        return None
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _wrong(name: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name}: expected {expected}, got {got}", remedy="Correct the parameter.")
