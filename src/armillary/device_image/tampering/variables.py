# SPDX-License-Identifier: Apache-2.0
"""What is changed of the firmware's variables by who writes the flash that they are in."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from typing import Final

from armillary.errors import InvalidArgumentError
from armillary.wire.device_image.variable_store import IN_FORCE, StoredVariable, variables_of

# Bits that an attack flips in each region, at places that its seed gives.
FLIPS: Final = 4
# What flash is that was erased.
ERASED: Final = b"\xff"
KEYS: Final = ("PK", "KEK", "db", "dbx")
ENTRIES: Final = ("Boot0001", "Boot0002")
SLOT_STATE: Final = ("BootOrder", "BootNext")
STATE_AT: Final = 2  # of a variable's header: its state
# EDK2, VariableFormat.h: a variable in force whose bit for "deleted" is cleared. Firmware for arm64 takes a store that
# has a state which it never writes for a damaged one, and makes a new one.
DELETED: Final = IN_FORCE & 0xFD


def flipped(data: bytes, places: Iterable[tuple[int, int]], *, seed: int, flips: int = FLIPS) -> bytes:
    """``flips`` bits in each of these places (offset, bytes), chosen by the seed; no bit twice."""
    changed = bytearray(data)
    for number, (at, size) in enumerate(places):
        chosen = random.Random(f"{seed} {number}").sample(range(8 * size), min(flips, 8 * size))  # noqa: S311 - repeatable
        for bit in chosen:
            changed[at + bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def flipped_contents(names: Collection[str], *, seed: int) -> Callable[[bytes], bytes]:
    """Bits in the content of each variable of these names that is there."""
    return lambda store: flipped(store, ((each.at, each.size) for each in _named(store, names)), seed=seed)


def flipped_headers(names: Collection[str], *, seed: int) -> Callable[[bytes], bytes]:
    """Bits in the headers and names of these variables: the firmware finds them no more, or others."""
    return lambda store: flipped(
        store, ((each.begins_at, each.at - each.begins_at) for each in _named(store, names)), seed=seed
    )


def removed(names: Collection[str]) -> Callable[[bytes], bytes]:
    """Without the variables of these names: each is marked as the firmware marks one that was deleted."""

    def change(store: bytes) -> bytes:
        changed = bytearray(store)
        for each in _named(store, names):
            changed[each.begins_at + STATE_AT] = DELETED
        return bytes(changed)

    return change


def cut_off(name: str) -> Callable[[bytes], bytes]:
    """Erased from the middle of a variable's content on."""

    def change(store: bytes) -> bytes:
        (found,) = _named(store, (name,))
        at = found.at + found.size // 2
        return store[:at] + ERASED * (len(store) - at)

    return change


def flipped_volume(seed: int) -> Callable[[bytes], bytes]:
    """Bits of the headers of the volume and the store, in front of the first variable."""
    return lambda store: flipped(store, [(0, variables_of(store)[0].begins_at)], seed=seed, flips=4 * FLIPS)


def _named(store: bytes, names: Collection[str]) -> list[StoredVariable]:
    found = [each for each in variables_of(store) if each.name in names]
    if not found:
        raise InvalidArgumentError(
            f"variables of the firmware: expected one of {', '.join(names)}, found none",
            remedy="Attack a machine that was started before, of an image that UEFI firmware starts.",
        )
    return found
