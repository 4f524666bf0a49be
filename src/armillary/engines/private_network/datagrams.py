# SPDX-License-Identifier: Apache-2.0
"""A UDP server at one interface, whose answers and whose share of the device's time are bounded.

Beyond its rate the socket is not read: its buffer fills and the kernel drops what comes, at no cost for the device.
So a flood delays those who ask the same server, and nothing else of the device.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Final

# More than an Ethernet frame carries; what is longer is cut, and no longer what it was.
READ_BYTES: Final = 2048
# Room for some tens of packets of those who ask at once; the kernel doubles it for what it keeps beside them.
BUFFER_BYTES: Final = 32 * 1024

# Gives the answer to a datagram and where it goes; None for nothing. It must not raise.
Answer = Callable[[bytes, tuple[str, int]], tuple[bytes, tuple[str, int]] | None]


def bound_socket(interface: str, address: str, port: int) -> socket.socket:
    """A socket at this port of one interface, which hears nothing from any other.

    Raises OSError, which says what to do: EPERM where this process may not, EADDRINUSE where another program has it,
    ENOENT where there is no such interface.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, os.fsencode(interface))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        made.bind((address, port))
    except OSError as error:
        made.close()
        raise _explained(error, interface, port) from error
    return made


class DatagramServer:
    """Serves at a socket, which it owns, until it is closed.

    Of ``burst`` datagrams at once, then ``per_second``. ``answered`` and ``refused`` count.
    """

    def __init__(self, served: socket.socket, answer: Answer, *, burst: int, per_second: float) -> None:
        self.answered = 0
        self.refused = 0
        self._socket = served
        self._answer = answer
        self._burst, self._per_second = burst, per_second
        self._loop = asyncio.get_running_loop()
        self._left, self._at = float(burst), self._loop.time()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(served.fileno(), self._on_readable)

    def close(self) -> None:
        """Serve no more."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _on_readable(self) -> None:
        """Answer one datagram; others of the device come in between."""
        now = self._loop.time()
        self._left = min(float(self._burst), self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            self._loop.remove_reader(self._socket.fileno())
            self._pause = self._loop.call_later((1 - self._left) / self._per_second, self._resume)
            return
        self._left -= 1
        try:
            data, sender = self._socket.recvfrom(READ_BYTES)
        except OSError:  # nothing is there any more, or the interface is switched off or gone
            return
        answer = self._answer(data, sender)
        if answer is None:
            self.refused += 1
            return
        with contextlib.suppress(OSError):  # a client that asks in vain asks again
            self._socket.sendto(*answer)
            self.answered += 1

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket.fileno(), self._on_readable)


def _explained(error: OSError, interface: str, port: int) -> OSError:
    if error.errno in (errno.EACCES, errno.EPERM):
        what = "start the device as root, or give it CAP_NET_BIND_SERVICE"
        return OSError(errno.EPERM, f"this device may not serve at port {port}: {what}")
    if error.errno == errno.EADDRINUSE:
        return OSError(errno.EADDRINUSE, f"another program of the host serves at port {port}: stop it")
    if error.errno == errno.ENODEV:
        return OSError(errno.ENOENT, f"the host has no interface {interface} now")
    return OSError(error.errno or errno.EIO, f"port {port} at {interface}: {error.strerror}")
