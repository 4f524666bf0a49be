# SPDX-License-Identifier: Apache-2.0
"""Calls of the kernel that Python's ``os`` lacks: mounting, and ending the machine."""

from __future__ import annotations

import ctypes
import os
from typing import Final

NOSUID, NODEV, NOATIME = 2, 4, 1024
_DETACH: Final = 2
_RESTART, _POWER_OFF = 0x01234567, 0x4321FEDC

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Put a file system in its place; OSError when the kernel refuses."""
    _checked(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()))


def unmount(target: str) -> None:
    """Take a file system away, at once or as soon as nobody uses it; OSError when the kernel refuses."""
    _checked(_libc.umount2(target.encode(), _DETACH))


def restart_machine() -> None:
    """Restart at once; what is not synced is lost."""
    _checked(_libc.reboot(ctypes.c_int(_RESTART)))


def power_off() -> None:
    """Switch off at once; what is not synced is lost."""
    _checked(_libc.reboot(ctypes.c_int(_POWER_OFF)))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
