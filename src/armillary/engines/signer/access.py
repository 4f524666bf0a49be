# SPDX-License-Identifier: Apache-2.0
"""Checks that no other user can read, or has made, a file that holds a secret."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from armillary.errors import ArmillaryError


def access_fault(status: os.stat_result) -> str:
    """What is wrong with a secret file's mode and owner; empty if nothing.

    A user who made the file knows its contents. Root may have made it (secrets of containers).
    """
    if stat.S_IMODE(status.st_mode) & 0o077:
        return "can be read by other users"
    if status.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    return ""


def read_secret(path: Path, limit: int, refuse: type[ArmillaryError], remedy: str) -> str:
    """The text of a secret's file, at most ``limit`` bytes and two more, without its line end.

    Raises ``refuse``: the file cannot be read, or (with ``remedy``) others can read or own it.
    """
    try:
        with path.open("rb") as file:
            if fault := access_fault(os.fstat(file.fileno())):
                raise refuse(f"{path} {fault}", remedy=remedy)
            return file.read(limit + 2).decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise refuse(f"{path} cannot be read ({error})") from error
