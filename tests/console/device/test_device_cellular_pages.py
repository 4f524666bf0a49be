# SPDX-License-Identifier: Apache-2.0
"""A device's modem on its page: what it said, how old that is, and nothing of it where it has no modem."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.console.hub_devices.test_hub_devices_pages import said
from tests.console.hub_scene import HubScene
from tests.fixtures.cellular import SAID, send_status

from armillary.console.device import pages_device_sections as sections
from armillary.wire.device.cellular_status import STATES

NOW = 1_800_000_000
DEVICE = {"health": "attested", "last_check_in_at": NOW - 60}
STATUS: dict[str, Any] = {
    "at": NOW - 58, "state": "connected", "sim": "ready", "registration": "roaming", "operator": "Operator",
    "technology": "lte-m", "signal_dbm": -97, "sessions": 1204, "bytes_received": 1_572_864, "bytes_sent": 512,
}  # fmt: skip


def rows(status: dict[str, Any] = STATUS, device: dict[str, Any] = DEVICE) -> dict[str, Any]:
    section = sections.cellular(status, device, NOW)
    return {
        str(name.text): (value.state.kind, value.state.word) if value.state else value.text
        for name, value in section.rows
    }


def test_the_section_says_what_the_device_said() -> None:
    assert {name: str(value) if isinstance(value, str) else value for name, value in rows().items()} == {
        "Data session": ("good", "the data session is up"),
        "SIM": "ready",
        "Network": "Operator, LTE-M, roaming",
        "Signal": "-97 dBm",
        "Sessions since it started": "1,204",
        "Data": "1.5 MiB received, 512 B sent",
    }
    nothing = {"operator": "", "technology": "unknown", "registration": "unknown", "signal_dbm": None}
    assert (rows({**STATUS, **nothing})["Network"], rows({**STATUS, **nothing})["Signal"]) == (
        "in no network",
        "not known",
    )


@pytest.mark.parametrize(
    ("status", "device"),
    [
        ({}, {"health": "silent"}),
        ({"at": NOW - 90_000}, {}),
        ({"state": "a-state-of-tomorrow"}, {}),
    ],
)
def test_what_is_old_or_not_known_is_never_drawn_as_good(status: dict[str, Any], device: dict[str, Any]) -> None:
    kind, _ = rows({**STATUS, **status}, {**DEVICE, **device})["Data session"]
    assert kind == "unknown"


def test_every_state_has_words_and_only_one_is_good() -> None:
    assert sections.CELLULAR.keys() == STATES
    assert [name for name, state in sections.CELLULAR.items() if state.kind == "good"] == ["connected"]


def test_a_person_sees_it_on_the_devices_page_and_in_the_api(hub_scene: HubScene) -> None:
    device = hub_scene.claimed()
    look, place = hub_scene.browser("Reader"), f"/devices/{device.device_id}"
    assert "Data session" not in said(look.get(place).text)
    assert hub_scene.call("GET", f"/devices/{device.device_id}/cellular")["status"] is None
    with device:
        device.check_in()
        assert send_status(device, replace(SAID, operator="<b>Operator</b>")) == (200, "")
    page = look.get(place)
    assert "the data session is up" in said(page.text)
    assert "&lt;b&gt;Operator&lt;/b&gt;, LTE-M, roaming" in page.text
    found = hub_scene.call("GET", f"/devices/{device.device_id}/cellular")
    assert (found["device_id"], found["status"]["signal_dbm"]) == (device.device_id, -97)
    assert found["status"].keys() == {*SAID.__dataclass_fields__, "at"}
