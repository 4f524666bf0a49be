# SPDX-License-Identifier: Apache-2.0
"""The page of where a device's update stands: the reason in a sentence, what it lacks, when it may, and check now."""

from __future__ import annotations

import pytest
from tests.console.hub_scene import HubScene

from armillary.console.device.pages_device_update import update_sheet
from armillary.wire.device.update_reason import REASONS

STANDING = {
    "device_id": "ab" * 64,
    "code": "window",
    "meaning": "The device waits for the maintenance window of its group.",
    "remedy": "Nothing.",
    "detail": "",
    "until": 1_000_600,
    "os_version": "26.11",
    "wanted_os_version": "26.12",
    "deployment_id": "3e671687-395b-41f5-a30f-a58921a69b79",
    "lacking": ["brew"],
    "rollout_id": None,
    "abilities": ["os"],
    "last_check_in_at": 999_000,
    "check_in_by": 1_003_600,
    "check_in_after": "interval",
    "check_in_meaning": "At the interval of its group.",
    "fetch": None,
    "group": ["Contoso", "Coffee", "Production"],
    "schedule": {
        "check_interval_s": None,
        "zone": "Europe/Berlin",
        "windows": ["Sat 01:00-05:00"],
        "max_deferral_s": 0,
        "urgent_until": 1_000_100,
        "urgent_reason": "the lock opens",
    },
}


def test_the_page_says_why_what_lacks_and_when() -> None:
    made = update_sheet(STANDING, 1_000_000, may_ask=True)
    assert made.title == STANDING["meaning"]
    assert made.detail == "What to do: nothing."
    assert update_sheet({**STANDING, "detail": "2 of 3"}, 1, may_ask=True).detail == "2 of 3. What to do: nothing."
    cells = [cell for section in made.sections for row in section.rows for cell in row]
    words = {cell.text for cell in cells} | {cell.reason for cell in cells}
    assert {"26.11", "26.12", "lacks brew", "Sat 01:00-05:00", "Europe/Berlin", "the lock opens"} <= words
    assert [button.post for button in made.buttons] == [f"/devices/{STANDING['device_id']}/check-now"]
    assert update_sheet(STANDING, 1_000_000, may_ask=False).buttons == ()


@pytest.mark.parametrize("code", [reason.code for reason in REASONS] + ["of-a-newer-device"])
def test_every_reason_has_a_page(code: str) -> None:
    bare = {
        **STANDING, "code": code, "until": None, "schedule": None, "deployment_id": None, "lacking": [],
        "wanted_os_version": "", "os_version": "", "abilities": None, "check_in_by": None, "last_check_in_at": None,
    }  # fmt: skip
    made = update_sheet(bare, 1_000_000, may_ask=True)
    states = [cell.state for name, cell in made.facts if name == "State"]
    assert states[0] is not None
    assert (states[0].word == "up to date") == (code == "up-to-date")
    assert code not in [cell.text for _, cell in made.facts], "a word says it; the code stands below it for scripts"


def test_the_page_says_how_far_a_device_is_that_installs_and_when_it_checks_in() -> None:
    fetch = {"begun_at": 999_001, "parts": 2, "sent": [{"name": "kernel", "sent_at": 999_019}]}
    after = "When it has installed what it was offered, or could not; for an operating system after its restart."
    standing = {**STANDING, "code": "fetching", "check_in_after": "installation", "check_in_meaning": after}
    made = update_sheet({**standing, "fetch": fetch}, 1_000_000, may_ask=True)
    facts = dict(made.facts)
    assert (facts["Fetched"].text, facts["Fetched"].reason) == ("1 of 2 parts", "kernel")
    assert (facts["Next check-in"].text, facts["Next check-in"].reason) == (after, "within 60 min at the latest")
    assert facts["State"].state is not None
    assert facts["State"].state.word == "updating"
    steps = next(section for section in made.sections if section.title == "How far it is")
    assert [row[0].text for row in steps.rows] == ["offered", "begun to fetch", "kernel fetched"]
    usual = update_sheet(STANDING, 1_000_000, may_ask=True)
    assert dict(usual.facts)["Next check-in"].text == "within 60 min"
    assert "How far it is" not in [section.title for section in usual.sections]


def test_a_person_has_a_device_check_in(hub_scene: HubScene) -> None:
    look, device = hub_scene.browser(), hub_scene.device.device_id
    page = look.get(f"/devices/{device}/update")
    assert page.status == 200
    assert "Check in now" in page.text
    asked = look.post(f"/devices/{device}/check-now")
    assert (asked.status, asked.headers["location"].partition("?")[0]) == (303, f"/devices/{device}/update")
    assert "Asked." in look.get(asked.headers["location"]).text
    line = hub_scene.running.service.audit.list(target=device).items[0]
    assert line.operation == "device.check-now"
    assert "Check in now" not in hub_scene.browser("Reader").get(f"/devices/{device}/update").text
