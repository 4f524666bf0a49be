# SPDX-License-Identifier: Apache-2.0
"""A Wi-Fi network as a radio gets it, and the words by which wpa_supplicant is told of it (``SET_NETWORK``)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Final

OPEN, PSK, EAP_TLS = "open", "psk", "eaptls"
KEY_DIGITS: Final = 64  # of a key that is no passphrase (IEEE 802.11i)
# Certificates of a network, by the word of wpa_supplicant that names the file.
CLIENT_CERTIFICATE, CLIENT_KEY, ROOT_CERTIFICATE = "client_cert", "private_key", "ca_cert"
_LINE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network that a radio may be in.

    ``targeted``: it is asked for by name, because it does not say its name itself. Certificates and the key are PEM;
    empty where there is none.
    """

    id: int
    ssid: str
    security: str
    targeted: bool = False
    psk: str = field(default="", repr=False)
    identity: str = ""
    client_certificate: bytes = b""
    client_key: bytes = field(default=b"", repr=False)
    root_certificate: bytes = b""

    def files(self) -> dict[str, bytes]:
        """Contents of the files that it needs, by the word of wpa_supplicant that names each."""
        if self.security != EAP_TLS:
            return {}
        found = {
            CLIENT_CERTIFICATE: self.client_certificate,
            CLIENT_KEY: self.client_key,
            ROOT_CERTIFICATE: self.root_certificate,
        }
        return {word: content for word, content in found.items() if content}


def words_of(network: Network, files: dict[str, str]) -> list[tuple[str, str]]:
    """Variables and values of a network, in order; ``files`` are paths by word, as :meth:`Network.files` names them.

    A name is given in hex and everything else is checked where it is kept, so that no value ends its quotes. Of WPA
    only the second version and later is used. A passphrase serves WPA2 and WPA3 (SAE), a key of 64 digits WPA2 alone.
    """
    words = [("ssid", network.ssid.encode().hex()), ("scan_ssid", "1" if network.targeted else "0")]
    if network.security == OPEN:
        return [*words, ("key_mgmt", "NONE")]
    words += [("proto", "RSN"), ("pairwise", "CCMP GCMP-256 GCMP CCMP-256"), ("ieee80211w", "1")]
    if network.security == PSK:
        if len(network.psk) == KEY_DIGITS:
            return [*words, ("key_mgmt", "WPA-PSK WPA-PSK-SHA256"), ("psk", network.psk)]
        return [*words, ("key_mgmt", "WPA-PSK WPA-PSK-SHA256 SAE"), ("psk", f'"{network.psk}"')]
    words += [("key_mgmt", "WPA-EAP WPA-EAP-SHA256"), ("eap", "TLS"), ("identity", f'"{network.identity}"')]
    return [*words, *((word, f'"{path}"') for word, path in files.items())]


def key_pem(der: bytes) -> bytes:
    """A private key (PKCS #8, DER) as PEM (RFC 7468)."""
    text = base64.b64encode(der).decode("ascii")
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""]).encode("ascii")
