# SPDX-License-Identifier: Apache-2.0
"""Pages that are drawn again in a real Chromium: what somebody types meanwhile is not taken away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect
from tests.console.watched_browser import Watched
from tests.console.water_scene import WaterScene

pytestmark = pytest.mark.console


class Held:
    """Requests of one method that a page makes while they are held back."""

    def __init__(self, page: Page, method: str, path: str) -> None:
        self._page = page
        self._routes: list[Route] = []
        self._is_open = False
        page.route(f"**{path}", lambda route: self._take(route, method))

    def _take(self, route: Route, method: str) -> None:
        if route.request.method == method and not self._is_open:
            self._routes.append(route)
        else:
            route.continue_()

    def wait(self) -> None:
        """Wait until one is held."""
        for _ in range(1000):
            if self._routes:
                return
            self._page.wait_for_timeout(10)  # routes are taken meanwhile
        raise AssertionError("no request was held")

    def let_go(self) -> None:
        """Let them and all later ones go, and wait until the part is drawn again."""
        self._page.evaluate(
            "() => { window.drawn = new Promise((done) =>"
            " document.addEventListener('htmx:afterRequest', done, { once: true })); }"
        )
        self._is_open = True
        for route in self._routes:
            route.continue_()
        self._page.evaluate("async () => { await window.drawn; }")


def test_the_segment_builder_takes_nothing_from_who_types(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene))
    page.goto("/groups/new")
    held = Held(page, "POST", "/groups/new/form")
    page.get_by_label("Name", exact=True).fill("Fast pumps")
    page.keyboard.press("Tab")
    held.wait()
    held.let_go()
    expect(
        page.locator("#segment-builder [name=catalog]")
    ).to_be_focused()  # the place stays, though the field is another one

    held = Held(page, "POST", "/groups/new/form")
    page.get_by_label("A device is in it when").select_option(label="one condition is met")
    held.wait()
    page.get_by_label("Description").click()
    page.keyboard.type("those that ")
    held.let_go()
    page.keyboard.type("run fast")
    expect(page.get_by_label("Description")).to_have_value("those that run fast")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Fast pumps")

    # What was chosen meanwhile is sent as well: the second choice is seen in who is in it.
    held = Held(page, "POST", "/groups/new/form")
    page.locator("[name=template]").select_option(label="Pump")
    held.wait()
    page.locator("[name=field_0]").select_option("device:connected")
    held.let_go()
    expect(page.locator("[name=field_0]")).to_have_value("device:connected")
    expect(page.locator("select[name=value_0]")).to_be_visible()  # true or false: drawn for the choice


def test_the_rule_builder_keeps_text_and_place(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene))
    page.goto("/rules/new")
    held = Held(page, "POST", "/rules/new")
    page.get_by_label("Device template").select_option(label="Pump")
    held.wait()
    page.get_by_label("Name", exact=True).click()
    page.keyboard.type("Over ")
    held.let_go()
    page.keyboard.type("pressure")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Over pressure")
    add = page.get_by_role("button", name="Add condition")
    add.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Condition 2")).to_be_visible()
    expect(add).to_be_focused()


def test_a_builder_says_when_the_service_does_not_answer(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene, allowed=("htmx", "ERR_CONNECTION_REFUSED")))
    page.goto("/rules/new")
    page.get_by_label("Name", exact=True).fill("Not lost")
    page.route("**/rules/new", lambda route: route.abort("connectionrefused"))
    page.get_by_label("Device template").select_option(label="Pump")
    said = page.get_by_role("alert")
    expect(said).to_have_text("The service does not answer. Try again; what you typed is still here.")
    page.unroute_all()
    page.get_by_role("button", name="Add condition").click()
    expect(page.get_by_role("group", name="Condition 2")).to_be_visible()
    expect(said).to_have_count(0)
    expect(page.get_by_label("Name", exact=True)).to_have_value("Not lost")


def test_rows_that_are_still_ticked_can_be_changed_after_going_back(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene))
    page.goto("/fleet")
    tag = page.get_by_role("button", name="Tag", exact=True)
    expect(tag).to_be_disabled()
    box = page.locator("[data-pick]").first
    frame, name = box.bounding_box(), page.locator("tbody th a").first.bounding_box()
    assert frame is not None
    assert name is not None
    assert name["x"] - (frame["x"] + frame["width"]) >= 8
    box.check()
    tag.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tag")
    page.go_back()
    expect(box).to_be_checked()  # by the browser
    expect(tag).to_be_enabled()


@pytest.mark.parametrize("has_script", [True, False])
def test_a_refused_form_opens_at_its_reason(scene: WaterScene, watch: Callable[..., Watched], has_script: bool):
    page = scene.sign_in(watch(scene, allowed=("status of 400",), java_script_enabled=has_script))
    page.goto("/add-devices")
    form = page.locator("form").filter(has=page.get_by_role("button", name="Create a product"))
    form.get_by_label("Catalog").select_option(label="northwind")
    form.get_by_label("Name").fill("Pumps")
    form.get_by_role("button").click()
    reason = page.get_by_role("alert")
    expect(reason).to_contain_text("exists in northwind")
    expect(reason).to_be_in_viewport()
    expect(reason).to_be_focused()
