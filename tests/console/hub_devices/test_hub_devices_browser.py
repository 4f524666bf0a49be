# SPDX-License-Identifier: Apache-2.0
"""Hub devices in a real Chromium over a real service: they read well, and one is made, rotated and deleted by hand."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from tests.console.hub_scene import HubScene
from tests.console.page_check import reads_well
from tests.console.watched_browser import LOOKS, Watched, some_of

pytestmark = pytest.mark.console


@LOOKS
def test_every_page_of_hub_devices_reads_well_and_is_accessible(
    hub_scene: HubScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    page = hub_scene.sign_in(watch(hub_scene, **options))
    places = (
        ("list", "/hub-devices?catalog=northwind", "None of them attests."),
        ("list-empty", "/hub-devices?catalog=contoso", "No hub device in contoso"),
        ("device", "/hub-devices/cooler-1", "Not attested, connected now. It proves that it holds a symmetric key."),
        ("new", "/new-hub-device?catalog=northwind", "New hub device"),
        ("delete", "/hub-devices/cooler-1/delete", "Delete hub device cooler-1?"),
        ("admit", "/hub-catalogs/contoso/admission/certificates/admit", "Allow hub devices with certificates"),
        ("data", "/devices/cooler-1/data", "cooler-1 sends 2 values"),
        ("gone", "/hub-devices/never-made", "Page not found."),
    )
    for name, path, says in some_of(places, look):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_contain_text(says)
        reads_well(page, f"hub-devices-{name}-{look}")


def test_a_hub_device_is_made_with_the_keyboard_and_its_key_is_shown_once(
    hub_scene: HubScene, watch: Callable[..., Watched]
):
    page = hub_scene.sign_in(watch(hub_scene))
    page.goto("/hub-devices?catalog=northwind")
    page.get_by_role("link", name="New hub device").press("Enter")
    page.get_by_label("Device id").fill("tank-4")
    page.get_by_label("Device id").press("Enter")
    notice = page.get_by_role("status")
    expect(notice).to_contain_text("are shown this once")
    expect(notice).to_contain_text(re.compile("HostName=.*;DeviceId=tank-4;SharedAccessKey="))
    reads_well(page, "hub-devices-once-light")
    page.goto("/hub-devices/tank-4")
    assert "SharedAccessKey" not in page.content()
    page.get_by_role("link", name="Disable").click()
    page.get_by_label("Reason").fill("leaks")
    page.get_by_role("button", name="Disable").click()
    page.wait_for_url("**/hub-devices/tank-4?told=hub-disabled")
    expect(page.get_by_role("heading", level=1)).to_contain_text("disabled: it may not connect")
    page.get_by_role("link", name="Delete").click()
    page.get_by_label("This deletes 1 hub device.").fill("tank-4")
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/hub-devices?catalog=northwind&told=hub-deleted")
    assert page.get_by_role("link", name="tank-4").count() == 0
