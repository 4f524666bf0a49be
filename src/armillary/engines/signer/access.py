# SPDX-License-Identifier: Apache-2.0
"""Checks that nobody else can read, or may have made, a file that holds a secret."""

from __future__ import annotations

import os
import stat


def access_fault(status: os.stat_result) -> str:
    """What is wrong with a secret file's mode and owner, empty if nothing.

    A file of another user was put there by him: he knows what is in it. Root may have made it (secrets of containers).
    """
    if stat.S_IMODE(status.st_mode) & 0o077:
        return "can be read by other users"
    if status.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    return ""
