# SPDX-License-Identifier: Apache-2.0
"""An espresso machine: a boiler, a pump, a grinder, shots, cleaning, a water filter, recipes and firmware.

Illustrative: no maker's machine is copied. Like an old machine it believes what it is told: a brewing temperature of
140 °C boils the group dry, and :attr:`CoffeeMachine.harmed` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from random import Random
from typing import Final

from armillary.wire.equipment.reading import Value

AMBIENT_C: Final = 22.0
HEATER_C_PER_S: Final = 1.2  # with the heater on, less what is lost
LOSS_PER_S: Final = 0.0015  # share of the distance to the room that is lost
BOILING_GROUP_C: Final = 105.0  # no group is made for more: seals go
PUMP_BAR: Final = 9.0
GRIND_G_PER_S: Final = 6.2
CLEANING_S: Final = 40.0
SHOTS_TO_CLEANING: Final = 60  # the maker's advice: clean after so many
FILTER_L: Final = 240.0
WATER_PER_SHOT_L: Final = 0.12  # coffee, flush and steam
HARDNESS_PPM: Final = 38.0
DRAINING_BAR_PER_S: Final = 1.5  # after a shot
FAULT_HEATER: Final = 5  # bits of faultBits
FAULT_FILTER_DUE: Final = 7
FIRST_FIRMWARE: Final = 102


class State(IntEnum):
    """What the machine does; the numbers of the profile's enumeration."""

    IDLE = 0
    HEATING = 1
    GRINDING = 2
    BREWING = 3
    CLEANING = 4
    FAULT = 5


# What follows when a state is over; a state that is not here ends by an event alone.
FOLLOWS: Final[Mapping[State, State]] = {
    State.HEATING: State.IDLE,
    State.GRINDING: State.BREWING,
    State.BREWING: State.IDLE,
    State.CLEANING: State.IDLE,
}


class CoffeeMachine:
    """The machine, warm and idle at first.

    ``every_s`` is how often somebody asks for a shot; 0: nobody does by himself.
    """

    def __init__(self, seed: int, *, every_s: float = 0.0) -> None:
        self._random = Random(seed)  # noqa: S311 - a simulation that can be repeated
        self._every_s = every_s
        self._recipe: dict[str, float] = {
            "brewTemp": 92.5, "shotVolume": 36.0, "doseWeight": 18.0, "brewPressure": PUMP_BAR, "preInfusionTime": 3.0,
            "preInfusionPressure": 2.5, "beanHopper": 1,
        }  # fmt: skip
        self._slot = 0
        self._state = State.IDLE
        self._in_state_s = 0.0
        self._boiler_c = self._recipe["brewTemp"]
        self._steam_c = 126.0
        self._shot = _Shot()
        self._totals = {"shots": 18_400, "cleanings": 306, "since_cleaning": 41}
        self._filter_l = 96.0
        self._pressure_bar = 0.0
        self._firmware: float = FIRST_FIRMWARE
        self.harmed = ""  # What an unguarded write did to it

    def step(self, seconds: float) -> None:
        """Let at most STEP_S pass."""
        self._in_state_s += seconds
        self._heat(seconds)
        if self._state is State.FAULT:
            return
        self._work(seconds)
        if self._is_over():
            self._enter(FOLLOWS[self._state])
        if self._state is State.IDLE and self._every_s and self._random.random() < seconds / self._every_s:
            self._brew()

    def _heat(self, seconds: float) -> None:
        if self._boiler_c < self._recipe["brewTemp"]:
            self._boiler_c += HEATER_C_PER_S * seconds
        self._boiler_c -= (self._boiler_c - AMBIENT_C) * LOSS_PER_S * seconds
        if self._boiler_c > BOILING_GROUP_C and self._state is not State.FAULT:
            self.harmed = f"the group was heated to {self._boiler_c:.0f} °C and boiled dry"
            self._enter(State.FAULT)

    def _work(self, seconds: float) -> None:
        shot = self._shot
        if self._state is State.GRINDING:
            shot.dose_g += GRIND_G_PER_S * seconds
            shot.grind_s += seconds
        elif self._state is State.BREWING:
            soaking = self._in_state_s < self._recipe["preInfusionTime"]
            wanted = self._recipe["preInfusionPressure" if soaking else "brewPressure"]
            self._pressure_bar += (wanted - self._pressure_bar) * min(seconds / 0.6, 1.0)
            shot.flow_ml_s = 0.1 if soaking else 0.165 * self._pressure_bar + self._random.gauss(0, 0.02)
            shot.volume_ml += max(shot.flow_ml_s, 0.0) * seconds
            shot.seconds = self._in_state_s
            shot.cup_c = self._boiler_c - 21.0
            self._boiler_c -= 0.12 * seconds
        else:
            self._pressure_bar = max(self._pressure_bar - DRAINING_BAR_PER_S * seconds, 0.0)
            shot.flow_ml_s = 0.165 * self._pressure_bar  # into the drip tray
            shot.cup_c -= (shot.cup_c - AMBIENT_C) * 0.004 * seconds

    def _is_over(self) -> bool:
        match self._state:
            case State.HEATING:
                return self._boiler_c > self._recipe["brewTemp"] - 1.0
            case State.GRINDING:
                return self._shot.dose_g >= self._recipe["doseWeight"]
            case State.BREWING:
                return self._shot.volume_ml >= self._recipe["shotVolume"]
            case State.CLEANING:
                return self._in_state_s >= CLEANING_S
        return False

    def _enter(self, state: State) -> None:
        if self._state is State.BREWING:
            self._totals["shots"] += 1
            self._totals["since_cleaning"] += 1
            self._filter_l = max(self._filter_l - WATER_PER_SHOT_L, 0.0)
        if self._state is State.CLEANING and state is State.IDLE:
            self._totals["cleanings"] += 1
            self._totals["since_cleaning"] = 0
        self._state, self._in_state_s = state, 0.0

    def _brew(self, _amount: float = 0.0) -> None:
        if self._state is State.IDLE:
            self._shot = _Shot()
            self._enter(State.GRINDING)

    def values(self) -> Mapping[str, Value]:
        """Every value by the name of its point."""
        noise, shot, totals = self._random.gauss, self._shot, self._totals
        pumping = self._state in (State.BREWING, State.CLEANING)
        faults = (self._state is State.FAULT) << FAULT_HEATER | (self._filter_l <= 0) << FAULT_FILTER_DUE
        return {
            "brewTemp": self._boiler_c + noise(0, 0.06),
            "steamTemp": self._steam_c + noise(0, 0.15),
            "brewPressure": self._pressure_bar,
            "groupFlow": max(shot.flow_ml_s, 0.0),
            "shotVolume": shot.volume_ml,
            "shotTime": shot.seconds,
            "grindTime": shot.grind_s,
            "doseWeight": shot.dose_g,
            "state": int(self._state),
            "beanHopper": int(self._recipe["beanHopper"]),
            "faultBits": int(faults),
            "cupTemp": shot.cup_c,
            "inletWaterTds": HARDNESS_PPM + noise(0, 0.4),
            "pumpCurrent": 1.35 + noise(0, 0.02) if pumping else 0.0,
            "shotsTotal": totals["shots"],
            "cleanCycles": totals["cleanings"],
            "shotsToClean": max(SHOTS_TO_CLEANING - totals["since_cleaning"], 0),
            "scaleFilterLeft": self._filter_l,
            "firmwareVersion": self._firmware,
            "recipeActive": self._slot,
            "brewTempSetting": self._recipe["brewTemp"],
            "simulated": True,
        }

    def settings(self) -> Mapping[str, Value]:
        """What each command last set, by its name."""
        return {"setBrewTemp": self._recipe["brewTemp"], "startClean": self._state is State.CLEANING}

    def command(self, name: str, value: Value) -> None:
        """Do what a command asks, whatever the value."""
        if name == "setBrewTemp":
            self._recipe["brewTemp"] = float(value)
        elif name == "startClean" and value and self._state is State.IDLE:
            self._enter(State.CLEANING)

    def recipe(self) -> Mapping[str, float]:
        """The recipe that is in use."""
        return dict(self._recipe)

    def take_recipe(self, slot: int, fields: Mapping[str, float]) -> None:
        """Use a recipe that was written and committed; values that it does not know are kept and mean nothing."""
        self._slot = slot
        self._recipe |= fields

    def run_firmware(self, version: float) -> None:
        """Start with a firmware."""
        self._firmware = version
        self.restart()

    def events(self) -> Mapping[str, Callable[[float], None]]:
        """``brew``: somebody asks for a shot. ``filter`` and ``cleaning``: set what is left until they are due."""
        return {"brew": self._brew, "filter": self._set_filter, "cleaning": self._set_cleaning}

    def _set_filter(self, litres: float) -> None:
        self._filter_l = max(litres, 0.0)

    def _set_cleaning(self, shots: float) -> None:
        self._totals["since_cleaning"] = SHOTS_TO_CLEANING - int(shots)

    def restart(self) -> None:
        """Lose power and come back, a little cooler."""
        self._boiler_c -= 3.0
        self._pressure_bar, self._shot = 0.0, _Shot()
        self._state, self._in_state_s = State.HEATING, 0.0


class _Shot:
    """What is measured of one shot; it stays to be read until the next begins."""

    def __init__(self) -> None:
        self.volume_ml = self.seconds = self.grind_s = self.dose_g = self.flow_ml_s = 0.0
        self.cup_c = AMBIENT_C
