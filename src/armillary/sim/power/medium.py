# SPDX-License-Identifier: Apache-2.0
"""What a flash medium holds: what survives a power cut, and what was written and not synced.

Values, never changed: an operation makes a new one, so that the state before every operation of a transaction can be
kept and cut there later. A region that was not touched is the same object in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

_Value = TypeVar("_Value")

FLAW = 0x5A  # what a failing cell does to each byte of its sector


@dataclass(frozen=True, slots=True)
class Unsynced:
    """A region that waits in the cache: ``data`` is read by the device, ``stored`` is what the medium makes of it."""

    data: bytes
    stored: bytes


@dataclass(frozen=True, slots=True)
class Medium:
    """The regions of one medium by name."""

    durable: Mapping[str, bytes] = field(default_factory=dict)
    unsynced: Mapping[str, Unsynced] = field(default_factory=dict)

    def read(self, region: str) -> bytes | None:
        """What a running device reads: the cache first."""
        waiting = self.unsynced.get(region)
        return self.durable.get(region) if waiting is None else waiting.data

    def regions(self, prefix: str) -> tuple[str, ...]:
        """Names of regions that begin with ``prefix``, sorted."""
        return tuple(sorted(name for name in {**self.durable, **self.unsynced} if name.startswith(prefix)))

    def waiting(self, region: str, unsynced: Unsynced) -> Medium:
        """With a region in the cache."""
        return Medium(self.durable, {**self.unsynced, region: unsynced})

    def holding(self, region: str, data: bytes) -> Medium:
        """With a region on the medium."""
        return Medium({**self.durable, region: data}, self.unsynced)

    def synced(self, region: str) -> Medium:
        """After the region left the cache."""
        waiting = self.unsynced.get(region)
        if waiting is None:
            return self
        return Medium({**self.durable, region: waiting.stored}, _without(self.unsynced, region))

    def renamed(self, source: str, target: str) -> Medium:
        """After a rename. The name is durable at once, bytes of the source that were not synced are not."""
        unsynced = _without(_without(self.unsynced, target), source)
        if source in self.unsynced:
            unsynced = {**unsynced, target: self.unsynced[source]}
        return Medium({**_without(self.durable, source), target: self.durable.get(source, b"")}, unsynced)

    def removed(self, region: str) -> Medium:
        """After a region was removed."""
        return Medium(_without(self.durable, region), _without(self.unsynced, region))


def flawed(data: bytes, offset: int, sector_bytes: int) -> bytes:
    """``data`` with the sector at ``offset`` as a failing cell gives it back."""
    end = offset + sector_bytes
    return data[:offset] + bytes(byte ^ FLAW for byte in data[offset:end]) + data[end:]


def _without(regions: Mapping[str, _Value], name: str) -> Mapping[str, _Value]:
    return {each: value for each, value in regions.items() if each != name} if name in regions else regions
