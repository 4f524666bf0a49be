# SPDX-License-Identifier: Apache-2.0
"""Values that devices sent, written for people: with their unit, in their enum's word, as JSON. Pure.

Tiles and tables of data write four significant digits, so that figures of one chart differ and no noise of a
sensor is shown. A device's own page writes what was sent, to three decimals.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from armillary.console.frame.words import grouped
from armillary.console.language.say import say
from armillary.twin.template.value_names import ValueName, quantity

# A value older than this is shown with its age in the colour of attention.
STALE_S: Final = 15 * 60
# Digits that tell values of one chart apart; more are noise of the sensor.
SIGNIFICANT: Final = 4
NO_VALUE: Final = "\u2013"
# A moment as devices write it (ISO 8601 in UTC): date and time of day.
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?:Z|\+00:00)")


def is_number(value: object) -> bool:
    """Whether a value can be drawn in a chart."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_stale(at_ms: int | None, now: int) -> bool:
    """Whether a value of a time (Unix milliseconds) is old; ``now`` in Unix seconds."""
    return at_ms is not None and now - at_ms // 1000 > STALE_S


def json_text(value: Any) -> str:
    """A value as JSON."""
    return json.dumps(value, ensure_ascii=False)


def value_text(value: object, unit: str, decimals: int | None = None) -> str:
    """A value as people read it: ``1,204.5 l/min``, ``true``, ``open``; a dash for none."""
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (int, float)):
        return str(value)[:200]
    return quantity(number_text(value, decimals), unit)


def said_text(value: object, name: ValueName, unit: str, decimals: int | None = None) -> str:
    """A value as a device sent it, as people read it, an enum's in its word; ``decimals`` as of :func:`value_text`."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and value in name.words:
        return name.words[value]  # type: ignore[index]  # 1.0 is 1
    if isinstance(value, str) and (moment_ := _MOMENT.fullmatch(value)):
        return f"{moment_[1]}\n{moment_[2]} UTC"  # the one place where it may be broken; else as a space
    return value_text(value, unit, decimals)


def exact_text(value: object, name: ValueName) -> str:
    """A value as it was sent, with its unit: ``91.437 °C``; booleans as ``true``/``false``, enums in their words."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value not in name.words:
        return quantity(grouped(value), name.symbol)
    return say("no value") if value is None else name.text(value)


def number_text(value: float, decimals: int | None) -> str:
    """A number with so many decimals, or as many as it takes to tell it apart."""
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    size = abs(value)
    if size >= 10**12 or 0 < size < 10**-4:
        return f"{value:.{SIGNIFICANT - 1}e}"
    digits = max(0, SIGNIFICANT - len(str(int(size)))) if size >= 1 else SIGNIFICANT
    written = f"{value:,.{digits}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written
