# SPDX-License-Identifier: Apache-2.0
"""The pages of the seven properties in a real Chromium over a real service."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from tests.console.hub_scene import HubScene
from tests.console.page_check import reads_well
from tests.console.watched_browser import LOOKS, Watched

pytestmark = pytest.mark.console


@LOOKS
def test_the_seven_properties_read_well_and_lead_to_a_device(
    hub_scene: HubScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    page = hub_scene.sign_in(watch(hub_scene, **options))
    page.goto("/findings")
    page.get_by_role("link", name="Seven properties").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("None of the seven properties holds")
    reads_well(page, f"assessment-{look}")
    page.locator("a[href$='/assessment'][href^='/devices/']").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("of the seven properties.")
    reads_well(page, f"assessment-device-{look}")
