# SPDX-License-Identifier: Apache-2.0
"""Has the device's radio be in the networks that the device's records name: at its start, and after every change.

What may be kept, and by whom it is changed, is decided elsewhere: tools (``device/rest``) and applications
(``device/interface``) write the records, then have them applied here.
"""

from __future__ import annotations

import threading

from cryptography.x509.oid import NameOID

from armillary.device.state.certificate_store import CertificateStore, StoredCertificate
from armillary.device.state.journal import Journal
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.device.state.wifi_configuration import ENABLED, WifiConfiguration, WifiNetwork
from armillary.engines.flash.port import Flash
from armillary.engines.wifi.port import Radio
from armillary.errors import HostError
from armillary.wire.wifi.network import Network, key_pem

# The identity of a certificate without a name (RFC 7542: a realm's user who does not say his name).
ANONYMOUS = "anonymous"


class Wifi:
    """The radio of one device, and what its records say of it."""

    def __init__(self, radio: Radio, flash: Flash, journal: Journal) -> None:
        self.radio = radio
        self._flash = flash
        self._journal = journal
        self._applying = threading.Lock()
        self._in: int | None = None
        radio.listen(self._hear)

    @property
    def is_on(self) -> bool:
        """Whether the radio is switched on, as it was left."""
        return NetworkConfiguration(self._flash).switched.get(self.radio.interface) is not False

    def apply(self) -> None:
        """Have the radio be where the records say; may block for seconds. What hinders it is in the log."""
        configuration = WifiConfiguration(self._flash)
        with self._applying:
            networks = [self._network(each) for each in configuration.networks if each.state == ENABLED]
            try:
                self.radio.use(networks if self.is_on else (), saves_power=configuration.saves_power)
            except HostError as error:
                self._journal.write("wifi-not-applied", reason=error.message)

    def reload(self) -> None:
        """Take certificates and networks as they are kept now, forget failures and join again."""
        self.apply()
        self.radio.reload()

    def close(self) -> None:
        """End the radio."""
        self.radio.close()

    def _network(self, kept: WifiNetwork) -> Network:
        """A network with its certificates; one that the store has not (any more) is left out."""
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
        store = CertificateStore(self._flash)
        return store.get(name) if name in store.identifiers else None

    def _hear(self, network: int | None) -> None:
        if network != self._in:
            self._journal.write("wifi-disconnected" if network is None else "wifi-connected", network=network)
        self._in = network


def _name_of(client: StoredCertificate) -> str:
    """The common name of a client's certificate, which stands for an identity that was not given."""
    names = client.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if names else ANONYMOUS
    return name if name.isprintable() else ANONYMOUS
