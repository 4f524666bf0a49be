# SPDX-License-Identifier: Apache-2.0
"""The order in which a roll-out takes devices: stable for one roll-out, different between roll-outs.

A plan made twice chooses the same devices, and no device is always the first to be tried on. A device's place follows
from its number in the records and the roll-out's id alone, in integers that every database computes: so a million
devices are put in order where they are stored, and whether a device has its turn is decided without a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

# A prime above every number of a device; number * multiplier stays below 2^62, within a database's 64-bit integers.
PRIME: Final = 2**31 - 1
# The place before the first, and the one that every device has reached.
NOBODY: Final = -1
EVERYBODY: Final = PRIME


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """The permutation of one roll-out: place = (number * multiplier + offset) mod :data:`PRIME`."""

    multiplier: int
    offset: int

    def place(self, number: int) -> int:
        """Where a device stands; no two devices have the same place."""
        return (number * self.multiplier + self.offset) % PRIME


def order_of(rollout_id: UUID) -> PlaceOrder:
    """The order of a roll-out: both numbers are drawn from SHA-256(roll-out id)."""
    drawn = sha256(rollout_id.bytes).digest()
    return PlaceOrder(1 + int.from_bytes(drawn[:8], "big") % (PRIME - 1), int.from_bytes(drawn[8:16], "big") % PRIME)


def size_after(cohorts: tuple[int, ...], index: int, devices: int) -> int:
    """How many of ``devices`` have started once cohort ``index`` has: its percentage rounded up.

    Every cohort adds at least one device while any is left: a first cohort of 1% of three devices is one device.
    """
    by_percent = -(-cohorts[index] * devices // 100)
    return min(devices, max(by_percent, index + 1))


def due_of(cohorts: tuple[int, ...], index: int, devices: int, started: int) -> int:
    """How many of ``devices`` cohort ``index`` starts where ``started`` have: at least one while any is left."""
    return 0 if started >= devices else max(1, size_after(cohorts, index, devices) - started)
