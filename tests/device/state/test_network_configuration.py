# SPDX-License-Identifier: Apache-2.0
"""Proxy and Wi-Fi networks of a device: what is refused with which number, what is kept over a power cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.device.cut_flash import CutFlash, PowerCutError

from armillary.device.network.proxy import Proxy
from armillary.device.state import network_configuration, wifi_configuration
from armillary.device.state.kept_region import DamagedRegionError
from armillary.device.state.network_configuration import NetworkConfiguration
from armillary.device.state.request_refused import RequestRefusedError
from armillary.device.state.wifi_configuration import MAX_NETWORKS, WifiConfiguration
from armillary.wire.device import azure_error
from armillary.wire.encoding import cbor

PROXY = {
    "enabled": True, "address": "proxy.example", "port": 3128, "noProxyAddresses": ["10.0.0.1"],
    "authenticationType": "anonymous",
}  # fmt: skip
BASIC = {**PROXY, "authenticationType": "basic", "username": "somebody", "password": "secret"}
OPEN: dict[str, Any] = {"ssid": "Café", "securityState": "open"}
PSK = {**OPEN, "securityState": "psk", "psk": "12345678"}
ENTERPRISE = {**OPEN, "securityState": "eaptls", "clientCertStoreIdentifier": "client"}


def number_of(call: Callable[[], object]) -> int:
    with pytest.raises(RequestRefusedError) as refused:
        call()
    return refused.value.number


def test_a_proxy_is_kept_without_giving_its_password_back():
    flash = CutFlash()
    configuration = NetworkConfiguration(flash)
    assert configuration.proxy == {}
    configuration.set_proxy(BASIC)
    assert NetworkConfiguration(flash).proxy == {name: v for name, v in BASIC.items() if name != "password"}
    configuration.switch("wlan0", up=False)
    configuration.delete_proxy()
    assert (NetworkConfiguration(flash).proxy, NetworkConfiguration(flash).switched) == ({}, {"wlan0": False})


def test_a_proxy_is_used_while_it_is_switched_on_with_its_password():
    configuration = NetworkConfiguration(CutFlash())
    assert configuration.proxy_in_use() is None
    assert number_of(lambda: configuration.enable_proxy(enabled=True)) == azure_error.INVALID_PARAMETER
    configuration.set_proxy({**BASIC, "address": "::1"})
    configuration.switch("wlan0", up=False)
    configuration.enable_proxy(enabled=False)
    assert (configuration.proxy["enabled"], configuration.proxy_in_use()) == (False, None)
    configuration.enable_proxy(enabled=True)
    used = configuration.proxy_in_use()
    assert used == Proxy(host="::1", port=3128, bypass=("10.0.0.1",), username="somebody", password="secret")
    assert configuration.switched == {"wlan0": False}


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": 1}, {"address": ""}, {"address": "a b"}, {"address": "http://x/"}, {"address": "x" * 300}, {"port": 0},
        {"port": 65536}, {"port": True}, {"port": "1"}, {"noProxyAddresses": "x"}, {"noProxyAddresses": [1]},
        {"noProxyAddresses": ["x"] * 33}, {"authenticationType": "ntlm"}, {"username": "u"}, {"password": "p"},
        {"more": 1}, {"authenticationType": "basic"}, {"authenticationType": "basic", "username": "u", "password": ""},
        {"authenticationType": "basic", "username": "u\n", "password": "p"},
        {"authenticationType": "basic", "username": "u:v", "password": "p"}, {"address": "proxy.example:3128"},
        {"address": "..."}, {"address": "a..b"}, {"address": ".a"}, {"address": "x" * 64}, {"address": "[::1]"}, {"address": "1::2::3"}, {"noProxyAddresses": ["10.0.0.0/8"]},
    ],
)  # fmt: skip
def test_a_proxy_of_another_form_is_refused_whole(change: dict[str, Any]):
    configuration = NetworkConfiguration(CutFlash())
    assert number_of(lambda: configuration.set_proxy({**PROXY, **change})) == azure_error.INVALID_PARAMETER
    assert configuration.proxy == {}
    configuration.set_proxy(PROXY)
    assert configuration.proxy == PROXY


def test_a_proxy_has_a_name_that_ends_in_a_point_or_an_address_and_a_bypass_begins_with_one():
    configuration = NetworkConfiguration(CutFlash())
    for address in ("proxy.example.", "x" * 63, "192.0.2.1", "2001:db8::1"):
        configuration.set_proxy({**PROXY, "address": address, "noProxyAddresses": [".example.com"]})
        assert configuration.proxy["address"] == address


@pytest.mark.parametrize("network", [OPEN, PSK, {**PSK, "psk": "a" * 64}, {**PSK, "psk": "x" * 63}, ENTERPRISE])
def test_a_network_is_kept(network: dict[str, Any]):
    flash = CutFlash()
    made = WifiConfiguration(flash).add(network)
    assert WifiConfiguration(flash).networks == (made,)
    assert made.psk == "" or made.psk not in repr(made)


@pytest.mark.parametrize(
    ("network", "number"),
    [
        ({}, azure_error.WIFI_INVALID),
        ({**OPEN, "ssid": " "}, azure_error.WIFI_INVALID),
        ({**OPEN, "ssid": "a\x00"}, azure_error.WIFI_INVALID),
        ({**OPEN, "ssid": "é" * 17}, azure_error.SSID_TOO_LONG),
        ({**OPEN, "ssid": 7}, azure_error.INVALID_PARAMETER),
        ({**OPEN, "securityState": "wep"}, azure_error.WIFI_INVALID),
        ({**OPEN, "configState": "perhaps"}, azure_error.INVALID_PARAMETER),
        ({**OPEN, "targetScan": "true"}, azure_error.INVALID_PARAMETER),
        ({**OPEN, "more": "x"}, azure_error.INVALID_PARAMETER),
        ({**OPEN, "id": 7}, azure_error.INVALID_PARAMETER),
        ({**OPEN, "psk": "12345678"}, azure_error.NETWORK_PROPERTIES),
        ({**OPEN, "clientCertStoreIdentifier": "x"}, azure_error.NETWORK_PROPERTIES),
        ({**OPEN, "configName": "x" * 17}, azure_error.CONFIGURATION_NAME_TOO_LONG),
        ({**PSK, "psk": "1234567"}, azure_error.KEY_TOO_SHORT),
        ({**PSK, "psk": "x" * 64}, azure_error.KEY_TOO_LONG),
        ({**PSK, "psk": "12345678é"}, azure_error.WIFI_INVALID),
        ({**OPEN, "securityState": "eaptls"}, azure_error.WIFI_INVALID),
        (
            {**OPEN, "securityState": "eaptls", "clientCertStoreIdentifier": "own", "clientIdentity": 'a"\nb'},
            azure_error.WIFI_INVALID,
        ),
    ],
)
def test_a_network_of_another_form_is_refused_with_its_number(network: dict[str, Any], number: int):
    configuration = WifiConfiguration(CutFlash())
    assert number_of(lambda: configuration.add(network)) == number
    assert configuration.networks == ()


def test_names_are_taken_once_and_ids_never_come_back():
    configuration = WifiConfiguration(CutFlash())
    first = configuration.add({**PSK, "configName": "home"})
    assert number_of(lambda: configuration.add({**OPEN, "configName": "home"})) == azure_error.CONFIGURATION_NAME_EXISTS
    configuration.add(OPEN)
    assert number_of(lambda: configuration.add(OPEN)) == azure_error.NETWORK_EXISTS
    assert number_of(lambda: configuration.change(1, state=None, psk="12345678")) == azure_error.NETWORK_PROPERTIES
    assert number_of(lambda: configuration.change(9, state=None, psk=None)) == azure_error.NETWORK_UNKNOWN
    assert configuration.change(0, state="enabled", psk="87654321").psk == "87654321"
    configuration.remove(first.id)
    assert [configuration.add({**PSK, "ssid": f"n{n}"}).id for n in range(3)] == [2, 3, 4]
    while len(configuration.networks) < MAX_NETWORKS:
        configuration.add({**PSK, "ssid": f"m{len(configuration.networks)}"})
    assert number_of(lambda: configuration.add({**PSK, "ssid": "full"})) == azure_error.TOO_MANY_NETWORKS


def test_networks_that_would_not_be_read_back_are_refused_and_none_is_lost():
    configuration = WifiConfiguration(CutFlash())
    large = {"securityState": "eaptls", "clientCertStoreIdentifier": "c" * 3000}
    kept = 65_536 // 3200
    for number in range(kept):
        configuration.add({**large, "ssid": f"n{number}"})
    assert number_of(lambda: configuration.add({**large, "ssid": "more"})) == azure_error.TOO_MANY_NETWORKS
    assert len(configuration.networks) == kept < MAX_NETWORKS
    configuration.remove(0)
    configuration.add({**large, "ssid": "last"})
    assert len(configuration.networks) == kept


def test_a_cut_at_any_operation_leaves_the_old_or_the_new_configuration():
    def change(flash: CutFlash) -> None:
        WifiConfiguration(flash).add({**OPEN, "ssid": "new"})
        NetworkConfiguration(flash).try_proxy(BASIC, "app", 0)

    first = CutFlash()
    WifiConfiguration(first).add(OPEN)
    NetworkConfiguration(first).set_proxy(PROXY)
    whole = CutFlash(first.durable)
    change(whole)
    for cut in range(1, whole.operations + 1):
        flash = CutFlash(first.durable, cut_at=cut)
        with pytest.raises(PowerCutError):
            change(flash)
        after = CutFlash(flash.durable)
        assert [each.ssid for each in WifiConfiguration(after).networks] in (["Café"], ["Café", "new"])
        assert NetworkConfiguration(after).proxy["authenticationType"] in ("anonymous", "basic")


PROXY_WITHOUT_PORT = cbor.encode({1: 1, 2: '{"enabled": true, "address": "proxy"}', 3: {}})
NETWORK_WITHOUT_NAME = cbor.encode({1: 1, 2: 1, 3: [{"id": 0, "ssid": 7, "security": "open"}], 4: False})


@pytest.mark.parametrize(
    ("wifi", "network"), [(b"\x00", b"\xff"), (NETWORK_WITHOUT_NAME, PROXY_WITHOUT_PORT)], ids=["noise", "half"]
)
def test_a_damaged_region_is_as_good_as_none(wifi: bytes, network: bytes):
    flash = CutFlash({wifi_configuration.REGION: wifi, network_configuration.REGION: network})
    for each in (wifi_configuration, network_configuration):
        each.check_kept(CutFlash())
        with pytest.raises(DamagedRegionError, match=f"flash region {each.REGION} is damaged"):
            each.check_kept(flash)
    assert NetworkConfiguration(flash).proxy_in_use() is None
    assert (WifiConfiguration(flash).networks, NetworkConfiguration(flash).proxy) == ((), {})
    assert WifiConfiguration(flash).add(OPEN).id == 0
