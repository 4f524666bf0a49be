# SPDX-License-Identifier: Apache-2.0
"""Every address of the console, whoever adds the next: nobody in without signing in, no change by a reader or a stranger."""

from __future__ import annotations

import re

import pytest
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import Browser
from tests.console.test_hub_devices_pages import browser

from armillary.console.application import CHANGE, READ

# What stands in the place of a path's names: things that there are, so that nothing is refused for not being there.
FILLED = {"device_id": "cooler-1", "catalog": "contoso", "name": "cooler", "kind": "certificates", "version": "1"}


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: FILLED.get(found[1], "1"), path)


@pytest.mark.parametrize("path", sorted({path for path, _ in READ}))
def test_nobody_reads_without_signing_in(hub_scene: HubScene, path: str):
    answer = Browser(hub_scene).get(filled(path))  # type: ignore[arg-type]  # it has the two attributes a Browser asks for
    assert (answer.status, answer.headers["location"].startswith("/sign-in")) == (303, True)


@pytest.mark.parametrize("path", sorted({path for path, _ in CHANGE}))
def test_no_form_of_another_site_is_taken(hub_scene: HubScene, path: str):
    look = browser(hub_scene)
    answer = look.post(filled(path), token="0" * 64)
    assert (answer.status, "request.foreign-form" in answer.text) == (403, True)
    answer = look.post(filled(path), headers={"Origin": "https://evil.example"})
    assert (answer.status, "request.foreign-form" in answer.text) == (403, True)


@pytest.mark.parametrize("path", sorted({path for path, _ in CHANGE}))
def test_a_reader_changes_nothing_whatever_the_form(hub_scene: HubScene, path: str):
    if path.startswith("/devices/"):
        path = path.replace("{device_id}", hub_scene.device.device_id)
    verb = "disable" if path.startswith("/hub-devices/") else "revoke"
    answer = browser(hub_scene, "Reader").post(filled(path.replace("{verb}", verb)), word="cooler-1")
    refused = answer.status == 403 and "does not allow" in answer.text
    gone = answer.status == 404  # a roll-out, a finding: there are none here, and nothing was changed
    assert refused or gone, (path, answer.status)
    if gone:
        assert "{verb}" in path or "/tiles/" in path or "/dashboards/" in path, path
