# SPDX-License-Identifier: Apache-2.0
"""Rows that are ticked, and what is done with all of them: over a real service, as people do it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.console.plain_browser import Browser, signed_in
from tests.console.water_scene import WaterScene

from armillary.console.bulk import change
from armillary.console.bulk.kinds import KINDS
from armillary.console.frame import guard
from armillary.console.frame.guard import OnceOnly
from armillary.errors import NotFoundError
from armillary.service.watch.detections import Observation


def once_of(page: str) -> str:
    found = re.search(r'name="once" value="([0-9a-f]{32})"', page)
    assert found is not None, page
    return found[1]


def perform(browser: Browser, kind: str, verb: str, *ids: str, **fields: str) -> str:
    """Tick rows, press the button, confirm: the page that says what became of them."""
    picks = {f"pick:{each}": "on" for each in ids}
    asked = browser.post(f"/bulk/{kind}", verb=verb, back=KINDS[kind].place, **picks)
    assert asked.status == 200, asked.text
    sent = {"back": KINDS[kind].place, "once": once_of(asked.text), **picks, **fields}
    done = browser.post(f"/bulk/{kind}/{verb}", **sent)
    assert done.status == 200, done.text
    return done.text


def rule(name: str) -> dict[str, Any]:
    return {"name": name, "catalog": "northwind", "conditions": [{"telemetry": "flow", "op": ">", "value": 1e6}]}


def test_rules_are_switched_off_and_deleted_with_what_failed_named(scene: WaterScene) -> None:
    store, browser = scene.running.platform.documents, scene.browser()
    for name in ("one", "two"):
        store.put("rule", name, rule(f"Rule {name}"), by="test")
    listed = browser.get("/rules").text
    assert 'name="pick:one"' in listed
    assert "formaction" not in listed
    picks = {"pick:one": "on", "pick:two": "on"}
    asked = browser.post("/bulk/rules", verb="disable", back="/rules", **picks)
    assert "Switch off: 2 rules?" in asked.text
    assert "Rule one and Rule two" in asked.text
    assert store.get("rule", "one").content.get("enabled", True)  # asking changes nothing
    said = perform(browser, "rules", "disable", "one", "two", "gone")
    assert "2 of 3 rules switched off; 1 failed." in said
    assert "gone" in said
    assert not any(store.get("rule", name).content["enabled"] for name in ("one", "two"))
    lines = scene.running.service.audit.list(limit=50).items
    assert {each.target for each in lines if each.operation == "rule.put" and each.target in ("one", "two")} == {
        "one",
        "two",
    }
    refused = browser.post("/bulk/rules/delete", back="/rules", once=once_of(asked.text), **picks)
    assert (refused.status, "word to confirm" in refused.text) == (400, True)
    assert "2 rules deleted." in perform(browser, "rules", "delete", "one", "two", word="delete")
    with pytest.raises(NotFoundError):
        store.get("rule", "one")


def test_a_form_without_ticks_leads_back_to_the_list(scene: WaterScene) -> None:
    browser = scene.browser()
    for path, fields in (
        ("/bulk/devices", {"verb": "tag", "back": "/fleet?q=pump&sort=device"}),
        (
            "/acknowledge-alerts",
            {"ticked": "1", "back": "/alerts?status=all&severity=high&sort=fired", "status": "all"},
        ),
    ):
        led = browser.post(path, **fields)
        assert led.status == 303, led.text
        assert led.headers["Location"] == f"{fields['back']}&told=none-ticked"
        page = browser.get(led.headers["Location"])
        assert (page.status, "Nothing was selected, and nothing was changed." in page.text) == (200, True)
        assert "Audit line</a>" not in page.text
    elsewhere = browser.post("/acknowledge-alerts", ticked="1", back="/alerts.example/", status="all", severity="high")
    assert elsewhere.headers["Location"] == "/alerts?status=all&severity=high&told=none-ticked"


def test_a_form_that_is_sent_twice_changes_nothing_twice(scene: WaterScene) -> None:
    browser, device = scene.browser(), scene.pumps[0].device_id
    pick = {f"pick:{device}": "on"}
    asked = browser.post("/bulk/devices", verb="tag", back="/fleet", **pick)
    sent = {"back": "/fleet", "once": once_of(asked.text), "typed": "shift=night", **pick}
    assert browser.post("/bulk/devices/tag", **sent).status == 200
    again = browser.post("/bulk/devices/tag", **sent)
    assert (again.status, "was sent already" in again.text) == (409, True)
    for once in ("", "0" * 32):
        status = browser.post("/bulk/devices/tag", **{**sent, "once": once, "typed": "nothing"}).status
        assert status == 400  # no tag; and no mark is used up by it
    assert scene.running.hub.twins.get(device).tags["shift"] == "night"
    assert "1 device tagged" in perform(browser, "devices", "tag", device, typed="shift=")
    assert "shift" not in scene.running.hub.twins.get(device).tags


def test_devices_are_moved_to_a_group_that_is_offered(scene: WaterScene) -> None:
    registry, browser = scene.running.service.registry, scene.browser()
    registry.groups.create("northwind", scene.product, "Spare", actor="test")
    ids = [each.device_id for each in scene.pumps[:2]]
    for wrong in ("", "northwind/x/y"):
        asked = browser.post("/bulk/devices", verb="move", **{f"pick:{ids[0]}": "on"})
        sent = {f"pick:{ids[0]}": "on", "once": once_of(asked.text), "to": wrong}
        assert browser.post("/bulk/devices/move", **sent).status == 400
    said = perform(browser, "devices", "move", *ids, to=f"northwind/{scene.product}/Spare")
    assert "2 devices moved." in said
    assert {registry.devices.get(each).group for each in ids} == {"Spare"}
    perform(browser, "devices", "move", *ids, to=f"northwind/{scene.product}/{scene.group}")


def test_devices_are_put_into_quarantine_and_released_and_asked_to_check_in(scene: WaterScene) -> None:
    registry, browser = scene.running.service.registry, scene.browser()
    ids = [scene.claimed().device_id for _ in range(2)]  # of its own: quarantine ends a pump's connection to the hub
    assert "2 devices" in perform(browser, "devices", "check-now", *ids)
    picks = {f"pick:{each}": "on" for each in ids}
    asked = browser.post("/bulk/devices", verb="quarantine", back="/fleet", **picks)
    unconfirmed = browser.post("/bulk/devices/quarantine", back="/fleet", once=once_of(asked.text), **picks)
    assert (unconfirmed.status, "word to confirm" in unconfirmed.text) == (400, True)
    assert not any(registry.devices.get(each).quarantined_at for each in ids)
    perform(browser, "devices", "quarantine", *ids, word="quarantine", reason="a drill")
    assert all(registry.devices.get(each).quarantined_at for each in ids)
    perform(browser, "devices", "release", *ids, reason="the drill is over")
    assert not any(registry.devices.get(each).quarantined_at for each in ids)
    operations = [(each.operation, each.target) for each in scene.running.service.audit.list(limit=50).items]
    for one in ids:
        assert {name for name, target in operations if target == one} >= {"device.quarantine", "device.release"}


def test_nothing_of_another_catalog_and_nothing_by_a_reader_is_changed(scene: WaterScene) -> None:
    service, device = scene.running.service, scene.pumps[0].device_id
    if "elsewhere" not in {each.name for each in service.registry.catalogs.list()}:
        service.registry.catalogs.create("elsewhere", actor="test")
    scene.running.platform.documents.put("rule", "mine", rule("Mine"), by="test")
    made = service.tokens.create("bulk-elsewhere", "Administrator", actor="test", catalog="elsewhere")
    other, reader = signed_in(scene, made.secret), scene.browser("Reader")
    for kind, verb, one, more in (
        ("devices", "quarantine", device, {"word": "quarantine"}),
        ("devices", "tag", device, {"typed": "a=b"}),
        ("devices", "check-now", device, {}),
        ("rules", "disable", "mine", {}),
    ):
        said = perform(other, kind, verb, one, **more)
        assert "0 of 1" in said
        assert "1 failed" in said
        for path in (f"/bulk/{kind}", f"/bulk/{kind}/{verb}"):
            assert reader.post(path, verb=verb, once="x", **{f"pick:{one}": "on"}, **more).status == 403
    move = {f"pick:{device}": "on", "once": "x", "to": f"northwind/{scene.product}/{scene.group}"}
    assert other.post("/bulk/devices/move", **move).status == 400  # it is offered none of theirs
    assert "Mine" not in perform(other, "rules", "disable", "mine")
    assert service.registry.devices.get(device).quarantined_at is None
    assert "a" not in scene.running.hub.twins.get(device).tags
    assert scene.running.platform.documents.get("rule", "mine").content.get("enabled", True)
    assert 'id="bulk"' not in reader.get("/fleet").text
    assert 'id="bulk"' in scene.browser().get("/fleet").text
    service.tokens.revoke(made.token.token_id, actor="test")


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/bulk/devices", {"verb": "explode", "pick:a": "on"}, 404),
        ("/bulk/planets", {"verb": "tag", "pick:a": "on"}, 404),
        ("/bulk/devices/explode", {"pick:a": "on"}, 404),
        ("/bulk/devices", {"verb": "tag", **{f"pick:{n}": "on" for n in range(change.MAX_PICKED + 1)}}, 400),
    ],
)
def test_odd_forms_are_refused(scene: WaterScene, path: str, fields: dict[str, str], status: int) -> None:
    assert scene.browser().post(path, **fields).status == status


def test_marks_are_taken_once_for_each_browser_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    once = OnceOnly()
    assert [once.take("a", "1"), once.take("a", "1"), once.take("b", "1"), once.take("a", "")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert once.take("a", "x" * 100_000)
    assert {len(key) for key in once._taken} == {32}  # what is kept does not grow with what is sent
    monkeypatch.setattr(guard, "MAX_ONCE", 1)
    once.take("a", "2")
    assert once.take("b", "1")  # forgotten


def test_hub_devices_are_disabled_enabled_and_deleted_and_findings_closed(scene: WaterScene) -> None:
    running, browser = scene.running, scene.browser()
    ids = ("bulk-one", "bulk-two")
    for each in ids:
        body = {"device_id": each, "authentication": "sas"}
        answer = running.call("POST", "/api/v1/catalogs/northwind/hub-devices", body)
        assert answer.status in (200, 201), answer.body
    assert 'name="pick:bulk-one"' in browser.get("/hub-devices?catalog=northwind").text
    access = running.service.hub_access
    for verb, is_on in (("disable", False), ("enable", True)):
        assert f"2 hub devices {verb}d." in perform(browser, "hub-devices", verb, *ids, reason="moved")
        assert {access.hub_device(each).is_enabled for each in ids} == {is_on}
    assert "2 hub devices deleted." in perform(browser, "hub-devices", "delete", *ids, word="delete")
    assert "0 of 2 hub devices deleted; 2 failed." in perform(browser, "hub-devices", "delete", *ids, word="delete")
    found = running.service.watch.observe(
        Observation(
            kind="hub-anomaly", key=("bulk",), severity="low", title="Odd in bulk", cause="c", proposed_action="look",
            device_ids=(scene.pumps[0].device_id,),
        )
    )  # fmt: skip
    assert f'name="pick:{found.finding_id}"' in browser.get("/findings").text
    for verb, status in (("acknowledge", "acknowledged"), ("close", "closed")):
        assert f"1 finding {status}." in perform(browser, "findings", verb, str(found.finding_id))
        assert running.service.watch.get(found.finding_id).status == status
