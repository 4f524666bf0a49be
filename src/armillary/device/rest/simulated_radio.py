# SPDX-License-Identifier: Apache-2.0
"""A pretended Wi-Fi radio: three networks stand around it, and it connects to those that are configured rightly.

It is for tools and tests on hosts without Wi-Fi, and says in its answers that it is simulated. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from armillary.device.state.wifi_configuration import EAP_TLS, ENABLED, OPEN, PSK, WifiNetwork

INTERFACE: Final = "wlan0"
MODE: Final = "simulated"
# The passphrase of the network that has one: it guards nothing.
PASSPHRASE: Final = "simulated-passphrase"  # noqa: S105
MAC: Final = "02:00:00:00:00:01"  # of one's own making, IEEE 802 clause 8.4
ADDRESS: Final = "192.0.2.10"  # for documentation, RFC 5737


@dataclass(frozen=True, slots=True)
class Visible:
    """A network that stands around the radio."""

    ssid: str
    security: str
    bssid: str
    frequency: int  # MHz
    signal: int  # dBm


AROUND: Final = (
    Visible("simulated-open", OPEN, "02:00:00:00:01:01", 2412, -40),
    Visible("simulated-psk", PSK, "02:00:00:00:01:02", 2437, -55),
    Visible("simulated-eaptls", EAP_TLS, "02:00:00:00:01:03", 5180, -60),
)


def reachable(network: WifiNetwork) -> Visible | None:
    """The visible network that a configuration means."""
    return next((each for each in AROUND if (each.ssid, each.security) == (network.ssid, network.security)), None)


def failure(network: WifiNetwork, has_client_certificate: Callable[[str], bool]) -> str:
    """Why the radio does not connect to a network; empty where it does, or the network is not enabled."""
    if network.state != ENABLED:
        return ""
    if reachable(network) is None:
        return "NetworkNotFound"
    if network.security == PSK and network.psk != PASSPHRASE:
        return "AuthenticationFailed"
    if network.security == EAP_TLS and not has_client_certificate(network.client_certificate):
        return "AuthenticationFailed"
    return ""


def connected(
    networks: Sequence[WifiNetwork], has_client_certificate: Callable[[str], bool]
) -> tuple[WifiNetwork, Visible] | None:
    """The network that the radio is in: the first enabled one that it can be in."""
    for each in networks:
        found = reachable(each)
        if each.state == ENABLED and found is not None and not failure(each, has_client_certificate):
            return each, found
    return None
