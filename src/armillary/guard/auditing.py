# SPDX-License-Identifier: Apache-2.0
"""The record of every attempt to have something done to equipment: who asked what, and what became of it.

An attempt is recorded whether it was refused, done or failed, before its answer is given. What came from outside is
shown short and as plain text; a nonce is not shown at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from armillary.wire.equipment.faults import GuardRefusedError, LinkError, ReadBackError

SHOWN_CHARACTERS: Final = 64  # Of a foreign text
SHOWN_NUMBER: Final = 10**18  # Whole numbers from here on are shown as text: JSON readers would change them


class Outcome(StrEnum):
    """What became of an attempt."""

    DONE = "done"  # Sent, and read back where the profile says so
    REFUSED = "refused"  # By the guard: nothing was sent
    DIFFERS = "differs"  # Sent, and something else stands
    FAILED = "failed"  # The equipment did not answer, or refused by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt."""

    command: str  # As it was asked for, listed or not; ``recipe``, ``firmware``
    value: object  # What was asked for; shown by ``shown_value``
    outcome: Outcome
    rule: str | None = None  # Of the guard, where it refused; the reason of the link, where that failed
    by: str = ""  # Who asked, as far as the guardian knows
    at: float = 0.0  # Unix seconds

    def body(self) -> dict[str, object]:
        """The message about it."""
        attempt: dict[str, object] = {
            "command": shown_text(self.command),
            "value": shown_value(self.value),
            "outcome": self.outcome.value,
            "by": shown_text(self.by),
        }
        if self.rule is not None:
            attempt["rule"] = self.rule
        return {"attempt": attempt}


def outcome_of(error: GuardRefusedError | LinkError | ReadBackError) -> tuple[Outcome, str | None]:
    """The outcome and the rule of an attempt that an error ended."""
    if isinstance(error, GuardRefusedError):
        return Outcome.REFUSED, error.rule
    if isinstance(error, LinkError):
        return Outcome.FAILED, error.reason
    return Outcome.DIFFERS, None


def shown_value(value: object) -> object:
    """A foreign value as JSON has it: a number, a truth value or a short text. Containers are named, not shown."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < SHOWN_NUMBER else "a huge number"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return shown_text(value) if isinstance(value, str) else f"a {type(value).__name__}"[:SHOWN_CHARACTERS]


def shown_text(text: str) -> str:
    """A foreign text: printable ASCII, and short."""
    return "".join(each if " " <= each <= "~" else "?" for each in text[:SHOWN_CHARACTERS])
