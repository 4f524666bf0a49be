# SPDX-License-Identifier: Apache-2.0
"""A stretch of time on a device's pages and on dashboards: from one moment to another, kept in links, around an alert."""

from __future__ import annotations

import html
import json
import re
import time
from urllib.parse import quote_plus, urlencode

from tests.api.running_service import wait_until
from tests.console.water_scene import WaterScene

from armillary.console.frame.times import time_field, typed_time

HOUR = 3600


def typed(now: int, *, hours_from: int, hours_to: int) -> dict[str, str]:
    """A stretch that ends some hours ago, as people type it."""
    return {"start": time_field(now - hours_from * HOUR), "end": time_field(now - hours_to * HOUR)}


def links(page: str) -> list[str]:
    return [html.unescape(each) for each in re.findall(r'href="([^"]+)"', page)]


def test_a_chart_shows_a_stretch_from_one_moment_to_another(scene: WaterScene) -> None:
    browser, device = scene.browser("Reader"), f"/devices/{scene.pumps[0].device_id}"
    given = typed(int(time.time()), hours_from=6, hours_to=3)
    query = urlencode({"metric": "flow", **given})
    found = browser.get(f"{device}/series?{query}")
    assert found.status == 200
    begin, end = typed_time("From", given["start"]), typed_time("To", given["end"])
    assert begin is not None
    assert end is not None
    chart = json.loads(found.text)
    assert (chart["start_ms"], chart["end_ms"]) == (begin * 1000, end * 1000)
    times = chart["series"][0]["at_ms"]
    assert 10 <= len(times) <= 13  # one each quarter of an hour
    assert all(begin * 1000 <= each < end * 1000 for each in times)

    page = browser.get(f"{device}/values?{query}").text
    assert "data-fixed" in page
    assert f'value="{given["start"]}"' in page
    assert f"{given['start']}:00 UTC</time> to <time" in page
    assert "data-fixed" not in browser.get(f"{device}/values?metric=flow&range=24h").text
    for path in (f"{device}/series?metric=flow&start=x", f"{device}/series?metric=flow&range=9h"):
        assert browser.get(path).status == 400
    wrong = browser.get(f"{device}/values?metric=flow&start=tomorrow")
    assert wrong.status == 400
    assert "From: expected a time such as" in wrong.text
    assert 'value="tomorrow"' in wrong.text


def test_raw_values_are_of_the_stretch_that_was_asked_for(scene: WaterScene) -> None:
    browser, device = scene.browser("Reader"), f"/devices/{scene.pumps[0].device_id}"
    given = typed(int(time.time()), hours_from=6, hours_to=3)
    page = browser.get(f"{device}/data?{urlencode({'name': 'flow', **given})}").text
    begin, end = typed_time("From", given["start"]), typed_time("To", given["end"])
    shown = [int(each) for each in re.findall(r"<td[^>]*><span>(\d{13})</span>", page)]
    assert 10 <= len(shown) <= 13
    assert all(begin * 1000 <= each < end * 1000 for each in shown)  # type: ignore[operator]
    assert f"{device}/data?name=flow&range=1h" in links(page)
    assert "Nothing in this range." in browser.get(f"{device}/data?name=flow&start=2001-01-01&end=2001-01-02").text
    assert browser.get(f"{device}/data?name=flow&end=never").status == 400


def test_a_stretch_is_kept_from_page_to_page(scene: WaterScene) -> None:
    browser, device_id = scene.browser("Reader"), scene.pumps[0].device_id
    given = typed(int(time.time()), hours_from=6, hours_to=3)
    sent, device = urlencode(given), f"/devices/{device_id}"
    kept = f"start={quote_plus(given['start'])}&end={quote_plus(given['end'])}"
    for path in (device, f"{device}/values", f"{device}/data", f"{device}/alerts"):
        found = links(browser.get(f"{path}?{sent}").text)
        for tab in ("", "/values", "/data", "/alerts", "/twin"):
            assert f"{device}{tab}?{kept}" in found, (path, tab)
    dashboard = browser.get(f"/dashboards/water?{sent}").text
    assert f"{device}?{kept}" in links(dashboard)  # from a table of its tiles
    assert f"{device}?{kept}" in browser.get(f"/dashboards/water/data?{sent}").text  # and from what its script draws
    assert f"{device}?{kept}" in links(browser.get(f"/search?q=pump&{sent}").text)
    assert f"{device}?{kept}" in browser.get(f"/search/lines?q=pump&{sent}").text
    assert f'name="start" value="{given["start"]}"' in dashboard  # the search of the frame
    assert f"{device}?range=24h" in links(browser.get("/dashboards/water?range=24h").text)
    assert device in links(browser.get("/dashboards/water").text)  # the control: no range, none kept


def test_a_dashboard_shows_a_stretch_from_one_moment_to_another(scene: WaterScene) -> None:
    browser = scene.browser("Reader")
    given = typed(int(time.time()), hours_from=6, hours_to=3)
    begin, end = typed_time("From", given["start"]), typed_time("To", given["end"])
    page = browser.get(f"/dashboards/water?{urlencode(given)}")
    assert page.status == 200
    assert "data-dashboard data-fixed" in page.text
    tiles = json.loads(browser.get(f"/dashboards/water/data?{urlencode(given)}").text)["tiles"]
    chart = tiles["day"]["chart"]
    assert (chart["start_ms"], chart["end_ms"]) == (begin * 1000, end * 1000)  # type: ignore[operator]
    wrong = browser.get("/dashboards/water?start=2026-01-02&end=2026-01-01")
    assert wrong.status == 400
    assert "the earlier first" in wrong.text
    assert browser.get("/dashboards/water/data?start=x").status == 400
    body = scene.running.call("GET", f"/api/v1/dashboards/water/data?range_s=10800&end_ms={end * 1000}").body  # type: ignore[operator]
    line = body["tiles"]["day"]
    assert (line["start_ms"], line["end_ms"]) == (begin * 1000, end * 1000)  # type: ignore[operator]
    assert scene.running.call("GET", "/api/v1/dashboards/water/data?end_ms=0").status == 400


def test_an_alert_leads_to_the_chart_around_its_time(scene: WaterScene) -> None:
    running, device_id = scene.running, scene.pumps[0].device_id
    rule = {"name": "Loud", "catalog": "northwind", "severity": "low",
            "conditions": [{"telemetry": "loud_db", "op": ">", "value": 100}]}  # fmt: skip
    assert running.call("PUT", "/api/v1/rules/loud", rule).status == 200
    try:
        scene.send(0, {"loud_db": 120.5})

        def fired() -> list[dict[str, object]]:
            found: list[dict[str, object]] = running.call("GET", "/api/v1/alerts?rule=loud").body["items"]
            return found

        (item,) = wait_until(fired, "the rule to fire")
        browser = scene.browser("Contributor")
        page = browser.get(f"/alerts/{item['number']}").text
        (way,) = [each for each in links(page) if each.startswith(f"/devices/{device_id}/values?metric=loud_db&start=")]
        chart = browser.get(way.replace("/values?", "/series?")).text
        assert "120.5" in chart
        assert "data-fixed" in browser.get(way).text
        assert browser.post(f"/alerts/{item['number']}/acknowledge", note="").status == 303
    finally:
        running.call("DELETE", "/api/v1/rules/loud")
