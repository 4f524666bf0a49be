# SPDX-License-Identifier: Apache-2.0
"""Device groups in the console: what each gets and when, and having all its devices check in now."""

from __future__ import annotations

from typing import Any

from tests.console.hub_scene import HubScene

from armillary.console.operations.pages_group import confirmation, group_sheet

HERE = "/device-groups/northwind/Coolers/Field"
GROUP: dict[str, Any] = {
    "catalog": "northwind",
    "product": "Coolers",
    "name": "Field Test",
    "description": "",
    "os_feed": "RetailEval",
    "update_policy": "UpdateAll",
    "deployment_id": None,
    "created_at": 1,
    "devices": 1204,
    "schedule": {
        "check_interval_s": 3600,
        "zone": "Europe/Berlin",
        "windows": ["Sat 01:00-05:00"],
        "max_deferral_s": 0,
        "urgent_until": 1_000_600,
        "urgent_reason": "the lock opens",
    },
}


def test_the_page_says_when_and_what_is_urgent() -> None:
    made = group_sheet(GROUP, may_ask=True, now=1_000_000)
    assert made.title == "1,204 devices, which may update at once."
    assert "the lock opens" in made.notices[0][1]
    later = group_sheet(GROUP, may_ask=False, now=1_000_600)
    assert later.title == "1,204 devices, which may update in its windows (Sat 01:00-05:00)."
    assert later.notices == ()
    assert [button.label for button in later.buttons] == ["Devices", "Crash dumps"]


def test_a_large_group_is_asked_for_by_the_word() -> None:
    assert confirmation(GROUP).word == "check-now"
    assert confirmation({**GROUP, "devices": 100}).word == ""
    assert "1,204 devices of northwind / Coolers / Field Test" in dict(confirmation(GROUP).touches)["Touches"]


def test_a_person_has_a_whole_group_check_in(hub_scene: HubScene) -> None:
    service, look = hub_scene.running.service, hub_scene.browser()
    assert HERE in look.get("/device-groups").text
    assert HERE not in look.get("/device-groups?catalog=contoso").text
    assert HERE in look.get("/settings").text
    asked = look.confirm(f"{HERE}/check-now")
    assert (asked.status, asked.headers["location"].partition("?")[0]) == (303, HERE)
    assert "Asked." in look.get(asked.headers["location"]).text
    line = service.audit.list(target="northwind/Coolers/Field").items[0]
    assert (line.operation, line.actor) == ("device-group.check-now", "Administrator-token")
    assert service.registry.devices.get(hub_scene.device.device_id).check_now_at is not None
    assert "Check in now" not in hub_scene.browser("Reader").get(HERE).text
    assert look.get("/device-groups/northwind/Coolers/Nowhere").status == 404
