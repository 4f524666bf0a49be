# SPDX-License-Identifier: Apache-2.0
"""Wi-Fi: known networks, scan, state of the radio.

A device without a radio, and one whose ``wlan0`` is switched off, answers every call with HTTP 500 and 13631506, as
Azure Sphere does. The only radio of this version is the simulated one.
"""

from __future__ import annotations

from typing import Any, Final

from armillary.device.rest import simulated_radio
from armillary.device.rest.attached import AttachedDevice
from armillary.device.rest.call import Body, Call, Need, Route
from armillary.device.state.certificate_store import CLIENT, ROOT, CertificateStore
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.device.state.request_refused import RequestRefusedError
from armillary.device.state.wifi_configuration import EAP_TLS, WifiConfiguration, WifiNetwork
from armillary.wire.device import azure_error

CONNECTED, DISCONNECTED, UNKNOWN = "connected", "disconnected", "unknown"


async def networks(call: Call) -> object:
    """The known networks."""
    _check_radio(call.device)
    return {"values": [_shown(call.device, each) for each in _configuration(call).networks]}


async def add(call: Call) -> object:
    """Know another network; whether the radio gets into it is not known yet."""
    _check_radio(call.device)
    call.value("ssid", str)
    _check_certificates(call)
    made = _configuration(call).add(call.body)
    return _fields(made) | {"connectionState": UNKNOWN}


async def one(call: Call) -> object:
    """One known network."""
    _check_radio(call.device)
    return _shown(call.device, _configuration(call).get(_number(call)))


async def change(call: Call) -> object:
    """Enable or disable a network, or give it another passphrase."""
    _check_radio(call.device)
    state, psk = call.value("configState", str), call.value("psk", str)
    return _shown(call.device, _configuration(call).change(_number(call), state=state, psk=psk))


async def remove(call: Call) -> object:
    """Forget a network."""
    _check_radio(call.device)
    _configuration(call).remove(_number(call))
    return {}


async def radio(call: Call) -> object:
    """The state of the radio, and the network that it is in."""
    _check_radio(call.device)
    configuration = _configuration(call)
    found: dict[str, Any] = {
        "interfaceName": simulated_radio.INTERFACE,
        "mode": simulated_radio.MODE,
        "macAddress": simulated_radio.MAC,
        "powerSavingsState": "enabled" if configuration.saves_power else "disabled",
        "connectionState": DISCONNECTED,
    }
    present = simulated_radio.connected(configuration.networks, _has_client_certificate(call.device))
    if present is not None:
        network, visible = present
        found |= _fields(network) | {
            "connectionState": CONNECTED,
            "freq": visible.frequency,
            "bssid": visible.bssid,
            "ipAddress": simulated_radio.ADDRESS,
        }
    return found


async def set_radio(call: Call) -> object:
    """Let the radio save power or not; a wish to read the configuration again is met by itself."""
    _check_radio(call.device)
    call.value("reloadConfig", bool)
    saves = call.value("enablePowerSavings", bool)
    if saves is not None:
        _configuration(call).save_power(wanted=saves)
    return {}


async def scan(call: Call) -> object:
    """The networks around the radio."""
    _check_radio(call.device)
    return {
        "values": [
            {
                "bssid": each.bssid,
                "freq": each.frequency,
                "signal_level": each.signal,
                "ssid": each.ssid,
                "securityState": each.security,
            }
            for each in simulated_radio.AROUND
        ]
    }


async def failures(call: Call) -> object:
    """The enabled networks that the radio does not get into."""
    _check_radio(call.device)
    return {"values": _failed(call)}


async def one_failure(call: Call) -> object:
    """Why the radio does not get into one network; no values where it does."""
    _check_radio(call.device)
    number = _configuration(call).get(_number(call)).id
    return {"values": [each for each in _failed(call) if each["id"] == number]}


ROUTES: Final = (
    Route(method="GET", path="wifi/config/networks", answer=networks, needs=Need.OPEN),
    Route(method="POST", path="wifi/config/networks", answer=add, needs=Need.OPEN, body=Body.JSON),
    Route(method="GET", path="wifi/config/networks/{}", answer=one, needs=Need.OPEN),
    Route(method="PATCH", path="wifi/config/networks/{}", answer=change, needs=Need.OPEN, body=Body.JSON),
    Route(method="DELETE", path="wifi/config/networks/{}", answer=remove, needs=Need.OPEN),
    Route(method="GET", path="wifi/interface", answer=radio, needs=Need.OPEN),
    Route(method="PATCH", path="wifi/interface", answer=set_radio, needs=Need.OPEN, body=Body.JSON),
    Route(method="GET", path="wifi/scan", answer=scan, needs=Need.OPEN),
    Route(method="GET", path="wifi/diagnostics/networks", answer=failures, needs=Need.OPEN),
    Route(method="GET", path="wifi/diagnostics/networks/{}", answer=one_failure, needs=Need.OPEN),
)


def _check_radio(device: AttachedDevice) -> None:
    is_off = NetworkConfiguration(device.flash).switched.get(simulated_radio.INTERFACE) is False
    if is_off or not device.settings.simulated_wifi:
        raise RequestRefusedError(
            azure_error.WIFI_DISABLED,
            "wlan0 is switched off" if is_off else "this device has no Wi-Fi radio",
            remedy="Switch it on: armillary device wifi enable."
            if is_off
            else "To try these calls: armillary device boot --simulated-wifi.",
        )


def _configuration(call: Call) -> WifiConfiguration:
    return WifiConfiguration(call.device.flash)


def _number(call: Call) -> int:
    if not call.name.isascii() or not call.name.isdigit() or len(call.name) > 9:
        raise RequestRefusedError(
            azure_error.INVALID_PARAMETER, f"network id: expected a number, got {call.name!r:.40}"
        )
    return int(call.name)


def _check_certificates(call: Call) -> None:
    """RequestRefusedError if the request names a certificate that the store does not have, or has as another type."""
    named = (("clientCertStoreIdentifier", CLIENT), ("rootCaCertStoreIdentifier", ROOT))
    for field, kind in named:
        name = call.value(field, str, default="")
        if name and CertificateStore(call.device.flash).get(name).kind != kind:
            raise RequestRefusedError(
                azure_error.NETWORK_PROPERTIES, f"{field}: {name} is no certificate of type {kind}"
            )


def _has_client_certificate(device: AttachedDevice) -> Any:
    return lambda name: name in CertificateStore(device.flash).identifiers


def _shown(device: AttachedDevice, network: WifiNetwork) -> dict[str, Any]:
    """A network as lists have it."""
    every = WifiConfiguration(device.flash).networks
    present = simulated_radio.connected(every, _has_client_certificate(device))
    is_in = present is not None and present[0].id == network.id
    return _fields(network) | {"connectionState": CONNECTED if is_in else DISCONNECTED}


def _fields(network: WifiNetwork) -> dict[str, Any]:
    """What a network is; its passphrase stays in the device."""
    found: dict[str, Any] = {
        "id": network.id,
        "ssid": network.ssid,
        "configState": network.state,
        "securityState": network.security,
        "targetedScan": network.targeted_scan,
    }
    if network.name:
        found["configName"] = network.name
    if network.security == EAP_TLS:
        found["clientCertStoreIdentifier"] = network.client_certificate
        found |= {"rootCaCertStoreIdentifier": network.root_certificate} if network.root_certificate else {}
        found |= {"clientIdentity": network.identity} if network.identity else {}
    return found


def _failed(call: Call) -> list[dict[str, Any]]:
    has = _has_client_certificate(call.device)
    found = ((each, simulated_radio.failure(each, has)) for each in _configuration(call).networks)
    return [_fields(each) | {"connectionState": DISCONNECTED, "error": why} for each, why in found if why]
