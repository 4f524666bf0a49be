# SPDX-License-Identifier: Apache-2.0
"""The twin editor in a real Chromium over a real service and a connected device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from tests.console.hub_scene import HubScene
from tests.console.page_check import reads_well
from tests.console.watched_browser import LOOKS, Watched

pytestmark = pytest.mark.console


@LOOKS
def test_the_twin_editor_reads_well_and_is_accessible(
    hub_scene: HubScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    page = hub_scene.sign_in(watch(hub_scene, **options))
    for name, path in (
        ("hub", "/hub-devices/cooler-1/twin"),
        ("attested", f"/devices/{hub_scene.device.device_id}/twin"),
        ("bare", "/hub-devices/cooler-2/twin"),
    ):
        page.goto(path)
        expect(page.get_by_role("heading", name="Properties", exact=True)).to_be_visible()
        reads_well(page, f"twin-{name}-{look}")


def test_a_value_is_wanted_seen_by_the_device_answered_and_shown(hub_scene: HubScene, watch: Callable[..., Watched]):
    page = hub_scene.sign_in(watch(hub_scene, allowed=("status of 412",)), "Contributor")
    hub_scene.running.hub.twins.change("cooler-1", desired={"interval_s": None, "lamp": None})
    page.goto("/hub-devices/cooler-1")
    page.get_by_role("link", name="Twin").click()
    page.get_by_label("Target").fill("40")
    page.get_by_role("button", name="Show what will be sent").first.click()
    assert page.get_by_label("Target").evaluate("field => field.validity.rangeOverflow")  # the browser says it at once
    page.get_by_label("Target").fill("")
    page.get_by_label("interval_s").fill("60")
    page.get_by_label("Lamp").select_option("true")
    page.get_by_label("interval_s").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("of cooler-1 will change.")
    hub_scene.running.hub.twins.change("cooler-1", desired={"interval_s": 30})
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Changed by someone else since you opened it")
    row = page.get_by_role("row").filter(has_text="interval_s").first
    expect(row).to_contain_text("30")
    reads_well(page, "twin-conflict-light")
    page.get_by_role("button", name="Send anyway").click()
    page.wait_for_url("**/twin?told=desired")
    expect(page.get_by_role("row").filter(has_text="interval_s")).to_contain_text("pending")
    version = hub_scene.running.hub.twins.get("cooler-1").desired.version
    hub_scene.report("cooler-1", {"interval_s": {"value": 60, "ac": 200, "av": version, "ad": "ok"}})
    page.reload()
    expect(page.get_by_role("row").filter(has_text="interval_s")).to_contain_text("accepted")
    page.get_by_role("link", name="Audit line").click()
    expect(page.get_by_role("row").filter(has_text="device.twin").first).to_contain_text("Contributor-token")
