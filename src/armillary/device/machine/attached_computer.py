# SPDX-License-Identifier: Apache-2.0
"""The machine's service link: the device's own API (``device/rest``) for the computer that the machine is attached to.

There is one only where the host has put in a card for it and has told its secret; a machine in the field has neither.
The API listens at that card alone, never at the network that the device is online by, and lets in only connections
that begin with the secret. What may be asked there is the API's rule as everywhere: a device that was enrolled is
DeviceComplete, and says no more than what it is until a capability file is in force.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from armillary.device.machine import network
from armillary.device.machine.console import say
from armillary.device.rest.settings import RestSettings, ServiceLink
from armillary.engines.host.addressing import bring_up, rename, set_address
from armillary.wire.device_image import service_link

HANDED: Final = Path(f"/sys/firmware/qemu_fw_cfg/by_name/{service_link.HANDED_AS}/raw")


def attached_computer(handed: Path = HANDED) -> RestSettings | None:
    """Switch the machine's end of the link on; None where there is no link, what hinders it is said."""
    try:
        secret = handed.read_bytes()
    except OSError:
        return None
    card = network.service_card()
    if card is None or len(secret) != service_link.SECRET_BYTES:
        say("the service link has no card, or no secret of 32 bytes: the device's API is not served")
        return None
    try:
        if card != service_link.INTERFACE:
            rename(card, service_link.INTERFACE)
        bring_up(service_link.INTERFACE)
        set_address(service_link.INTERFACE, service_link.DEVICE, service_link.NETWORK.netmask)
    except OSError as error:
        say(f"the service link is not switched on: {error.strerror or error}; the device's API is not served")
        return None
    link = ServiceLink(service_link.INTERFACE, secret)
    return RestSettings(host=str(service_link.DEVICE), port=service_link.PORT, link=link)
