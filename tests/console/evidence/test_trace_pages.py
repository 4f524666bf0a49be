# SPDX-License-Identifier: Apache-2.0
"""Traces of a device, a key and a product, with their downloads: what pages of a real service show."""

from __future__ import annotations

import json

import pytest
from tests.console.security_scene import ADVISORY, SecurityScene

from armillary.console.evidence import pages_products, pages_traces
from armillary.wire.transparency import bundle

NOW = 1_900_000_000


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


def test_a_product_is_traced_and_its_facts_are_declared(security_scene: SecurityScene) -> None:
    browser, here = security_scene.browser("Contributor"), "/traces/product/northwind/Kettles"
    page = browser.get("/products").text
    assert f'href="{here}"' in page
    assert "No product is like this." in browser.get("/products?support=ended").text
    page = browser.get(here).text
    for each in (
        "Kettles of northwind: 3 devices, 1 open advisory in the field, support supported.", "Northwind Kettles",
        f'href="/advisories/{ADVISORY}"', f"/images/northwind/{security_scene.bad}", "django", "/traces/key/",
        "/device-groups/northwind/Kettles/Field", "product.declare",
    ):  # fmt: skip
        assert each in page, each
    kept = json.loads(browser.get(f"{here}/trace.json").text)
    assert kept["product"]["manufacturer"] == "Northwind Kettles"
    assert len(bundle.parse(browser.get(f"{here}/proof.json").body).entries) == len(kept["audit"])
    facts = {"support_ends": "2031-12-31", "manufacturer": "Northwind Kettles", "contact": "psirt@northwind.example"}
    assert browser.post(here, **facts).status == 303
    found = security_scene.service.registry.products.get("northwind", "Kettles")
    assert (found.support_ends, found.contact) == (1_956_441_600, "psirt@northwind.example")
    wrong = browser.post(here, **{**facts, "support_ends": "next year"})
    assert (wrong.status, "support_ends: expected a time such as 2026-11-28 04:00" in wrong.text) == (400, True)
    assert 'value="next year"' in wrong.text
    assert "Declare</button>" not in security_scene.browser("Reader").get(here).text


def test_a_support_that_nobody_declared_is_unknown() -> None:
    item = {
        "catalog": "c", "name": "Kettle", "support": "undeclared", "support_ends": None, "devices": 3,
        "manufacturer": "", "contact": "",
    }  # fmt: skip
    made = pages_products.list_sheet([item], "", NOW)
    assert made.title == "1 product: 1 not declared."
    assert made.sections[0].rows[0][1].state.kind == "unknown"
