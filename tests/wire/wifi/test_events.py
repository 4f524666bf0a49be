# SPDX-License-Identifier: Apache-2.0
"""What wpa_supplicant says by itself becomes an event and an error that Azure Sphere documents."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.wire.wifi.events import (
    CertificateRefused,
    Connected,
    Disconnected,
    Ended,
    GivenUp,
    Scanned,
    WifiError,
    is_event,
    parse_event,
)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:01:00 completed [id=4 id_str=]", Connected(4)),
        ("<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=3 locally_generated=1", Disconnected()),
        (
            '<3>CTRL-EVENT-SSID-TEMP-DISABLED id=2 ssid="a b" auth_failures=1 duration=10 reason=WRONG_KEY',
            GivenUp(2, "WRONG_KEY"),
        ),
        # a name cannot say another reason: the last one is wpa_supplicant's own
        (
            '<3>CTRL-EVENT-SSID-TEMP-DISABLED id=2 ssid="id=1 reason=X" auth_failures=1 duration=10 reason=AUTH_FAILED',
            GivenUp(2, "AUTH_FAILED"),
        ),
        (
            "<3>CTRL-EVENT-EAP-TLS-CERT-ERROR reason=1 depth=1 subject='/CN=it's me' err='unable to get it'",
            CertificateRefused(1, 1, "/CN=it's me"),
        ),
        ("<3>CTRL-EVENT-SCAN-RESULTS ", Scanned(failed=False)),
        ("<3>CTRL-EVENT-SCAN-FAILED ret=-16", Scanned(failed=True)),
        ("<3>CTRL-EVENT-TERMINATING ", Ended()),
        ("<3>CTRL-EVENT-BSS-ADDED 0 02:00:00:00:01:00", None),
        ("<3>", None),
    ],
)
def test_events(text: str, event: object) -> None:
    assert is_event(text)
    assert parse_event(text) == event


def test_replies_are_no_events() -> None:
    assert not any(map(is_event, ("OK", "FAIL", "0", "<x>", "")))


@pytest.mark.parametrize(
    ("why", "security", "error"),
    [
        ("WRONG_KEY", "psk", WifiError.WRONG_KEY),
        ("AUTH_FAILED", "psk", WifiError.WRONG_KEY),
        ("CONN_FAILED", "psk", WifiError.CONNECTION_FAILED),
        ("CONN_FAILED", "open", WifiError.CONNECTION_FAILED),
        ("AUTH_FAILED", "eaptls", WifiError.AUTHENTICATION_FAILED),
        ("CONN_FAILED", "eaptls", WifiError.CONNECTION_FAILED),
    ],
)
def test_errors(why: str, security: str, error: WifiError) -> None:
    assert GivenUp(0, why).error(security) is error


def test_errors_have_azures_names_and_numbers() -> None:
    assert {each.word: each.value[1] for each in WifiError} == {
        "ConnectionFailed": 1,
        "NetworkNotFound": 2,
        "WrongKey": 4,
        "AuthenticationFailed": 5,
        "SecurityTypeMismatch": 6,
    }


@given(st.text(max_size=120))
def test_any_text_is_an_event_or_none(text: str) -> None:
    for message in (text, f"<3>{text}", f"<3>CTRL-EVENT-SSID-TEMP-DISABLED {text}", f"<3>CTRL-EVENT-CONNECTED {text}"):
        parse_event(message)
