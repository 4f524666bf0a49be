# SPDX-License-Identifier: Apache-2.0
"""The modem of a machine of our own: its uplink, also before the machine is a device, for it enrols over this."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from armillary.device.cellular.configuration import CellularConfiguration
from armillary.device.cellular.interface import UplinkInterface
from armillary.device.cellular.status import UplinkStatus
from armillary.device.cellular.uplink import CellularUplink
from armillary.device.machine.console import say
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import Flash
from armillary.engines.modem.opening import find_modem

# Memory: before a machine is a device nobody can have told it anything about its modem.
UNTOLD: Final = Path("/run/cellular")


def open_uplink(interface: str, flash: Flash) -> CellularUplink:
    """The uplink whose session comes out of this interface, not started yet."""
    return CellularUplink(find_modem, CellularConfiguration(flash), UplinkInterface(interface))


@contextlib.contextmanager
def online(interface: str | None) -> Iterator[None]:
    """Keep a session up until the block ends, as the network wants it; nothing where there is no modem's interface."""
    if interface is None:
        yield
        return
    uplink = open_uplink(interface, FileFlash(UNTOLD))
    uplink.listen(Console().hear)
    uplink.start()
    try:
        yield
    finally:
        uplink.stop()


class Console:
    """Says each state that lasts, once."""

    def __init__(self) -> None:
        self._said = ""

    def hear(self, status: UplinkStatus) -> None:
        """This is the status now."""
        if status.is_settled and status.sentence != self._said:
            self._said = status.sentence
            say(f"modem: {status.sentence}")
