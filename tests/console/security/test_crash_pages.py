# SPDX-License-Identifier: Apache-2.0
"""Crash groups: where in the program, on which images and devices, how often; what a device chose is text."""

from __future__ import annotations

import json

from tests.console.security_scene import SecurityScene

from armillary.console.security import pages_crashes


def test_crashes_are_summed_by_time() -> None:
    reports = [{"received_at": 30, "count": 5}, {"received_at": 10, "count": 2}]
    assert pages_crashes.lines(reports)[0].points == ((10, 2), (30, 7))


def test_a_crash_group_shows_where_on_which_images_and_devices(security_scene: SecurityScene) -> None:
    browser = security_scene.browser("Reader")
    page = browser.get(f"/crashes?catalog=northwind&image={security_scene.bad}").text
    assert "Nothing of northwind has crashed on the image" in page, "nobody was offered that image"
    page = browser.get("/crashes?catalog=northwind").text
    assert "1 crash group of northwind." in page
    here = f"/crashes/northwind/{security_scene.crash_group}"
    assert f'href="{here}"' in page
    page = browser.get(here).text
    assert "SIGSEGV in pour: 4 times on 2 devices." in page
    assert "&lt;script&gt;brew" in page
    assert "<script>brew" not in page
    assert [f'href="/devices/{each}"' in page for each in security_scene.devices] == [True, True, False]
    chart = json.loads(browser.get(f"{here}/curve.json").text)
    assert chart["series"][0]["values"][-1] == 4
    assert "Nothing of contoso has crashed." in browser.get("/crashes?catalog=contoso").text
    assert browser.get(here.replace("northwind", "contoso")).status == 404
