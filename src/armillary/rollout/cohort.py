# SPDX-License-Identifier: Apache-2.0
"""The order in which a roll-out takes devices: stable for one roll-out, different between roll-outs.

A plan made twice chooses the same devices, and no device is always the first to be tried on.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID


def place(rollout_id: UUID, device_id: str) -> bytes:
    """Where a device stands in the order of a roll-out: SHA-256(roll-out id || device id)."""
    return sha256(rollout_id.bytes + device_id.encode()).digest()


def in_order(rollout_id: UUID, device_ids: Iterable[str]) -> list[str]:
    """The devices in the order of the roll-out."""
    return sorted(device_ids, key=lambda device_id: place(rollout_id, device_id))


def size_after(cohorts: tuple[int, ...], index: int, devices: int) -> int:
    """How many of ``devices`` have started once cohort ``index`` has: its percentage rounded up.

    Every cohort adds at least one device while any is left: a first cohort of 1% of three devices is one device.
    """
    by_percent = -(-cohorts[index] * devices // 100)
    return min(devices, max(by_percent, index + 1))
