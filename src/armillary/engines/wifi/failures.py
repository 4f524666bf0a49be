# SPDX-License-Identifier: Apache-2.0
"""Why a radio is not in a network: made of what wpa_supplicant said of it last and of who is around."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from armillary.engines.wifi.port import Failure
from armillary.wire.wifi.events import CertificateRefused, GivenUp, WifiError
from armillary.wire.wifi.network import EAP_TLS, Network
from armillary.wire.wifi.replies import Neighbour


class Attempts:
    """What is known of attempts to join networks, by their ids."""

    def __init__(self) -> None:
        self._given_up: dict[int, GivenUp] = {}
        self._certificates: dict[int, CertificateRefused] = {}
        self._refused: set[int] = set()
        self._certificate: CertificateRefused | None = None  # said just before the attempt that it is about is over
        self._looked = False

    def looked_around(self) -> None:
        """There was a look around: who was not heard is not there."""
        self._looked = True

    def gave_up(self, network: int, event: GivenUp) -> None:
        """An attempt failed."""
        self._given_up[network] = event
        self._certificates.pop(network, None)
        if self._certificate is not None:
            self._certificates[network] = self._certificate
        self._certificate = None

    def refused_certificate(self, event: CertificateRefused) -> None:
        """The attempt that is going on will fail over the network's certificate."""
        self._certificate = event

    def refused(self, network: int) -> None:
        """Its values are none that wpa_supplicant takes."""
        self._refused.add(network)

    def joined(self, network: int) -> None:
        """It was joined: what went wrong before is over."""
        self._certificate = None
        self.forget(network)

    def forget(self, network: int) -> None:
        """Nothing is known of it any more."""
        self._given_up.pop(network, None)
        self._certificates.pop(network, None)
        self._refused.discard(network)

    def failures(
        self, networks: Iterable[Network], around: Sequence[Neighbour], *, is_idle: bool
    ) -> dict[int, Failure]:
        """Of each of these networks that failed; ``is_idle``: the radio is in none, so it would join any it can."""
        found = {}
        for network in networks:
            error = self._error(network, around, is_idle=is_idle)
            if error is not None:
                certificate = self._certificates.get(network.id) if network.security == EAP_TLS else None
                found[network.id] = Failure(error=error, certificate=certificate)
        return found

    def _error(self, network: Network, around: Sequence[Neighbour], *, is_idle: bool) -> WifiError | None:
        if network.id in self._refused:
            return WifiError.AUTHENTICATION_FAILED if network.security == EAP_TLS else WifiError.CONNECTION_FAILED
        here = [each for each in around if each.ssid == network.ssid]
        if here and all(each.security != network.security for each in here):
            return WifiError.SECURITY_TYPE_MISMATCH
        if network.id in self._given_up:
            return self._given_up[network.id].error(network.security)
        if not here and self._looked and (is_idle or around):
            return WifiError.NETWORK_NOT_FOUND
        return None
