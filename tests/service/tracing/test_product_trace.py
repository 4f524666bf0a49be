# SPDX-License-Identifier: Apache-2.0
"""Traces of products: what they are made of, what is known against them, and nothing of another catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of
from tests.service.advisories.fleet import AdvisoryFleet, opened, osv

from armillary.errors import NotFoundError
from armillary.service.cases.cases import Said
from armillary.service.tracing import product_trace
from armillary.service.tracing.product_trace import ProductTrace, ProductTraces
from armillary.wire.disclosure.submission import Submission

BAD, GOOD = "pkg:pypi/django@3.2.10", "pkg:pypi/django@4.2.1"


@pytest.fixture
def fleet(made_folder: Path, tmp_path: Path, clock: Clock) -> Iterator[AdvisoryFleet]:
    with opened(copy_of(made_folder, tmp_path / "data"), clock) as service:
        service.registry.catalogs.create("Fabrikam", actor="test")
        service.registry.products.create("Fabrikam", "Pump", actor="test")
        service.registry.groups.create_defaults("Fabrikam", "Pump", actor="test")
        made = AdvisoryFleet(service, tmp_path, clock)
        made.release_bill("pkg:pypi/flask@3.0.0")
        yield made


def trace(
    fleet: AdvisoryFleet, catalog: str = "Contoso", product: str = "Kettle", *, audit: bool = True
) -> ProductTrace:
    service = fleet.service
    traces = ProductTraces(service.context, service.chips, service.audit, service.advisories)
    return traces.of(catalog, product, with_audit=audit)


def test_a_product_is_told_with_what_runs_and_what_is_known_against_it(fleet: AdvisoryFleet) -> None:
    registry = fleet.service.registry
    registry.products.declare("Contoso", "Kettle", {"manufacturer": "Contoso Ltd"}, actor="ann")
    bad, good, idle = fleet.image(BAD), fleet.image(GOOD), fleet.image(BAD)
    for image in (bad, bad, good):
        fleet.device(image)
    fleet.device(good, group="Field Test")
    fleet.feed(osv("PYSEC-2026-1", aliases=["CVE-2026-1"]))
    found = trace(fleet)
    assert (found.product.product.manufacturer, found.product.devices, found.product.support) == (
        "Contoso Ltd",
        4,
        "undeclared",
    )
    assert {each["name"]: each["devices"] for each in found.groups if each["devices"]} == {
        "Production": 3,
        "Field Test": 1,
    }
    assert found.devices["count"] == 4
    assert found.devices["chips"] == {"mt3620": 4}
    shown = {each["id"]: (each["devices"], each["advisory_state"], each["components"]) for each in found.images}
    assert shown == {str(bad): (2, "affected", 1), str(good): (2, "none-known", 1)}
    assert str(idle) not in shown, "nobody runs it, and no group is given it"
    (release,) = found.releases
    assert (release["devices"], release["attested"], release["advisory_state"]) == (4, 4, "none-known")
    listed = {each["purl"]: each["artifacts"] for each in found.components}
    assert (listed[BAD], listed[GOOD]) == ([str(bad)], [str(good)])
    assert [(each["advisory_id"], each["devices"]) for each in found.advisories] == [("PYSEC-2026-1", 2)]
    assert found.coverage == {"affected": 1, "none-known": 2}
    assert found.cut == ()
    lines = {each.operation for each in found.audit}
    assert {"product.declare", "image.upload", "device-group.create-defaults"} <= lines
    assert [each.number for each in found.audit] == sorted(each.number for each in found.audit)
    assert trace(fleet, audit=False).audit == ()


def test_keys_are_those_above_the_product_and_those_that_signed_what_runs(fleet: AdvisoryFleet) -> None:
    fleet.device(fleet.image(GOOD))
    found = trace(fleet)
    kinds = [each.kind for each in found.keys]
    assert kinds == ["root", "policy", "silicon", "catalog", "issuing", *sorted(kinds[5:])]
    assert {each.kind: dict(each.signed) for each in found.keys if each.signed} == {
        "image-signing": {"image": 1},
        "os-signing": {"release": 1},
    }
    assert {each.state for each in found.keys} == {"in-force"}
    assert [each.subject for each in found.keys if each.kind == "silicon"] == [
        fleet.service.chips.get("mt3620").maker
    ], "of the makers of its chips, and no others"


def test_without_a_fresh_feed_nothing_is_good_news(fleet: AdvisoryFleet, clock: Clock) -> None:
    fleet.device(fleet.image(GOOD))
    assert set(trace(fleet).coverage) == {"unknown"}, "no feed"
    fleet.feed(osv("PYSEC-2026-1"))
    assert set(trace(fleet).coverage) == {"none-known"}
    clock.now += 60 * 86_400
    assert set(trace(fleet).coverage) == {"unknown"}, "stale"
    fleet.device(fleet.image())
    assert "unknown" in trace(fleet).coverage, "without a bill of materials"


def test_cases_and_reports_about_it_are_named(fleet: AdvisoryFleet) -> None:
    service = fleet.service
    for product in ("Kettle", None):
        said = Said(kind="aware", text="seen")
        service.casework.cases.aware(
            "severe-incident", said, title=f"of {product}", catalog="Contoso", product=product, actor="ann"
        )
    service.casework.cases.aware("severe-incident", Said(kind="aware"), title="x", catalog="Fabrikam", actor="ann")
    service.disclosure.policies.set({"is_open": True}, actor="ann")
    given = Submission(title="Pump", description="obeys everybody")
    mine, other = (service.disclosure.reports.receive(given, address="192.0.2.1").reference for _ in range(2))
    service.disclosure.reports.assign(mine, "Contoso", "Kettle", actor="ann")
    service.disclosure.reports.assign(other, "Fabrikam", "Pump", actor="ann")
    found = trace(fleet)
    assert [each["title"] for each in found.cases] == ["of None", "of Kettle"]
    assert [(each["reference"], each["state"]) for each in found.reports] == [(mine, "new")]
    assert "obeys" not in repr(found)


def test_nothing_of_another_catalog_is_in_it(fleet: AdvisoryFleet) -> None:
    theirs = fleet.image(BAD, catalog="Fabrikam")
    fleet.device(theirs, catalog="Fabrikam")
    fleet.feed(osv("PYSEC-2026-1"))
    mine, other = trace(fleet), trace(fleet, "Fabrikam", "Pump")
    assert (mine.devices["count"], mine.images, mine.advisories, mine.components) == (0, [], [], [])
    assert [each["id"] for each in other.images] == [str(theirs)]
    assert [each["devices"] for each in other.advisories] == [1]
    assert all("Fabrikam" not in each.target for each in mine.audit)
    with pytest.raises(NotFoundError):
        trace(fleet, "Contoso", "Pump")


def test_what_is_too_much_is_cut_and_said(fleet: AdvisoryFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.device(fleet.image(BAD, "pkg:pypi/flask@3.0.0"), fleet.image(BAD))
    fleet.feed(osv("PYSEC-2026-1"), osv("PYSEC-2026-2"))
    for name in ("GROUPS", "IMAGES", "KEYS", "COMPONENTS", "ADVISORIES", "LINES"):
        monkeypatch.setattr(product_trace, f"MAX_{name}", 1)
    found = trace(fleet)
    assert set(found.cut) == {"groups", "images", "keys", "components", "advisories", "audit"}
    assert {len(each) for each in (found.groups, found.images, found.keys, found.components, found.audit)} == {1}
