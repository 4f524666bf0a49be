# SPDX-License-Identifier: Apache-2.0
"""The network: interfaces of this host, the proxy, firewall rules of applications.

An interface of the host is switched only where the device was started with its name (``--rest-interface``), and is
switched again as it was left at the next boot. The interface of the device's radio is switched as well: while it is
off, the radio is in no network. ``wlan0`` of the simulated radio is no interface of the host.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from armillary.device.rest.attached import AttachedDevice
from armillary.device.rest.call import Body, Call, Need, Route
from armillary.device.rest.firewall import rulesets
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.device.state.request_refused import RequestRefusedError
from armillary.engines.host import interfaces as interfaces_of_host
from armillary.engines.host.interfaces import HostInterface
from armillary.engines.threads import in_thread
from armillary.engines.wifi import simulated
from armillary.errors import DataFolderError, HostError
from armillary.wire.device.azure_error import INTERFACE_NOT_PERMITTED, INVALID_INTERFACE, INVALID_PARAMETER
from armillary.wire.device_image.service_link import INTERFACE as SERVICE_INTERFACE


async def status(call: Call) -> object:
    """Whether applications can authenticate, whether the time came from the service."""
    return {
        "deviceAuthenticationIsReady": call.device.daa.ready,
        "networkTimeSync": "complete" if call.device.clock.signed else "incomplete",
        "proxy": "enabled" if _configuration(call.device).proxy.get("enabled") else "disabled",
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


async def switch(call: Call) -> object:
    """Switch an interface on or off, now and at every boot from now on."""
    up = call.value("interfaceUp", bool)
    if up is None:
        raise RequestRefusedError(INVALID_PARAMETER, "interfaceUp: expected true or false")
    await one_interface(call)
    if call.name not in switchable(call.device):
        raise RequestRefusedError(
            INTERFACE_NOT_PERMITTED,
            f"the device may not switch {call.name}",
            remedy=f"Start it with armillary device boot --data DIR --rest ADDRESS --rest-interface {call.name}.",
        )
    if call.name in call.device.settings.interfaces:
        await asyncio.to_thread(interfaces_of_host.switch, call.name, up=up)
    _configuration(call.device).switch(call.name, up=up)
    wifi = call.device.wifi
    if wifi is not None and call.name == wifi.radio.interface:
        await in_thread(wifi.apply)
    return {}


async def proxy(call: Call) -> object:
    """The proxy, without its password; nothing where there is none."""
    return _configuration(call.device).proxy


async def set_proxy(call: Call) -> object:
    """Replace the proxy; the answer is what was sent."""
    call.value("address", str)
    _configuration(call.device).set_proxy(call.body)
    call.device.running.check_in_now()
    return call.body


async def switch_proxy(call: Call) -> object:
    """Use the proxy that is kept, or do not; the answer is the proxy."""
    enabled = call.value("enabled", bool)
    if enabled is None:
        raise RequestRefusedError(INVALID_PARAMETER, "enabled: expected true or false")
    _configuration(call.device).enable_proxy(enabled=enabled)
    call.device.running.check_in_now()
    return await proxy(call)


async def delete_proxy(call: Call) -> object:
    """Have no proxy."""
    _configuration(call.device).delete_proxy()
    call.device.running.check_in_now()
    return {}


def switchable(device: AttachedDevice) -> tuple[str, ...]:
    """Names of the interfaces that a request may switch."""
    radio = () if device.wifi is None else (device.wifi.radio.interface,)
    return (*device.settings.interfaces, *radio)


def switch_as_left(device: AttachedDevice) -> None:
    """Switch the interfaces of the host as they were left; what cannot be switched is in the log."""
    try:
        switched = _configuration(device).switched
    except DataFolderError as error:
        device.journal.write("interface-not-switched", reason=error.message)
        return
    for name, up in switched.items():
        if name in device.settings.interfaces:
            try:
                interfaces_of_host.switch(name, up=up)
            except HostError as error:
                device.journal.write("interface-not-switched", interface=name, reason=error.message)


async def firewall(call: Call) -> object:
    """What applications may reach and be reached at."""
    runs = call.device.running.supervisor.runs
    return {"rulesets": rulesets((run.application.grant, run.connections) for run in runs)}


ROUTES: Final = (
    Route(method="GET", path="net/status", answer=status, needs=Need.OPEN),
    Route(method="GET", path="net/interfaces", answer=all_interfaces, needs=Need.OPEN),
    Route(method="GET", path="net/interfaces/{}", answer=one_interface, needs=Need.OPEN),
    Route(method="PATCH", path="net/interfaces/{}", answer=switch, needs=Need.OPEN, body=Body.JSON),
    Route(method="GET", path="net/proxy", answer=proxy, needs=Need.OPEN),
    Route(method="POST", path="net/proxy", answer=set_proxy, needs=Need.OPEN, body=Body.JSON),
    Route(method="PATCH", path="net/proxy", answer=switch_proxy, needs=Need.OPEN, body=Body.JSON),
    Route(method="DELETE", path="net/proxy", answer=delete_proxy, needs=Need.OPEN),
    Route(method="GET", path="net/firewall/rulesets", answer=firewall, needs=Need.OPEN),
)


async def _interfaces(device: AttachedDevice) -> list[dict[str, Any]]:
    found = await asyncio.to_thread(interfaces_of_host.interfaces)
    online = bool(device.running.last_check_in.get("accepted"))
    shown = [_shown(each, online=online) for each in found if not each.is_loopback]
    wifi = device.wifi
    if wifi is not None and wifi.radio.mode == simulated.MODE:
        shown = [each for each in shown if each["interfaceName"] != simulated.INTERFACE]
        shown.append(_simulated(up=wifi.is_on))
    if any(each["interfaceName"] == SERVICE_INTERFACE for each in shown):
        return shown
    return [*shown, _service(device)]


def _configuration(device: AttachedDevice) -> NetworkConfiguration:
    return NetworkConfiguration(device.flash)


def _shown(interface: HostInterface, *, online: bool) -> dict[str, Any]:
    return {
        "interfaceName": interface.name,
        "interfaceUp": interface.is_up,
        "connectedToNetwork": interface.has_carrier,
        "ipAcquired": interface.has_address,
        "connectedToInternet": interface.has_default_route and online,
        "ipAddresses": list(interface.addresses),
        "hardwareAddress": interface.hardware_address,
    }


def _simulated(*, up: bool) -> dict[str, Any]:
    """The interface of the simulated radio, which reaches nobody."""
    return {
        "interfaceName": simulated.INTERFACE,
        "interfaceUp": up,
        "connectedToNetwork": False,
        "ipAcquired": False,
        "connectedToInternet": False,
        "ipAddresses": [],
    }


def _service(device: AttachedDevice) -> dict[str, Any]:
    """The side that tools are at, where it is the address of the API and no interface of the host."""
    return {
        "interfaceName": SERVICE_INTERFACE,
        "interfaceUp": True,
        "connectedToNetwork": True,
        "ipAcquired": True,
        "connectedToInternet": False,
        "ipAddresses": [device.settings.host],
    }
