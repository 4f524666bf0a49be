# SPDX-License-Identifier: Apache-2.0
"""A flash engine in memory that keeps the state of its medium before every operation.

Nothing is cut here: the device runs its transaction to the end, and ``cut.py`` then says what each operation would have
left had the power gone in it. So one run serves for every cut.

An operation is what a medium does in one go: a sector written to the cache or programmed, a block erased, a region
synced, renamed or removed. Reading changes nothing and is not counted: a cut while reading is one before the next
operation.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from armillary.engines.flash.port import check_region_name
from armillary.errors import DataFolderError
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


class PowerFlash:
    """Flash with the geometry of a real medium; :class:`~armillary.engines.flash.port.Flash` is its contract.

    ``told`` gives what the world outside has learned from the device so far, which no cut takes back. The medium stores
    wrongly, and does not say so, the sectors that the operations numbered ``flaws`` write, and every region whose name
    begins with ``worn``.
    """

    def __init__(
        self,
        geometry: Geometry,
        durable: Mapping[str, bytes],
        *,
        told: Callable[[], frozenset[object]] = frozenset,
        flaws: Collection[int] = (),
        worn: str = "",
    ) -> None:
        self._geometry = geometry
        self._medium = Medium(durable)
        self._told = told
        self._flaws = flaws
        self._worn = worn
        self.operations: list[Operation] = []

    @property
    def medium(self) -> Medium:
        """The medium now."""
        return self._medium

    def end(self) -> None:
        """Note that the transaction is over: a cut may come now as well."""
        self._do(Kind.END, "", self._medium)

    def read(self, region: str) -> bytes | None:
        """The bytes of ``region``, or None when there is no such region."""
        return self._medium.read(check_region_name(region))

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
        self._do(Kind.SYNC, region, self._medium.synced(check_region_name(region)))

    def rename(self, source: str, target: str) -> None:
        """Put ``source`` in the place of ``target``."""
        check_region_name(target)
        if self._medium.read(check_region_name(source)) is None:
            raise DataFolderError(f"flash region {source}: expected a region to rename, got none")
        self._do(Kind.RENAME, source, self._medium.renamed(source, target))

    def remove(self, region: str) -> None:
        """Remove ``region``; absent already is no error."""
        if self._medium.read(check_region_name(region)) is not None:
            self._do(Kind.REMOVE, region, self._medium.removed(region))

    def regions(self, prefix: str) -> tuple[str, ...]:
        """Names of the regions that begin with ``prefix``, sorted."""
        return self._medium.regions(prefix)

    def _write(self, region: str, data: bytes) -> None:
        """Give the sectors to the cache."""
        stored = self._note_sectors(Kind.WRITE, region, data)
        self._medium = self._medium.waiting(region, Unsynced(data, stored))

    def _erase(self, region: str, size: int) -> None:
        """Erase the blocks of a region, which has its new size from here on."""
        old = (self._medium.read(region) or b"")[:size].ljust(size, ERASED)
        for offset in range(0, max(size, 1), self._geometry.erase_block_bytes or max(size, 1)):
            self._note(Kind.ERASE, region, offset, old)

    def _program(self, region: str, data: bytes) -> None:
        stored = self._note_sectors(Kind.PROGRAM, region, data)
        self._medium = self._medium.holding(region, stored)

    def _note_sectors(self, kind: Kind, region: str, data: bytes) -> bytes:
        """Note an operation for each sector; what is stored, with its flaws."""
        sector, first = self._geometry.sector_bytes, len(self.operations)
        stored = flawed(data, 0, sector) if self._worn and region.startswith(self._worn) else data
        for flaw in self._flaws:
            if 0 <= (flaw - first) * sector < len(data):
                stored = flawed(stored, (flaw - first) * sector, sector)
        for offset in range(0, max(len(data), 1), sector):
            self._note(kind, region, offset, stored)
        return stored

    def _do(self, kind: Kind, region: str, after: Medium) -> None:
        self._note(kind, region, 0, b"")
        self._medium = after

    def _note(self, kind: Kind, region: str, offset: int, data: bytes) -> None:
        if len(self.operations) >= OPERATION_LIMIT:
            raise DataFolderError(
                f"the simulated flash was written {OPERATION_LIMIT} times: expected a device that comes to rest",
                remedy="The device repeats a step for ever; its last operations say which.",
            )
        self.operations.append(Operation(kind, region, offset, self._medium, data, self._told()))
