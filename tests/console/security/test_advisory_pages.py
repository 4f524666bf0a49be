# SPDX-License-Identifier: Apache-2.0
"""Advisories: what a fresh, a stale and a missing feed say, whom one affects, and its curve."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.console.security_scene import ADVISORY, ALIAS, OTHER, SecurityScene
from tests.fixtures.waiting import wait_until

from armillary.console.frame import curve
from armillary.console.frame.curve import Line
from armillary.console.frame.sheet import Sheet
from armillary.console.security import pages_advisories, pages_advisory

NOW = 1_900_000_000
WHOLE = {"whole": True, "compared": 3, "devices": 3}
FRESH = {"feeds": 2, "stale": [], "taken_in": WHOLE}
ROW = {
    "advisory_id": "A-1", "aliases": ["CVE-1"], "summary": "It <b>breaks</b>", "exploited_since": None,
    "exploited_due_at": None, "exploitation_known": True, "epss": None, "epss_percentile": None, "epss_as_of": None,
    "cvss": 9.8, "cvss_vector": "", "severity": "critical", "images": {"affected": 2}, "devices": 3, "stale": False,
}  # fmt: skip


def listed(basis: dict[str, Any], *items: dict[str, Any], **more: Any) -> Sheet:
    page = {"items": list(items), "next": None, "basis": basis}
    named: dict[str, Any] = {"in_field": False, "catalog": "", "catalogs": ["Contoso"], "now": NOW}
    return pages_advisories.list_sheet(page, None, **named | more)


@pytest.mark.parametrize(
    ("basis", "first", "none"),
    [
        ({**FRESH, "feeds": 0}, "No feed of advisories is here: nothing is known", "None is known: there is no feed."),
        ({**FRESH, "stale": ["osv"]}, "1 of 2 feeds is stale.", "No advisory that is known affects an image"),
        (FRESH, "2 fresh feeds.", "No advisory that is known affects an image"),
    ],
)
def test_the_first_line_says_how_fresh_the_feeds_are_and_nothing_is_called_good(
    basis: dict[str, Any], first: str, none: str
) -> None:
    made = listed(basis)
    assert made.title.startswith(first)
    assert made.sections[0].none.startswith(none)
    assert bool(made.notices) == (basis != FRESH)
    assert not any("clean" in text or "secure" in text for _, text in made.notices)


def test_devices_that_were_not_taken_in_are_said() -> None:
    basis = {**FRESH, "taken_in": {"whole": False, "compared": 10, "devices": 1000}}
    assert listed(basis, ROW).notices == (("attention", "Of 10 of 1,000 devices it is known yet what they run."),)


def test_what_is_not_known_of_an_advisory_is_drawn_as_unknown() -> None:
    plain, odd = listed(FRESH, ROW, {**ROW, "exploitation_known": False}).sections[0].rows
    assert (plain[1].text, plain[1].state) == ("not listed", None)
    assert (odd[1].state.kind, odd[1].state.word) == ("unknown", "not known")
    assert plain[2].state.word == "not scored"
    exploited = {**ROW, "exploited_since": NOW - 86_400, "epss": 0.123, "epss_percentile": 0.97, "epss_as_of": NOW}
    (row,) = listed(FRESH, exploited).sections[0].rows
    assert row[1].state.kind == "bad"
    assert (row[2].text, row[2].reason) == ("12.3 %", "above 97 % of all, EPSS of 2030-03-17")
    assert listed(FRESH, ROW, exploited).title.endswith("2 advisories: 2 in the field, 1 exploited.")


def test_a_curve_is_steps_from_begin_to_end_and_its_gaps_are_none() -> None:
    line = Line("affected", ((100, 4), (160, 1)))
    drawn = curve.curve("x", "/x", [line], begin=100, end=200, now=200).lines[0]
    assert (drawn.path, drawn.newest) == ("M0.0 0.0H600.0V150.0H1000", "1")
    found = curve.document([line], "devices", begin=100, end=200)
    assert found["series"][0]["at_ms"] == [100_000, 159_000, 160_000, 200_000]
    assert found["series"][0]["values"] == [4, 4, 1, 1]
    assert found["bucket_ms"] == found["end_ms"] - found["start_ms"], "what is far apart is no gap"
    nothing = curve.document([Line("affected", ((100, 0),))], "devices", begin=100, end=100)
    assert nothing["end_ms"] > nothing["start_ms"]


@pytest.mark.parametrize(
    ("devices", "stale", "percent", "title"),
    [
        ({"affected": 2, "not-affected": 1}, False, 33.33, "A affects 2 devices. 33.33 % of those"),
        ({"unknown": 3}, False, None, "A affects no device that is known; of 3 it is not known."),
        ({"not-affected": 3}, False, None, "A affects no device."),
        ({}, True, None, "A affects no device that is known."),
    ],
)
def test_the_title_of_an_advisory_tells_no_device_from_none_that_is_known(
    devices: dict[str, int], stale: bool, percent: float | None, title: str
) -> None:
    found = {
        **ROW, "advisory_id": "A", "devices": devices, "stale": stale, "patched_percent": percent, "records": [],
        "artifacts": [], "artifact_states": {}, "catalogs": {}, "countries": {}, "member_states": {},
        "known_since": NOW - 9, "as_of": NOW, "basis": FRESH,
        "curve": [{"at": NOW - 9, "affected": 2, "patched": 0, "left": 0, "came": 0}],
    }  # fmt: skip
    made = pages_advisory.advisory_sheet(found, {}, catalog="", catalogs=["Contoso"], now=NOW)
    assert made.title.startswith(title)
    assert bool(made.notices) == stale


def test_the_pages_of_a_service(security_scene: SecurityScene) -> None:
    browser = security_scene.browser("Reader")
    page = browser.get("/advisories").text
    assert "2 fresh feeds. 1 advisory: 1 in the field, 1 exploited." in page
    assert f'href="/advisories/{ADVISORY}"' in page
    assert OTHER not in page, "it affects nothing here"
    here = browser.get(f"/advisories/{ALIAS}").text
    assert f"{ADVISORY} affects 2 devices. 33.33 % of those that it affected are repaired." in here
    for each in (f"/images/northwind/{security_scene.bad}", "Member state of the Union", "DE", "3.2.13", "Audit lines"):
        assert each in here
    told = "tell the notification channels"
    wait_until(lambda: told in browser.get(f"/advisories/{ALIAS}").text, "a playbook to tell of its finding")
    devices = browser.get(f"/advisories/{ADVISORY}/devices?state=affected").text
    assert [each in devices for each in security_scene.devices] == [True, True, False]
    assert security_scene.devices[2] in browser.get(f"/advisories/{ADVISORY}/devices?state=fixed").text
    assert security_scene.devices[0] in browser.get(f"/advisories/{ADVISORY}/devices?state=odd").text
    chart = json.loads(browser.get(f"/advisories/{ADVISORY}/curve.json").text)
    assert [each["values"][-1] for each in chart["series"]] == [2, 1]
    kept = browser.get(f"/advisories/{ADVISORY}/trace.json")
    assert kept.headers["content-disposition"] == 'attachment; filename="advisory-trace.json"'
    assert json.loads(kept.text)["audit"][0]["operation"] == "advisory-feed.import"
    assert "no feed has an advisory" in browser.get("/advisories/CVE-1-1").text.lower()


def test_coverage_names_what_is_unknown_first(security_scene: SecurityScene) -> None:
    page = security_scene.browser("Reader").get("/advisory-coverage?catalog=northwind").text
    assert "1 affected" in page
    assert page.index(">affected<") < page.index(">unknown<") < page.index("none known</span>")


def test_a_finding_of_an_advisory_leads_to_its_page(security_scene: SecurityScene) -> None:
    found = security_scene.service.watch.list(kind="vulnerability-in-field").items
    page = security_scene.browser("Reader").get(f"/findings/{found[0].finding_id}").text
    assert f'href="/advisories/{ADVISORY}"' in page
