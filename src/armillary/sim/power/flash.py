# SPDX-License-Identifier: Apache-2.0
"""A flash engine in memory that keeps the state of its medium before every operation.

Nothing is cut here: the device runs its transaction to the end, and ``cut.py`` then says what each operation would have
left had the power gone in it. So one run serves for every cut. A call that does the same to many sectors or blocks is
kept as one *step*; its operations are made when they are looked at.

An operation is what a medium does in one go: a sector written to the cache or programmed, a block erased, a region
synced, renamed or removed. Reading changes nothing and is not counted: a cut while reading is one before the next
operation.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from armillary.engines.flash.port import NothingRunsFrom, check_region_name
from armillary.errors import DataFolderError
from armillary.sim.power.asked import About, Answer, Asked, Question
from armillary.sim.power.geometry import Geometry
from armillary.sim.power.medium import Medium, Unsynced, flawed

# The longest transaction has some hundred; a device that never comes to rest must not fill the memory.
OPERATION_LIMIT = 5_000

ERASED = b"\xff"


class Kind(enum.StrEnum):
    """What an operation does."""

    WRITE = "write"  # a sector into the cache
    ERASE = "erase"  # a block of a medium that is erased before it is written
    PROGRAM = "program"  # a sector of such a medium
    SYNC = "sync"
    RENAME = "rename"
    REMOVE = "remove"
    END = "end"  # nothing: the power goes after the last operation


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: what it does at which byte of a region.

    Attributes:
        before: The medium before it; before the first one, where several write the same region.
        data: What the region is to hold (write, program) or held before the first erase, filled up to its new size.
        told: What the service knew before it, see :class:`PowerFlash`.
    """

    kind: Kind
    region: str
    offset: int
    before: Medium
    data: bytes
    told: frozenset[object]

    def __str__(self) -> str:
        place = f" of {self.region}" if self.region else ""
        return f"{self.kind}{place}" + (f" at byte {self.offset}" if self.offset else "")


@dataclass(frozen=True, slots=True)
class _Step:
    """Operations of one kind in a row, ``count`` of them, each ``unit`` bytes further; see :class:`Operation`."""

    kind: Kind
    region: str
    unit: int
    count: int
    before: Medium
    data: bytes
    told: frozenset[object]


class Operations(Sequence[Operation]):
    """The operations of a life so far, in order."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._first: list[int] = []  # number of the first operation of each step
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Operation: ...
    @overload
    def __getitem__(self, index: slice) -> list[Operation]: ...
    def __getitem__(self, index: int | slice) -> Operation | list[Operation]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        number = index if index >= 0 else index + self._count
        if not 0 <= number < self._count:
            raise IndexError(index)
        at = bisect_right(self._first, number) - 1
        step = self._steps[at]
        offset = (number - self._first[at]) * step.unit
        return Operation(step.kind, step.region, offset, step.before, step.data, step.told)

    def note(self, step: _Step) -> None:
        """Add the operations of a step."""
        self._steps.append(step)
        self._first.append(self._count)
        self._count += step.count


class PowerFlash(NothingRunsFrom):
    """Flash with the geometry of a real medium; :class:`~armillary.engines.flash.port.Flash` is its contract.

    ``told`` gives what the world outside has learned from the device so far, which no cut takes back. The medium stores
    wrongly, and does not say so, the sectors that the operations numbered ``flaws`` write, and every region whose name
    begins with ``worn``. ``asked`` notes what depends on ``durable``.
    """

    def __init__(
        self,
        geometry: Geometry,
        durable: Mapping[str, bytes],
        *,
        told: Callable[[], frozenset[object]] = frozenset,
        flaws: Collection[int] = (),
        worn: str = "",
        asked: Asked | None = None,
    ) -> None:
        self._geometry = geometry
        self._medium = Medium(durable)
        self._told = told
        self._flaws = flaws
        self._worn = worn
        self._asked = Asked(durable) if asked is None else asked
        self.operations = Operations()

    @property
    def medium(self) -> Medium:
        """The medium now."""
        return self._medium

    def end(self) -> None:
        """Note that the transaction is over: a cut may come now as well."""
        self._do(Kind.END, "", self._medium)

    def without_power(self) -> PowerFlash:
        """The flash after a cut that comes now, and takes all that is not synced; flawless from then on."""
        for region in self._medium.unsynced:
            self._asked.content(region)
        return PowerFlash(self._geometry, self._medium.durable, asked=self._asked)

    def read(self, region: str) -> bytes | None:
        """The bytes of ``region``, or None when there is no such region."""
        return self._read(check_region_name(region))

    def write(self, region: str, data: bytes) -> None:
        """Make ``region`` hold ``data``, sector by sector."""
        check_region_name(region)
        if self._geometry.cached:
            self._write(region, data)
        else:
            self._erase(region, len(data))
            self._program(region, data)

    def sync(self, region: str) -> None:
        """Make what was written to ``region`` durable."""
        is_waiting = check_region_name(region) in self._medium.unsynced
        self._do(Kind.SYNC, region, self._medium.synced(region))
        if is_waiting:
            self._asked.settle(region)

    def rename(self, source: str, target: str) -> None:
        """Put ``source`` in the place of ``target``."""
        check_region_name(target)
        if self._read(check_region_name(source)) is None:
            raise DataFolderError(f"flash region {source}: expected a region to rename, got none")
        self._asked.content(source)
        self._do(Kind.RENAME, source, self._medium.renamed(source, target))
        self._asked.settle(target)

    def remove(self, region: str) -> None:
        """Remove ``region``; absent already is no error."""
        if self._is_there(check_region_name(region)):
            self._do(Kind.REMOVE, region, self._medium.removed(region))
            self._asked.settle(region)

    def room(self, region: str) -> int | None:
        """None: the medium is never full."""
        check_region_name(region)
        return None

    def regions(self, prefix: str) -> tuple[str, ...]:
        """Names of the regions that begin with ``prefix``, sorted."""
        self._asked.names(prefix)
        return self._medium.regions(prefix)

    def ask(self, question: Question) -> Answer:
        """Look, as a device would, for the answer to a question."""
        match question.about:
            case About.CONTENT:
                return self.read(question.name)
            case About.PRESENCE:
                return self._is_there(question.name)
            case About.NAMES:
                return self.regions(question.name)

    def _is_there(self, region: str) -> bool:
        if region not in self._medium.unsynced:
            self._asked.presence(region)
        return self._medium.read(region) is not None

    def _read(self, region: str) -> bytes | None:
        if region not in self._medium.unsynced:
            self._asked.content(region)
        return self._medium.read(region)

    def _write(self, region: str, data: bytes) -> None:
        """Give the sectors to the cache."""
        stored = self._note_sectors(Kind.WRITE, region, data)
        self._medium = self._medium.waiting(region, Unsynced(data, stored))

    def _erase(self, region: str, size: int) -> None:
        """Erase the blocks of a region, which has its new size from here on."""
        old = (self._medium.read(region) or b"")[:size].ljust(size, ERASED)
        self._note(Kind.ERASE, region, old, self._geometry.erase_block_bytes or max(size, 1))

    def _program(self, region: str, data: bytes) -> None:
        stored = self._note_sectors(Kind.PROGRAM, region, data)
        self._medium = self._medium.holding(region, stored)
        self._asked.settle(region)

    def _note_sectors(self, kind: Kind, region: str, data: bytes) -> bytes:
        """Note an operation for each sector; what is stored, with its flaws."""
        sector, first = self._geometry.sector_bytes, len(self.operations)
        stored = flawed(data, 0, sector) if self._worn and region.startswith(self._worn) else data
        for flaw in self._flaws:
            if 0 <= (flaw - first) * sector < len(data):
                stored = flawed(stored, (flaw - first) * sector, sector)
        self._note(kind, region, stored, sector)
        return stored

    def _do(self, kind: Kind, region: str, after: Medium) -> None:
        self._note(kind, region, b"", 1)
        self._medium = after

    def _note(self, kind: Kind, region: str, data: bytes, unit: int) -> None:
        """Note what is done to each ``unit`` of the data; empty data is one operation too."""
        count = max(-(-len(data) // unit), 1)
        if len(self.operations) + count > OPERATION_LIMIT:
            raise DataFolderError(
                f"the simulated flash was written {OPERATION_LIMIT} times: expected a device that comes to rest",
                remedy="The device repeats a step for ever; its last operations say which.",
            )
        self.operations.note(_Step(kind, region, unit, count, self._medium, data, self._told()))
