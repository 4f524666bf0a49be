# SPDX-License-Identifier: Apache-2.0
"""Wi-Fi: known networks, scan, state of the radio.

A device without a radio, and one whose ``wlan0`` is switched off, answers every call with HTTP 500 and 13631506, as
Azure Sphere does. Every change is kept first, then the radio follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from armillary.device.rest.call import Body, Call, Need, Route
from armillary.device.state.certificate_store import CLIENT, ROOT, CertificateStore
from armillary.device.state.request_refused import RequestRefusedError
from armillary.device.state.wifi_configuration import WifiConfiguration, WifiNetwork
from armillary.device.wifi.wifi import Wifi
from armillary.engines.threads import in_thread
from armillary.engines.wifi.port import Connection, Failure
from armillary.wire.device import azure_error
from armillary.wire.wifi.network import EAP_TLS

CONNECTED, DISCONNECTED, UNKNOWN = "connected", "disconnected", "unknown"


async def networks(call: Call) -> object:
    """The known networks."""
    present = await in_thread(_radio(call).radio.connection)
    return {"values": [_shown(each, present) for each in _configuration(call).networks]}


async def add(call: Call) -> object:
    """Know another network; whether the radio gets into it is not known yet."""
    wifi = _radio(call)
    call.value("ssid", str)
    _check_certificates(call)
    made = _configuration(call).add(call.body)
    await in_thread(wifi.apply)
    return _fields(made) | {"connectionState": UNKNOWN}


async def one(call: Call) -> object:
    """One known network."""
    present = await in_thread(_radio(call).radio.connection)
    return _shown(_configuration(call).get(_number(call)), present)


async def change(call: Call) -> object:
    """Enable or disable a network, or give it another passphrase."""
    wifi = _radio(call)
    state, psk = call.value("configState", str), call.value("psk", str)
    made = _configuration(call).change(_number(call), state=state, psk=psk)
    await in_thread(wifi.apply)
    return _shown(made, await in_thread(wifi.radio.connection))


async def remove(call: Call) -> object:
    """Forget a network."""
    wifi = _radio(call)
    _configuration(call).remove(_number(call))
    await in_thread(wifi.apply)
    return {}


async def radio(call: Call) -> object:
    """The state of the radio, and the network that it is in."""
    wifi, configuration = _radio(call), _configuration(call)
    present = await in_thread(wifi.radio.connection)
    found: dict[str, Any] = {
        "interfaceName": wifi.radio.interface,
        "mode": wifi.radio.mode,
        "macAddress": await in_thread(lambda: wifi.radio.hardware_address),
        "powerSavingsState": "enabled" if configuration.saves_power else "disabled",
        "connectionState": DISCONNECTED,
    }
    network = next((each for each in configuration.networks if present and each.id == present.network), None)
    if present is not None and network is not None:
        found |= _fields(network) | {
            "connectionState": CONNECTED,
            "freq": present.frequency,
            "bssid": present.bssid,
        }
        found |= {"ipAddress": present.address} if present.address else {}
    return found


async def set_radio(call: Call) -> object:
    """Let the radio save power or not; read networks and certificates again and join anew."""
    wifi = _radio(call)
    reload, saves = call.value("reloadConfig", bool), call.value("enablePowerSavings", bool)
    if saves is not None:
        _configuration(call).save_power(wanted=saves)
        await in_thread(wifi.apply)
    if reload:
        await in_thread(wifi.reload)
    return {}


async def scan(call: Call) -> object:
    """The networks around the radio."""
    return {
        "values": [
            {
                "bssid": each.bssid,
                "freq": each.frequency,
                "signal_level": each.signal,
                "ssid": each.ssid,
                "securityState": each.security,
            }
            for each in await in_thread(_radio(call).radio.scan)
        ]
    }


async def failures(call: Call) -> object:
    """The enabled networks that the radio does not get into."""
    found = await in_thread(_radio(call).failures)
    return {"values": _failed(call, found)}


async def one_failure(call: Call) -> object:
    """Why the radio does not get into one network; no values where it does."""
    wifi = _radio(call)
    number = _configuration(call).get(_number(call)).id
    return {"values": [each for each in _failed(call, await in_thread(wifi.failures)) if each["id"] == number]}


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


def _radio(call: Call) -> Wifi:
    """The device's radio; RequestRefusedError if it has none, or it is switched off."""
    wifi = call.device.wifi
    if wifi is None:
        raise RequestRefusedError(
            azure_error.WIFI_DISABLED,
            "this device has no Wi-Fi radio",
            remedy="To try these calls: armillary device boot --simulated-wifi."
            if call.device.settings.link is None
            else "A machine has pretended ones where its image was built with them: armillary image build --kernel own "
            "--simulated-radios NUMBER.",
        )
    if not wifi.is_on:
        raise RequestRefusedError(
            azure_error.WIFI_DISABLED,
            f"{wifi.radio.interface} is switched off",
            remedy="Switch it on: armillary device wifi enable.",
        )
    return wifi


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


def _shown(network: WifiNetwork, present: Connection | None) -> dict[str, Any]:
    """A network as lists have it."""
    is_in = present is not None and present.network == network.id
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
        found["serverIsChecked"] = network.checks_server  # an addition
    return found


def _failed(call: Call, found: Mapping[int, Failure]) -> list[dict[str, Any]]:
    known = _configuration(call).networks
    return [
        _fields(each) | {"connectionState": DISCONNECTED} | _why(found[each.id]) for each in known if each.id in found
    ]


def _why(failure: Failure) -> dict[str, Any]:
    """An error by Azure Sphere's name, and what is wrong with the certificate that the network showed."""
    certificate = failure.certificate
    if certificate is None:
        return {"error": failure.error.word}
    return {
        "error": failure.error.word,
        "certError": certificate.reason,
        "certErrorDepth": certificate.depth,
        "certSubject": certificate.subject,
    }
