# SPDX-License-Identifier: Apache-2.0
"""Guardians in a real Chromium over a real service: pages read well, a value changes by itself, a command is sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from tests.console.guardian_scene import MACHINE
from tests.console.guardians.conftest import GuardianScene
from tests.console.page_check import asks_each_second, reads_well
from tests.console.watched_browser import LOOKS, Watched, some_of

pytestmark = pytest.mark.console


@LOOKS
def test_every_page_of_guardians_reads_well_and_is_accessible(
    guardian_scene: GuardianScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    page = guardian_scene.sign_in(watch(guardian_scene, **options))
    places = (
        ("guardian", guardian_scene.place, "store-12 is connected"),
        ("list", "/guardians", "1 guardian before 2 pieces of equipment"),
        ("unserved", f"{guardian_scene.place}?equipment=grinder", "store-12 is connected"),
    )
    for name, path, says in some_of(places, look):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_contain_text(says)
        reads_well(page, f"guardians-{name}-{look}")


def test_values_change_by_themselves_and_a_command_is_sent(
    guardian_scene: GuardianScene, watch: Callable[..., Watched]
):
    page = guardian_scene.sign_in(watch(guardian_scene), "Contributor")
    page.goto("/guardians")
    page.get_by_role("link", name="store-12").click()
    asks_each_second(page, "5")
    row = page.locator("#points").get_by_role("row").filter(has_text="steamTemp")
    expect(row).to_have_count(0)
    guardian_scene.guarded.machine.send({"steamTemp": 131.5})
    expect(row).to_contain_text("131.5 °C")
    command = page.locator("#command-setBrewTemp")
    command.get_by_label("Value").fill("93")
    command.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"of {MACHINE}: 93 °C?")
    reads_well(page, "guardians-review-light")
    page.locator("form.confirm").get_by_role("button").click()
    expect(page.locator("main")).to_contain_text("read back")
    reads_well(page, "guardians-answer-light")
