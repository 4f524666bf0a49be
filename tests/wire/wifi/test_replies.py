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
    parse_ids,
    parse_neighbour,
    parse_number,
    parse_status,
    security_of,
    strongest_first,
)

HOME = "id=4\nbssid=42:00:00:00:01:00\nfreq=2412\nlevel=-29\nflags=[WPA2-PSK-CCMP][ESS]\nssid="


def reply(flags: str, ssid: str = "", level: int = -30) -> str:
    return f"id=7\nbssid=02:00:00:00:01:00\nfreq=5180\nlevel={level}\nflags={flags}\nssid={ssid}\n"


def test_an_access_point_is_read() -> None:
    assert parse_neighbour(HOME + 'arm\\xc3\\xa4\\"\\\\\\t\n') == Neighbour(
        bssid="42:00:00:00:01:00", frequency=2412, signal=-29, security="psk", ssid='armä"\\\N{REPLACEMENT CHARACTER}'
    )
    assert parse_neighbour(HOME).ssid == "", "it hides its name"
    assert parse_neighbour(HOME + "a=b").ssid == "a=b"


def test_the_strongest_is_first() -> None:
    found = [parse_neighbour(reply("[ESS]", name, level)) for name, level in (("far", -80), ("near", -20), ("b", -50))]
    assert [each.ssid for each in strongest_first(found)] == ["near", "b", "far"]


def test_ids_ascend_from_where_they_were_asked_for() -> None:
    assert parse_ids("id=3\nid=4294967295\n", least=3) == (3, 4294967295)
    assert parse_ids("", least=0) == ()
    for wrong in ("id=2\n", "id=4\nid=4\n", "id=x\n", "bssid=3\n", "FAIL"):
        with pytest.raises(WireError, match=r"wifi-scan|wifi-number"):
            parse_ids(wrong, least=3)


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
        HOME.replace("ssid=", "name="),
        HOME.replace("bssid=42:", "bssid="),
        HOME.replace("2412", "24.12"),
        HOME + "\\q",
        HOME + "\\",
        HOME + "x" * (MAX_NAME_BYTES + 1),
    ],
)
def test_another_reply_is_refused(wrong: str) -> None:
    with pytest.raises(WireError, match=r"wifi-scan|wifi-number"):
        parse_neighbour(wrong)


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
    for each in (text, HOME + text, reply(text, escaped)):
        for reader in (parse_neighbour, lambda known: parse_ids(known, least=0), parse_status, parse_number):
            with contextlib.suppress(WireError):
                reader(each)


@given(st.binary(max_size=MAX_NAME_BYTES))
def test_no_name_moves_a_terminal_or_ends_a_line(name: bytes) -> None:
    escaped = "".join(f"\\x{each:02x}" for each in name)
    assert all(each.isprintable() for each in parse_neighbour(reply("[ESS]", escaped)).ssid)
