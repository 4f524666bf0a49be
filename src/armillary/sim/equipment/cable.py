# SPDX-License-Identifier: Apache-2.0
"""A charging cable of 80 m that feels itself: temperature, strain and moisture of 32 zones, and where it is damaged.

Illustrative: no maker's cable is copied. Damage is located by the interrogator's own measurement (time of flight), to
a few decimetres, not by the zone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from armillary.wire.equipment.reading import Value

ZONES: Final = 32
PITCH_M: Final = 2.5
LENGTH_M: Final = ZONES * PITCH_M
AMBIENT_C: Final = 24.0
RATED_A: Final = 250.0
RISE_C: Final = 31.0  # above the room, at the rated current
SETTLING_S: Final = 240.0
LOCATING_M: Final = 0.25  # deviation of the interrogator
HOT_SPOT_C: Final = 96.0  # what damage heats its zone to
WARM_SPOT_C: Final = 87.0
DRY_PERCENT: Final = 3.0
CRUSHED: Final = 2  # of the enumeration ``damage``


class SensingCable:
    """The cable, charging a vehicle at first."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a simulation that can be repeated
        self._current_a = 180.0
        self._rise_c = [RISE_C * (self._current_a / RATED_A) ** 2] * ZONES
        self._strain = [self._random.gauss(350.0, 60.0) for _ in range(ZONES)]
        self._moisture = [DRY_PERCENT + self._random.random() for _ in range(ZONES)]
        self._forced_c: dict[int, float] = {}
        self._lost: set[int] = set()
        self._damage_m: float | None = None
        self._located_m = 0.0
        self._bends = 4_120
        self._life_percent = 87.3

    def step(self, seconds: float) -> None:
        """Let at most STEP_S pass."""
        rest = RISE_C * (self._current_a / RATED_A) ** 2
        share = min(seconds / SETTLING_S, 1.0)
        self._rise_c = [rise + (rest - rise) * share for rise in self._rise_c]
        self._current_a += self._random.gauss(0, 0.4) * seconds**0.5 + (180.0 - self._current_a) * 0.02 * seconds

    def values(self) -> Mapping[str, Value]:
        """Every value by the name of its point; of zone 7 ``zone7_temperature``."""
        found: dict[str, Value] = {
            "conductorCurrent": max(self._current_a, 0.0),
            "jacketResistance": 12.0 if max(self._moisture) > 20 or self._damage_m is not None else 480.0,
            "bendCycles": self._bends,
            "damage": CRUSHED if self._damage_m is not None else 0,
            "damagePosition": self._located_m,
            "lifeLeft": self._life_percent,
            "simulated": True,
        }
        for zone in range(ZONES):
            warm = self._forced_c.get(zone, AMBIENT_C + self._rise_c[zone])
            found[f"zone{zone}_temperature"] = warm + self._random.gauss(0, 0.08)
            found[f"zone{zone}_strain"] = self._strain[zone] + self._random.gauss(0, 3.0)
            found[f"zone{zone}_moisture"] = self._moisture[zone]
            found[f"zone{zone}_signal"] = 0.0 if zone in self._lost else 97.0
        return found

    def settings(self) -> Mapping[str, Value]:
        """Nothing can be set."""
        return {}

    def command(self, name: str, value: Value) -> None:
        """Nothing can be asked of it."""

    def events(self) -> Mapping[str, Callable[[float], None]]:
        """What befalls the cable; each takes the place in metres from its start.

        ``damage`` (something falls onto it), ``heat``, ``warm`` (less), ``strain``, ``wet``, ``lose`` (a zone's sensor
        fails), and ``mend``, which makes all of it good.
        """
        return {
            "damage": self._damage,
            "heat": lambda place: self._forced_c.__setitem__(zone_at(place), HOT_SPOT_C),
            "warm": lambda place: self._forced_c.__setitem__(zone_at(place), WARM_SPOT_C),
            "strain": lambda place: self._strain.__setitem__(zone_at(place), 4_600.0),
            "wet": lambda place: self._moisture.__setitem__(zone_at(place), 34.0),
            "lose": lambda place: self._lost.add(zone_at(place)),
            "mend": self._mend,
        }

    def _damage(self, place: float) -> None:
        self._damage_m = min(max(place, 0.0), LENGTH_M)
        self._located_m = min(max(self._damage_m + self._random.gauss(0, LOCATING_M), 0.0), LENGTH_M)
        self._forced_c[zone_at(place)] = HOT_SPOT_C
        self._strain[zone_at(place)] = 5_200.0
        self._life_percent -= 4.0

    def _mend(self, _place: float) -> None:
        self._forced_c.clear()
        self._lost.clear()
        self._damage_m, self._located_m = None, 0.0
        self._strain = [350.0] * ZONES
        self._moisture = [DRY_PERCENT] * ZONES

    def restart(self) -> None:
        """Lose power and come back: the interrogator remembers nothing of a damage it has not measured anew."""
        if self._damage_m is not None:
            self._located_m = min(max(self._damage_m + self._random.gauss(0, LOCATING_M), 0.0), LENGTH_M)


def zone_at(place: float) -> int:
    """The zone that has a place, in metres from the cable's start."""
    return min(max(int(place / PITCH_M), 0), ZONES - 1)
