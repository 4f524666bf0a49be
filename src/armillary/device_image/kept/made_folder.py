# SPDX-License-Identifier: Apache-2.0
"""A folder in the cache that is made once: taken again only if it is, byte for byte, what was made.

Beside it is a file with the digest of all that it has. That shows what went wrong with a disk, a copy or a slip of
somebody; whoever may write both can change both.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from armillary.device_image.kept.alone import work_folder
from armillary.device_image.tools import digest_of

_EXECUTABLE = 0o100


def made_folder(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder as ``make`` fills it: what is there if nobody has changed it, else made again.

    ``make`` gets an empty folder beside it; of what it could not finish nothing stays. No other process works there
    (``alone.py``).
    """
    if not is_as_made(folder):
        with work_folder(folder.with_name(f"{folder.name}.new")) as fresh:
            make(fresh)
            put(fresh, folder)
    return folder


def put(fresh: Path, folder: Path) -> None:
    """Move a finished folder into the place of another, and note what it has."""
    _note(folder).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    _note(folder).write_text(f"{digest_of_folder(folder)}\n", "ascii")


def is_noted(folder: Path) -> bool:
    """Whether the folder is there, and what it had when it was made is known."""
    return folder.is_dir() and _note(folder).is_file()


def is_as_made(folder: Path) -> bool:
    """Whether the folder is what it was when it was made."""
    return is_noted(folder) and _note(folder).read_bytes().strip() == digest_of_folder(folder).encode("ascii")


def digest_of_folder(folder: Path) -> str:
    """SHA-256, hex, of what a folder has: names, contents, which files are programs, and where links lead."""
    return hashlib.sha256(b"".join(_line(folder, each) for each in sorted(folder.rglob("*")))).hexdigest()


def _line(folder: Path, path: Path) -> bytes:
    name = path.relative_to(folder).as_posix()
    if path.is_symlink():
        about = ["link", name, str(path.readlink())]
    elif path.is_dir():
        about = ["folder", name]
    else:
        about = ["program" if path.stat().st_mode & _EXECUTABLE else "file", name, digest_of(path)]
    return json.dumps(about).encode("ascii") + b"\n"


def _note(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.sha256")
