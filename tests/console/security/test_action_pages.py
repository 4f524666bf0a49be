# SPDX-License-Identifier: Apache-2.0
"""Actions: previewed with counts before they are asked for, done, undone, approved by a second person; playbooks."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.console.plain_browser import signed_in
from tests.console.security_scene import SecurityScene
from tests.fixtures.waiting import wait_until

from armillary.console.security import pages_actions
from armillary.response import action as rules, state as states

FOUND = {
    "action_id": "a", "catalog_id": None, "kind": "quarantine", "state": "waiting", "target": {"finding": "f"},
    "options": {}, "reason": "odd", "playbook": "", "finding_id": None, "asked_by": "anna", "asked_at": 1, "changed_at": 1,
    "approved_by": "", "expires_at": 9, "devices": 300, "done": 0, "skipped": 0, "undone": 0, "effects": {}, "said": "",
    "does": "lets devices check in and update", "can_be_undone": True,
}  # fmt: skip


def test_every_state_and_kind_is_drawn() -> None:
    assert set(pages_actions.STATES) == set(states.STATES)
    assert set(pages_actions.KINDS) == set(rules.KINDS) - {"raise-floor"}
    assert set(pages_actions.TARGETS) == set(rules.TARGETS) - {"floor"}
    assert pages_actions.DECIDING == states.DECIDING


@pytest.mark.parametrize(
    ("changed", "who", "verbs"),
    [
        ({}, "anna", ("cancel",)),  # who asked is no second person
        ({}, "bert", ("approve", "cancel")),
        ({"state": "proposed"}, "anna", ("approve", "cancel")),
        ({"state": "running"}, "anna", ("cancel",)),
        ({"state": "done", "done": 3}, "anna", ("undo",)),
        ({"state": "done", "done": 3, "can_be_undone": False}, "anna", ()),
        ({"state": "undone"}, "anna", ()),
    ],
)
def test_what_can_be_done_with_an_action_follows_its_state(
    changed: dict[str, Any], who: str, verbs: tuple[str, ...]
) -> None:
    assert pages_actions.verbs_of(FOUND | changed, who) == verbs
    for verb in verbs:
        assert verb in {"approve", "cancel"} or "undo" in states.TRANSITIONS[(FOUND | changed)["state"]]


def test_a_wide_action_asks_for_the_word() -> None:
    asked = pages_actions.verb_confirmation(FOUND, "approve")
    assert (asked.word, asked.wide) == ("approve", "This affects 300 devices.")
    assert dict(asked.touches)["Touches"] == "300 devices that it has not touched yet."
    assert pages_actions.verb_confirmation({**FOUND, "devices": 3}, "cancel").word == ""


def test_an_action_is_previewed_done_and_undone(security_scene: SecurityScene) -> None:
    browser, device = security_scene.browser("Contributor"), security_scene.devices[0]
    form = browser.get(f"/new-action?target=finding&value={security_scene.finding}&kind=quarantine").text
    assert f'value="{security_scene.finding}"' in form
    sent = {
        "kind": "quarantine", "target": "finding", "value": security_scene.finding, "catalog": "northwind",
        "reason": "odd traffic", "ends": "1 day",
    }  # fmt: skip
    page = browser.post("/new-action", **sent)
    assert page.status == 200
    assert "1 device of 3. First: " in page.text
    actions = security_scene.service.response.actions
    assert actions.list(catalog="northwind", kind="quarantine").items == (), "a preview does nothing"
    again = browser.post("/actions", **sent, devices="7")
    assert (again.status, "This has changed since the page was opened" in again.text) == (409, True)
    made = browser.post("/actions", **sent, devices="1")
    assert made.status == 303, made.text
    here = made.headers["location"].partition("?")[0]
    (row,) = actions.list(catalog="northwind", kind="quarantine").items
    assert row.options["ends_after_s"] == 86_400
    wait_until(lambda: actions.get(row.action_id).state == "done", "the quarantine")
    page = browser.get(here).text
    assert "1 of 1 device done" in page
    assert f'href="/devices/{device}"' in page
    assert f'href="/findings/{security_scene.finding}"' in page
    assert "In quarantine" in browser.get(f"/devices/{device}").text
    assert here in browser.get(f"/findings/{security_scene.finding}").text
    assert browser.confirm(f"{here}/undo").status == 303
    wait_until(lambda: "In quarantine" not in browser.get(f"/devices/{device}").text, "its end")
    wrong = browser.post("/new-action", **{**sent, "value": "nothing"})
    assert (wrong.status, 'value="nothing"' in wrong.text) == (400, True)
    assert browser.get(f"{here}/odd").status == 404
    reader = security_scene.browser("Reader")
    assert not re.search(rf"{here}/(approve|cancel|undo)", reader.get(here).text)
    assert reader.get("/new-action").status == 403


def test_a_second_person_approves_and_who_asked_cannot(security_scene: SecurityScene) -> None:
    service, tokens = security_scene.service, security_scene.service.tokens
    service.response.approvals.set("northwind", second_person_above=0, expires_after_s=3600, actor="test")
    first, namesake, second = (
        signed_in(security_scene, tokens.create(name, "Contributor", actor="test").secret)
        for name in ("anna", "anna", "bert")
    )
    sent = {
        "kind": "quarantine", "target": "devices", "value": security_scene.devices[1], "catalog": "northwind",
        "reason": "odd", "ends": "", "devices": "1",
    }  # fmt: skip
    made = first.post("/actions", **sent)
    here = made.headers["location"].partition("?")[0]
    assert "waits for a second person" in first.get(here).text
    for own in (first, namesake):
        assert f"{here}/approve" not in own.get(here).text
        refused = own.post(f"{here}/approve", word="")
        assert (refused.status in (403, 409), "In quarantine" in second.get(f"/devices/{sent['value']}").text) == (
            True,
            False,
        )
    assert second.confirm(f"{here}/approve").status == 303
    wait_until(lambda: "In quarantine" in second.get(f"/devices/{sent['value']}").text, "the quarantine")
    assert second.confirm(f"{here}/undo").status == 303
    service.response.approvals.set("northwind", second_person_above=100, expires_after_s=3600, actor="test")


def test_a_playbook_is_used_by_an_administrators_word(security_scene: SecurityScene) -> None:
    admin = security_scene.browser("Administrator")
    page = admin.get("/actions").text
    way = re.findall(r'href="(/playbooks/[a-z-]+/(?:enable|disable))"', page)
    assert len(way) == len(security_scene.service.response.playbooks.list(None))
    enable = next(each for each in way if each.endswith("/enable"))
    assert admin.confirm(enable).status == 303
    disable = enable.replace("/enable", "/disable")
    assert disable in admin.get("/actions").text
    assert admin.confirm(disable).status == 303
    assert "/playbooks/" not in security_scene.browser("Contributor").get("/actions").text
    assert security_scene.browser("Contributor").get(enable).status == 403
