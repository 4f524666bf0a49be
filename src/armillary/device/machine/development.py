# SPDX-License-Identifier: Apache-2.0
"""Shells of a development image, without a password: one at each serial port that the machine has.

A release image has no program that this could start. What marks a development image stands in the kernel's command
line, which is signed and measured with everything else (``armillary.development=1``).
"""

from __future__ import annotations

import contextlib
import os
import termios
import time
from typing import Final

from armillary.device.machine.console import say

_PORTS: Final = ("/dev/ttyS0", "/dev/ttyS1", "/dev/ttyAMA0", "/dev/ttyAMA1")
# Gives the shell its terminal, so that Ctrl-C ends what runs in it.
_PROGRAM: Final = "/usr/bin/setsid"
_ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/usr/sbin",
    "HOME": "/tmp",  # noqa: S108 - a home that is not kept
    "TERM": "vt100",
    "PS1": "development:$PWD# ",
}
# One that ends earlier has no terminal to read from: it is not started again and again.
_LEAST_S: Final = 1.0


class Shells:
    """The shells that run; a shell that somebody leaves is started again."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[str, float]] = {}

    def start(self) -> None:
        """Start one at each serial port, and say what this image is."""
        say("this is a DEVELOPMENT image: whoever is at a serial port has a shell without a password")
        for port in _PORTS:
            if _is_terminal(port):
                self._open(port)

    def ended(self, child: int) -> None:
        """Start the shell again that this process was, if it was one."""
        port, began = self._running.pop(child, ("", 0.0))
        if port and time.monotonic() - began >= _LEAST_S:
            self._open(port)

    def _open(self, port: str) -> None:
        files = [(os.POSIX_SPAWN_OPEN, 0, port, os.O_RDWR, 0), *((os.POSIX_SPAWN_DUP2, 0, each) for each in (1, 2))]
        words = ["setsid", "-c", "sh"]
        try:
            child = os.posix_spawn(_PROGRAM, words, _ENVIRONMENT, file_actions=files)
        except OSError as error:
            say(f"no shell at {port}: {error.strerror}")
            return
        self._running[child] = (port, time.monotonic())


def _is_terminal(port: str) -> bool:
    """Whether there is a serial port behind a node: the kernel makes nodes for ports that a machine does not have."""
    with contextlib.suppress(OSError, termios.error):
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            termios.tcgetattr(descriptor)
        finally:
            os.close(descriptor)
        return True
    return False
