# SPDX-License-Identifier: Apache-2.0
"""A pretended Wi-Fi radio: three networks stand around it, and it connects to those that are configured rightly.

It is for tools and tests on hosts without Wi-Fi, and says in its answers that it is simulated. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from armillary.engines.wifi.port import Connection, Failure, Listener
from armillary.wire.wifi.events import WifiError
from armillary.wire.wifi.network import EAP_TLS, OPEN, PSK, Network
from armillary.wire.wifi.replies import Neighbour

INTERFACE: Final = "wlan0"
MODE: Final = "simulated"
# The passphrase of the network that has one: it guards nothing.
PASSPHRASE: Final = "simulated-passphrase"  # noqa: S105
MAC: Final = "02:00:00:00:00:01"  # of one's own making, IEEE 802 clause 8.4
ADDRESS: Final = "192.0.2.10"  # for documentation, RFC 5737
AROUND: Final = (
    Neighbour(ssid="simulated-open", security=OPEN, bssid="02:00:00:00:01:01", frequency=2412, signal=-40),
    Neighbour(ssid="simulated-psk", security=PSK, bssid="02:00:00:00:01:02", frequency=2437, signal=-55),
    Neighbour(ssid="simulated-eaptls", security=EAP_TLS, bssid="02:00:00:00:01:03", frequency=5180, signal=-60),
)


class SimulatedRadio:
    """The pretended radio; what it may be in is kept in memory."""

    def __init__(self) -> None:
        self.interface = INTERFACE
        self.mode = MODE
        self.hardware_address = MAC
        self._networks: tuple[Network, ...] = ()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Have this told from now on."""
        self._listeners.append(listener)

    def use(self, networks: Sequence[Network], *, saves_power: bool) -> None:  # noqa: ARG002 - it needs no power
        """Be in the first of these networks that it can be in."""
        before, self._networks = self.connection(), tuple(networks)
        now = self.connection()
        if (before and before.network) != (now and now.network):
            for each in self._listeners:
                each(None if now is None else now.network)

    def reload(self) -> None:
        """Nothing: it forgets at once."""

    def connection(self) -> Connection | None:
        """The first network that it can be in."""
        for network in self._networks:
            found = _reachable(network)
            if found is not None and _failure(network) is None:
                return Connection(network=network.id, bssid=found.bssid, frequency=found.frequency, address=ADDRESS)
        return None

    def scan(self) -> tuple[Neighbour, ...]:
        """The three."""
        return AROUND

    def failures(self) -> Mapping[int, Failure]:
        """Why it cannot be in a network."""
        found = ((network.id, _failure(network)) for network in self._networks)
        return {number: Failure(error=error) for number, error in found if error is not None}

    def close(self) -> None:
        """Be in no network."""
        self._networks = ()


def _reachable(network: Network) -> Neighbour | None:
    """The network around that a configuration means."""
    return next((each for each in AROUND if (each.ssid, each.security) == (network.ssid, network.security)), None)


def _failure(network: Network) -> WifiError | None:
    if _reachable(network) is None:
        is_there = any(each.ssid == network.ssid for each in AROUND)
        return WifiError.SECURITY_TYPE_MISMATCH if is_there else WifiError.NETWORK_NOT_FOUND
    if network.security == PSK and network.psk != PASSPHRASE:
        return WifiError.WRONG_KEY
    if network.security == EAP_TLS and not network.client_certificate:
        return WifiError.AUTHENTICATION_FAILED
    return None
