# SPDX-License-Identifier: Apache-2.0
"""Parses durations as people type them: ``90s``, ``15m``, ``1h``, ``7d``."""

from __future__ import annotations

import re
from typing import Annotated

import typer

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

ExpiresOption = Annotated[
    str, typer.Option("--expires", metavar="TIME", help="How long it is good: such as 90s, 15m, 1h or 7d.")
]


def seconds_of(text: str, option: str = "--expires") -> int:
    """Seconds of a duration.

    Raises:
        typer.BadParameter: not a number of seconds, minutes, hours or days.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text.strip())
    if found is None:
        raise typer.BadParameter(f"{option}: expected a time such as 90s, 15m, 1h or 7d, got {text!r:.40}")
    return int(found[1]) * UNITS[found[2]]
