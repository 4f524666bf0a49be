# SPDX-License-Identifier: Apache-2.0
"""The chart of a tried rule: a device's values, thresholds and firings, with script and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.console.page_check import reads_well
from tests.console.watched_browser import LOOKS, Watched
from tests.console.water_scene import WaterScene

from armillary.console.authored.pages_trial import Values, chart_field, charted, names_of, trial_chart, trial_links
from armillary.twin.template.value_names import ValueName

START_MS, END_MS = 1_000_000, 2_000_000
FLOW, PRESSURE = ValueName("flow", "Flow", "l/min"), ValueName("pressure", "Pressure", "bar")


def compared(name: str, right: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "aggregate": None, "silent_s": 0, "op": ">", "right": right, **more}


def tried(device_id: str = "a", *, firings: int = 0, compares: tuple[dict[str, Any], ...] = (), **more: Any) -> Any:
    fired = [{"now_ms": START_MS + 250_000 * (at + 1), "compared": compares} for at in range(firings)]
    last = [{"now_ms": END_MS, "compared": compares}]
    return {"device_id": device_id, "messages": 4, "firings": firings, "fired": fired, "last": last, **more}


def drawn(device: Any, *values: Values) -> Any:
    return trial_chart(device, values, "Pump north", start_ms=START_MS, end_ms=END_MS)


def test_values_threshold_and_firings_stand_where_they_belong() -> None:
    values = Values(name=FLOW, points=[[1_000_000, 10.0], [1_500_000, 60.0], [1_900_000, 20.0]])
    made = drawn(tried(firings=1, compares=(compared("flow", 50.0),)), values)
    assert made.lines == (("Flow", "M0.0 183.3L500.0 16.7L900.0 150.0"),)
    assert (made.limits, made.marks) == ((50.0,), (250.0,))
    assert made.document["marks"] == [{"at_ms": 1_250_000, "label": "fires"}]
    assert made.document["thresholds"] == [{"axis": 0, "at": 50.0, "shape": "bad", "label": "above 50 l/min"}]
    assert made.said == (
        "Flow from 10 l/min to 60 l/min; fires above 50 l/min. Fires 1 time, first at 1970-01-01 00:20:50 UTC."
    )


def test_a_threshold_stands_only_beside_values_that_it_is_compared_with() -> None:
    flow = Values(name=FLOW, points=[[1_000_000, 10.0]])
    for beside in (
        compared("flow", 3, aggregate="count"),
        compared("flow", 3, silent_s=60),
        compared("pressure", 3.0),
        compared("flow", "open", op="=="),
        compared("flow", None),  # a cloud property that the device does not have
    ):
        assert drawn(tried(compares=(beside,)), flow).limits == ()
    assert len(drawn(tried(compares=(compared("flow", 3.0, aggregate="avg"),)), flow).limits) == 1


def test_two_units_have_an_axis_each_and_a_third_is_left_out() -> None:
    third = Values(name=ValueName("rpm", "Speed", "rpm"), points=[[1_000_000, 900.0]])
    flow, pressure = (Values(name=each, points=[[1_000_000, 1.0], [1_100_000, 2.0]]) for each in (FLOW, PRESSURE))
    made = drawn(tried(compares=(compared("pressure", 4.0),)), flow, pressure, third)
    assert made.document["axes"] == ["l/min", "bar"]
    assert [name for name, _ in made.lines] == ["Flow", "Pressure"]
    assert made.document["thresholds"][0]["axis"] == 1


def test_without_numbers_there_is_no_chart() -> None:
    assert drawn(tried(), Values(name=FLOW, points=[])) is None
    assert drawn(tried(), Values(name=FLOW, points=[[1_000_000, "open"], [1_100_000, True]])) is None
    assert drawn(tried()) is None


def test_the_device_that_fired_most_is_drawn_until_another_is_chosen() -> None:
    silent = tried("s") | {"messages": 0}
    trial = {"devices": [tried("a"), tried("b", firings=2), silent]}
    labels = {"a": "Anna", "b": "Bert", "s": "Silent"}
    assert charted(trial, "")["device_id"] == "b"  # type: ignore[index]
    assert charted(trial, "a")["device_id"] == "a"  # type: ignore[index]
    assert charted(trial, "somebody else's")["device_id"] == "b"  # type: ignore[index]
    assert charted({"devices": [silent]}, "") is None
    assert chart_field(trial, labels, "b").choices == (("b", "Bert"), ("a", "Anna"))  # type: ignore[union-attr]
    assert chart_field({"devices": [tried("a")]}, labels, "a") is None
    assert trial_links(trial, labels, "b", "/x") == (
        ("Bert", "/x?chart_of=b", True),
        ("Anna", "/x?chart_of=a", False),
    )


def test_values_that_are_compared_are_drawn_once() -> None:
    conditions = [
        {"telemetry": "flow", "op": ">", "value": 3}, {"telemetry": "flow", "op": "<", "value": 90},
        {"telemetry": "label", "op": "contains", "value": "x"}, {"silent_s": 60}, {"telemetry": "t", "silent_s": 60},
        {"property": "reported.mode", "op": "==", "value": 1},
    ]  # fmt: skip
    assert names_of({"conditions": conditions}) == ["flow"]


@pytest.mark.console
def test_a_trial_is_a_chart_without_script_too(scene: WaterScene) -> None:
    answer = scene.browser("Contributor").post(
        "/rules/new", do="try", name="High flow", severity="high", match="all", template="pump", catalog="northwind",
        name_0="flow", op_0=">", value_0="43", stretch="day", chart_of=scene.pumps[2].device_id,
    )  # fmt: skip
    assert answer.status == 200, answer.text
    assert 'aria-label="Flow of Booster. Flow from ' in answer.text
    assert answer.text.count('<path class="limit-bad" d="M0 ') == 1, "one threshold"
    assert '<path class="limit-bad" d="M' in answer.text.partition("H1000")[2], "and where it fires"
    assert '<path class="series-1" d="M' in answer.text
    kept = scene.running.call("GET", "/api/v1/rules").body["items"]
    assert "High flow" not in [each["body"]["name"] for each in kept]


@pytest.mark.console
@LOOKS
def test_a_tried_rule_shows_values_threshold_and_firings(
    scene: WaterScene, watch: Callable[..., Watched], look: str, options: dict[str, object]
) -> None:
    page = scene.sign_in(watch(scene, **options), "Contributor")
    page.goto("/rules/new")
    page.get_by_label("Name", exact=True).fill("Chart <b>it</b>")
    page.get_by_label("Device template").select_option(label="Pump")
    condition = page.get_by_role("group", name="Condition 1")
    condition.locator("select[name=name_0]").select_option(value="pressure_bar")
    condition.get_by_label("Threshold (bar)").fill("4.3")
    page.get_by_role("button", name="Try").click()
    trial = page.locator("#rule-trial")
    expect(trial.locator("canvas")).to_be_visible()
    expect(trial.get_by_role("img", name="Pressure of Booster")).to_be_visible()
    expect(trial.locator("figcaption")).to_contain_text("fires above 4.3 bar. Fires ")
    expect(trial.locator(".readout .at")).to_contain_text("UTC")
    page.get_by_label("Chart of").select_option(label="Pump north")
    page.get_by_role("button", name="Try").click()
    expect(trial.get_by_role("img", name="Pressure of Pump north")).to_be_visible()
    expect(page.get_by_label("Chart of")).to_have_value(scene.pumps[0].device_id)
    reads_well(page, f"rule-trial-{look}")
