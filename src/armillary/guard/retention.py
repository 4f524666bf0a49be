# SPDX-License-Identifier: Apache-2.0
"""Which messages a full or old queue gives up: by kind first, then by age.

1. Bytes: when more than the limit is held, the oldest messages of the lowest kind go until it is at the low-water mark;
   a kind is touched only when no message of a lower one is left (TELEMETRY, EVENT, ALARM, AUDIT).
2. Age: telemetry and events that are older than the limit go. Alarms and audit never go for their age.
3. An age that cannot be known (another boot's message while a clock is not synced) is no reason to drop anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from armillary.wire.equipment.message import ClockQuality, MessageKind

# What is freed below the limit, so that a full queue does not delete a little with every message.
LOW_WATER: Final = 0.95

# Kinds that go for their age.
AGEING: Final = frozenset((MessageKind.TELEMETRY, MessageKind.EVENT))


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Bounds of a queue."""

    bytes: int = 16 << 20  # Of the file; three hours of 1.5 KB/s. Log, reserve and slack take 3 MB more at most
    age_s: float = 7 * 24 * 3600.0  # A week: what is older changes no decision any more


@dataclass(frozen=True, slots=True)
class Drop:
    """Messages to give up: the oldest of a kind until so many bytes are freed."""

    kind: MessageKind
    bytes: int


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, by both clocks."""

    wall: float  # Unix seconds
    monotonic: float  # Seconds since the machine started
    clock: ClockQuality
    machine: str  # Which start of the machine it is


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a message was made."""

    wall: float
    monotonic: float
    clock: ClockQuality
    machine: str


def drops(held: Mapping[MessageKind, int], used_bytes: int, limit_bytes: int) -> tuple[Drop, ...]:
    """What to give up of a queue that uses ``used_bytes`` of the disk and holds so many bytes of each kind.

    Empty while it is within its limit. What a kind holds is an estimate: the caller measures again and asks again.
    """
    if used_bytes <= limit_bytes:
        return ()
    missing = used_bytes - int(limit_bytes * LOW_WATER)
    found: list[Drop] = []
    for kind in MessageKind:
        there = held.get(kind, 0)
        if there > 0 and missing > 0:
            found.append(Drop(kind, min(there, missing)))
            missing -= there
    return tuple(found)


def age_s(stamp: Stamp, now: Moment) -> float | None:
    """How old a message is, in seconds; None where no clock can say."""
    if stamp.machine and stamp.machine == now.machine:
        return now.monotonic - stamp.monotonic  # steps of the wall clock change nothing
    if stamp.clock is ClockQuality.SYNCED and now.clock is ClockQuality.SYNCED:
        return now.wall - stamp.wall
    return None


def is_too_old(kind: MessageKind, stamp: Stamp, now: Moment, limit_s: float) -> bool:
    """Whether a message goes for its age."""
    age = age_s(stamp, now)
    return kind in AGEING and age is not None and age > limit_s
