# SPDX-License-Identifier: Apache-2.0
"""The modem: its state, and what the device was told about it. Azure Sphere has no such calls; the form is theirs.

A device without a modem answers each of them with HTTP 404 and 31457294, Azure Sphere's number for an interface that
is not there. A change is kept first, then the session begins again with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from armillary.device.rest.call import Body, Call, Need, Route
from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.threads import in_thread
from armillary.wire.device.azure_error import INVALID_INTERFACE, INVALID_PARAMETER

if TYPE_CHECKING:
    from armillary.device.cellular.uplink import CellularUplink


async def interface(call: Call) -> object:
    """State of the modem, SIM, network and session."""
    return _uplink(call).shown()


async def configuration(call: Call) -> object:
    """The settings, without secrets."""
    return _uplink(call).configuration.settings.shown()


async def configure(call: Call) -> object:
    """Change the settings that are named, and begin again with them; the answer is all of them, without secrets."""
    uplink = _uplink(call)
    if not isinstance(call.body, dict) or not call.body:
        raise RequestRefusedError(INVALID_PARAMETER, "expected a JSON object with at least one setting")
    made = await in_thread(lambda: uplink.change(call.body))
    return made.shown()


def _uplink(call: Call) -> CellularUplink:
    """The device's uplink; RequestRefusedError if it has none."""
    if call.device.cellular is None:
        raise RequestRefusedError(
            INVALID_INTERFACE,
            "this device has no modem",
            remedy="Start it with one: armillary device boot --modem-port NODE; a simulated one: armillary sim modem."
            if call.device.settings.link is None
            else "Boot the machine with a simulated one: armillary device boot --machine NAME --modem.",
        )
    return call.device.cellular


ROUTES: Final = (
    Route(method="GET", path="cellular/interface", answer=interface, needs=Need.OPEN),
    Route(method="GET", path="cellular/config", answer=configuration, needs=Need.OPEN),
    Route(method="PATCH", path="cellular/config", answer=configure, needs=Need.OPEN, body=Body.JSON),
)
