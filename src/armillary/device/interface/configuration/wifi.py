# SPDX-License-Identifier: Apache-2.0
"""Methods of the Wi-Fi networks that the device knows. None gives a passphrase back.

What is kept here is the same that tools keep (``device/rest``). A network with certificates (``eaptls``) needs
EnterpriseWifiConfig too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from armillary.device.interface.method import Call, Method
from armillary.device.state.wifi_configuration import DISABLED, ENABLED, WifiConfiguration, WifiNetwork
from armillary.engines.threads import in_thread
from armillary.wire.wifi.network import EAP_TLS, OPEN, PSK

CAPABILITY, ENTERPRISE = "WifiConfig", "EnterpriseWifiConfig"
_TEXT_CHARACTERS = 256  # more than any field has: how long each may be, the configuration says
_LARGEST_ID = 10**9


class Wifi:
    """Keeps networks; ``apply`` has the radio, if there is one, follow what is kept."""

    def __init__(self, configuration: WifiConfiguration, apply: Callable[[], None]) -> None:
        self._configuration = configuration
        self._apply = apply

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("wifi.list", CAPABILITY, self._list),
            Method("wifi.add", CAPABILITY, self._add),
            Method("wifi.enable", CAPABILITY, self._enable),
            Method("wifi.forget", CAPABILITY, self._forget),
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
        await in_thread(self._apply)
        return _shown(made)

    async def _enable(self, call: Call) -> Mapping[str, Any]:
        """Enable or disable a known network."""
        number = call.parameters.integer("id", 0, _LARGEST_ID)
        enabled = call.parameters.boolean("enabled", default=True)
        call.parameters.finish()
        self._check(call, self._configuration.get(number).security)
        call.session.work.begin_change()
        made = self._configuration.change(number, state=ENABLED if enabled else DISABLED, psk=None)
        await in_thread(self._apply)
        return _shown(made)

    async def _forget(self, call: Call) -> None:
        number = call.parameters.integer("id", 0, _LARGEST_ID)
        call.parameters.finish()
        self._check(call, self._configuration.get(number).security)
        call.session.work.begin_change()
        self._configuration.remove(number)
        await in_thread(self._apply)

    def _check(self, call: Call, security: str) -> None:
        """Networks with certificates are somebody else's without the capability for them."""
        if security == EAP_TLS and ENTERPRISE not in call.session.grant.privileges:
            raise call.not_granted(ENTERPRISE, "a network of eaptls")


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
