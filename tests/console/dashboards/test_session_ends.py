# SPDX-License-Identifier: Apache-2.0
"""A session that ends while somebody works, in a real Chromium: nothing typed is lost, and pages come back to life."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect
from tests.console.console_server import RunningConsole
from tests.console.rehearsed_data import uid
from tests.console.watched_browser import Watched
from tests.console.water_scene import WaterScene

ENDED = ("status of 401", "status of 403")
HALT = f"/updates/{uid('rollout running')}/halt"
TYPED = "night <shift> & day"


def sign_out_elsewhere(page: Page) -> Page:
    """Sign out in another tab of the same browser; that tab, at the sign-in page."""
    other = page.context.new_page()
    other.goto("/fleet")
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/sign-in")
    return other


def sign_in(page: Page, secret: str) -> None:
    page.get_by_label("Operator token").fill(secret)
    page.get_by_role("button", name="Sign in").click()


def test_an_edited_dashboard_is_saved_after_signing_in_again(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene, allowed=ENDED))
    page.goto("/dashboards/water/edit")
    expect(page.locator("[data-board].ready")).to_be_visible()
    page.locator('[gs-id="note"] .tile-grip').focus()
    page.keyboard.press("Shift+ArrowDown")
    other = sign_out_elsewhere(page)
    save = page.get_by_role("button", name="Save", exact=True)
    save.click()
    expect(page.locator("#edit-state")).to_contain_text("You are signed out.")
    assert page.url.endswith("/edit")
    sign_in(other, scene.running.token_of("Administrator"))
    other.wait_for_url("**/fleet")
    before = scene.running.platform.documents.get("dashboard", "water").content["tiles"]
    save.click()
    page.wait_for_url("**/dashboards/water?told=dashboard")
    after = scene.running.platform.documents.get("dashboard", "water").content["tiles"]
    heights = [next(each["h"] for each in tiles if each["id"] == "note") for tiles in (before, after)]
    assert heights[1] == heights[0] + 1


def test_a_dashboard_is_live_again_when_somebody_has_signed_in(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene, allowed=ENDED))
    page.goto("/dashboards/water")
    expect(page.locator("#live-status")).to_have_text("live")
    other = sign_out_elsewhere(page)
    expect(page.locator("#live-status")).to_have_text("signed out")
    sign_in(other, scene.running.token_of("Administrator"))
    other.wait_for_url("**/fleet")
    expect(page.locator("#live-status")).to_have_text("live")


def test_a_form_that_comes_too_late_is_filled_again_after_signing_in(
    console: RunningConsole, watch: Callable[..., Watched]
):
    page = watch(console, allowed=ENDED).sign_in()
    page.goto("/settings?tab=1")
    form = page.locator('form[action="/settings/tokens"]')
    form.locator("[name=name]").fill(TYPED)
    form.locator("[name=role]").select_option("Contributor")
    other = sign_out_elsewhere(page)
    before = len(console.fleet.lines)
    form.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was changed")
    sign_in(page, "admin-secret")
    page.wait_for_url("**/settings?tab=1")
    expect(form.locator("[name=name]")).to_have_value(TYPED)
    expect(form.locator("[name=role]")).to_have_value("Contributor")
    expect(page.get_by_role("status").filter(has_text="What you typed is here again")).to_be_visible()
    assert len(console.fleet.lines) == before
    other.close()


def test_what_somebody_typed_is_not_shown_to_who_signs_in_after_them(
    console: RunningConsole, watch: Callable[..., Watched]
):
    page = watch(console, allowed=ENDED).sign_in("contributor-secret")
    page.goto(HALT)
    reason = page.locator("form.confirm [name=reason]")
    reason.fill(TYPED)
    other = sign_out_elsewhere(page)
    page.locator("form.confirm button").click()
    sign_in(page, "admin-secret")
    page.wait_for_url(f"**{HALT}")
    expect(reason).to_have_value("")
    reason.fill(TYPED)  # positive control: the same person finds it again
    other.goto("/fleet")
    sign_out_elsewhere(other)
    page.locator("form.confirm button").click()
    sign_in(page, "admin-secret")
    page.wait_for_url(f"**{HALT}")
    expect(reason).to_have_value(TYPED)


def test_a_form_of_another_session_is_filled_again(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console, allowed=ENDED).sign_in()
    page.goto("/settings")
    form = page.locator('form[action="/settings/tokens"]')
    form.locator("[name=name]").fill(TYPED)
    other = sign_out_elsewhere(page)
    sign_in(other, "admin-secret")
    other.wait_for_url("**/fleet")
    form.get_by_role("button").click()
    page.get_by_role("link", name="Back to the form, with what you typed").click()
    expect(form.locator("[name=name]")).to_have_value(TYPED)
    page.goto("/fleet")  # positive control: what was typed is kept for that page alone, and once
    page.goto("/settings")
    expect(form.locator("[name=name]")).to_have_value("")
