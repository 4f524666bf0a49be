# SPDX-License-Identifier: Apache-2.0
"""Phases of an update of the OS as the console tells them, and when power goes in them: pure rules.

The phases follow one another; each begins with a line on the console::

    write     the service offers a release: packages are fetched, checked, and written into the slot that does not run
    stop      the other slot is in force: the device stops what runs
    firmware  the machine restarts: the firmware looks for what it starts
    start     the first program, process 1 and the device process of the new OS
    trial     the new OS runs, is attested, and judged
    confirm   the update is confirmed: what is left to write of it, until the second check-in after that

``recovery`` is none of an update: the start after a cut is cut as well.
"""

from __future__ import annotations

import enum
import random
import re
from dataclasses import dataclass
from typing import Final


class Phase(enum.Enum):
    """Where in an update a machine is; ``IDLE`` is in none."""

    IDLE = "idle"
    WRITE = "write"
    STOP = "stop"
    FIRMWARE = "firmware"
    START = "start"
    TRIAL = "trial"
    CONFIRM = "confirm"
    RECOVERY = "recovery"


# Phases that are cut, each as often as the others.
CUT: Final = (
    Phase.WRITE,
    Phase.STOP,
    Phase.FIRMWARE,
    Phase.START,
    Phase.TRIAL,
    Phase.CONFIRM,
    Phase.RECOVERY,
)
_BEGINNINGS: Final = (
    (re.compile(r" update-offered "), Phase.WRITE),
    (re.compile(r" update-started "), Phase.STOP),
    (re.compile(r"^armillary: restarting$"), Phase.FIRMWARE),
    (re.compile(r"^armillary: slot [ab], verified root"), Phase.START),
    (re.compile(r" booted "), Phase.TRIAL),
    (re.compile(r" update-confirmed "), Phase.CONFIRM),
    (re.compile(r" update-(reverted|refused|postponed) "), Phase.IDLE),
)
# Of a start that an update made; any other start begins no phase.
_OF_A_RESTART: Final = {Phase.START: Phase.FIRMWARE, Phase.TRIAL: Phase.START}
_CHECK_IN: Final = re.compile(r" check-in  verdict=(\S+) .*(?:offered|offer_id)=(\S+)")  # offer_id: images of before
# What a directive offers counts once it is begun: that has a line of its own.
_NO_OFFER: Final = frozenset({"nothing", "directive", "None"})


@dataclass(frozen=True, slots=True)
class Cut:
    """When power goes: in which phase, and after which share (0 to 1) of the time that it takes."""

    phase: Phase
    share: float


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """A check-in that the service answered: its verdict, and whether it offered something without a directive."""

    verdict: str
    has_offer: bool


def cut_of(seed: int, number: int) -> Cut:
    """The cut of a round, the same for the same seed: every seven rounds have each phase once."""
    block, place = divmod(number, len(CUT))
    chance = random.Random(f"{seed}/{block}")  # noqa: S311 - a plan that can be repeated, no secret
    phases = chance.sample(CUT, len(CUT))
    shares = [chance.random() for _ in CUT]
    return Cut(phases[place], shares[place])


def phase_after(phase: Phase, line: str) -> Phase:
    """The phase that a machine is in after a line of its console."""
    for pattern, begins in _BEGINNINGS:
        if pattern.search(line):
            needed = _OF_A_RESTART.get(begins)
            return begins if needed is None or phase is needed else phase
    return phase


def checked_in(line: str) -> CheckedIn | None:
    """What a line says of a check-in; None if it tells of none."""
    match = _CHECK_IN.search(line)
    return None if match is None else CheckedIn(match[1], match[2] not in _NO_OFFER)
