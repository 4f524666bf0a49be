# SPDX-License-Identifier: Apache-2.0
"""The list of alerts in a real Chromium: what was ticked stays so while the list keeps up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.api.running_service import running_service, wait_until
from tests.console.plain_browser import signed_in
from tests.console.watched_browser import Watched
from tests.console.water_scene import WaterScene

pytestmark = pytest.mark.console

RULE = {
    "name": "Flow of one",
    "catalog": "northwind",
    "severity": "high",
    "conditions": [{"telemetry": "flow", "op": ">", "value": 1000}],
}


@pytest.fixture(scope="module")
def alerting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WaterScene]:
    """Pumps of this module alone: alerts are for good."""
    with running_service(tmp_path_factory.mktemp("ticked")) as running:
        made = WaterScene(running)
        assert running.call("PUT", "/api/v1/rules/one", RULE).status == 200
        wait_until(lambda: running.platform.rules.loaded.get("one") is not None, "the rule")
        yield made
        made.close()


def fire(scene: WaterScene, pump: int, rule: str = "one") -> None:
    """A rule fires for a pump for which it has not."""
    path = f"/api/v1/alerts?rule={rule}"
    before = len(scene.running.call("GET", path).body["items"])
    scene.send(pump, {"flow": 2000})
    wait_until(lambda: len(scene.running.call("GET", path).body["items"]) == before + 1, "the rule to fire")


def boxes(page: Page) -> list[bool]:
    found: list[bool] = page.evaluate("[...document.querySelectorAll('[data-tick]')].map((box) => box.checked)")
    return found


def test_ticks_stay_while_alerts_come_and_lead_back_to_the_same_list(
    alerting: WaterScene, watch: Callable[..., Watched]
) -> None:
    fire(alerting, 0)
    fire(alerting, 1)
    page = alerting.sign_in(watch(alerting))
    page.goto("/alerts?rule=one&sort=fired")
    expect(page.locator("#live-status")).to_have_text("live")
    assert boxes(page) == [False, False]

    # Nothing is ticked: the same list says so.
    page.get_by_role("button", name="Acknowledge selected").click()
    expect(page.get_by_text("Nothing was selected, and nothing was changed.")).to_be_visible()
    assert page.url.endswith("/alerts?rule=one&sort=fired&told=none-ticked")
    expect(page.locator("tr[data-row]")).to_have_count(2)
    expect(page.locator("#live-status")).to_have_text("live")

    second = page.locator("[data-tick]").nth(1)
    second.check()
    expect(second).to_be_focused()
    name = second.get_attribute("name")
    fire(alerting, 2)
    expect(page.locator("[data-load-rows]")).to_have_text("1 newShow")
    assert boxes(page) == [False, True]
    expect(page.locator(f"[name={name}]")).to_be_focused()
    page.locator("[data-load-rows]").click()
    expect(page.locator("tr[data-row]")).to_have_count(3)
    assert boxes(page) == [False, True, False]

    # Who types a note keeps it, and the list says that there is more.
    page.locator("[data-tick-all]").check()
    page.get_by_label("Note (optional)").fill("on my way")
    first = page.locator("tr[data-row]").first.get_attribute("data-row")
    assert alerting.running.call("POST", f"/api/v1/alerts/{first}/acknowledge", {"note": "mine"}).status == 200
    expect(page.locator("#live-status")).to_have_text("alerts have changed")
    expect(page.get_by_label("Note (optional)")).to_have_value("on my way")
    assert boxes(page) == [True, True, True]


def test_ticked_alerts_are_counted_and_those_of_another_catalog_are_not_found(alerting: WaterScene) -> None:
    running = alerting.running
    assert running.call("PUT", "/api/v1/rules/two", {**RULE, "name": "Flow of two"}).status == 200
    wait_until(lambda: running.platform.rules.loaded.get("two") is not None, "the rule")
    fire(alerting, 0, "two")
    fire(alerting, 1, "two")
    numbers = [each["number"] for each in running.call("GET", "/api/v1/alerts?rule=two").body["items"]]
    ticks = {f"alert_{number}": "on" for number in numbers}

    running.make_catalog("elsewhere")
    token = running.service.tokens.create("elsewhere", "Contributor", actor="test", catalog="elsewhere").secret
    other = signed_in(alerting, token)
    refused = other.post("/acknowledge-alerts", ticked="1", **ticks)
    single = other.post(f"/alerts/{numbers[0]}/acknowledge")
    assert (refused.status, single.status) == (404, 404)
    assert f"There is no alert {numbers[0]}" in refused.text
    for number in numbers:
        assert running.call("GET", f"/api/v1/alerts/{number}").body["acknowledged_ms"] is None

    own = alerting.browser()
    missing = own.post("/acknowledge-alerts", ticked="1", alert_999999="on", **ticks)
    assert missing.status == 404  # and nothing of the others was changed
    assert running.call("GET", f"/api/v1/alerts/{numbers[0]}").body["acknowledged_ms"] is None
    for said in ("2 alerts acknowledged. They are listed under that state.", "had been acknowledged before"):
        led = own.post("/acknowledge-alerts", ticked="1", back="/alerts?rule=two", **ticks)
        assert led.status == 303, led.text
        assert said in own.get(led.headers["location"]).text
    page = own.get("/alerts?told=acknowledged-alerts.x").text + own.get("/alerts?told=kept.3").text
    assert 'class="notice good"' not in page
