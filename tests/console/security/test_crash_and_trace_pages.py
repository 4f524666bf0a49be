# SPDX-License-Identifier: Apache-2.0
"""Crash groups with the names of their places, and traces with their downloads: what pages of a real service show."""

from __future__ import annotations

import json

import pytest
from tests.console.security_scene import ADVISORY, SecurityScene

from armillary.console.security import pages_crashes, pages_traces
from armillary.wire.transparency import bundle

NOW = 1_900_000_000


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


def test_what_is_typed_leads_to_the_trace(security_scene: SecurityScene) -> None:
    browser, device = security_scene.browser("Reader"), security_scene.devices[0]
    assert "Trace a device, a key or an advisory." in browser.get("/traces").text
    for query, target in (
        (f"device={device[:20]}", f"/traces/device/{device}"),
        ("key=0A:FF", "/traces/key/0AFF"),
        (f"advisory={ADVISORY}", f"/advisories/{ADVISORY}"),
    ):
        assert browser.get(f"/traces?{query}").headers["location"] == target
    odd = browser.get("/traces?key=xyz")
    assert (odd.status, "expected a serial" in odd.text) == (400, True)


def test_a_device_is_traced_with_what_proves_it(security_scene: SecurityScene) -> None:
    browser, device = security_scene.browser("Reader"), security_scene.devices[0]
    here = f"/traces/device/{device}"
    page = browser.get(here).text
    for each in ("device.manufacture", "device.claim", "Audit lines", f"/findings/{security_scene.finding}"):
        assert each in page
    kept = json.loads(browser.get(f"{here}/trace.json").text)
    assert kept["device"]["device_id"] == device
    assert {each["target"] for each in kept["audit"]} == {device}
    proof = browser.get(f"{here}/proof.json")
    assert proof.headers["content-disposition"] == 'attachment; filename="audit-proof.json"'
    found = bundle.parse(proof.body)
    assert len(found.entries) == len(kept["audit"])
    page = browser.get(f"/devices/{device}").text
    assert f'href="{here}"' in page


def test_a_key_is_traced_to_what_it_signed(security_scene: SecurityScene) -> None:
    browser = security_scene.browser("Reader")
    serial = security_scene.service.releases.list()[0].signer
    assert serial
    here = f"/traces/key/{serial.lower()}"
    page = browser.get(here).text
    assert "os-signing certificate signed or is held by" in page
    assert f'href="/releases/{security_scene.service.releases.list()[0].release_id}"' in page
    kept = json.loads(browser.get(f"{here}/trace.json").text)
    assert kept["certificate"]["serial"] == serial
    assert browser.get("/traces/key/00ff").status == 404


@pytest.mark.parametrize(
    ("use", "href"),
    [
        ({"what": "image", "name": "A b: kettle", "record": "i"}, "/images/A%20b/i"),
        ({"what": "trust store", "name": "os 1", "record": "os 1"}, ""),
        ({"what": "device", "name": "d", "record": "d"}, "/devices/d"),
    ],
)
def test_a_use_of_a_key_leads_to_what_it_is(use: dict[str, str], href: str) -> None:
    certificate = {
        "kind": "image-signing", "subject": "s", "serial": "01", "thumbprint": "02", "not_before": NOW - 9,
        "not_after": NOW + 9, "revoked_at": None, "catalog_id": None,
    }  # fmt: skip
    found = {"certificate": certificate, "uses": [{**use, "at": NOW}], "counts": {use["what"]: 1}, "audit": []}
    made = pages_traces.key_sheet(found, "", has_proof=False, now=NOW)
    assert made.sections[0].rows[0][1].href == href
    assert dict(made.facts)["State"].state.word == "in force"
    ended = {**found, "certificate": {**certificate, "not_after": NOW}}
    assert dict(pages_traces.key_sheet(ended, "", has_proof=False, now=NOW).facts)["State"].state.word == "ended"
