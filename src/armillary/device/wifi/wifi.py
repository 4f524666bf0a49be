# SPDX-License-Identifier: Apache-2.0
"""Has the device's radio be in the networks that the device's records name: at its start, and after every change.

What may be kept, and by whom it is changed, is decided elsewhere: tools (``device/rest``) and applications
(``device/interface``) write the records, then have them applied here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.x509.oid import NameOID

from armillary.device.state.certificate_store import CertificateStore, StoredCertificate
from armillary.device.state.journal import Journal
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.device.state.wifi_configuration import ENABLED, WifiConfiguration, WifiNetwork, check_kept
from armillary.engines.flash.port import Flash
from armillary.engines.wifi.port import Failure, Radio
from armillary.errors import ArmillaryError, HostError
from armillary.wire.wifi.events import WifiError
from armillary.wire.wifi.network import Network, key_pem

# The identity of a certificate without a name (RFC 7542: a realm's user who does not say his name).
ANONYMOUS = "anonymous"
UNCHECKED: Final = "without a root certificate any access point of this name is believed"


class Wifi:
    """The radio of one device, and what its records say of it."""

    def __init__(self, radio: Radio, flash: Flash, journal: Journal) -> None:
        self.radio = radio
        self._flash = flash
        self._journal = journal
        self._applying = threading.Lock()
        self._in: int | None = None
        self._said: set[tuple[str, WifiNetwork]] = set()  # what the log has of networks
        radio.listen(self._hear)

    @property
    def is_on(self) -> bool:
        """Whether the radio is switched on, as it was left."""
        return NetworkConfiguration(self._flash).switched.get(self.radio.interface) is not False

    def check_kept(self) -> None:
        """DamagedRegionError where the networks that were kept are lost, and there are none."""
        check_kept(self._flash)

    def apply(self) -> None:
        """Have the radio be where the records say; may block for seconds. What hinders it is in the log."""
        configuration = WifiConfiguration(self._flash)
        with self._applying:
            networks, hindered = self._sorted(configuration)
            self._warn(_enabled(configuration), hindered)
            try:
                self.radio.use(networks if self.is_on else (), saves_power=configuration.saves_power)
            except HostError as error:
                self._journal.write("wifi-not-applied", reason=error.message)

    def reload(self) -> None:
        """Take certificates and networks as they are kept now, forget failures and join again."""
        self.apply()
        self.radio.reload()

    def failures(self) -> Mapping[int, Failure]:
        """Why it is not in a network that it may be in, by the network's id; HostError if the radio does not answer."""
        _, hindered = self._sorted(WifiConfiguration(self._flash))
        lost = Failure(error=WifiError.AUTHENTICATION_FAILED)
        return {**self.radio.failures(), **dict.fromkeys((each.id for each in hindered), lost)}

    def close(self) -> None:
        """End the radio."""
        self.radio.close()

    def _warn(self, networks: Sequence[WifiNetwork], hindered: Mapping[WifiNetwork, str]) -> None:
        """Write of each network what its owner should know, once."""
        found = {("wifi-server-unchecked", each): UNCHECKED for each in networks if not each.checks_server}
        found |= {("wifi-certificate-lost", each): f"not joined: {reason}" for each, reason in hindered.items()}
        for (event, each), reason in found.items():
            if (event, each) not in self._said:
                self._journal.write(event, network=each.id, ssid=each.ssid, reason=reason)
        self._said = set(found)

    def _sorted(self, configuration: WifiConfiguration) -> tuple[list[Network], dict[WifiNetwork, str]]:
        """The enabled networks that may be joined, and why others may not: a certificate that they name is lost."""
        networks, hindered = [], {}
        for each in _enabled(configuration):
            try:
                networks.append(self._network(each))
            except ArmillaryError as error:
                hindered[each] = error.message
        return networks, hindered

    def _network(self, kept: WifiNetwork) -> Network:
        """A network with its certificates; ArmillaryError where one of them is not there or cannot be read."""
        client, root = self._certificate(kept.client_certificate), self._certificate(kept.root_certificate)
        return Network(
            id=kept.id,
            ssid=kept.ssid,
            security=kept.security,
            targeted=kept.targeted_scan,
            psk=kept.psk,
            identity=kept.identity or (ANONYMOUS if client is None else _name_of(client)),
            client_certificate=b"" if client is None else client.pem,
            client_key=b"" if client is None else key_pem(client.key),
            root_certificate=b"" if root is None else root.pem,
        )

    def _certificate(self, name: str) -> StoredCertificate | None:
        return CertificateStore(self._flash).get(name) if name else None

    def _hear(self, network: int | None) -> None:
        if network != self._in:
            self._journal.write("wifi-disconnected" if network is None else "wifi-connected", network=network)
        self._in = network


def _enabled(configuration: WifiConfiguration) -> list[WifiNetwork]:
    return [each for each in configuration.networks if each.state == ENABLED]


def _name_of(client: StoredCertificate) -> str:
    """The common name of a client's certificate, which stands for an identity that was not given."""
    names = client.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else ANONYMOUS
    return name if name.isprintable() else ANONYMOUS
