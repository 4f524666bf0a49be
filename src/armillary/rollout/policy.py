# SPDX-License-Identifier: Apache-2.0
"""What an operator asks of a roll-out, in numbers, and the JSON form it is stored and served in."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from armillary.errors import InvalidArgumentError

MAX_COHORTS = 20  # more steps than anybody watches; bounds the plan

_REMEDY = "docs/concepts/rollouts.md explains each number and its allowed range."


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPolicy:
    """How careful a roll-out is.

    Attributes:
        cohorts: Cumulative percentages of the group, strictly rising, last 100: ``(1, 10, 100)`` is three cohorts.
            Every cohort has at least one device while any device is left.
        success_percent: Share of the newest cohort that must be confirmed before the next starts (1 to 100).
        soak_s: Seconds that must pass after the cohort reached ``success_percent``, without a hold.
        min_failures: Failures below which a roll-out is never held: one unlucky device proves nothing.
        failure_percent: Share of finished devices that may fail; above it (and ``min_failures``) it is held.
        timeout_s: Seconds after which a started device that did not confirm counts as failed.
        hold_on_severity: An open finding of this severity or above, about a started device or one of the images,
            holds the roll-out; "" never.
        roll_back_on_hold: Roll back at once when held by the rules instead of waiting for a person.
    """

    cohorts: tuple[int, ...] = (5, 25, 100)
    success_percent: int = 95
    soak_s: int = 3600
    min_failures: int = 2
    failure_percent: int = 5
    timeout_s: int = 24 * 3600
    hold_on_severity: str = "high"
    roll_back_on_hold: bool = False

    def __post_init__(self) -> None:
        steps = self.cohorts
        if (
            not 1 <= len(steps) <= MAX_COHORTS
            or steps[-1] != 100
            or any(b <= a for a, b in itertools.pairwise(steps))
            or steps[0] < 1
        ):
            raise InvalidArgumentError(
                f"cohorts: expected 1 to {MAX_COHORTS} rising percentages that end with 100, got {list(steps)}",
                remedy=_REMEDY,
            )
        for name, low, high in (
            ("success_percent", 1, 100),
            ("soak_s", 0, 90 * 86400),
            ("min_failures", 1, 1_000_000),
            ("failure_percent", 0, 99),
            ("timeout_s", 1, 90 * 86400),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidArgumentError(f"{name}: expected {low} to {high}, got {value}", remedy=_REMEDY)
        if self.hold_on_severity not in ("", "low", "medium", "high", "critical"):
            raise InvalidArgumentError(
                f"hold_on_severity: expected low, medium, high, critical or nothing, got {self.hold_on_severity!r}",
                remedy=_REMEDY,
            )


def to_json(policy: RolloutPolicy) -> dict[str, Any]:
    """The policy as a JSON object."""
    document = dataclasses.asdict(policy)
    document["cohorts"] = list(policy.cohorts)
    return document


def from_json(document: Mapping[str, Any]) -> RolloutPolicy:
    """The policy in a JSON object; absent fields take their defaults.

    Raises:
        InvalidArgumentError: unknown field, wrong type or value out of range.
    """
    defaults = RolloutPolicy()
    values: dict[str, Any] = {}
    for name, value in document.items():
        default = getattr(defaults, name, None)
        if default is None or name.startswith("_"):
            raise InvalidArgumentError(f"unknown policy field {name!r}", remedy=_REMEDY)
        if name == "cohorts":
            if not isinstance(value, (list, tuple)) or any(type(step) is not int for step in value):
                raise InvalidArgumentError(f"cohorts: expected a list of integers, got {value!r}", remedy=_REMEDY)
            values[name] = tuple(value)
        elif type(value) is not type(default):
            raise InvalidArgumentError(f"{name}: expected {type(default).__name__}, got {value!r}", remedy=_REMEDY)
        else:
            values[name] = value
    return RolloutPolicy(**values)
