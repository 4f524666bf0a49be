# SPDX-License-Identifier: Apache-2.0
"""Finds and opens the character device of a modem: a serial port, a pseudo-terminal, a port of virtio.

It is held alone (``flock``): two programs that ask one modem take each other's answers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import termios
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from armillary.engines.modem.port import ModemGoneError

# The port by which a virtual machine reaches its simulated modem, by the name that QEMU gives it.
VIRTUAL_PORT: Final = "armillary.modem"
VIRTUAL_PORTS: Final = Path("/sys/class/virtio-ports")
# Modems that the kernel knows as such (Linux 5.14, CONFIG_WWAN): their AT ports are named wwan0at0.
WIRELESS_PORTS: Final = Path("/sys/class/wwan")
DEVICES: Final = Path("/dev")


def find_modem(virtual: Path = VIRTUAL_PORTS, wireless: Path = WIRELESS_PORTS, devices: Path = DEVICES) -> Path | None:
    """The node of this machine's modem: one that the kernel knows, else the virtual one; None where there is none."""
    with contextlib.suppress(OSError):
        found = sorted(each.name for each in wireless.iterdir() if "at" in each.name)
        if found:
            return devices / found[0]
    with contextlib.suppress(OSError):
        for each in sorted(virtual.iterdir()):
            if (each / "name").read_text("ascii", errors="replace").strip() == VIRTUAL_PORT:
                return devices / each.name
    return None


@contextlib.contextmanager
def open_node(node: Path) -> Iterator[int]:
    """The node's descriptor, raw, not blocking, held alone; what waited in it is thrown away.

    Raises:
        ModemGoneError: it is not there, is no character device, or is held by somebody else.
    """
    try:
        descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise ModemGoneError(f"{node}: {error.strerror or error}") from error
    try:
        _hold(descriptor, node)
        yield descriptor
    finally:
        os.close(descriptor)


def _hold(descriptor: int, node: Path) -> None:
    if not stat.S_ISCHR(os.fstat(descriptor).st_mode):
        raise ModemGoneError(f"{node}: this is no character device")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.isatty(descriptor):
            _make_raw(descriptor)
    except (OSError, termios.error) as error:
        raise ModemGoneError(f"{node}: another program holds it, or it takes no settings ({error})") from error


def _make_raw(descriptor: int) -> None:
    """115,200 bits a second, eight bits, no flow control, no hang-up when it is closed."""
    tty.setraw(descriptor, termios.TCSANOW)
    settings = termios.tcgetattr(descriptor)
    settings[2] = (settings[2] | termios.CLOCAL | termios.CREAD) & ~termios.HUPCL
    settings[4] = settings[5] = termios.B115200
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)
    termios.tcflush(descriptor, termios.TCIOFLUSH)
