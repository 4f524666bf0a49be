# SPDX-License-Identifier: Apache-2.0
"""A simulated machine in real time, with its profile, its planned faults, and what it is told while it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.sim.equipment.faults import REBOOT_S, Fault, Faults
from armillary.sim.equipment.machine import Machine, advance, befall
from armillary.wire.equipment.profile import Profile

# What befalls a machine is done one by one, while nobody is answered: so many people, metres or litres at the most.
MOST_AMOUNT: Final = 100_000


class Life:
    """One machine that runs.

    Args:
        profile: How it is laid out on the wire.
        machine: The model.
        speed: Seconds that pass in the model in one second.
        monotonic: Seconds by a clock that is not set.
    """

    def __init__(
        self, profile: Profile, machine: Machine, *, speed: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.profile = profile
        self.machine = machine
        self.faults = Faults()
        self._speed = speed
        self._monotonic = monotonic
        self._at = monotonic()
        self._silent_until = 0.0

    def catch_up(self) -> None:
        """Let the time pass that has passed."""
        now = self._monotonic()
        advance(self.machine, (now - self._at) * self._speed)
        self._at = now

    @property
    def silent(self) -> bool:
        """Whether the machine is starting and answers nobody."""
        return self._monotonic() < self._silent_until

    def fault(self) -> Fault | None:
        """What goes wrong with the reply that is about to be sent; a reboot happens here."""
        found = self.faults.take()
        if found is Fault.REBOOT:
            self.restart()
        return found

    def restart(self) -> None:
        """Lose power and come back."""
        self.machine.restart()
        self._silent_until = self._monotonic() + REBOOT_S

    def told(self, line: str) -> dict[str, Any]:
        """Do what a line says, and say what came of it.

        ``EVENT [NUMBER]`` lets something befall the machine, ``fault KIND [COUNT]`` spoils replies, ``restart`` takes
        its power away, ``show`` tells what it is like.

        Raises:
            InvalidArgumentError: the line says nothing that the machine knows.
        """
        self.catch_up()
        match line.split():
            case ["show"]:
                return {"values": dict(self.machine.values()), "settings": dict(self.machine.settings())} | self._harm()
            case ["restart"]:
                self.restart()
            case ["fault", kind]:
                self.faults.plan(kind)
            case ["fault", kind, count]:
                self.faults.plan(kind, int(_number(count)))
            case [event]:
                befall(self.machine, event, 0.0)
            case [event, amount]:
                befall(self.machine, event, _number(amount))
            case _:
                raise InvalidArgumentError(
                    f"{line!r:.60} says nothing", remedy="Say EVENT [NUMBER], or fault KIND [COUNT]."
                )
        return {"done": line.strip()}

    def _harm(self) -> dict[str, str]:
        harmed = getattr(self.machine, "harmed", "")
        return {"harmed": harmed} if harmed else {}


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= MOST_AMOUNT:  # "not a number" is none either
        raise InvalidArgumentError(
            f"{text!r:.40} is no number of at most {MOST_AMOUNT:,}", remedy="Say EVENT [NUMBER], or fault KIND [COUNT]."
        )
    return number
