# SPDX-License-Identifier: Apache-2.0
"""Methods of the network's configuration: the proxy of the device.

The device's own connections take it, on trial where an application set it. Those of an application do if it takes care
of that itself: it reads it here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any

from armillary.capability.network import parse_address
from armillary.device.interface.method import Call, Method
from armillary.device.network.proxy import refuse_address
from armillary.device.state.network_configuration import MAX_NO_PROXY, NetworkConfiguration

_TEXT_CHARACTERS = 256  # more than any field has: how long each may be, the configuration says


class Network:
    """Reads and keeps the proxy."""

    def __init__(
        self, configuration: NetworkConfiguration, check_in_now: Callable[[], None], now: Callable[[], int]
    ) -> None:
        self._configuration = configuration
        self._now = now
        self._check_in_now = check_in_now

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("network.proxy", "ReadNetworkProxyConfig", self._proxy),
            Method("network.set-proxy", "NetworkConfig", self._set_proxy),
            Method("network.delete-proxy", "NetworkConfig", self._delete_proxy),
        )

    async def _proxy(self, call: Call) -> Mapping[str, Any]:
        """The proxy, without its password; not enabled where there is none."""
        call.parameters.finish()
        return {"enabled": False} | {_OWN[name]: value for name, value in self._configuration.proxy.items()}

    async def _set_proxy(self, call: Call) -> None:
        parameters = call.parameters
        asked: dict[str, Any] = {
            "enabled": parameters.boolean("enabled", default=True),
            "address": parameters.text("address", most=_TEXT_CHARACTERS),
            "port": parameters.integer("port", 1, 65535),
            "noProxyAddresses": list(parameters.items("no_proxy", most=MAX_NO_PROXY, default=True)),
        }
        username = parameters.optional_text("username", most=_TEXT_CHARACTERS)
        password = parameters.optional_text("password", most=_TEXT_CHARACTERS)
        parameters.finish()
        asked["authenticationType"] = "anonymous" if username is None else "basic"
        asked |= {} if username is None else {"username": username}
        asked |= {} if password is None else {"password": password}
        address = str(asked["address"])
        if refused := _refused(address):
            raise OSError(errno.EACCES, f"address: {refused}; the host's owner alone sets such a proxy")
        self._change(call, asked)

    async def _delete_proxy(self, call: Call) -> None:
        call.parameters.finish()
        self._change(call, {})

    def _change(self, call: Call, asked: Mapping[str, Any]) -> None:
        call.session.work.begin_change()
        self._configuration.try_proxy(asked, str(call.session.grant.component_id), self._now())
        self._check_in_now()


def _refused(address: str) -> str:
    """Why an application sets no proxy there; names are looked at when they are connected to."""
    if address.lower().rstrip(".") == "localhost":
        return "localhost is this machine"
    return refuse_address(address, address) if parse_address(address) is not None else ""


# Field as the configuration keeps it, which is Azure Sphere's -> as applications read it.
_OWN: Mapping[str, str] = {
    "enabled": "enabled",
    "address": "address",
    "port": "port",
    "noProxyAddresses": "no_proxy",
    "authenticationType": "authentication",
    "username": "username",
}
