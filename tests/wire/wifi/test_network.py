# SPDX-License-Identifier: Apache-2.0
"""A network in wpa_supplicant's words: no value leaves its quotes, and no secret is shown."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from hypothesis import given, strategies as st
from tests.fixtures.images import P256

from armillary.wire.wifi.network import Network, key_pem, words_of


def test_an_open_network_is_used_without_keys() -> None:
    assert words_of(Network(id=3, ssid="a\tä", security="open"), {}) == [
        ("ssid", "6109c3a4"),
        ("scan_ssid", "0"),
        ("key_mgmt", "NONE"),
    ]


def test_a_passphrase_serves_wpa2_and_wpa3_and_a_key_wpa2() -> None:
    passphrase = dict(words_of(Network(id=0, ssid="a", security="psk", psk='se"cret words', targeted=True), {}))
    assert passphrase["psk"] == '"se"cret words"'
    assert (passphrase["key_mgmt"], passphrase["proto"], passphrase["scan_ssid"]) == (
        "WPA-PSK WPA-PSK-SHA256 SAE",
        "RSN",
        "1",
    )
    key = dict(words_of(Network(id=0, ssid="a", security="psk", psk="ab" * 32), {}))
    assert (key["psk"], key["key_mgmt"]) == ("ab" * 32, "WPA-PSK WPA-PSK-SHA256")


def test_certificates_are_files() -> None:
    network = Network(
        id=1,
        ssid="a",
        security="eaptls",
        identity="me",
        client_certificate=b"c",
        client_key=b"k",
        root_certificate=b"r",
    )
    assert network.files() == {"client_cert": b"c", "private_key": b"k", "ca_cert": b"r"}
    words = dict(words_of(network, {"client_cert": "/run/c", "private_key": "/run/k", "ca_cert": "/run/r"}))
    assert (words["eap"], words["identity"], words["ca_cert"]) == ("TLS", '"me"', '"/run/r"')
    assert Network(id=1, ssid="a", security="psk", client_certificate=b"c").files() == {}


def test_secrets_are_not_shown() -> None:
    shown = repr(Network(id=1, ssid="a", security="psk", psk="secret", client_key=b"hidden"))
    assert "secret" not in shown
    assert "hidden" not in shown


def test_a_key_is_the_pem_of_its_der() -> None:
    der = P256[0].private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert load_pem_private_key(key_pem(der), None).private_numbers() == P256[0].private_numbers()  # type: ignore[union-attr]
    assert max(map(len, key_pem(der).splitlines())) == 64


@given(st.text(min_size=1, max_size=32))
def test_a_name_is_only_hex(ssid: str) -> None:
    words = dict(words_of(Network(id=0, ssid=ssid, security="open"), {}))
    assert set(words["ssid"]) <= set("0123456789abcdef")
    assert bytes.fromhex(words["ssid"]).decode() == ssid
