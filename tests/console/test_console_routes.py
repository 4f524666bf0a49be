# SPDX-License-Identifier: Apache-2.0
"""Every address of the console, whoever adds the next: nobody in without signing in, no change by a reader or a stranger."""

from __future__ import annotations

import re

import pytest
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import Browser

from armillary.console.application import CHANGE, EDIT, LIVE, READ

# What stands in the place of a path's names: things that there are, so that nothing is refused for not being there.
FILLED = {"device_id": "cooler-1", "catalog": "contoso", "name": "cooler", "kind": "certificates", "version": "1"}


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: FILLED.get(found[1], "1"), path)


@pytest.mark.parametrize("path", sorted({path for path, *_ in (*READ, *EDIT, *LIVE)}))
def test_nobody_reads_without_signing_in(hub_scene: HubScene, path: str):
    answer = Browser(hub_scene).get(filled(path))
    assert (answer.status, answer.headers["location"].startswith("/sign-in"), answer.body) == (303, True, b"")


@pytest.mark.parametrize("path", sorted({path for path, *_ in CHANGE}))
def test_no_form_of_another_site_is_taken(hub_scene: HubScene, path: str):
    look = hub_scene.browser()
    answer = look.post(filled(path), token="0" * 64)
    assert (answer.status, "request.foreign-form" in answer.text) == (403, True)
    answer = look.post(filled(path), headers={"Origin": "https://evil.example"})
    assert (answer.status, "request.foreign-form" in answer.text) == (403, True)


# Verbs that addresses of these beginnings know: with another one nobody is asked who he is.
VERBS = {
    "/devices/": "revoke",
    "/updates/": "halt",
    "/rules/": "disable",
    "/hub-devices/": "disable",
    "/hub-catalogs/{catalog}/admission/": "add",
    "/hub-catalogs/{catalog}/enrolments/": "disable",
    "/settings/catalogs/": "accept",
    "/groups/": "delete",
    "/jobs/": "delete",
    "/exports/": "delete",
}


@pytest.fixture(scope="module")
def board(hub_scene: HubScene) -> str:
    """A dashboard with a value and a command of a connected device."""
    place, source = {"x": 0, "w": 4, "h": 3}, {"device": "cooler-1"}
    tiles = [
        {"id": "now", "kind": "kpi", "source": source, "value": "temperature", "y": 0, **place},
        {"id": "press", "kind": "command", "source": source, "command": "defrost", "label": "Defrost", "y": 3, **place},
    ]
    hub_scene.call("PUT", "/dashboards/of-a-reader", {"name": "Board", "template": "cooler", "tiles": tiles})
    return "of-a-reader"


@pytest.mark.parametrize("path", sorted({path for path, *_ in CHANGE}))
def test_a_reader_changes_nothing_whatever_the_form(hub_scene: HubScene, board: str, path: str):
    """Of things that there are, with verbs that there are: only a refusal for want of the right counts."""
    verb = max((each for each in VERBS.items() if path.startswith(each[0])), default=("", ""))[1]
    for name, value in (("verb", verb), ("dashboard_id", board), ("tile_id", "press" if "/command" in path else "now")):
        path = path.replace(f"{{{name}}}", value)
    if path.startswith("/devices/"):
        path = path.replace("{device_id}", hub_scene.device.device_id)
    before = hub_scene.call("GET", f"/dashboards/{board}")
    answer = hub_scene.browser("Reader").post(filled(path), word="cooler-1")
    assert (answer.status, "does not allow" in answer.text) == (403, True), (path, answer.status)
    assert hub_scene.call("GET", f"/dashboards/{board}") == before
