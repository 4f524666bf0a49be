# SPDX-License-Identifier: Apache-2.0
"""A client of wpa_supplicant's control interface: datagrams over a Unix socket, one reply a command.

Whoever reaches the socket commands the radio and reads its keys, so it lies in a folder that its user alone enters.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
from pathlib import Path
from typing import Final

from armillary.errors import HostError, InvalidArgumentError
from armillary.wire.wifi.events import is_event

# A command is answered in milliseconds; a busy machine takes some seconds.
ANSWER_S: Final = 10.0
# More than any reply (wpa_supplicant's own clients have 4 KiB; lists of networks may be longer).
READ_BYTES: Final = 64 * 1024
_NUMBERS: Final = itertools.count()


class ControlSocket:
    """One client of the wpa_supplicant of one interface.

    Raises:
        HostError: nobody listens there, or this process has no descriptor left.
    """

    def __init__(self, folder: Path, interface: str) -> None:
        self._path = folder / f"client-{os.getpid()}-{next(_NUMBERS)}"
        self._asking = threading.Lock()  # a reply does not say which command it answers
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        except OSError as error:
            raise HostError(
                f"wpa_supplicant cannot be asked: {error.strerror or error}",
                remedy="Ask again; if it goes on, look into the device's log.",
            ) from error
        self._path.unlink(missing_ok=True)
        try:
            self._socket.bind(str(self._path))
            self._socket.connect(str(folder / interface))
        except OSError as error:
            self.close()
            raise HostError(
                f"wpa_supplicant does not listen at {folder / interface}: {error.strerror or error}",
                remedy="The device starts it again; if it goes on, look into the device's log.",
            ) from error

    def fileno(self) -> int:
        """Its descriptor, to wait for what wpa_supplicant says by itself."""
        return self._socket.fileno()

    def ask(self, command: str) -> str:
        """The reply to a command; a reply of FAIL is given as it is.

        Raises:
            HostError: there is no reply, or wpa_supplicant is gone.
        """
        verb = command.partition(" ")[0]  # what comes after it may be a key
        try:
            with self._asking:
                return self._answer(command)
        except OSError as error:
            raise HostError(
                f"wpa_supplicant does not answer {verb}: {error.strerror or error}",
                remedy="Ask again; if it goes on, look into the device's log.",
            ) from error

    def _answer(self, command: str) -> str:
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):  # replies, some of them empty, to commands that waited no longer
            while True:
                self._socket.recv(READ_BYTES)
        self._socket.settimeout(ANSWER_S)
        self._socket.send(command.encode())
        ends_at = time.monotonic() + ANSWER_S
        while True:
            reply = self._socket.recv(READ_BYTES).decode("utf-8", "surrogateescape")
            if not is_event(reply):
                return reply.rstrip("\n")
            self._socket.settimeout(max(0.01, ends_at - time.monotonic()))

    def order(self, command: str, *, shown: str = "") -> None:
        """Give a command that is answered OK. ``shown`` is what of it may be told.

        Raises:
            InvalidArgumentError: it is answered otherwise.
            HostError: there is no reply.
        """
        reply = self.ask(command)
        if reply != "OK":
            raise InvalidArgumentError(
                f"wpa_supplicant refuses {shown or command.partition(' ')[0]}: {reply:.80}",
                remedy="Another version may lack it; look at the network's values.",
            )

    def heard(self, within_s: float) -> str | None:
        """What wpa_supplicant says by itself; None if it says nothing in that time, also where it is gone."""
        self._socket.settimeout(within_s)
        try:
            return self._socket.recv(READ_BYTES).decode("utf-8", "surrogateescape")
        except OSError:
            return None

    def close(self) -> None:
        """Leave."""
        self._socket.close()
        with contextlib.suppress(OSError):
            self._path.unlink()
