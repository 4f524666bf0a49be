# SPDX-License-Identifier: Apache-2.0
"""The radio follows the device's records: networks, certificates, the switch, power saving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.device.state.test_certificate_store import with_unreadable_name
from tests.fixtures.certificates import private_pem
from tests.fixtures.images import P256

from armillary.device.state.certificate_store import REGION, CertificateStore, read_certificate
from armillary.device.state.journal import Journal
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.device.state.wifi_configuration import WifiConfiguration
from armillary.device.wifi.wifi import Wifi
from armillary.engines.flash.file import FileFlash
from armillary.engines.wifi.port import Connection, Failure, Listener
from armillary.engines.wifi.simulated import PASSPHRASE, SimulatedRadio
from armillary.errors import HostError
from armillary.wire.encoding import cbor
from armillary.wire.wifi.network import Network
from armillary.wire.wifi.replies import Neighbour

CERTIFICATE = P256[1].public_bytes(Encoding.PEM).decode()


class RecordedRadio:
    """A radio that keeps what it is told."""

    interface, mode, hardware_address = "wlan0", "recorded", "02:00:00:00:00:09"

    def __init__(self) -> None:
        self.networks: tuple[Network, ...] = ()
        self.saves_power = False
        self.fails = False
        self.reloaded = 0
        self.listener: Listener | None = None

    def listen(self, listener: Listener) -> None:
        self.listener = listener

    def use(self, networks: Sequence[Network], *, saves_power: bool) -> None:
        if self.fails:
            raise HostError("wpa_supplicant is gone", remedy="None.")
        self.networks, self.saves_power = tuple(networks), saves_power

    def reload(self) -> None:
        self.reloaded += 1

    def connection(self) -> Connection | None:
        return None

    def scan(self) -> tuple[Neighbour, ...]:
        return ()

    def failures(self) -> Mapping[int, Failure]:
        return {}

    def close(self) -> None:
        self.networks = ()


@pytest.fixture
def flash(tmp_path: Path) -> FileFlash:
    return FileFlash(tmp_path / "flash")


def added(flash: FileFlash, **fields: Any) -> int:
    return WifiConfiguration(flash).add({"ssid": "a", "securityState": "open", "configState": "enabled", **fields}).id


def journal() -> tuple[Journal, list[dict[str, object]]]:
    made, entries = Journal(None, lambda: 0), []
    made.listen(entries.append)
    return made, entries


def test_enabled_networks_reach_the_radio_and_others_do_not(flash: FileFlash) -> None:
    radio = RecordedRadio()
    wifi = Wifi(radio, flash, journal()[0])
    first = added(flash, ssid="cafe", targetScan=True)
    added(flash, ssid="off", configState="disabled")
    added(flash, ssid="home", securityState="psk", psk="long enough")
    WifiConfiguration(flash).save_power(wanted=True)
    wifi.apply()
    assert [(each.id, each.ssid, each.psk, each.targeted) for each in radio.networks] == [
        (first, "cafe", "", True),
        (2, "home", "long enough", False),
    ]
    assert radio.saves_power
    WifiConfiguration(flash).remove(first)
    wifi.reload()
    assert [each.ssid for each in radio.networks] == ["home"]
    assert radio.reloaded == 1


def test_certificates_come_from_the_store_and_without_one_of_them_a_network_is_not_joined(flash: FileFlash) -> None:
    radio, store = RecordedRadio(), CertificateStore(flash)
    store.add("own", read_certificate("client", CERTIFICATE, private_pem(P256[0]).decode(), None))
    store.add("root", read_certificate("rootca", CERTIFICATE, None, None))
    added(flash, securityState="eaptls", clientCertStoreIdentifier="own", rootCaCertStoreIdentifier="root")
    log, entries = journal()
    wifi = Wifi(radio, flash, log)
    wifi.apply()
    (network,) = radio.networks
    assert (network.client_certificate, network.root_certificate) == (CERTIFICATE.encode(), CERTIFICATE.encode())
    assert network.client_key.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert network.identity == "test", "the certificate's name stands for an identity that was not given"
    assert [each["event"] for each in entries] == []
    for lost, certificate in (("own", "client"), ("root", "rootca")):
        kept = store.get(lost)
        store.remove(lost)
        wifi.apply()
        assert radio.networks == (), f"without its {certificate} it would be joined, and anybody be believed"
        assert [each.error.word for each in wifi.failures().values()] == ["AuthenticationFailed"]
        wifi.apply()
        store.add(lost, kept)
        wifi.apply()
        assert (len(radio.networks), wifi.failures()) == (1, {})
    assert [(each["event"], each["reason"]) for each in entries] == [
        ("wifi-certificate-lost", "not joined: no certificate 'own' in the store"),
        ("wifi-certificate-lost", "not joined: no certificate 'root' in the store"),
    ]


def test_what_is_wrong_with_certificates_costs_their_networks_alone(flash: FileFlash) -> None:
    odd = with_unreadable_name().encode()
    number = added(flash, ssid="work", securityState="eaptls", clientCertStoreIdentifier="odd")
    added(flash, ssid="cafe")
    radio, (log, entries) = RecordedRadio(), journal()
    wifi = Wifi(radio, flash, log)
    for data in (b"\x00", cbor.encode({1: 1, 2: {"odd": ["client", odd, b"key"]}})):
        flash.write(REGION, data)
        wifi.apply()
        assert [each.ssid for each in radio.networks] == ["cafe"]
        assert {lost: each.error.word for lost, each in wifi.failures().items()} == {number: "AuthenticationFailed"}
    assert [each["reason"] for each in entries if each["event"] == "wifi-certificate-lost"] == [
        "not joined: the device's certificate store is damaged",
    ]


def test_a_network_whose_server_nobody_checks_is_said_once(flash: FileFlash) -> None:
    CertificateStore(flash).add("own", read_certificate("client", CERTIFICATE, private_pem(P256[0]).decode(), None))
    number = added(flash, ssid="work", securityState="eaptls", clientCertStoreIdentifier="own")
    added(flash, ssid="home", securityState="psk", psk="long enough")
    log, entries = journal()
    radio = RecordedRadio()
    wifi = Wifi(radio, flash, log)
    for _ in range(2):
        wifi.apply()
    assert len(radio.networks) == 2, "it is joined, as on Azure Sphere"
    (said,) = entries
    assert (said["event"], said["network"], said["ssid"]) == ("wifi-server-unchecked", number, "work")
    assert "any access point of this name is believed" in str(said["reason"])


def test_a_radio_that_is_switched_off_is_in_no_network(flash: FileFlash) -> None:
    radio = RecordedRadio()
    wifi = Wifi(radio, flash, journal()[0])
    added(flash)
    NetworkConfiguration(flash).switch("wlan0", up=False)
    wifi.apply()
    assert (wifi.is_on, radio.networks) == (False, ())
    NetworkConfiguration(flash).switch("wlan0", up=True)
    wifi.apply()
    assert len(radio.networks) == 1


def test_what_happens_is_in_the_log_once(flash: FileFlash) -> None:
    radio = RecordedRadio()
    log, entries = journal()
    wifi = Wifi(radio, flash, log)
    assert radio.listener is not None
    for joined in (3, 3, None, None):
        radio.listener(joined)
    radio.fails = True
    wifi.apply()
    assert [(each["event"], each.get("network")) for each in entries] == [
        ("wifi-connected", 3),
        ("wifi-disconnected", None),
        ("wifi-not-applied", None),
    ]


def test_the_pretended_radio_says_why_it_is_not_in_a_network() -> None:
    radio, told = SimulatedRadio(), []
    radio.listen(told.append)
    radio.use(
        [
            Network(id=0, ssid="nowhere", security="open"),
            Network(id=1, ssid="simulated-psk", security="psk", psk="another phrase"),
            Network(id=2, ssid="simulated-psk", security="open"),
            Network(id=3, ssid="simulated-eaptls", security="eaptls"),
        ],
        saves_power=False,
    )
    assert {number: each.error.word for number, each in radio.failures().items()} == {
        0: "NetworkNotFound",
        1: "WrongKey",
        2: "SecurityTypeMismatch",
        3: "AuthenticationFailed",
    }
    assert (radio.connection(), radio.mode) == (None, "simulated")
    radio.use([Network(id=4, ssid="simulated-psk", security="psk", psk=PASSPHRASE)], saves_power=False)
    present = radio.connection()
    assert present is not None
    assert (present.network, told) == (4, [4])
