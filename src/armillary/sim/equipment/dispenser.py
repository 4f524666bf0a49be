# SPDX-License-Identifier: Apache-2.0
"""A dispenser of hand sanitiser: people pass, some take a dose, refill and battery go down.

Illustrative: no maker's dispenser is copied. It counts passages and doses and knows nobody: there is no value of it
that speaks of a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from armillary.wire.equipment.reading import Value

BOTTLE_ML: Final = 1_200.0
FULL_V: Final = 6.3  # four fresh cells
EMPTY_V: Final = 4.2
VOLT_PER_DOSE: Final = 0.000_04
VOLT_PER_S: Final = 1.2e-8
MOTOR_MS_PER_ML: Final = 320.0
FLAG_SHORT_DOSE: Final = 0  # bit of the frame ``dispense``: the bottle ran out in the middle
FAULT_MOTOR: Final = 0  # bits of the frame ``status``
FAULT_BATTERY: Final = 4
REFILL_SERIAL: Final = 2_317
STATUS_EVERY_S: Final = 10.0


class Dispenser:
    """The dispenser, half full.

    Args:
        seed: The same makes the same people.
        every_s: How often somebody passes, on average; 0: nobody does by himself.
        compliance: Share of those who pass and take a dose.
    """

    def __init__(self, seed: int, *, every_s: float = 0.0, compliance: float = 0.7) -> None:
        self._random = Random(seed)  # noqa: S311 - a simulation that can be repeated
        self._every_s = every_s
        self._compliance = compliance
        self._dose_ml = 0.9
        self._last_ml = 0.0
        self._left_ml = 0.55 * BOTTLE_ML
        self._battery_v = 5.8
        self._doses = 12_480
        self._passages = 17_210
        self._direction = 0
        self._jammed = False
        self._partial = False
        self._since_status_s = STATUS_EVERY_S
        self._blinks = 0
        self._waiting: list[tuple[str, Mapping[str, Value]]] = []

    def step(self, seconds: float) -> None:
        """Let at most STEP_S pass."""
        self._battery_v = max(self._battery_v - VOLT_PER_S * seconds, 0.0)
        self._since_status_s += seconds
        if self._since_status_s >= STATUS_EVERY_S:
            self._say("status")
            self._since_status_s = 0.0
        if self._every_s and self._random.random() < seconds / self._every_s:
            self._visit(1)

    def take_frames(self) -> list[tuple[str, Mapping[str, Value]]]:
        """The frames that it sends by itself since this was last asked, oldest first: name, values at that moment."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _say(self, frame: str) -> None:
        self._waiting.append((frame, self.values()))

    def values(self) -> Mapping[str, Value]:
        """Every value by the name of its point."""
        low = self._battery_v < EMPTY_V
        return {
            "dispenseCount": self._doses,
            "shotVolume": self._last_ml,
            "motorTime": self._last_ml * MOTOR_MS_PER_ML,
            "flags": self._partial << FLAG_SHORT_DOSE,
            "opportunityCount": self._passages,
            "direction": self._direction,
            "batteryVoltage": self._battery_v,
            "refillLeft": 100.0 * self._left_ml / BOTTLE_ML,
            "ambientTemp": 21.4 + self._random.gauss(0, 0.1),
            "motorCurrentPeak": 410.0 + self._random.gauss(0, 12.0),
            "faultBits": self._jammed << FAULT_MOTOR | low << FAULT_BATTERY,
            "doseSetting": self._dose_ml,
            "refillSerial": REFILL_SERIAL,
            "simulated": True,
        }

    def settings(self) -> Mapping[str, Value]:
        """What each command last set, by its name."""
        return {"setDose": self._dose_ml}

    def command(self, name: str, value: Value) -> None:
        """Do what a command asks, whatever the value."""
        if name == "setDose":
            self._dose_ml = float(value)
        elif name == "identify":
            self._blinks += 1
        self._since_status_s = STATUS_EVERY_S  # it says how it is, now

    def events(self) -> Mapping[str, Callable[[float], None]]:
        """What befalls it.

        ``visit N``: so many pass, and take a dose or not; ``pass N``: so many who take none; ``dose``: a dose without
        a passage; ``refill P``: P per cent; ``battery V``; ``jam``: 1 jams the motor, 0 frees it.
        """
        return {
            "visit": lambda count: self._visit(int(count) or 1),
            "pass": lambda count: self._visit(int(count) or 1, compliance=0.0),
            "dose": lambda _: self._dose(),
            "refill": self._refill,
            "battery": self._set_battery,
            "jam": self._jam,
        }

    def _visit(self, count: int, compliance: float | None = None) -> None:
        share = self._compliance if compliance is None else compliance
        for _ in range(count):
            self._passages = (self._passages + 1) % 2**32
            self._direction = self._random.choice((0, 1))
            self._say("opportunity")
            if self._random.random() < share:
                self._dose()

    def _dose(self) -> None:
        if self._jammed or self._left_ml <= 0:
            return
        self._last_ml = min(self._dose_ml, self._left_ml)
        self._partial = self._last_ml < self._dose_ml
        self._left_ml -= self._last_ml
        self._doses = (self._doses + 1) % 2**32
        self._battery_v -= VOLT_PER_DOSE
        self._say("dispense")

    def _refill(self, percent: float) -> None:
        self._left_ml = BOTTLE_ML * min(max(percent, 0.0), 100.0) / 100.0
        self._since_status_s = STATUS_EVERY_S

    def _set_battery(self, volts: float) -> None:
        self._battery_v = min(max(volts, 0.0), FULL_V)
        self._since_status_s = STATUS_EVERY_S

    def _jam(self, jammed: float) -> None:
        self._jammed = bool(jammed)
        self._since_status_s = STATUS_EVERY_S

    def restart(self) -> None:
        """Lose power and come back; the counters are kept, as in any dispenser of worth."""
        self._waiting.clear()
        self._since_status_s = STATUS_EVERY_S
