# SPDX-License-Identifier: Apache-2.0
"""What every simulated machine is: time that passes in it, values that it has, things that are done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol, runtime_checkable

from armillary.errors import InvalidArgumentError
from armillary.wire.equipment.reading import Value

# A model is stepped at most so far at once, so that what it does does not depend on how often somebody looks.
STEP_S: Final = 0.05
# More time than this at once is left out: a simulator that was stopped for a night does not play the night.
LONGEST_S: Final = 600.0


class Machine(Protocol):
    """A simulated machine. Values are in engineering units; enumerations and flags are their raw numbers."""

    def step(self, seconds: float) -> None:
        """Let at most STEP_S pass."""
        ...

    def values(self) -> Mapping[str, Value]:
        """Every value by the name of its point."""
        ...

    def settings(self) -> Mapping[str, Value]:
        """What each command last set, by its name: what reading it back shows."""
        ...

    def command(self, name: str, value: Value) -> None:
        """Do what a command asks, whatever the value: the machine trusts whoever speaks to it."""
        ...

    def events(self) -> Mapping[str, Callable[[float], None]]:
        """What may befall the machine, by name; the number says how much or where."""
        ...

    def restart(self) -> None:
        """Lose power and come back."""
        ...


@runtime_checkable
class RecipeTaking(Protocol):
    """A machine that takes recipes."""

    def take_recipe(self, slot: int, fields: Mapping[str, float]) -> None:
        """Use a recipe that was written and committed."""
        ...

    def recipe(self) -> Mapping[str, float]:
        """The recipe that is in use, by the names of its fields."""
        ...


@runtime_checkable
class FirmwareTaking(Protocol):
    """A machine that takes new firmware."""

    def run_firmware(self, version: float) -> None:
        """Start with a firmware; ``version`` is what its point shows."""
        ...


@runtime_checkable
class FrameSending(Protocol):
    """A machine that sends frames by itself."""

    def take_frames(self) -> list[tuple[str, Mapping[str, Value]]]:
        """What it says since this was last asked, oldest first: the frame's name, the values at that moment."""
        ...


def advance(machine: Machine, seconds: float) -> None:
    """Let time pass in a machine, in small steps."""
    left = min(seconds, LONGEST_S)
    while left > 0:
        machine.step(min(left, STEP_S))
        left -= STEP_S


def befall(machine: Machine, event: str, amount: float) -> None:
    """Let an event befall a machine. Raises InvalidArgumentError if it knows none of this name."""
    known = machine.events()
    if event not in known:
        raise InvalidArgumentError(
            f"nothing of the name {event!r:.40} befalls this machine", remedy=f"Use one of: {', '.join(sorted(known))}."
        )
    known[event](amount)
