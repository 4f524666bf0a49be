# SPDX-License-Identifier: Apache-2.0
"""A pretended wpa_supplicant that answers at its control socket, in a thread: its replies end at 4 KiB, as the real one's.

It keeps networks and access points, and says nothing to commands that it was told to leave unanswered.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from armillary.wire.wifi.network import Network

REPLY_BYTES = 4096
_RANGE = re.compile(r"BSS RANGE=([0-9]+)- MASK=0x1")
_ONE = re.compile(r"BSS ID-([0-9]+) MASK=0x1887")


class PretendedProgram:
    """In the place of a ``SupplicantProgram``."""

    def __init__(self, folder: Path, interface: str = "wlan0") -> None:
        self.interface = interface
        self.control = folder
        self.around: dict[int, str] = {}  # what it says of each access point, by its id
        self.networks: dict[int, dict[str, str]] = {}
        self.silent: set[str] = set()
        self.starts = 0
        self._socket: socket.socket | None = None
        self._listener = ""

    def names(self) -> list[str]:
        """The networks that it has been told wholly, by name, in order."""
        told = [each for each in self.networks.values() if each.get("is enabled")]
        return [bytes.fromhex(each["ssid"]).decode() for each in told]

    @property
    def has_listener(self) -> bool:
        """Whether anybody hears what this one says by itself."""
        return bool(self._listener)

    @property
    def is_running(self) -> bool:
        return self._socket is not None

    def start(self) -> None:
        self.starts += 1
        self.networks, self._listener = {}, ""
        (self.control / self.interface).unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.control / self.interface))
        threading.Thread(target=self._answer, args=(self._socket,), daemon=True).start()

    def stop(self) -> None:
        found, self._socket = self._socket, None
        if found is not None:
            (self.control / self.interface).unlink(missing_ok=True)
            found.shutdown(socket.SHUT_RDWR)
            found.close()

    def clear(self) -> None:
        pass

    def write_files(self, network: Network) -> Mapping[str, str]:  # noqa: ARG002 - none needs any
        return {}

    def remove_files(self, network: int) -> None:
        pass

    def _answer(self, own: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it was stopped
            while own is self._socket:
                data, sender = own.recvfrom(65536)
                command = data.decode()
                if not sender or command.partition(" ")[0] in self.silent:
                    continue
                own.sendto(self._reply(command).encode()[:REPLY_BYTES], sender)
                if command == "ATTACH":
                    self._listener = sender
                if command == "SCAN":
                    own.sendto(b"<3>CTRL-EVENT-SCAN-RESULTS ", self._listener)

    def _reply(self, command: str) -> str:
        verb, _, rest = command.partition(" ")
        if verb == "ADD_NETWORK":
            number = max(self.networks, default=-1) + 1
            self.networks[number] = {}
            return f"{number}\n"
        if verb == "REMOVE_NETWORK":
            return "OK\n" if self.networks.pop(int(rest), None) is not None else "FAIL\n"
        if verb == "SET_NETWORK":
            known, name, value = rest.split(" ", 2)
            self.networks[int(known)][name] = value
        if verb == "ENABLE_NETWORK":
            self.networks[int(rest)]["is enabled"] = "yes"
        if verb == "STATUS":
            return "wpa_state=SCANNING\naddress=02:00:00:00:00:01\n"
        if found := _RANGE.fullmatch(command):
            return _whole(f"id={each}\n" for each in sorted(self.around) if each >= int(found[1]))
        if found := _ONE.fullmatch(command):
            return self.around.get(int(found[1]), "")
        return "OK\n"


def _whole(parts: Iterable[str]) -> str:
    """As many of the parts as there is room for."""
    said = ""
    for each in parts:
        if len(said) + len(each) < REPLY_BYTES:
            said += each
    return said
