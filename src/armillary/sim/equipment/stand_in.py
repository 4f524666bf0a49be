# SPDX-License-Identifier: Apache-2.0
"""A machine for a profile that no model was written for: each point has a plausible value, and nothing ever happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from armillary.wire.equipment.profile import RAW_KINDS, Command, Point, Profile
from armillary.wire.equipment.reading import Value

# By this point a machine says that it is simulated, where its profile has it.
SIMULATED = "simulated"


class StandIn:
    """Has the middle of each point's range, the first state of an enumeration, and what commands set."""

    def __init__(self, profile: Profile) -> None:
        self._values: dict[str, Value] = {point.name: _plausible(point) for point in profile.all_points}
        if SIMULATED in self._values:
            self._values[SIMULATED] = True
        self._settings: dict[str, Value] = {
            each.name: _first(each) for each in profile.commands if each.address is not None
        }
        self._waiting: list[tuple[str, Mapping[str, Value]]] = [(frame.name, self._values) for frame in profile.frames]

    def step(self, seconds: float) -> None:
        """Nothing happens."""

    def values(self) -> Mapping[str, Value]:
        """Every value by the name of its point."""
        return self._values

    def settings(self) -> Mapping[str, Value]:
        """What each command last set, by its name."""
        return self._settings

    def command(self, name: str, value: Value) -> None:
        """Remember it."""
        if name in self._settings:
            self._settings[name] = value

    def events(self) -> Mapping[str, Callable[[float], None]]:
        """None."""
        return {}

    def take_frames(self) -> list[tuple[str, Mapping[str, Value]]]:
        """A frame of each kind, once."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def restart(self) -> None:
        """Nothing is lost."""


def _plausible(point: Point) -> Value:
    """A value that the point can have: in engineering units, within its range if it has one."""
    if point.states:
        return min(point.states)
    if point.bits or not RAW_KINDS[point.raw].code:
        return 0
    low, high = point.low, point.high
    if low is not None and high is not None:
        return (low + high) / 2
    if low is not None:
        return low
    return point.offset if high is None else min(point.offset, high)


def _first(command: Command) -> Value:
    if command.fixed is not None:
        return command.fixed
    return 0.0 if command.low is None else command.low
