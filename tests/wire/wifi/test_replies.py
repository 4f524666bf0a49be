# SPDX-License-Identifier: Apache-2.0
"""Replies of wpa_supplicant 2.10: as it wrote them, and as nobody should."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.wifi.replies import (
    MAX_NAME_BYTES,
    Neighbour,
    parse_neighbours,
    parse_number,
    parse_status,
    security_of,
)

HEAD = "bssid / frequency / signal level / flags / ssid\n"
SCAN = (
    HEAD + "02:00:00:00:01:00\t2412\t-30\t[ESS]\tarmillary-open\n"
    '42:00:00:00:01:00\t2412\t-29\t[WPA2-PSK-CCMP][ESS]\tarm\\xc3\\xa4\\"\\\\\\t\n'
    "42:00:00:00:01:01\t5180\t-70\t[WPA2-SAE-CCMP][SAE-H2E][ESS]\t\n"
    "42:00:00:00:01:02\t2412\t-31\t[WPA2-EAP-CCMP][ESS]\tat work\n"
)


def test_the_networks_around_are_read_strongest_first() -> None:
    assert parse_neighbours(SCAN) == (
        Neighbour(bssid="42:00:00:00:01:00", frequency=2412, signal=-29, security="psk", ssid='armä"\\\N{REPLACEMENT CHARACTER}'),
        Neighbour(bssid="02:00:00:00:01:00", frequency=2412, signal=-30, security="open", ssid="armillary-open"),
        Neighbour(bssid="42:00:00:00:01:02", frequency=2412, signal=-31, security="eaptls", ssid="at work"),
        Neighbour(bssid="42:00:00:00:01:01", frequency=5180, signal=-70, security="psk", ssid=""),
    )  # fmt: skip
    assert parse_neighbours(HEAD) == ()


@pytest.mark.parametrize(
    ("flags", "security"),
    [
        ("[ESS]", "open"),
        ("[WPA2-PSK-CCMP][ESS]", "psk"),
        ("[WPA-PSK-TKIP][WPA2-PSK+SAE-CCMP][WPS][ESS]", "psk"),
        ("[WPA2-SAE-CCMP][ESS]", "psk"),
        ("[WPA2-EAP-CCMP][ESS]", "eaptls"),
        ("[WPA2-EAP/SHA256-CCMP][ESS]", "eaptls"),
        ("[WPA-PSK-TKIP][ESS]", "unknown"),  # the first version of WPA: no device of ours joins it
        ("[WEP][ESS]", "unknown"),
        ("[WPA2-OWE-CCMP][ESS]", "unknown"),
        ("[WPA2-PSK-CCMP][IBSS]", "unknown"),
        ("", "unknown"),
    ],
)
def test_security_is_what_a_device_has_to_bring(flags: str, security: str) -> None:
    assert security_of(flags) == security


@pytest.mark.parametrize(
    "wrong",
    [
        "FAIL",
        HEAD + "02:00:00:00:01:00\t2412\t-30\t[ESS]",
        HEAD + "02:00:00:00:01\t2412\t-30\t[ESS]\tx",
        HEAD + "02:00:00:00:01:00\t24.12\t-30\t[ESS]\tx",
        HEAD + "02:00:00:00:01:00\t2412\t-30\t[ESS]\t\\q",
        HEAD + "02:00:00:00:01:00\t2412\t-30\t[ESS]\t\\",
        HEAD + "02:00:00:00:01:00\t2412\t-30\t[ESS]\t" + "x" * (MAX_NAME_BYTES + 1),
    ],
)
def test_another_list_is_refused(wrong: str) -> None:
    with pytest.raises(WireError, match=r"wifi-scan|wifi-number"):
        parse_neighbours(wrong)


def test_state_ids_and_numbers() -> None:
    found = parse_status("bssid=02:00:00:00:01:00\nssid=a=b\nid=0\nwpa_state=COMPLETED\n")
    assert (found["ssid"], found["wpa_state"], found["id"]) == ("a=b", "COMPLETED", "0")
    assert parse_number("7\n") == 7
    for reader, wrong in ((parse_status, "id=0\n"), (parse_number, "OK")):
        with pytest.raises(WireError):
            reader(wrong)


@given(st.text(max_size=200), st.binary(max_size=60))
def test_any_text_is_read_or_refused(text: str, name: bytes) -> None:
    escaped = "".join(f"\\x{each:02x}" for each in name)
    for reply in (text, HEAD + text, f"{HEAD}02:00:00:00:01:00\t2412\t-30\t{text}\t{escaped}\n"):
        for reader in (parse_neighbours, parse_status, parse_number):
            with contextlib.suppress(WireError):
                reader(reply)


@given(st.binary(max_size=MAX_NAME_BYTES))
def test_no_name_moves_a_terminal_or_ends_a_line(name: bytes) -> None:
    escaped = "".join(f"\\x{each:02x}" for each in name)
    (found,) = parse_neighbours(f"{HEAD}02:00:00:00:01:00\t2412\t-30\t[ESS]\t{escaped}\n")
    assert all(each.isprintable() for each in found.ssid)
