# SPDX-License-Identifier: Apache-2.0
"""Colours of states, headings and errors on a terminal; nowhere else, and not with NO_COLOR or ``--no-color``.

A word stands beside every colour, so nothing is said by colour alone. The table is closed: a word that is not in it has
no colour, never that of a good state. Specification: https://no-color.org.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, TextIO

NO_COLOUR_VARIABLE: Final = "NO_COLOR"
# Given anywhere on the command line.
NO_COLOUR_OPTION: Final = "--no-color"

# Select Graphic Rendition, ECMA-48 §8.3.117.
GOOD, ATTENTION, BAD, HEADING = "32", "33", "31", "1"

# Columns and fields whose words are states.
STATE_FIELDS: Final = frozenset(
    {"health", "state", "severity", "verdict", "result", "status", "outcome", "manufacturing_state"}
)
STATES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "attested", "pass", "ok", "healthy", "running", "completed", "confirmed", "repaired", "resolved", "active",
            "valid",
        ),
        GOOD,
    ),
    **dict.fromkeys(
        (
            "silent", "trial", "stopped", "proposed", "halted", "rolling-back", "restored", "medium", "pending",
            "acknowledged", "waiting", "held", "open", "warning",
        ),
        ATTENTION,
    ),
    **dict.fromkeys(
        (
            "refused", "revoked", "quarantined", "update-only", "decommissioned", "fail", "failed", "reverted",
            "timed-out", "rolled-back", "critical", "high", "expired", "error", "affected", "firing",
        ),
        BAD,
    ),
}  # fmt: skip


def is_coloured(stream: TextIO) -> bool:
    """Whether what is written there may be coloured."""
    return stream.isatty() and not os.environ.get(NO_COLOUR_VARIABLE) and os.environ.get("TERM") != "dumb"


def state(field: str, word: str, shown: str, *, coloured: bool) -> str:
    """A cell as it is printed: ``shown``, which is ``word`` cut and padded, in its colour if the field is a state's."""
    colour = STATES.get(word.lower()) if coloured and field in STATE_FIELDS else None
    return shown if colour is None else painted(shown, colour, coloured=True)


def painted(text: str, colour: str, *, coloured: bool) -> str:
    """The text in a colour, without the spaces at its end."""
    body = text.rstrip()
    return f"\x1b[{colour}m{body}\x1b[0m{text[len(body) :]}" if coloured and body else text
