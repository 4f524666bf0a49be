# SPDX-License-Identifier: Apache-2.0
"""Deletions and runs ask first: the page names what uses it, and no form gets past the page."""

from __future__ import annotations

import uuid

import pytest
from tests.console.hub_devices.test_hub_devices_pages import said
from tests.console.hub_scene import HubScene

FIRST = {"kind": "kpi", "x": 0, "y": 0, "w": 4, "h": 3, "value": "temperature"}


@pytest.fixture
def name(hub_scene: HubScene) -> str:
    """A group with a dashboard, a rule, a job and an export that name it; all have this id."""
    made = f"cold-{uuid.uuid4().hex[:8]}"
    source = {"group": made}
    action = {"kind": "set-property", "properties": {"target": -20}}
    condition = {"telemetry": "temperature", "op": ">", "value": -5}
    for place, body in (
        ("groups", {"name": "Cold ones", "template": "cooler"}),
        ("dashboards", {"name": "Cold store", "tiles": [{**FIRST, "id": "now", "title": "Now", "source": source}]}),
        ("jobs", {"name": "Colder", "group": made, "action": action, "batch": {"size": 5}}),
        ("rules", {"name": "Too warm", "target": source, "conditions": [condition], "actions": [
            {"name": "cool", "kind": "job", "job": made}]}),
        ("exports", {"name": "To disk", "source": "telemetry", "group": made, "destination": {"kind": "file"}}),
    ):  # fmt: skip
        hub_scene.call("PUT", f"/{place}/{made}", body)
    return made


def there(scene: HubScene, kind: str, name: str) -> bool:
    return scene.running.call("GET", f"/api/v1/{kind}/{name}").status == 200


def test_a_used_group_is_deleted_by_who_has_read_what_uses_it_and_typed_the_word(hub_scene: HubScene, name: str):
    look, path = hub_scene.browser(), f"/groups/{name}/delete"
    direct = look.post(path, etag=hub_scene.call("GET", f"/groups/{name}")["etag"])
    assert (direct.status, direct.headers["location"]) == (303, path)  # led to the page, nothing done
    page = said(look.get(path).text)
    assert "Delete the segment Cold ones?" in page
    for user in ('Dashboard "Cold store" (tile "Now")', 'Export "To disk"', 'Job "Colder"', 'Rule "Too warm"'):
        assert user in page, user
    assert "Type delete to confirm" in page
    assert "devices now" in page or "device now" in page
    assert look.confirm(path).status == 400  # the word is missing
    hub_scene.call("PUT", f"/dashboards/late-{name}", {"name": "Late", "tiles": [
        {**FIRST, "id": "now", "source": {"group": name}}]})  # fmt: skip
    seen = look.get(path).text
    hub_scene.call("DELETE", f"/dashboards/late-{name}")
    stale = look.post(path, seen=seen.partition('name="seen" value="')[2][:16], word="delete")
    assert (stale.status, "This has changed since the page was opened" in said(stale.text)) == (409, True)
    assert there(hub_scene, "groups", name)
    done = look.confirm(path, word="delete")
    assert (done.status, done.headers["location"]) == (303, "/groups?told=deleted")
    assert not there(hub_scene, "groups", name)


def test_each_other_deletion_and_a_run_ask_first(hub_scene: HubScene, name: str):
    look = hub_scene.browser()
    for kind, says in (
        ("exports", "No record waits; 0 dead letters."),
        ("jobs", 'Rule "Too warm" (action "cool")'),
        ("rules", "0 open alerts. All its alerts stay"),
    ):
        path = f"/{kind}/{name}/delete"
        assert look.post(path).headers["location"] == path
        page = said(look.get(path).text)
        assert says in page, page
        assert "Undo" in page
        assert there(hub_scene, kind, name)
    runs = f"/jobs/{name}/runs"
    path = f"/jobs/{name}/run"
    assert look.post(path).headers["location"] == path
    assert look.post(path, only="failed").status == 400
    assert look.get(f"{path}?only=failed").status == 400  # none failed
    page = said(look.get(path).text)
    assert "in the segment Cold ones now." in page
    assert "Sets target (desired), in batches of 5 devices." in page
    assert hub_scene.call("GET", runs)["items"] == []
    assert look.confirm(path).headers["location"] == f"/jobs/{name}?told=begun"
    assert len(hub_scene.call("GET", runs)["items"]) == 1
    for kind in ("rules", "exports"):
        assert look.confirm(f"/{kind}/{name}/delete").headers["location"] == f"/{kind}?told=deleted"
        assert not there(hub_scene, kind, name)


def test_the_draft_says_what_uses_a_capability(hub_scene: HubScene, name: str):
    look = hub_scene.browser()
    hub_scene.call("PUT", f"/rules/{name}", {"name": "Warm", "target": {"template": "cooler"}, "conditions": [
        {"telemetry": "temperature", "op": ">", "value": 1}]})  # fmt: skip
    page = said(look.get("/templates/cooler/remove?what=capability&name=temperature").text)
    assert "Remove the capability temperature from the draft of Cooler?" in page
    assert 'Rule "Warm"' in page
    assert "Version 1 is as it was for" in page
    assert look.get("/templates/cooler/remove?what=capability&name=nothing").status == 404
    assert look.get("/templates/cooler/remove?what=all&name=temperature").status == 404


def test_a_reader_is_not_even_asked(hub_scene: HubScene, name: str):
    look = hub_scene.browser("Reader")
    for path in (f"/groups/{name}/delete", f"/jobs/{name}/run", f"/rules/{name}/delete",
                 "/templates/cooler/remove?what=capability&name=door"):  # fmt: skip
        assert look.get(path).status == 403, path
    assert 'href="/groups/' + name + '/delete"' not in look.get(f"/groups/{name}").text
