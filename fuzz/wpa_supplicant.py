# SPDX-License-Identifier: Apache-2.0
"""What wpa_supplicant replies and says, and what the kernel answers of a radio: a value, an event, or WireError."""

from __future__ import annotations

import contextlib

from armillary.errors import WireError
from armillary.wire.wifi.events import is_event, parse_event
from armillary.wire.wifi.power_saving import parse_done, parse_family, parse_power_saving
from armillary.wire.wifi.replies import parse_ids, parse_neighbour, parse_number, parse_status


def seeds() -> list[bytes]:
    return [
        b"id=4\nbssid=02:00:00:00:01:00\nfreq=2412\nlevel=-30\nflags=[WPA2-PSK-CCMP][ESS]\nssid=a\\xe4\n",
        b"id=0\nid=7\n",
        b"bssid=02:00:00:00:01:00\nssid=a\nid=0\nwpa_state=COMPLETED\n",
        b"network id / ssid / bssid / flags\n0\ta\tany\t[CURRENT]\n",
        b'<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid="a" auth_failures=1 duration=10 reason=WRONG_KEY',
        b"<3>CTRL-EVENT-EAP-TLS-CERT-ERROR reason=1 depth=0 subject='/CN=a' err='b'",
        bytes.fromhex("24000000020000000500000000000000a1ffffff"),
    ]


def fuzz(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for reader in (parse_status, lambda reply: parse_ids(reply, least=0), parse_neighbour, parse_number):
        with contextlib.suppress(WireError):
            reader(text)
    parse_event(text)
    is_event(text)
    for answer in (parse_family, parse_done, parse_power_saving):
        with contextlib.suppress(WireError, OSError):
            answer(data, 5)
