# SPDX-License-Identifier: Apache-2.0
"""What a power cut in the middle of an operation can leave on a medium.

With a cache, each sector that was given to it and not synced is there, torn or not there, whatever was given before or
after it. A file system may cut the region to the length that reached it, with zeros in the gaps, or keep the old bytes
in its place; and it may know the new, empty file and nothing of its content. Without a cache only the block that was
being erased or the sector that was being programmed is damaged: an erase leaves bits between the old ones and all ones,
a program bits between all ones and the new ones, be it but one. A rename, and a removal, has happened or has not.

The states named below are always tried, and beside them some that a seeded generator picks.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from random import Random

from armillary.sim.power.flash import ERASED, Kind, Operation
from armillary.sim.power.geometry import Geometry

Durable = Mapping[str, bytes]


class Fate(enum.Enum):
    """What becomes of what is in the cache."""

    LOST = "nothing of it arrives"
    WHOLE = "all of it arrives"
    TORN = "all arrives, the last sector torn"
    LAST_ONLY = "the last sector arrives, those before it do not"
    EMPTIED = "the region is known, and empty"
    MIXED = "some sectors arrive, some torn, some not"


NAMED = (Fate.LOST, Fate.WHOLE, Fate.TORN, Fate.LAST_ONLY, Fate.EMPTIED)
WEAK_CELLS = 4  # states in which one bit was not quite done: what a check code is for, since no format notices
_DONE_OR_NOT = bytes(0xFF * (byte & 1) for byte in range(256))  # for bytes.translate: half of them are done
_Choice = tuple[list[int], list[int]]  # sectors that arrive whole, sectors that arrive torn


def left_by(operation: Operation, geometry: Geometry, random: Random, samples: int) -> list[Durable]:
    """Every different state of the medium that is tried for a cut during ``operation``; ``samples`` are random ones."""
    if operation.kind in (Kind.ERASE, Kind.PROGRAM):
        candidates = _uncached(operation, geometry, random, samples)
    else:
        candidates = _cached(operation, geometry, random, samples)
    found: dict[frozenset[tuple[str, bytes]], Durable] = {}
    for each in candidates:
        found.setdefault(frozenset(each.items()), each)
    return list(found.values())


def _cached(operation: Operation, geometry: Geometry, random: Random, samples: int) -> Iterator[Durable]:
    durable = operation.before.durable
    waiting = {region: each.stored for region, each in operation.before.unsynced.items()}
    if operation.kind is Kind.WRITE:
        waiting[operation.region] = operation.data[: operation.offset + geometry.sector_bytes]
    if not waiting:
        yield durable
        return
    for fate in (*NAMED, *(Fate.MIXED for _ in range(samples))):
        left = dict(durable)
        for region, stored in waiting.items():
            content = _arrived(durable.get(region), stored, geometry, fate, random)
            if content is not None:
                left[region] = content
        yield left


def _arrived(old: bytes | None, new: bytes, geometry: Geometry, fate: Fate, random: Random) -> bytes | None:
    """The content of a region after its part of the cache, ``new``, met its fate; None if there is no such region."""
    if fate is Fate.LOST:
        return old
    if fate is Fate.EMPTIED:
        return b""
    sector = geometry.sector_bytes
    whole, torn = _choose(fate, max(1, -(-len(new) // sector)), random)
    if not whole and not torn:
        return old
    # A file that was cut to nothing and grew again, or a place that keeps what is not overwritten.
    content = bytearray() if random.random() < 0.5 else bytearray(old or b"")
    for number in sorted((*whole, *torn)):
        start, end = number * sector, min((number + 1) * sector, len(new))
        if len(content) < end:
            content.extend(bytes(end - len(content)))
        unit = sector if number in whole else geometry.atomic_bytes
        for at in range(start, end, unit):
            if number in whole or random.random() < 0.5:
                content[at : min(at + unit, end)] = new[at : min(at + unit, end)]
    return bytes(content)


def _choose(fate: Fate, count: int, random: Random) -> _Choice:
    sectors = list(range(count))
    if fate is Fate.WHOLE:
        return sectors, []
    if fate is Fate.TORN:
        return sectors[:-1], sectors[-1:]
    if fate is Fate.LAST_ONLY:
        return sectors[-1:], []
    drawn = [random.random() for _ in sectors]
    return [n for n in sectors if drawn[n] < 0.4], [n for n in sectors if 0.4 <= drawn[n] < 0.7]


def _uncached(operation: Operation, geometry: Geometry, random: Random, samples: int) -> Iterator[Durable]:
    """States around the one block or sector that the operation was at; everything else is durable."""
    durable, data, start = operation.before.durable, operation.data, operation.offset
    blank = ERASED * len(data)
    if operation.kind is Kind.PROGRAM:
        old, new, reach = data[:start] + blank[start:], data, geometry.sector_bytes
    else:
        old, new, reach = blank[:start] + data[start:], blank, geometry.erase_block_bytes or len(data)
    yield {**durable, operation.region: old} if start or operation.kind is Kind.PROGRAM else durable
    end = min(start + reach, len(data))
    for done in _masks(end - start, geometry.atomic_bytes, random, samples) if start < end else ():
        content = _blend(old[start:end], new[start:end], done)
        yield {**durable, operation.region: old[:start] + content + old[end:]}


def _masks(size: int, unit: int, random: Random, samples: int) -> Iterator[bytes]:
    """Which bits of ``size`` bytes are new: one half, the other, all but one, some of the units, some of all bits."""
    half = size // unit // 2 * unit
    yield ERASED * half + bytes(size - half)
    yield bytes(half) + ERASED * (size - half)
    for _ in range(WEAK_CELLS):
        weak = bytearray(ERASED * size)
        weak[random.randrange(size)] ^= 1 << random.randrange(8)
        yield bytes(weak)
    for sample in range(samples):
        if sample % 2:
            yield random.randbytes(size)
        else:
            units = random.randbytes(-(-size // unit)).translate(_DONE_OR_NOT)
            yield units if unit == 1 else b"".join(bytes((each,)) * unit for each in units)[:size]


def _blend(old: bytes, new: bytes, done: bytes) -> bytes:
    """The bits of ``new`` where ``done`` has ones, those of ``old`` elsewhere; all of one length."""
    before, after, mask = int.from_bytes(old), int.from_bytes(new), int.from_bytes(done)
    return (before & ~mask | after & mask).to_bytes(len(old))
