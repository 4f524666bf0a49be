# SPDX-License-Identifier: Apache-2.0
"""Charts in a real Chromium: their past stays, the readout stays, zoom pauses what is live, units and scales are said."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.console.console_server import RunningConsole
from tests.console.rehearsed_data import device_id
from tests.console.watched_browser import ARTEFACTS, PHONE, Watched, picture, wait_true
from tests.console.water_scene import WaterScene

from armillary.console.frame.assets import Assets
from armillary.console.frame.values import value_text

pytestmark = pytest.mark.console

MINUTE, SECOND = 60_000, 1000
# Pixels of the chart's canvas between two shares of its width that have the colour of the first line, or nearly.
PAINTED = """(chart, [from, to, name = "series-1"]) => {
  const canvas = chart.querySelector("canvas");
  const probe = chart.appendChild(Object.assign(document.createElement("i"), { className: name }));
  const wanted = getComputedStyle(probe).color.match(/[0-9]+/g).map(Number);
  probe.remove();
  const left = Math.round(canvas.width * from);
  const { data } = canvas.getContext("2d").getImageData(left, 30, Math.round(canvas.width * (to - from)), canvas.height - 80);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] > 200 && wanted.every((value, index) => Math.abs(data[at + index] - value) < 12)) count += 1;
  }
  return count;
}"""

# Shows a chart and gives what its canvas writes: text, and where it begins and ends, of what width.
WRITTEN = """async (each, chart) => {
  const plain = CanvasRenderingContext2D.prototype.fillText;
  const written = [];
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
    const at = this.getTransform().a * x + this.getTransform().e;
    const { width } = this.measureText(text);
    const left = at - { left: 0, start: 0, center: 0.5, right: 1, end: 1 }[this.textAlign] * width;
    written.push([String(text), left, left + width, this.canvas.width]);
    return plain.call(this, text, x, y);
  };
  each.view = { chart };
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  CanvasRenderingContext2D.prototype.fillText = plain;
  return written;
}"""


def line_chart(page: Page, tile: str = "day") -> Locator:
    return page.locator(f"[data-tile={tile}] line-chart")


def chart(times: list[int], **more: Any) -> dict[str, Any]:
    """A chart of one line as the page's script takes it."""
    values = [20 + index % 3 for index, _ in enumerate(times)]
    series = {
        "name": "flow",
        "label": "Flow",
        "unit": "l/s",
        "axis": 0,
        "key": "d flow",
        "at_ms": times,
        "values": values,
    }
    return {
        "start_ms": times[0],
        "end_ms": times[-1],
        "bucket_ms": 0,
        "unit": "l/s",
        "axes": ["l/s"],
        "series": [series],
        **more,
    }


def show(locator: Locator, shown: dict[str, Any]) -> None:
    locator.evaluate("(each, chart) => { each.view = { chart }; }", shown)
    locator.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def rules(page: Page, call: str, argument: Any) -> Any:
    """What a rule of ``chart-rules.js`` says."""
    source = Assets.load().url("chart-rules.js")
    return page.evaluate(
        f"async ([source, argument]) => {{ const rules = await import(source); return {call}; }}", [source, argument]
    )


def open_water(scene: WaterScene, watched: Watched) -> Page:
    page = scene.sign_in(watched)
    page.goto("/dashboards/water")
    expect(page.locator("#live-status")).to_have_text("live")
    expect(page.locator("line-chart canvas")).to_have_count(2)
    return page


def test_what_charts_decide(console: RunningConsole, watch: Callable[..., Watched]):
    """Pure rules, several in one page: gaps by neighbourhood, points that stand alone, figures as the server's."""
    page = watch(console).sign_in()
    history = [each * MINUTE for each in range(60)]
    live = [history[-1] + (1 + each) * 5 * SECOND for each in range(200)]

    def breaks(times: list[int], bucket_ms: int = 0) -> list[int]:
        found: list[int] = rules(page, "rules.breaks(argument[0], argument[1])", [times, bucket_ms])
        return found

    assert breaks([*history, *live]) == []  # the median distance is 5 s here
    assert breaks(history[:20] + history[40:]) == [20]
    assert breaks([*history, *live[:50], *live[100:]]) == [110]  # 250 s among values 5 s apart, though history is 60 s
    assert breaks([0, 3_600_000, 3_605_000, 3_610_000, 3_615_000]) == [1]
    assert breaks(history[::5], MINUTE) == []  # a device that speaks every five minutes, in buckets of one
    assert breaks(history[:5] + history[8:], 3 * MINUTE) == []
    assert breaks([]) == breaks([7]) == breaks([7, 9]) == []
    assert rules(page, "rules.alone(argument)", [1, None, 2, 3, None, 4]) == [0, 5]
    assert rules(page, "rules.alone([1, undefined, 2, undefined, null, undefined, 3, null, 5])", None) == [6, 8]
    assert rules(page, "rules.nearest([0, 1, 2, 9], [5, undefined, undefined, 7], argument)", 2) == 0
    assert rules(page, "argument.map((each) => rules.bounds(10, 20, [each]))", [25, 30.5, -0.5, 4, 15]) == [
        [10, 25],
        [10, 20],
        [10, 20],
        [4, 20],
        [10, 20],
    ]
    assert rules(page, "rules.bounds(8, 8, argument)", [9, 99]) == [8, 9]
    assert rules(page, "rules.ticks(argument, 0.25)", [0, 0.25, 1.5]) == ["0.00", "0.25", "1.50"]
    assert rules(page, "rules.ticks(argument, 500)", [12000, 12500]) == ["12,000", "12,500"]
    assert rules(page, "[rules.quantity(argument, '\u00b0'), rules.quantity(null, 'l')]", 21.5) == [
        "21.5\u00b0",
        "\u2013",
    ]
    numbers = [0, 1, -3, 12345.678, 999.96, -0.012345, 1e-7, 3e13, 0.5, 7.125, 55.5555, 410, 1234567.8]
    said = rules(page, "argument.map((each) => rules.quantity(each, 'l/s'))", numbers)
    assert [each.replace("e+", "e").replace("e-0", "e-") for each in said] == [
        value_text(each, "l/s").replace("e+", "e").replace("e-0", "e-") for each in numbers
    ]


def test_a_chart_keeps_its_past_when_live_values_outnumber_it(scene: WaterScene, watch: Callable[..., Watched]):
    page = open_water(scene, watch(scene, allowed=("willReadFrequently",)))  # pixels are read here
    history = [each * MINUTE for each in range(60)]
    live = [history[-1] + (1 + each) * 5 * SECOND for each in range(200)]
    show(line_chart(page), chart([*history, *live]))
    assert line_chart(page).evaluate(PAINTED, [0.1, 0.6]) > 200
    assert None not in line_chart(page).evaluate("(each) => [...each.plot.data[1]]")
    # A value that stands alone is a point.
    show(
        line_chart(page),
        chart([0, 60 * MINUTE, *(60 * MINUTE + each * 5 * SECOND for each in range(1, 40))], start_ms=-20 * MINUTE),
    )
    assert line_chart(page).evaluate(PAINTED, [0.1, 0.6]) > 10
    # A threshold near the values is a line across; one far away is named at the edge and presses nothing flat.
    limits = [{"axis": 0, "at": at, "shape": shape, "label": f"{at} l/s"} for at, shape in ((23, "bad"), (400, "good"))]
    assert line_chart(page).evaluate(PAINTED, [0.1, 0.5, "limit-bad"]) == 0
    show(line_chart(page), chart(history, thresholds=limits))
    assert line_chart(page).evaluate(PAINTED, [0.1, 0.5, "limit-bad"]) > 50
    assert line_chart(page).evaluate(PAINTED, [0.1, 0.5, "limit-good"]) == 0
    assert line_chart(page).evaluate("(each) => each.plot.scale(0).max") < 30
    picture(page, ARTEFACTS / "chart-thresholds-light.png", animations="disabled")


def test_the_readout_stays_and_zoom_pauses_what_is_live(scene: WaterScene, watch: Callable[..., Watched]):
    body = scene.body()
    for each in body["tiles"]:  # the chart is four columns wide
        each["x"], each["w"] = {"day": (8, 4), "note": (0, 8)}.get(each["id"], (each["x"], each["w"]))
    scene.running.platform.documents.put("dashboard", "water", body, by="test")
    scene.send(0, {"flow": 33.25, "pressure_bar": 3.5})
    page = open_water(scene, watch(scene, viewport={"width": 1440, "height": 900}))
    host = line_chart(page)
    readout, over = host.locator(".readout"), host.locator(".u-over")
    expect(readout).to_contain_text("Flow 33.25")
    expect(readout).to_contain_text("3.5 bar")
    assert host.evaluate("(each) => each.plot.chart.axes") == ["", "bar"]
    newest = readout.locator(".at").inner_text()
    # Under the pointer: the values there, whole and inside the tile, whatever comes meanwhile.
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    expect(readout.locator(".at")).not_to_have_text(newest)
    shown = readout.inner_text()
    assert host.evaluate(
        "(each) => { const r = each.querySelector('.readout'); return [r.scrollWidth <= r.clientWidth, r.getBoundingClientRect().bottom <= each.getBoundingClientRect().bottom + 1]; }"
    ) == [True, True]
    scene.send(0, {"flow": 44.5, "pressure_bar": 4.5})
    arrived = "() => document.querySelector('[data-tile=day] line-chart').plot.chart.series[0].values.at(-1) === 44.5"
    wait_true(page, arrived)
    assert readout.inner_text() == shown
    picture(page, ARTEFACTS / "chart-readout-light.png", animations="disabled")
    # Dragging zooms; what comes is kept and moves nothing; three ways lead back.
    resume = host.get_by_role("button", name="Live paused")
    for number, back in enumerate((resume.click, lambda: page.keyboard.press("Escape"), over.dblclick)):
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40, steps=4)
        page.mouse.up()
        expect(resume).to_be_visible()
        zoomed = host.evaluate("(each) => each.plot.shown")
        chart_ = host.evaluate("(each) => each.plot.chart")
        assert chart_["start_ms"] / 1000 < zoomed[0] < zoomed[1] < chart_["end_ms"] / 1000
        assert zoomed[1] - zoomed[0] == pytest.approx(0.2 * (chart_["end_ms"] - chart_["start_ms"]) / 1000, rel=0.1)
        scene.send(0, {"flow": 50 + number})
        wait_true(page, arrived.replace("44.5", str(50 + number)))
        assert host.evaluate("(each) => each.plot.shown") == zoomed
        if number == 0:
            page.evaluate("async () => { await fetch(document.querySelector('[data-dashboard]').dataset.data); }")
            picture(page, ARTEFACTS / "chart-zoom-light.png", animations="disabled")
        back()
        expect(resume).to_be_hidden()
        assert host.evaluate("(each) => each.plot.shown[1] * 1000 === each.plot.chart.end_ms")


def test_zoom_of_a_device_page_pauses_what_is_live(console: RunningConsole, watch: Callable[..., Watched]):
    page = watch(console).sign_in()
    page.goto(f"/devices/{device_id(0)}/values?metric=boiler_celsius")
    expect(page.locator("#live-status")).to_have_text("live")
    over = page.locator(".chart .u-over")
    over.scroll_into_view_if_needed()
    expect(page.locator(".chart .readout")).to_contain_text("°C")
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 60, steps=4)
    page.mouse.up()
    resume = page.get_by_role("button", name="Live paused")
    expect(resume).to_be_visible()
    before = page.evaluate("document.querySelector('.chart canvas').toDataURL()")
    console.say("boiler_celsius", 131.25, int(time.time() * 1000))
    expect(page.locator("[data-metric-row=boiler_celsius] [data-value]")).to_have_text("131.25 °C")
    page.wait_for_timeout(100)
    assert page.evaluate("document.querySelector('.chart canvas').toDataURL()") == before
    page.keyboard.press("Escape")
    expect(resume).to_be_hidden()
    wait_true(page, "(before) => document.querySelector('.chart canvas').toDataURL() !== before", arg=before)


def test_pictures_in_the_dark_and_plans_on_a_phone(scene: WaterScene, watch: Callable[..., Watched]):
    page = open_water(scene, watch(scene, color_scheme="dark", viewport={"width": 1440, "height": 900}))
    look = "all => all.map((each) => getComputedStyle(each).filter.includes('invert') && getComputedStyle(each).mixBlendMode)"
    assert page.locator(".picture, .plan img").evaluate_all(look) == ["screen", "screen"]
    page.emulate_media(color_scheme="light")
    assert page.locator(".picture, .plan img").evaluate_all(look) == [False, False]
    page.set_viewport_size(PHONE)
    for each in ("[data-tile=plan] .plan", "[data-tile=plan] .plan img"):
        box = page.locator(each).bounding_box()
        assert box is not None
        assert box["height"] > 100
        assert box["width"] > 250


@pytest.mark.parametrize("texts", ["mg/m\u00b3", "microsiemens per centimetre at 25 \u00b0C"])
def test_no_label_of_an_axis_is_cut_on_a_phone(scene: WaterScene, watch: Callable[..., Watched], texts: str):
    page = open_water(scene, watch(scene, viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2))
    times = [each * MINUTE for each in range(60)]
    made = chart(times)
    (one,) = made["series"]
    large = {
        **one,
        "label": "Conductivity of the water that leaves",
        "unit": texts,
        "values": [1_234_567.125 + each for each in range(60)],
    }
    small = {**one, "unit": texts, "axis": 1, "values": [0.000_000_5 * each for each in range(60)]}
    limits = [
        {"axis": 0, "at": at, "shape": "bad", "label": f"Highest that the water works allow: {at} {texts}"}
        for at in (1_234_600, 2_000_000, 1)
    ]
    made |= {"axes": [texts, f"{texts} "], "series": [large, small], "thresholds": limits}
    for shown in (made, {**made, "axes": [texts], "series": [large]}):
        written = line_chart(page).evaluate(WRITTEN, shown)
        assert [each for each in written if each[1] < -0.5 or each[2] > each[3] + 0.5] == []
        said = [each[0] for each in written]
        assert sum(each.startswith(texts[:4]) for each in said) == len(shown["axes"]), "each axis says its unit"
        assert "1,234,600" in said, "a figure is written whole"
        assert any(each.startswith("Highest") for each in said)
    picture(page, ARTEFACTS / "chart-long-labels-phone.png", animations="disabled")


def test_the_axis_has_the_times_of_the_zone_that_was_chosen(scene: WaterScene, watch: Callable[..., Watched]):
    page = open_water(scene, watch(scene, timezone_id="America/St_Johns", viewport={"width": 1440, "height": 900}))
    begin = 1_799_834_400_000  # 2027-01-13 10:00 UTC, 06:30 in St John's
    hours = chart([begin + each * MINUTE for each in range(240)])

    def written() -> set[str]:
        return {each[0] for each in line_chart(page).evaluate(WRITTEN, hours)}

    assert {"11:00", "12:00", "13:00"} <= written()
    expect(line_chart(page).locator(".readout .at")).to_have_text("2027-01-13 13:59:00 UTC")
    expect(page.locator("[data-zone]")).to_have_text("times in UTC")
    page.get_by_role("button", name="Times: UTC").click()
    page.get_by_role("button", name="Times: local").wait_for()
    expect(page.locator("line-chart canvas")).to_have_count(2)
    there = written()
    assert {"07:00", "08:00", "09:00", "10:00"} <= there
    assert not there & {"11:00", "12:00", "13:00"}
    expect(line_chart(page).locator(".readout .at")).to_have_text(
        re.compile(r"2027-01-13 10:29:00 (NST|GMT-3:30|GMT\u22123:30)")
    )
    expect(page.locator("[data-zone]")).to_have_text("times in America/St_Johns")
    page.get_by_role("button", name="Times: local").click()
    page.get_by_role("button", name="Times: UTC").wait_for()
