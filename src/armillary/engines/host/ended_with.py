# SPDX-License-Identifier: Apache-2.0
"""The program between a process of ours and one that it starts: it asks the kernel to end it with us, and becomes it.

Run as ``python3 -m armillary.engines.host.ended_with US SIGNAL PROGRAM ARGUMENT...``; US is our process. One that is
killed cannot end anybody: without this its wpa_supplicant would stay in a network, and its QEMU at work, that nobody
looks after. The kernel sends the signal when the *thread* ends that started it (PR_SET_PDEATHSIG in prctl(2)), and none
if that had ended before it was asked: so this program looks whose child it is, and becomes nothing if it is another's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_MODULE: Final = "armillary.engines.host.ended_with"
# What Python ignores from its start on, and a program that it becomes would ignore, too.
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)


def ended_with_us(by: signal.Signals = signal.SIGKILL) -> tuple[str, ...]:
    """Words before a program that gets this signal when the thread ends that starts it, so with a process killed."""
    return (sys.executable, "-I", "-W", "ignore", "-m", _MODULE, str(os.getpid()), str(int(by)))


def main() -> None:
    """Become the program, unless who starts it is gone already."""
    us, by, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(int(by)), 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() == int(us):
        for each in _IGNORED_BY_PYTHON:
            signal.signal(each, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606 - wpa_supplicant, QEMU or swtpm, with our arguments


if __name__ == "__main__":
    main()
