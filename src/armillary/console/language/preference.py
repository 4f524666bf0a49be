# SPDX-License-Identifier: Apache-2.0
"""The language that a browser asks for, where nobody chose one. Pure."""

from __future__ import annotations

import re
from typing import Final

from armillary.console.language.translation import ENGLISH, LANGUAGES

# What is read of a header; browsers send fewer than ten languages.
MAX_CHARACTERS: Final = 500
_WEIGHT: Final = re.compile(r"q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


def preferred(header: str) -> str:
    """The language of :data:`LANGUAGES` that an ``Accept-Language`` prefers (RFC 9110 §12.5.4); English for none."""
    found: list[tuple[float, int, str]] = []
    for at, each in enumerate(header[:MAX_CHARACTERS].split(",")):
        name, _, parameter = each.partition(";")
        code, weight = name.strip().lower().partition("-")[0], _weight(parameter.strip())
        if code in LANGUAGES and weight:
            found.append((-weight, at, code))
    return min(found)[2] if found else ENGLISH


def _weight(parameter: str) -> float:
    """How much a language is preferred; 0 of one that is not wanted, or whose weight is none."""
    if not parameter:
        return 1.0
    read = _WEIGHT.fullmatch(parameter)
    return float(read[1]) if read else 0.0
