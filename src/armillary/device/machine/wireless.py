# SPDX-License-Identifier: Apache-2.0
"""The Wi-Fi radio of a machine of our own: wpa_supplicant drives it, and it asks for an address in each network.

Process 1 does the same for Ethernet (``addresses.py``), which is taken first where both lead to everywhere.
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Final

from armillary.device.machine import network
from armillary.device.machine.console import say
from armillary.engines.host.addressing import WIFI_METRIC
from armillary.engines.wifi.program import SupplicantProgram
from armillary.engines.wifi.supplicant import SupplicantRadio

# Memory: keys of networks are on no disk but in the device's own records.
FOLDER: Final = Path("/run/wifi")
_ADDRESS_WITHIN_S: Final = 20.0
_AGAIN_S: Final = 30.0


def open_radio(interface: str) -> SupplicantRadio:
    """The radio of an interface; HostError if wpa_supplicant does not start."""
    radio = SupplicantRadio(SupplicantProgram(FOLDER, interface))
    radio.listen(Addresses(interface).hear)
    return radio


class Addresses:
    """Asks for an address whenever the radio is in a network, and again before it ends; in a thread of its own."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._changes: queue.Queue[int | None] = queue.Queue()
        threading.Thread(target=self._run, name="wifi address", daemon=True).start()

    def hear(self, joined: int | None) -> None:
        """The radio is in this network now, or in none."""
        self._changes.put(joined)

    def _run(self) -> None:
        wait_s: float | None = None
        while True:
            try:
                joined = self._changes.get(timeout=wait_s)
            except queue.Empty:
                wait_s = self._lease()
                continue
            network.leave(self._interface, metric=WIFI_METRIC)
            wait_s = None if joined is None else self._lease()

    def _lease(self) -> float:
        """Ask; how long until it is to be asked again."""
        try:
            lease = network.lease_address(self._interface, metric=WIFI_METRIC, within_s=_ADDRESS_WITHIN_S)
        except OSError as error:
            say(f"{self._interface} gets no address: {error.strerror or error}; asking again")
            return _AGAIN_S
        if lease is None:
            say(f"nobody gave {self._interface} an address within {_ADDRESS_WITHIN_S:g} s; asking again")
            return _AGAIN_S
        say(f"{self._interface} has the address {lease.address}")
        return lease.ask_again_s
