# SPDX-License-Identifier: Apache-2.0
"""The network: interfaces of this host, firewall rules of applications."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from armillary.device.rest.attached import AttachedDevice
from armillary.device.rest.call import Call, Need, Route
from armillary.device.rest.firewall import rulesets
from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.host.interfaces import HostInterface, interfaces
from armillary.wire.device.azure_error import INVALID_INTERFACE

# Azure Sphere's name for the side that tools are at; here it is the address of the API, and no interface of the host.
SERVICE_INTERFACE: Final = "azspheresvc"


async def status(call: Call) -> object:
    """Whether applications can authenticate, whether the time came from the service."""
    return {
        "deviceAuthenticationIsReady": call.device.daa.ready,
        "networkTimeSync": "complete" if call.device.clock.signed else "incomplete",
        "proxy": "disabled",
    }


async def all_interfaces(call: Call) -> object:
    """The interfaces of this host but the loopback, and the side that tools are at."""
    return {"interfaces": await _interfaces(call.device)}


async def one_interface(call: Call) -> object:
    """One of them."""
    found = {each["interfaceName"]: each for each in await _interfaces(call.device)}
    if call.name not in found:
        raise RequestRefusedError(INVALID_INTERFACE, f"no interface {call.name!r:.40}: there are {', '.join(found)}")
    return found[call.name]


async def firewall(call: Call) -> object:
    """What applications may reach and be reached at."""
    grants = [run.application.grant for run in call.device.running.supervisor.runs]
    return {"rulesets": rulesets(grants)}


ROUTES: Final = (
    Route(method="GET", path="net/status", answer=status, needs=Need.OPEN),
    Route(method="GET", path="net/interfaces", answer=all_interfaces, needs=Need.OPEN),
    Route(method="GET", path="net/interfaces/{}", answer=one_interface, needs=Need.OPEN),
    Route(method="GET", path="net/firewall/rulesets", answer=firewall, needs=Need.OPEN),
)


async def _interfaces(device: AttachedDevice) -> list[dict[str, Any]]:
    found = await asyncio.to_thread(interfaces)
    online = bool(device.running.last_check_in.get("accepted"))
    return [*(_shown(each, online=online) for each in found if not each.is_loopback), _service(device)]


def _shown(interface: HostInterface, *, online: bool) -> dict[str, Any]:
    return {
        "interfaceName": interface.name,
        "interfaceUp": interface.is_up,
        "connectedToNetwork": interface.has_carrier,
        "ipAcquired": interface.has_address,
        "connectedToInternet": interface.has_default_route and online,
        "ipAddresses": list(interface.addresses),
    }


def _service(device: AttachedDevice) -> dict[str, Any]:
    return {
        "interfaceName": SERVICE_INTERFACE,
        "interfaceUp": True,
        "connectedToNetwork": True,
        "ipAcquired": True,
        "connectedToInternet": False,
        "ipAddresses": [device.settings.host],
    }
