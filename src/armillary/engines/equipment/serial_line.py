# SPDX-License-Identifier: Apache-2.0
"""A serial port as bytes: raw, with the line's speed, parity and stop bits, for one process alone.

Sources: termios(3), tty_ioctl(4); Modbus over Serial Line 1.02 §2.5.1 (a character has a start bit, 8 data bits, the
parity bit if there is one, and the stop bits).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.field import Place

PARITIES: Final = {"N": 0, "E": termios.PARENB, "O": termios.PARENB | termios.PARODD}
# What one read takes: more than a frame of any link, and not all of a flood.
READ_BYTES: Final = 4096
# Major device numbers of the slave side of pseudo terminals (Linux, devices.txt): they have no wire, so no speed.
_PSEUDO_TERMINALS: Final = range(136, 144)


@dataclass(frozen=True, slots=True)
class LineShape:
    """How characters are on the wire: 8 data bits, and this."""

    baud: int
    parity: str  # ``N``, ``E`` or ``O``
    stop_bits: int  # 1 or 2

    @property
    def character_s(self) -> float:
        """How long one character takes."""
        return (9 + (self.parity != "N") + self.stop_bits) / self.baud

    def check(self) -> None:
        """Refuse what no port can do.

        Raises:
            ProfileError: naming the setting.
        """
        place = Place("link")
        if self.parity not in PARITIES:
            raise place.below("parity").fault("form", "N, E or O", repr(self.parity))
        if self.stop_bits not in (1, 2):
            raise place.below("stop_bits").fault("limit", "1 or 2", repr(self.stop_bits))
        if self.baud <= 0 or _speed(self.baud) is None:
            raise place.below("baud").fault("form", "a speed that Linux has for serial ports", repr(self.baud))


def _speed(baud: int) -> int | None:
    return getattr(termios, f"B{baud}", None)


class SerialLine:
    """A serial port that is opened when it is used. ``path`` may be a pseudo terminal."""

    def __init__(self, path: Path, shape: LineShape) -> None:
        shape.check()
        self.path, self.shape = path, shape
        self._descriptor: int | None = None
        self._received: Callable[[bytes], None]
        self._lost: Callable[[LinkError], None]

    @property
    def is_open(self) -> bool:
        """Whether it is open, and was not lost."""
        return self._descriptor is not None

    def open(self, received: Callable[[bytes], None], lost: Callable[[LinkError], None]) -> None:
        """Open the port and hand on what comes; ``lost`` is called once when it is gone.

        Raises:
            LinkError: ``unreachable``: there is no such port, it is no port, or another process has it.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise LinkError("unreachable", f"serial port {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._shape(descriptor)
            termios.tcflush(descriptor, termios.TCIOFLUSH)
        except BlockingIOError as error:
            os.close(descriptor)
            raise LinkError("unreachable", f"serial port {self.path} is in use by another process") from error
        except (termios.error, OSError) as error:
            os.close(descriptor)
            why = error.args[-1] if error.args else error  # termios.error is no OSError, and a pair
            raise LinkError("unreachable", f"{self.path} is no serial port that can be set: {why}") from error
        except LinkError:
            os.close(descriptor)
            raise
        self._descriptor, self._received, self._lost = descriptor, received, lost
        asyncio.get_running_loop().add_reader(descriptor, self.poll)

    def write(self, data: bytes) -> None:
        """Hand bytes to the port; returns before they are on the wire.

        Raises:
            LinkError: ``unreachable``: the port is gone, or takes no more.
        """
        if self._descriptor is None:
            raise LinkError("unreachable", f"serial port {self.path} is closed")
        try:
            written = os.write(self._descriptor, data)
        except BlockingIOError:
            written = 0
        except OSError as error:
            self.close()
            raise LinkError("unreachable", f"serial port {self.path}: {error.strerror}") from error
        if written != len(data):
            # Nothing has left the port for so long that its buffer is full: what waits in it must not come later.
            with contextlib.suppress(termios.error):  # it is gone: the next read says so
                termios.tcflush(self._descriptor, termios.TCOFLUSH)
            raise LinkError("unreachable", f"serial port {self.path} takes no more bytes")

    def close(self) -> None:
        """Close the port. May be called more than once."""
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _shape(self, descriptor: int) -> None:
        """Raw bytes, no flow control, no modem lines; a byte with a parity error is read as 0, which checksums find."""
        shape, speed = self.shape, _speed(self.shape.baud)
        characters = list(termios.tcgetattr(descriptor)[6])
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        control, incoming = termios.CS8 | termios.CREAD | termios.CLOCAL, termios.IGNBRK
        pseudo = os.major(os.fstat(descriptor).st_rdev) in _PSEUDO_TERMINALS
        if shape.stop_bits == 2:
            control |= termios.CSTOPB
        if shape.parity != "N" and not pseudo:  # Kernels take parity from a pseudo terminal, or refuse it
            control |= PARITIES[shape.parity]
            incoming |= termios.INPCK
        wanted: list[Any] = [incoming, 0, control, 0, speed, speed, characters]
        termios.tcsetattr(descriptor, termios.TCSANOW, wanted)
        # tcsetattr succeeds when it could do anything of what was asked.
        taken = termios.tcgetattr(descriptor)
        if not pseudo and (taken[4:6] != [speed, speed] or (taken[2] ^ control) & (PARITIES["O"] | termios.CSTOPB)):
            wish = f"{shape.baud} baud, parity {shape.parity}, {shape.stop_bits} stop bits"
            raise LinkError("unreachable", f"serial port {self.path} cannot do {wish}")

    def poll(self) -> bool:
        """Hand on what is there now, before the loop says so. Returns whether there was something."""
        if self._descriptor is None:
            return False
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # the adapter was pulled out, or the other end of a pseudo terminal is closed
            data = b""
        if data:
            self._received(data)
            return True
        self.close()
        self._lost(LinkError("unreachable", f"serial port {self.path} is gone"))
        return False
