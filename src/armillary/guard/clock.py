# SPDX-License-Identifier: Apache-2.0
"""The guardian's time: whether it can be relied on, and what becomes of times that could not.

A guardian starts without a network and often without a battery behind its clock, and an application may not set the
clock. So everything is stamped by two clocks: the wall clock, which may be wrong and may step, and the monotonic one,
which only runs. A source that can be relied on says once what time it is; from then on time is that moment plus what
the monotonic clock ran, whatever the wall clock does, and the true time of everything that this start of the machine
stamped before follows as well.

========  =========  ========
quality   event      next
========  =========  ========
UNSYNCED  CONFIRMED  SYNCED    times of this start of the machine can be corrected
UNSYNCED  AGED       UNSYNCED
SYNCED    CONFIRMED  SYNCED
SYNCED    AGED       UNSYNCED  until it is confirmed again
========  =========  ========
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from armillary.wire.equipment.message import ClockQuality

# Wall clock and monotonic clock may drift apart by this between two looks without anybody having set one: a client of
# NTP that slews changes the rate by 500 ppm at most, 0.3 s in ten minutes.
STEP_S: Final = 1.0

# A crystal of 100 ppm is wrong by 17 s after this time without a confirmation.
MAX_UNCONFIRMED_S: Final = 48 * 3600.0


class ClockEvent(Enum):
    """What changes how far time can be relied on."""

    CONFIRMED = "confirmed"  # A source that can be relied on said what time it is
    AGED = "aged"  # None did for MAX_UNCONFIRMED_S


_NEXT: Final[Mapping[tuple[ClockQuality, ClockEvent], ClockQuality]] = {
    (ClockQuality.UNSYNCED, ClockEvent.CONFIRMED): ClockQuality.SYNCED,
    (ClockQuality.UNSYNCED, ClockEvent.AGED): ClockQuality.UNSYNCED,
    (ClockQuality.SYNCED, ClockEvent.CONFIRMED): ClockQuality.SYNCED,
    (ClockQuality.SYNCED, ClockEvent.AGED): ClockQuality.UNSYNCED,
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One moment by both clocks."""

    wall: float  # Unix seconds
    monotonic: float  # Seconds since the machine started


@dataclass(frozen=True, slots=True)
class ClockState:
    """What is known of the time."""

    quality: ClockQuality = ClockQuality.UNSYNCED
    right: Pair | None = None  # The last moment whose wall time is known to be right
    seen: Pair | None = None  # The last look at both clocks
    steps: int = 0  # How often somebody set the wall clock
    last_step_s: float = 0.0  # By how much, the last time; negative: back


def look(state: ClockState, now: Pair, *, kernel_synced: bool = False) -> ClockState:
    """The state after a look at both clocks; ``kernel_synced``: the kernel says that a time service keeps its right."""
    moved = 0.0 if state.seen is None else (now.wall - state.seen.wall) - (now.monotonic - state.seen.monotonic)
    if abs(moved) > STEP_S:
        state = replace(state, steps=state.steps + 1, last_step_s=moved)
    state = replace(state, seen=now)
    if kernel_synced:
        return _confirmed(state, now)
    if state.right is not None and now.monotonic - state.right.monotonic > MAX_UNCONFIRMED_S:
        return replace(state, quality=_NEXT[state.quality, ClockEvent.AGED])
    return state


def told(state: ClockState, now: Pair, reference: float) -> ClockState:
    """The state after an authenticated source said that it is ``reference`` (Unix seconds) now."""
    return _confirmed(look(state, now), Pair(reference, now.monotonic))


def time_of(state: ClockState, now: Pair) -> float:
    """What time it is, Unix seconds: by the last confirmation if there was one, else by the wall clock."""
    return now.wall if state.right is None else corrected(now.monotonic, state.right)


def corrected(monotonic: float, right: Pair) -> float:
    """The true time (Unix seconds) of a moment of the same start of the machine, by a moment whose time is right."""
    return right.wall - (right.monotonic - monotonic)


def _confirmed(state: ClockState, right: Pair) -> ClockState:
    return replace(state, quality=_NEXT[state.quality, ClockEvent.CONFIRMED], right=right)
