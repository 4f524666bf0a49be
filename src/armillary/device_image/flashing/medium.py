# SPDX-License-Identifier: Apache-2.0
"""What an image is written to, open: from before a person is asked about it until the last byte was read back.

The question may stand for minutes. A disk that is open stays the one that was looked at, whatever gets its name
meanwhile, and nothing else begins to use it. What a drive has in it can change all the same: so it is looked at again.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from armillary.device_image.flashing.target import Kernel, Target, device_number, look_at_disk
from armillary.device_image.flashing.unfinished import new_file
from armillary.errors import ConflictError, HostError
from armillary.wire.disk.gpt import SECTOR_BYTES


@dataclass(frozen=True, slots=True)
class Medium:
    """A target that is open for reading and writing."""

    target: Target
    descriptor: int
    kernel: Kernel = field(default_factory=Kernel)

    def refuse_another(self) -> None:
        """ConflictError if the disk is not the one that was looked at: it was pulled out, or another one is in."""
        if not self.target.is_disk:
            return
        path, number = self.target.path, device_number(os.fstat(self.descriptor))
        found = look_at_disk(path, number, least_sectors=0, kernel=self.kernel)
        if found != self.target:
            got = f"another one ({found.words})" if found.sectors else "none"
            raise ConflictError(
                f"--to {path}: expected the disk that was looked at ({self.target.words}), found {got}: "
                "nothing was written",
                remedy="It was swapped, or pulled out: look again (lsblk), and begin anew.",
            )


@contextlib.contextmanager
def opened(target: Target, kernel: Kernel | None = None) -> Iterator[Medium]:
    """A target, open: a disk for us alone; a file is there under its name when the block ends, and not before.

    Raises:
        ConflictError: something has begun to use the disk, another one has its name, or another flash writes the file.
        HostError: it cannot be opened or made.
    """
    if target.is_disk:
        descriptor = _exclusive(target)
        try:
            medium = Medium(target, descriptor, kernel or Kernel())
            medium.refuse_another()
            yield medium
        finally:
            os.close(descriptor)
        return
    with explained(target), new_file(target.path) as descriptor:
        os.ftruncate(descriptor, target.sectors * SECTOR_BYTES)
        yield Medium(target, descriptor)


def _exclusive(target: Target) -> int:
    """A disk that nothing mounts, or puts a volume on, as long as its descriptor is open."""
    try:
        return os.open(target.path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise ConflictError(
                f"{target.path}: something has begun to use it", remedy="Unmount it: lsblk shows by whom."
            ) from error
        raise HostError(f"{target.path}: {error.strerror}", remedy="Writing to a disk needs root: sudo.") from error


@contextlib.contextmanager
def explained(target: Target) -> Iterator[None]:
    """HostError with what is to be done for an OSError of the target."""
    remedy = "The medium is full or broken, or was pulled out: take another."
    if not target.is_disk:
        remedy = "Make room on its disk, or name a file on another one that you may write to."
    try:
        yield
    except OSError as error:
        raise HostError(f"{target.path}: {error.strerror}", remedy=remedy) from error
