# SPDX-License-Identifier: Apache-2.0
"""What an image is written to: a whole disk of this host that nothing uses, or a file.

Of a disk, everything is asked of the kernel's own tables (``/sys``, ``/proc``): whether it is a whole one, and whether
it or a part of it is mounted, swap, or below something that is mapped.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.errors import ConflictError, InvalidArgumentError
from armillary.wire.disk.gpt import SECTOR_BYTES

GIGABYTE: Final = 1_000_000_000
# Of a file: the most that a memory card can have (SDXC). A larger disk is written itself, not by way of a file.
MAX_FILE_BYTES: Final = 2 << 40
_NODES: Final = Path("/dev")
_OWN: Final = ("/", "/boot", "/usr", "/boot/efi")


@dataclass(frozen=True, slots=True)
class Target:
    """Where an image goes; ``words`` name the disk as its maker and its size do, "" for a file.

    ``sequence`` is the kernel's count of the disk (diskseq): what is put into the same drive later gets another one.
    "" where the kernel has none (before Linux 5.15), and for a file.
    """

    path: Path
    sectors: int
    words: str = ""
    sequence: str = ""

    @property
    def is_disk(self) -> bool:
        """Whether it is a disk, whose old content shows through where nothing is written."""
        return bool(self.words)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel's tables of this host."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")


def means_disk(path: Path) -> bool:
    """Whether a disk is meant, not a file: something that is there and no file.

    Raises:
        InvalidArgumentError: it lies among the device nodes and is none, as a disk that was pulled out or a slip of a
            letter: a file there would be in memory, and nobody would be told.
    """
    if path.exists() and not path.is_file():
        return True
    place = path.resolve()
    around = next(each for each in place.parents if each.exists())
    if _NODES in place.parents and around.stat().st_dev == _NODES.stat().st_dev:  # not /dev/shm
        found = "a file" if path.exists() else "nothing"
        raise InvalidArgumentError(
            f"--to {path}: expected a disk, found {found} of that name below {_NODES}",
            remedy="Look which disks there are: lsblk. A file is written anywhere else.",
        )
    return False


def backing_file(path: Path, kernel: Kernel) -> Path | None:
    """The file that is behind a loop device; None for anything else."""
    try:
        about = path.stat()
    except OSError:
        return None
    if not stat.S_ISBLK(about.st_mode):
        return None
    found = _text(kernel.sys / "dev/block" / device_number(about) / "loop/backing_file")
    return Path(found) if found else None


def look(path: Path, *, least_sectors: int, kernel: Kernel | None = None) -> Target:
    """The disk at a device node, if it may be written to.

    Raises:
        ConflictError: it is used.
        InvalidArgumentError: it is no whole disk, or too small.
    """
    tables = kernel or Kernel()
    try:
        about = path.stat()
    except OSError as error:
        raise InvalidArgumentError(
            f"--to {path}: {error.strerror}", remedy="Look which disks there are: lsblk."
        ) from error
    if not stat.S_ISBLK(about.st_mode):
        raise InvalidArgumentError(f"--to {path}: expected a disk or a file", remedy="Name a disk: lsblk shows them.")
    return look_at_disk(path, device_number(about), least_sectors=least_sectors, kernel=tables)


def device_number(about: os.stat_result) -> str:
    """The number by which the kernel's tables know a device: ``8:0``."""
    return f"{os.major(about.st_rdev)}:{os.minor(about.st_rdev)}"


def look_at_disk(path: Path, number: str, *, least_sectors: int, kernel: Kernel) -> Target:
    """As :func:`look`, of the device with a number (``8:0``) that a node was found to have."""
    folder = (kernel.sys / "dev/block" / number).resolve()
    if (folder / "partition").exists():
        raise InvalidArgumentError(
            f"--to {path}: expected a whole disk, got a partition of {folder.parent.name}",
            remedy=f"Name the disk: /dev/{folder.parent.name}.",
        )
    sectors = int(_text(folder / "size") or "0")
    words = f"{_model(folder)} {sectors * SECTOR_BYTES / GIGABYTE:.1f} GB"
    if _text(folder / "ro") == "1":
        raise InvalidArgumentError(f"--to {path} ({words}) is write-protected", remedy="Unlock it, or take another.")
    for part in _parts(folder):
        _refuse_used(path, words, part, kernel)
    if sectors < least_sectors:
        raise InvalidArgumentError(
            f"--to {path}: expected a disk of at least {least_sectors * SECTOR_BYTES / GIGABYTE:.1f} GB, got {words}",
            remedy="Take a larger one; a card reader without a card has 0.0 GB.",
        )
    return Target(path, sectors, words, _text(folder / "diskseq") or "")


def file_target(path: Path, size: int | None, *, least_sectors: int) -> Target:
    """A file of ``size`` bytes, or as large as the image; InvalidArgumentError if that is too small or too large."""
    sectors = least_sectors if size is None else size // SECTOR_BYTES
    if sectors < least_sectors:
        raise InvalidArgumentError(
            f"--size: expected at least {least_sectors * SECTOR_BYTES:,} bytes, got {size:,}",
            remedy="Leave it out for a file as large as the image.",
        )
    if sectors * SECTOR_BYTES > MAX_FILE_BYTES:
        raise InvalidArgumentError(
            f"--size: expected at most {MAX_FILE_BYTES:,} bytes, got {size:,}",
            remedy="Name the size of the card or disk that the file is for.",
        )
    if not path.absolute().parent.is_dir():
        raise InvalidArgumentError(f"--to {path}: there is no such folder", remedy="Make the folder first.")
    return Target(path, sectors)


def _parts(folder: Path) -> Iterator[Path]:
    """A disk and its partitions."""
    yield folder
    yield from sorted(each.parent for each in folder.glob("*/partition"))


def _refuse_used(path: Path, words: str, part: Path, kernel: Kernel) -> None:
    """ConflictError if a disk or a partition is mounted, swap, or below something that is mapped."""
    number, node = _text(part / "dev"), f"/dev/{part.name}"
    for line in (_text(kernel.proc / "self/mountinfo") or "").splitlines():
        fields = line.split()
        if number == fields[2] or node in fields[5:]:
            own = "; this host runs from it" if fields[4] in _OWN else ""
            raise ConflictError(
                f"--to {path} ({words}): {part.name} is mounted at {fields[4]}{own}",
                remedy="Take another disk." if own else f"umount {fields[4]}, if it is the right disk.",
            )
    for line in (_text(kernel.proc / "swaps") or "").splitlines():
        if line.split()[:1] == [node]:
            raise ConflictError(f"--to {path} ({words}): {part.name} is swap", remedy=f"swapoff {node}, if it is.")
    holders = sorted(each.name for each in (part / "holders").glob("*"))
    if holders:
        raise ConflictError(
            f"--to {path} ({words}): {part.name} is used by {', '.join(holders)}",
            remedy="A volume, a RAID or an encrypted disk is on it: stop that, if it is the right disk.",
        )


def _model(folder: Path) -> str:
    """What the disk's maker calls it; the kernel's name where nobody says."""
    vendor, model = _text(folder / "device/vendor") or "", _text(folder / "device/model")
    named = model or _text(folder / "device/name")
    maker = "" if vendor in ("", "ATA") or vendor.startswith("0x") else f"{vendor} "
    return f"{maker}{named}" if named else folder.name


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return None
