# SPDX-License-Identifier: Apache-2.0
"""Bills of materials in the console: whether there is one and what that means, its components, taken and given back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.console.hub_scene import HubScene
from tests.fixtures.images import manifest, package

from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN
from armillary.console.releases.pages_bill import bill_section, bill_state
from armillary.engines.records.schema.rows import Image

BILL = {
    "added_at": 990_000, "added_by": "ann", "spec_version": "1.6", "size": 2048, "components": 120, "sha256": "ab" * 32
}  # fmt: skip


def component(name: str, **change: Any) -> dict[str, Any]:
    return {"name": name, "version": "1", "kind": "library", "purl": "", "licences": (), "depth": 0} | change


def document(*components: dict[str, Any]) -> bytes:
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": list(components)}).encode()


@pytest.fixture
def image(hub_scene: HubScene) -> Image:
    described = manifest(Capabilities={"AllowedConnections": ["broker.example.com"]})
    return hub_scene.running.service.updates.images.upload("northwind", package(described), actor="test")


@pytest.mark.parametrize(
    ("policy", "kind", "word"),
    [("required", BAD, "missing, required"), ("warned", ATTENTION, "missing"), ("off", UNKNOWN, "none")],
)
def test_one_that_lacks_is_worth_what_the_setting_says(policy: str, kind: str, word: str) -> None:
    state = bill_state(None, policy)
    assert (state.kind, state.word) == (kind, word)
    assert bill_state(BILL, policy).kind == GOOD
    section = bill_section(
        {"bill": None, "bill_components": [], "bill_policy": policy}, "/x", asked="", after=0, now=1, form=None
    )
    assert "None was added" in section.none
    assert section.rows == ()


@pytest.mark.parametrize(
    ("asked", "names"),
    [("", 120), ("ZLIB", 1), ("0.9.9", 1), ("pkg:deb/curl", 1), ("gpl-2", 1), ("nothing of it", 0)],
)
def test_components_are_found_by_name_version_address_and_licence(asked: str, names: int) -> None:
    named = [
        component("zlib"),
        component("old", version="0.9.9"),
        component("a", purl="pkg:deb/curl@8"),
        component("b", licences=("GPL-2.0-only",)),
    ]
    found = {"bill": BILL, "bill_policy": "off", "bill_components": named + [component(f"c{n}") for n in range(116)]}
    first = bill_section(found, "/x", asked=asked, after=0, now=1_000_000, form=None)
    shown, href = list(first.rows), first.next_href
    while href:
        after = int(href.partition("after=")[2].partition("#")[0])
        page = bill_section(found, "/x", asked=asked, after=after, now=1_000_000, form=None)
        shown, href = [*shown, *page.rows], page.next_href
    assert len(shown) == names
    assert ("match" in first.note) == bool(asked)


def test_a_bill_of_a_release_is_taken_searched_and_given_back_as_it_came(hub_scene: HubScene) -> None:
    service, look = hub_scene.running.service, hub_scene.browser()
    release = service.attestation.drafts.create("imx8mp", "52.1", actor="test")
    here = f"/releases/{release.release_id}"
    assert "Add the bill of materials" in look.get(here).text
    assert look.get(f"{here}/bill.json").status == 404
    given = document(
        {"type": "library", "name": "zlib", "version": "1.3.1", "licenses": [{"license": {"id": "Zlib"}}]},
        {"type": "application", "name": "<script>alert(1)</script>", "components": [{"type": "file", "name": "inner"}]},
    )
    taken = look.upload(f"{here}/bill", {"document": given})
    assert taken.status == 303, taken.text
    page = look.get(here).text
    assert "<script>alert" not in page
    for says in ("3 components", "zlib", "Zlib", "part of another, 1 level down", "Replace the bill of materials"):
        assert says in page
    found = look.get(f"{here}?q=zlib").text
    assert ("1 of 3 components match" in found, "inner" in found) == (True, False)
    kept = look.get(f"{here}/bill.json")
    assert (kept.body, kept.headers["content-type"]) == (given, "application/vnd.cyclonedx+json")
    assert kept.headers["content-disposition"] == f'attachment; filename="release-{release.release_id}.cdx.json"'
    line = service.audit.list(target=str(release.release_id)).items[0]
    assert (line.operation, line.actor) == ("release.add-sbom", "Administrator-token")


def test_a_document_that_is_none_says_where_and_changes_nothing(hub_scene: HubScene, image: Image) -> None:
    look, here = hub_scene.browser(), f"/images/northwind/{image.image_id}"
    look.get(here)
    for sent, says in (
        ({"document": b"{"}, "bill of materials"),
        ({"document": document({"type": "library"})}, "components[0].name: expected text"),
        ({}, "no file was chosen"),
    ):
        refused = look.upload(f"{here}/bill", sent)
        assert refused.status == 400
        assert says in refused.text
        assert "Nothing was changed" in refused.text
    assert look.get(f"{here}/bill.json").status == 404


def test_images_of_a_catalog_are_listed_with_their_bills(hub_scene: HubScene, image: Image) -> None:
    look, here = hub_scene.browser("Contributor"), f"/images/northwind/{image.image_id}"
    listed = look.get("/images?catalog=northwind").text
    assert here in listed
    assert "contoso" in listed, "the other catalog is one click away"
    page = look.get(here).text
    assert "which asks to reach broker.example.com" in page
    assert look.upload(f"{here}/bill", {"document": document()}).status == 303
    assert "It lists no component." in look.get(here).text
    assert hub_scene.browser("Reader").upload(f"{here}/bill", {"document": document()}).status == 403
    assert look.get(f"/images/contoso/{image.image_id}").status == 404


def test_every_page_says_what_one_that_lacks_is_worth_by_the_setting(
    hub_scene: HubScene, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, look = hub_scene.running.service, hub_scene.browser("Reader")
    monkeypatch.setattr(type(service.updates.bills), "policy", property(lambda _: "required"))
    release = service.attestation.drafts.create("imx8mp", "52.2", actor="test")
    pages = ("/releases", "/images?catalog=northwind", f"/images/northwind/{image.image_id}")
    for path in (*pages, f"/releases/{release.release_id}"):
        page = look.get(path).text
        assert "missing, required" in page or "without one it is not published" in page, path
