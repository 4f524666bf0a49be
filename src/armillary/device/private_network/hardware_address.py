# SPDX-License-Identifier: Apache-2.0
"""The hardware address of the private network's interface: kept by the device, given to the interface at each boot.

It is in the flash region of the network configuration, which updates leave alone.
"""

from __future__ import annotations

import errno
import re
from typing import Any

from armillary.device.state.journal import Journal
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.engines.host.interfaces import (
    ethernet_address,
    may_change_interfaces,
    set_ethernet_address,
)
from armillary.errors import HostError

_ADDRESS = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.IGNORECASE)
# Of the first byte (IEEE 802-2014 §8.2): addressed to a group; given out by whoever runs the network, not by a maker.
_GROUP, _LOCAL = 0x01, 0x02


def read_address(text: str) -> bytes | None:
    """Six bytes that one interface can have, from hex with colons; None for anything else, a group's and zeros too."""
    if not _ADDRESS.fullmatch(text):
        return None
    found = bytes.fromhex(text.replace(":", ""))
    return found if any(found) and not found[0] & _GROUP else None


class HardwareAddress:
    """The hardware address of one interface."""

    def __init__(self, interface: str, configuration: NetworkConfiguration, journal: Journal) -> None:
        self._interface = interface
        self._configuration = configuration
        self._journal = journal

    @property
    def kept(self) -> bytes | None:
        """What the interface is to have; None where nobody has said."""
        return self._configuration.hardware_addresses.get(self._interface)

    def apply(self) -> None:
        """Give the interface what it is to have; where that cannot be, the log says so and it has the one before."""
        wanted = self.kept
        if wanted is None:
            return
        try:
            if ethernet_address(self._interface) == wanted:
                return
            set_ethernet_address(self._interface, wanted)
        except (OSError, HostError) as error:
            reason = error.message if isinstance(error, HostError) else error.strerror
            self._journal.write("hardware-address-not-set", interface=self._interface, reason=reason)
            return
        self._journal.write("hardware-address-set", interface=self._interface, address=wanted.hex(":"))

    def keep(self, address: bytes) -> None:
        """Have the interface have this from the next boot on.

        Raises OSError: ENOENT where the interface is not there, EPERM where it is no Ethernet or the device may not.
        """
        ethernet_address(self._interface)
        if not may_change_interfaces():
            what = "start the device as root, or give it CAP_NET_ADMIN"
            raise OSError(errno.EPERM, f"this device may not change {self._interface}: {what}")
        self._configuration.set_hardware_address(self._interface, address)
        self._journal.write("hardware-address-kept", interface=self._interface, address=address.hex(":"))

    def state(self) -> dict[str, Any]:
        """What it is, and what it is to be from the next boot on; OSError as above where there is none."""
        now, kept = ethernet_address(self._interface), self.kept
        return {
            "address": now.hex(":"),
            "next": (kept or now).hex(":"),
            "local": bool(now[0] & _LOCAL),
        }
