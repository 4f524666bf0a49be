# SPDX-License-Identifier: Apache-2.0
"""Looks at the folder of a machine, and at the image that it is to be made of, before anything is made or started.

What is found here is one sentence; of the same faults QEMU says which of its devices
did not like which file, or nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Final

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.engines.durable import PARTIAL_SUFFIX, write_file
from armillary.errors import DataFolderError

DISK, TPM, LOCK = "disk.img", "tpm", "machine.lock"
# Which machine a folder is of, and whether it has a TPM; put together by hand it has none until its first start.
NOTE: Final = "machine.json"
DESCRIPTION: Final = "image.json"  # of a built image
STATE: Final = "tpm2-00.permall"  # swtpm's, in the TPM's folder
_LONGEST_SOCKET: Final = 107  # unix(7): sun_path has 108 bytes, the last one is zero
# Mode of what a machine keeps: its device's data are not encrypted, and its folder may be one that others may enter.
PRIVATE: Final = 0o600
_NOTE_BYTES: Final = 64 << 10  # both are shorter
# What a start makes before the machine is whole, and what a killed one leaves of it; the next one makes it again.
_BEGUN: Final = frozenset(
    {LOCK, TPM, NOTE, "tpm.new", "disk.img.new", "board.json", "service-link", "service-link.lock"}
)


def is_made(folder: Path, machine: str) -> bool:
    """Whether a machine is there; DataFolderError where this user may not look."""
    return all(_size(folder / name) is not None for name in (DISK, HARDWARE[machine].kept))


def check_folder(folder: Path, machine: str, *, has_tpm: bool) -> None:
    """DataFolderError unless the folder has such a machine, whole, or one can be made in it."""
    if "," in str(folder):
        raise DataFolderError(
            f"{folder}: expected a folder without a comma in its path",
            remedy="Name another one: QEMU takes what follows a comma for another option.",
        )
    if has_tpm and len(os.fsencode((folder / TPM / "control").absolute())) > _LONGEST_SOCKET:
        raise DataFolderError(
            f"{folder}: expected a folder whose path has at most {_LONGEST_SOCKET - 12} bytes",
            remedy="Name a shorter one: the socket of the machine's TPM is in it, and Linux bounds a socket's path.",
        )
    if _size(folder / DESCRIPTION) is not None:
        raise DataFolderError(
            f"{folder}: expected a machine's own folder, got a built image, which stays as it is",
            remedy=f"Name another folder for the machine; the image goes with it as --image {folder}.",
        )
    if has_tpm:
        _check_tpm(folder)
    if is_made(folder, machine):
        _check_made(folder, machine, has_tpm=has_tpm)
    else:
        _check_free(folder, machine)


def check_image(image: Path | None, machine: str, folder: Path) -> Path:
    """The image, if this machine can be made of it; DataFolderError if it is none, or another machine's."""
    build = "make image" if machine == "x86_64" else f"armillary image build --arch {machine}"
    kept = HARDWARE[machine].kept
    if image is None or _size(image / DISK) is None:
        raise DataFolderError(
            f"{folder}: no machine here, and no image to make one of" + ("" if image is None else f" in {image}"),
            remedy=f"Build an image first: {build}. Or name one: --image DIR.",
        )
    found = _told(image / DESCRIPTION, "architecture")
    if _size(image / kept) is None or found not in {None, machine}:
        of = f"one of {found}" if found else f"one without {kept}"
        raise DataFolderError(
            f"{image}: expected an image for {machine}, got {of}: it is for another machine",
            remedy=f"Build one: {build}. Or boot the machine that it is for: --machine.",
        )
    _check_sizes(image, machine, remedy=f"Build it again: {build}.")
    for name in (DISK, kept):
        _check_readable(image / name)
    return image


def check_room(image: Path, folder: Path) -> None:
    """DataFolderError unless the machine's copy of the image's disk, which is sparse, has room."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    needed, free = (image / DISK).stat().st_blocks * 512, shutil.disk_usage(there).free
    if needed > free:
        raise DataFolderError(
            f"{folder}: expected {needed:,} free bytes for the machine's disk, got {free:,}",
            remedy="Make room, or name a folder on another disk: --data.",
        )


def note_machine(folder: Path, machine: str) -> None:
    """Note which machine a folder is of, and whether a TPM is there, unless it is noted; OSError."""
    wanted: dict[str, object] = {"machine": machine}
    if (folder / TPM).exists():
        wanted["tpm"] = True
    if _note(folder) not in ({**wanted, "tpm": True}, wanted):
        write_file(folder / NOTE, (json.dumps(wanted) + "\n").encode("ascii"), mode=PRIVATE)


def _note(folder: Path) -> dict[str, object] | None:
    """What is noted of a folder; None where nothing is, or nothing that can be read."""
    try:
        with (folder / NOTE).open("rb") as file:
            found = json.loads(file.read(_NOTE_BYTES))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("machine"), str) else None


def _check_made(folder: Path, machine: str, *, has_tpm: bool) -> None:
    note = _check_note(folder, machine)
    noted = note.get("machine", machine)
    if noted != machine:
        raise DataFolderError(
            f"{folder}: expected a machine {machine}, got one made as {noted}",
            remedy=f"Boot it as that: --machine {noted}; or name another folder: --data.",
        )
    if has_tpm and note.get("tpm") and _size(folder / TPM) is None:
        raise DataFolderError(
            f"{folder / TPM}: expected the folder of this machine's TPM, which it had, got none",
            remedy="Put it back: the device's identity is in it. If it was no device yet, begin a new folder or remove "
            f"{NOTE}, too: then a new TPM is made.",
        )
    _check_sizes(
        folder,
        machine,
        remedy="Boot it as the machine that it is, or put the file back as it was; or begin a new folder.",
    )


def _check_note(folder: Path, machine: str) -> dict[str, object]:
    """What is noted of a machine that is there; nothing of one that was put together by hand and not started yet."""
    note = _note(folder)
    if note is not None:
        return note
    is_there = _size(folder / NOTE) is not None
    if is_there or _size(folder / TPM) is not None:
        line = json.dumps({"machine": machine})
        raise DataFolderError(
            f"{folder / NOTE}: expected which machine this folder is of, as {line}, "
            + ("got something else" if is_there else "it is not there"),
            remedy=f"Put the file back, or write a new one with that line, if the machine is {machine}.",
        )
    return {}


def _check_free(folder: Path, machine: str) -> None:
    """DataFolderError where the folder has what a new machine's files would replace, or anything else."""
    kept = HARDWARE[machine].kept
    if _size(folder / DISK) is not None:
        raise DataFolderError(
            f"{folder}: expected {DISK} and {kept}, as {machine} has them, got {DISK} alone",
            remedy=f"Put the image's {kept} beside it, boot the machine that it is, or name another folder: --data.",
        )
    try:
        names = (path.name for path in folder.iterdir() if not path.name.endswith(PARTIAL_SUFFIX))
        others = sorted(name for name in names if name not in _BEGUN | {kept})
    except (FileNotFoundError, NotADirectoryError):  # what is no folder is said when it is made
        return
    except OSError as error:
        raise _unreadable(folder, error) from error
    if others:
        raise DataFolderError(
            f"{folder}: expected a machine, or an empty folder to make one in, got one with {others[0]}",
            remedy="Name another folder: --data.",
        )


def _check_tpm(folder: Path) -> None:
    """DataFolderError where the TPM has lost its state; one that is not there yet is made."""
    if _size(folder / TPM) is not None and not _size(folder / TPM / STATE):
        raise DataFolderError(
            f"{folder / TPM}: expected the state of this machine's TPM, {STATE}, got none",
            remedy="Put it back: the device's identity is in it. If it was no device yet, remove the machine's folder.",
        )


def _check_sizes(folder: Path, machine: str, *, remedy: str) -> None:
    kept, expected = HARDWARE[machine].kept, HARDWARE[machine].kept_bytes
    got = _size(folder / kept)
    if not got or expected not in {None, got}:
        wanted = "a file that is not empty" if expected is None else f"{expected:,} bytes"
        raise DataFolderError(f"{folder / kept}: expected {wanted}, as {machine} has, got {got or 0:,}", remedy=remedy)
    if not _size(folder / DISK):
        raise DataFolderError(f"{folder / DISK}: expected a disk, got an empty file", remedy=remedy)


def _size(path: Path) -> int | None:
    """How large a file is, None where there is none; DataFolderError where this user may not look."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise _unreadable(path, error) from error


def _told(path: Path, name: str) -> str | None:
    """What a JSON file says under a name; None where there is no such file, or it says nothing of it."""
    try:
        with path.open("rb") as file:
            return str(json.loads(file.read(_NOTE_BYTES))[name])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _unreadable(path: Path, error: OSError) -> DataFolderError:
    return DataFolderError(
        f"{path} cannot be read ({error.strerror or error})",
        remedy="Give this user the folder and what is in it, or name another one.",
    )
