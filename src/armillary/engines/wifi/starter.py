# SPDX-License-Identifier: Apache-2.0
"""The program between the device and wpa_supplicant: it asks the kernel to end it with the device, and becomes it.

Run as ``python3 -m armillary.engines.wifi.starter DEVICE PROGRAM ARGUMENT...``; DEVICE is the device's process. One
that is killed cannot end anybody: without this its wpa_supplicant would stay in a network that nobody looks after. The
kernel sends SIGTERM when the *thread* ends that started it (PR_SET_PDEATHSIG in prctl(2)).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def main() -> None:
    """Become the program, unless the device is gone already."""
    device, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGTERM), 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() == int(device):  # else it ended before the kernel was asked
        os.execv(command[0], command)  # noqa: S606 - wpa_supplicant, with the device's arguments


if __name__ == "__main__":
    main()
