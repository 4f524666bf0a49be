# SPDX-License-Identifier: Apache-2.0
"""The contract of a flash engine.

What a caller may rely on after a power cut at any moment:

1. A region that was written and *synced* holds exactly those bytes.
2. A region that was written and not synced, or was being written, holds the old bytes, the new bytes, a torn
   mixture or nothing: the reader has to check what it reads.
3. ``rename`` is atomic: the target is the old or the new region, whole, provided the source was synced before.
   It is durable when it returns.
4. ``remove`` is atomic and durable when it returns.

An engine raises :class:`~armillary.errors.DataFolderError` when the medium fails.
"""

from __future__ import annotations

import functools
import re
from typing import Protocol

from armillary.errors import DataFolderError

# A region name is a relative path of plain words: it can never leave the folder that a file engine keeps it in.
# Four levels are one more than the deepest name in use (applications/<component id>/<slot>).
_REGION_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}(/[a-z0-9][a-z0-9._-]{0,63}){0,3}")

WRITE_TRIES = 2  # one sector in many goes wrong and is well the next time; a medium that fails twice is failing
NEW_SUFFIX = ".new"  # a region on its way to replace the one without the suffix


class Flash(Protocol):
    """Named regions of bytes; see the module docstring for what survives a power cut."""

    def read(self, region: str) -> bytes | None:
        """The bytes of ``region``, or None when there is no such region."""

    def write(self, region: str, data: bytes) -> None:
        """Make ``region`` hold ``data``. Neither atomic nor durable before :meth:`sync`."""

    def sync(self, region: str) -> None:
        """Make what was written to ``region`` durable."""

    def rename(self, source: str, target: str) -> None:
        """Put ``source`` in the place of ``target``, atomically and durably."""

    def remove(self, region: str) -> None:
        """Remove ``region`` durably; absent already is no error. One that the machine runs from stays."""

    def room(self, region: str) -> int | None:
        """How many bytes ``region`` can hold; None: as many as the medium has left."""

    def regions(self, prefix: str) -> tuple[str, ...]:
        """Names of the regions that begin with ``prefix``, sorted."""

    def runs_from(self, region: str) -> bool:
        """Whether the machine runs from ``region`` itself, and not from a copy of it in memory."""

    def before_write(self, region: str) -> None:
        """Ask whether ``region`` may be overwritten, and get the machine ready for it.

        Raises:
            DataFolderError: the machine runs from it.
            HostError: the firmware does not take what is to be started meanwhile.
        """


class NothingRunsFrom:
    """The part of an engine whose regions are files or memory: what runs is a copy of what was read."""

    def runs_from(self, region: str) -> bool:
        """No."""
        check_region_name(region)
        return False

    def before_write(self, region: str) -> None:
        """Any may be overwritten."""
        check_region_name(region)


@functools.lru_cache(maxsize=1024)
def check_region_name(region: str) -> str:
    """Return ``region`` if it is a legal name.

    Raises:
        DataFolderError: the name could leave the engine's folder or is not plain lower-case words.
    """
    if _REGION_NAME.fullmatch(region) is None:
        raise DataFolderError(
            f"flash region {region!r}: expected one to four lower-case words joined by '/'",
            remedy="This is a defect of the caller; report it.",
        )
    return region


def read_or_none(flash: Flash, region: str) -> bytes | None:
    """The bytes of ``region``; None also where the medium does not give them.

    For what a device does without, or is refused without: one bad sector must not keep it from its service.
    """
    try:
        return flash.read(region)
    except DataFolderError:
        return None


def store_region(flash: Flash, region: str, data: bytes) -> None:
    """Write ``region``, sync it and read it back; a power cut may leave anything in it.

    Raises:
        DataFolderError: the medium does not give back what was written, also at the second try.
    """
    for _ in range(WRITE_TRIES):
        flash.write(region, data)
        flash.sync(region)
        if flash.read(region) == data:
            return
    raise DataFolderError(
        f"flash region {region} does not give back what was written",
        remedy="The flash is failing: replace it. What was in force before still is.",
    )


def replace_region(flash: Flash, region: str, data: bytes) -> None:
    """Replace ``region`` by ``data``; after a power cut it has the old or the new bytes, complete.

    Raises:
        DataFolderError: the medium does not take the new bytes; ``region`` has the old ones.
    """
    fresh = region + NEW_SUFFIX
    store_region(flash, fresh, data)
    flash.rename(fresh, region)
