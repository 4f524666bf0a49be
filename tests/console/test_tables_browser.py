# SPDX-License-Identifier: Apache-2.0
"""Tables in a real Chromium: sorted by their heads, nothing runs into anything, and they keep up by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.api.running_service import running_service, wait_until
from tests.console.console_server import RunningConsole
from tests.console.page_check import reads_well
from tests.console.watched_browser import LOOKS, PHONE, Watched
from tests.console.water_scene import WaterScene

pytestmark = pytest.mark.console

RULE = {
    "name": "High flow",
    "description": "A pipe may have burst between the pump house and the reservoir: look at the pressure of the pumps"
    " beside it, close the valve of the section if it falls as well, and call who is on duty before anybody digs.",
    "severity": "high",
    "target": {"template": "pump"},
    "conditions": [{"telemetry": "flow", "op": ">", "value": 70, "clear": 60}],
}
# Their names have 128 letters and no space.
UNBROKEN = {"rules": "m-wide", "dashboards": "m-wide"}
PLACES = ("/rules?told=kept&sort=-severity", "/alerts?status=all", "/findings", "/fleet", "/audit", "/dashboards",
          *(f"/{place}/{name}" for place, name in UNBROKEN.items()))  # fmt: skip
SPILLS = """[...document.querySelectorAll("tbody tr")].flatMap((row) => [...row.children])
  .filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.innerText)"""
# Counts how often the page's part asks for itself, and how often another does that nobody works in.
COUNT = """() => {
  const part = document.querySelector("[data-every]");
  const control = document.createElement("div");
  document.body.append(control);
  window.asked = {control: 0, part: 0};
  part.addEventListener("refresh", (event) => { if (event.target === part) window.asked.part += 1; });
  control.addEventListener("refresh", () => { window.asked.control += 1; });
  part.dataset.every = control.dataset.every = "1";
}"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WaterScene]:
    with running_service(tmp_path_factory.mktemp("tables")) as running:
        made = WaterScene(running)
        for name, body in (
            ("high-flow", RULE),
            ("a-low", {**RULE, "name": "Almost dry", "severity": "low", "description": "", "enabled": False}),
            ("z-worst", {**RULE, "name": "Zero flow", "severity": "critical", "description": "", "enabled": False}),
        ):
            assert running.call("PUT", f"/api/v1/rules/{name}", body).status == 200
        made.send(0, {"flow": 80.5})
        wait_until(lambda: running.call("GET", "/api/v1/alerts").body["items"], "the rule to fire")
        yield made
        made.close()


def names(page: Page) -> list[str]:
    return page.locator("tbody th[scope=row] a").all_inner_texts()


@LOOKS
def test_nothing_runs_into_anything(
    scene: WaterScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
):
    running = scene.running
    for place, name in UNBROKEN.items():
        body = {**RULE, "enabled": False} if place == "rules" else {"tiles": []}
        assert running.call("PUT", f"/api/v1/{place}/{name}", {**body, "name": "W" * 128}).status == 200
    page = scene.sign_in(watch(scene, **options))
    for path in PLACES:
        page.goto(path)
        name = path[1:].partition("?")[0]
        reads_well(page, f"table-{name}-{look}")
    page.goto("/rules?told=kept")
    notice, crumbs = page.locator("main > .notice").bounding_box(), page.locator(".crumbs").bounding_box()
    assert notice is not None
    assert crumbs is not None
    assert crumbs["y"] - (notice["y"] + notice["height"]) >= 8
    assert page.evaluate(SPILLS) == []
    for place, name in UNBROKEN.items():  # other tests sort what there is
        assert running.call("DELETE", f"/api/v1/{place}/{name}").status == 200


def test_heads_sort_and_the_address_keeps_it(scene: WaterScene, watch: Callable[..., Watched]):
    page = scene.sign_in(watch(scene), "Reader")
    page.goto("/rules")
    assert names(page) == ["Almost dry", "High flow", "Zero flow"]  # by id
    page.get_by_role("link", name="Severity", exact=True).click()
    page.wait_for_url("**/rules?sort=severity")
    assert names(page) == ["Zero flow", "High flow", "Almost dry"]
    assert page.locator("th[aria-sort=ascending]").inner_text() == "Severity"
    page.get_by_role("link", name="Severity", exact=True).click()
    page.wait_for_url("**/rules?sort=-severity")
    page.reload()
    assert names(page) == ["Almost dry", "High flow", "Zero flow"]
    page.goto("/fleet")
    page.get_by_role("link", name="Device", exact=True).click()
    page.wait_for_url("**/fleet?sort=device")
    assert names(page) == ["Booster", "Pump north", "Pump south"]
    page.get_by_role("link", name="Device", exact=True).click()
    page.wait_for_url("**/fleet?sort=-device")
    assert names(page) == ["Pump south", "Pump north", "Booster"]


def test_alerts_findings_and_data_keep_up_and_take_nothing_from_who_types(
    scene: WaterScene, watch: Callable[..., Watched]
):
    page = scene.sign_in(watch(scene))
    page.goto("/findings")
    assert page.locator("[data-every]").get_attribute("data-every") == "15"
    page.goto("/alerts?status=all")
    expect(page.locator("#live-status")).to_have_text("live")
    assert page.get_by_role("row").filter(has_text="Booster").count() == 0
    shown = page.locator("tr[data-row]").count()
    scene.send(2, {"flow": 77})
    wait_until(lambda: len(scene.running.call("GET", "/api/v1/alerts").body["items"]) == 2, "the rule to fire")
    expect(page.get_by_role("link", name="Alerts 2 open")).to_be_visible()
    expect(page.locator("[data-load-rows]")).to_have_text("1 newShow")
    assert page.locator("tr[data-row]").count() == shown
    page.locator("[data-load-rows]").click()
    expect(page.get_by_role("row").filter(has_text="Booster")).to_have_count(1)

    device = scene.pumps[1].device_id
    page.goto(f"/devices/{device}")
    assert page.locator("[data-every]").get_attribute("data-every") == "15"
    page.get_by_label("Name").fill("half typ")
    scene.send(1, {"flow": 31.25})
    wait_until(lambda: scene.running.hub.series.fleet.latest([device], "flow", 1)[0][2] == 31.25, "the value")
    page.evaluate("document.querySelector('[data-every]').dataset.every = '1'")
    expect(page.locator("#sheet")).to_contain_text("31.25")
    expect(page.get_by_label("Name")).to_be_focused()
    expect(page.get_by_label("Name")).to_have_value("half typ")

    page.goto("/fleet")
    page.locator("#q").evaluate("(field) => { field.value = 'not sent yet'; }")  # and the focus is elsewhere
    page.evaluate(COUNT)
    wait_until(lambda: page.evaluate("window.asked.control") >= 2, "two rounds of asking")
    assert page.evaluate("window.asked.part") == 0
    page.locator("#q").evaluate("(field) => { field.value = field.defaultValue; }")
    wait_until(lambda: page.evaluate("window.asked.part") >= 1, "the part to ask")  # the positive control


def test_a_long_name_does_not_run_into_the_state_of_its_device_on_a_phone(
    console: RunningConsole, watch: Callable[..., Watched]
) -> None:
    for number, each in enumerate(console.fleet.all.values()):
        each["name"] = f"MV Alder {number}, Long Beach to Vladivostok by way of Honolulu"
        if number % 3 == 0:  # a state with a reason, which is wide
            reason = "its crew has asked for it until it is in the next port of call"
            each |= {"health": "quarantined", "quarantine_reason": reason}
    page = watch(console, viewport=PHONE, has_touch=True, is_mobile=True).sign_in("admin-secret")
    page.goto("/fleet")
    expect(page.get_by_role("link", name="MV Alder 3, Long Beach")).to_be_visible()
    gaps = page.evaluate("""() => [...document.querySelectorAll("tr[data-row]")].map((row) => {
        const state = row.querySelector(".state").parentElement.getBoundingClientRect();
        const name = row.querySelector("th .called").getBoundingClientRect();
        return [state.left - row.querySelector("th").getBoundingClientRect().right, name.width];
    })""")
    assert len(gaps) > 5
    assert min(gap for gap, _ in gaps) >= 0
    assert min(width for _, width in gaps) > 90  # and is not pressed together
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
