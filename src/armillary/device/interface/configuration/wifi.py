# SPDX-License-Identifier: Apache-2.0
"""Methods of the Wi-Fi networks that the device knows, and of its radio. None gives a passphrase back.

What is kept here is the same that tools keep (``device/rest``). A network with certificates (``eaptls``) needs
EnterpriseWifiConfig too. What asks the radio is EPERM on a device without one, ENETDOWN while it is switched off, and
EIO where it does not answer.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from armillary.device.interface.method import Call, Method
from armillary.device.state.wifi_configuration import DISABLED, ENABLED, WifiConfiguration, WifiNetwork
from armillary.engines.threads import in_thread
from armillary.engines.wifi.port import Failure
from armillary.errors import HostError
from armillary.wire.wifi.network import EAP_TLS, OPEN, PSK

if TYPE_CHECKING:
    from armillary.device.wifi.wifi import Wifi as WifiRadio

T = TypeVar("T")
CAPABILITY, ENTERPRISE = "WifiConfig", "EnterpriseWifiConfig"
_TEXT_CHARACTERS = 256  # more than any field has: how long each may be, the configuration says
_LARGEST_ID = 10**9
# Of a scan, the strongest: each takes at most some 300 bytes of an answer, which has 64 KiB.
MAX_NEIGHBOURS: Final = 128


class Wifi:
    """Keeps networks, has the radio follow what is kept, and asks it; ``radio`` is None on a device without one."""

    def __init__(self, configuration: WifiConfiguration, radio: WifiRadio | None) -> None:
        self._configuration = configuration
        self._radio = radio

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("wifi.list", CAPABILITY, self._list),
            Method("wifi.add", CAPABILITY, self._add),
            Method("wifi.enable", CAPABILITY, self._enable),
            Method("wifi.forget", CAPABILITY, self._forget),
            Method("wifi.status", CAPABILITY, self._status),
            Method("wifi.scan", CAPABILITY, self._scan),
            Method("wifi.diagnostics", CAPABILITY, self._diagnostics),
            Method("wifi.save-power", CAPABILITY, self._save_power),
            Method("wifi.reload", CAPABILITY, self._reload),
        )

    async def _list(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        return {"networks": [_shown(each) for each in self._configuration.networks]}

    async def _add(self, call: Call) -> Mapping[str, Any]:
        """Know another network; it is used once it is enabled."""
        parameters = call.parameters
        asked: dict[str, Any] = {
            "ssid": parameters.text("ssid", most=_TEXT_CHARACTERS),
            "securityState": parameters.choice("security", (OPEN, PSK, EAP_TLS)),
            "configState": ENABLED if parameters.boolean("enabled", default=False) else DISABLED,
            "targetScan": parameters.boolean("targeted_scan", default=False),
        }
        for name, field in (
            ("name", "configName"),
            ("passphrase", "psk"),
            ("identity", "clientIdentity"),
            ("client_certificate", "clientCertStoreIdentifier"),
            ("root_certificate", "rootCaCertStoreIdentifier"),
        ):
            value = parameters.optional_text(name, most=_TEXT_CHARACTERS)
            asked |= {} if value is None else {field: value}
        parameters.finish()
        self._check(call, asked["securityState"])
        call.session.work.begin_change()
        made = self._configuration.add(asked)
        await self._apply()
        return _shown(made)

    async def _enable(self, call: Call) -> Mapping[str, Any]:
        """Enable or disable a known network."""
        number = call.parameters.integer("id", 0, _LARGEST_ID)
        enabled = call.parameters.boolean("enabled", default=True)
        call.parameters.finish()
        self._check(call, self._configuration.get(number).security)
        call.session.work.begin_change()
        made = self._configuration.change(number, state=ENABLED if enabled else DISABLED, psk=None)
        await self._apply()
        return _shown(made)

    async def _forget(self, call: Call) -> None:
        number = call.parameters.integer("id", 0, _LARGEST_ID)
        call.parameters.finish()
        self._check(call, self._configuration.get(number).security)
        call.session.work.begin_change()
        self._configuration.remove(number)
        await self._apply()

    async def _status(self, call: Call) -> Mapping[str, Any]:
        """The network that the radio is in, and how it is there."""
        call.parameters.finish()
        radio = self._switched_on()
        found = await _asked(radio.radio.connection)
        saves = {"saves_power": self._configuration.saves_power}
        if found is None:
            return {"connected": False, **saves}
        there = {"id": found.network, "bssid": found.bssid, "frequency": found.frequency, "address": found.address}
        return {"connected": True, **there, **saves}

    async def _scan(self, call: Call) -> Mapping[str, Any]:
        """The access points around, the strongest first."""
        call.parameters.finish()
        found = await _asked(self._switched_on().radio.scan)
        return {
            "networks": [
                {
                    "ssid": each.ssid,
                    "security": each.security,
                    "bssid": each.bssid,
                    "frequency": each.frequency,
                    "signal": each.signal,
                }
                for each in found[:MAX_NEIGHBOURS]
            ]
        }

    async def _diagnostics(self, call: Call) -> Mapping[str, Any]:
        """Why the radio is not in networks that it may be in."""
        call.parameters.finish()
        found = await _asked(self._switched_on().failures)
        return {"networks": [{"id": number, **_why(failure)} for number, failure in found.items()]}

    async def _save_power(self, call: Call) -> None:
        """Let the radio sleep between beacons, or not."""
        wanted = call.parameters.boolean("enabled", default=True)
        call.parameters.finish()
        call.session.work.begin_change()
        self._configuration.save_power(wanted=wanted)
        await self._apply()

    async def _reload(self, call: Call) -> None:
        """Read networks and certificates again, and join anew."""
        call.parameters.finish()
        radio = self._switched_on()
        call.session.work.begin_change()
        await _asked(radio.reload)

    async def _apply(self) -> None:
        if self._radio is not None:
            await in_thread(self._radio.apply)

    def _switched_on(self) -> WifiRadio:
        """The radio; OSError where there is none to ask."""
        if self._radio is None:
            raise OSError(errno.EPERM, "this device has no Wi-Fi radio")
        if not self._radio.is_on:
            raise OSError(errno.ENETDOWN, f"{self._radio.radio.interface} is switched off")
        return self._radio

    def _check(self, call: Call, security: str) -> None:
        """Networks with certificates are somebody else's without the capability for them."""
        if security == EAP_TLS and ENTERPRISE not in call.session.grant.privileges:
            raise call.not_granted(ENTERPRISE, "a network of eaptls")


async def _asked(question: Callable[[], T]) -> T:
    """What the radio answers, which may take seconds; OSError (EIO) where it does not."""
    try:
        return await in_thread(question)
    except HostError as error:
        raise OSError(errno.EIO, error.message) from error


def _why(failure: Failure) -> Mapping[str, Any]:
    certificate = failure.certificate
    if certificate is None:
        return {"error": failure.error.word}
    wrong = {"reason": certificate.reason, "depth": certificate.depth, "subject": certificate.subject}
    return {"error": failure.error.word, "certificate": wrong}


def _shown(network: WifiNetwork) -> Mapping[str, Any]:
    """A network, but for its passphrase."""
    return {
        "id": network.id,
        "ssid": network.ssid,
        "security": network.security,
        "enabled": network.state == ENABLED,
        "name": network.name,
        **({"checks_server": network.checks_server} if network.security == EAP_TLS else {}),
    }
