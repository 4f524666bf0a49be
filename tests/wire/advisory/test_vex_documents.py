# SPDX-License-Identifier: Apache-2.0
"""VEX in its three formats: the same statements, and documents that are none, each refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.conformance.foreign_vectors import VECTORS, needs

from armillary.errors import AdvisoryError
from armillary.wire.advisory import vex_document
from armillary.wire.advisory.vex import Product, Status, UnverifiedStatement
from armillary.wire.advisory.vex_document import read_vex

TIME = "2026-01-31T12:00:00Z"
AT = 1_769_860_800
PURL = "pkg:pypi/x@1.0"
OPENVEX: dict[str, Any] = {
    "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/1", "author": "us", "timestamp": TIME, "version": 1,
    "statements": [
        {
            "vulnerability": {"name": "CVE-2026-1", "aliases": ["GHSA-1"]},
            "products": [{"@id": PURL, "hashes": {"sha-256": "AA"}, "subcomponents": [{"identifiers": {"purl": "pkg:pypi/y"}}]}],
            "status": "not_affected",
            "justification": "component_not_present",
        }
    ],
}  # fmt: skip
CYCLONEDX: dict[str, Any] = {
    "bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:1", "version": 3,
    "metadata": {"timestamp": TIME, "supplier": {"name": "us"}, "component": {"bom-ref": "whole", "hashes": [{"alg": "SHA-256", "content": "AA"}]}},
    "components": [{"type": "library", "name": "a", "components": [{"bom-ref": "x", "purl": PURL}]}],
    "vulnerabilities": [
        {
            "id": "CVE-2026-1",
            "references": [{"id": "GHSA-1"}],
            "analysis": {"state": "not_affected", "justification": "code_not_present", "detail": "because"},
            "affects": [{"ref": "x"}, {"ref": "whole"}, {"ref": "urn:cdx:2/1#z"}],
        },
        {"id": "CVE-2026-2", "affects": [{"ref": "x"}]},
    ],
}  # fmt: skip
CSAF: dict[str, Any] = {
    "document": {"publisher": {"name": "us"}, "tracking": {"id": "U-1", "current_release_date": TIME}},
    "product_tree": {
        "branches": [{"branches": [{"product": {"product_id": "P1", "name": "x 1.0", "product_identification_helper": {"purl": PURL}}}]}],
        "full_product_names": [
            {"product_id": "P2", "name": "image", "product_identification_helper": {"hashes": [{"file_hashes": [{"algorithm": "sha256", "value": "AA"}]}]}}
        ],
        "relationships": [{"product_reference": "P1", "relates_to_product_reference": "P2", "full_product_name": {"product_id": "P3"}}],
        "product_groups": [{"group_id": "G", "product_ids": ["P3"]}],
    },
    "vulnerabilities": [
        {
            "cve": "CVE-2026-1",
            "ids": [{"text": "GHSA-1"}],
            "product_status": {"known_not_affected": ["P3"], "fixed": ["P1"], "recommended": ["P1"]},
            "flags": [{"label": "component_not_present", "group_ids": ["G"]}],
            "threats": [{"category": "impact", "details": "because", "product_ids": ["P3"]}, {"category": "exploit_status", "details": "no"}],
        }
    ],
}  # fmt: skip


def read(document: dict[str, Any]) -> tuple[UnverifiedStatement, ...]:
    return read_vex(json.dumps(document).encode())


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the value at ``a.0.b`` replaced; ``...`` removes it."""
    made = json.loads(json.dumps(document))
    *before, last = path.split(".")
    place = made
    for each in before:
        place = place[int(each)] if each.isdecimal() else place[each]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdecimal() else last] = value
    return made


def test_openvex() -> None:
    (found,) = read(OPENVEX)
    assert (found.names, found.status, found.said, found.author) == (
        ("CVE-2026-1", "GHSA-1"),
        Status.NOT_AFFECTED,
        AT,
        "us",
    )
    assert found.products == (Product((PURL, "sha256:aa"), ("pkg:pypi/y",)),)
    assert (found.justification, found.document) == ("component_not_present", "https://example.com/1")
    (older,) = read(
        changed(changed(OPENVEX, "statements.0.vulnerability", "CVE-2026-1"), "statements.0.products", [PURL])
    )
    assert (older.names, older.products) == (("CVE-2026-1",), (Product((PURL,)),))
    (own,) = read(changed(OPENVEX, "statements.0.timestamp", "1970-01-01T00:00:01Z"))
    assert own.said == 1


def test_cyclonedx() -> None:
    (found,) = read(CYCLONEDX)
    assert (found.names, found.status, found.said, found.author) == (
        ("CVE-2026-1", "GHSA-1"),
        Status.NOT_AFFECTED,
        AT,
        "us",
    )
    assert found.products == (Product((PURL,)), Product(("sha256:aa",)), Product(("urn:cdx:2/1#z",)))
    assert (found.justification, found.reason, found.document) == ("code_not_present", "because", "urn:uuid:1/3")


def test_cyclonedx_versions_are_those_that_are_listed_as_affected() -> None:
    versions = [{"version": "1.5"}, {"version": "2.0", "status": "unaffected"}, {"range": "vers:pypi/<3"}]
    (found,) = read(changed(CYCLONEDX, "vulnerabilities.0.affects", [{"ref": "x", "versions": versions}]))
    assert found.products == (Product(("pkg:pypi/x@1.5",)),)


def test_csaf() -> None:
    fixed, not_affected = sorted(read(CSAF), key=lambda each: each.status)
    assert (fixed.status, fixed.products) == (Status.FIXED, (Product((PURL, "x 1.0")),))
    assert (not_affected.status, not_affected.names) == (Status.NOT_AFFECTED, ("CVE-2026-1", "GHSA-1"))
    assert not_affected.products == (Product(("sha256:aa", "image"), (PURL, "x 1.0")),)
    assert (not_affected.justification, not_affected.reason, not_affected.said) == (
        "component_not_present",
        "because",
        AT,
    )


def deep(word: str, depth: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for _ in range(depth):
        found = [{word: found}]
    return found


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "OpenVEX"),
        ({"statements": []}, "OpenVEX"),
        (changed(OPENVEX, "@context", "https://example.com"), "@context"),
        (changed(OPENVEX, "author", ...), "author"),
        (changed(OPENVEX, "timestamp", "now"), "timestamp"),
        (changed(OPENVEX, "statements.0.status", "safe"), r"statements\[0\].status"),
        (changed(OPENVEX, "statements.0.justification", "trust me"), r"statements\[0\].justification"),
        (changed(OPENVEX, "statements.0.justification", ...), r"statements\[0\].justification"),
        (changed(OPENVEX, "statements.0.products", []), r"statements\[0\].products"),
        (changed(OPENVEX, "statements.0.products", "x"), r"statements\[0\].products"),
        (changed(OPENVEX, "statements.0.products", [{}]), "@id"),
        (changed(OPENVEX, "statements.0.vulnerability", {}), "vulnerability.name"),
        (changed(OPENVEX, "statements.0.vulnerability", ...), "vulnerability"),
        (changed(CYCLONEDX, "vulnerabilities.0.analysis.state", "fine"), r"vulnerabilities\[0\].analysis.state"),
        (changed(CYCLONEDX, "metadata.timestamp", ...), r"vulnerabilities\[0\].updated: a time"),
        (changed(CYCLONEDX, "vulnerabilities.0.id", ...), r"vulnerabilities\[0\].id"),
        (changed(CYCLONEDX, "vulnerabilities.0.affects.0", {}), r"affects\[0\].ref"),
        (changed(CYCLONEDX, "components", deep("components", 70)), "at most 64 levels"),
        (changed(CSAF, "document.tracking", ...), "document.tracking"),
        (changed(CSAF, "document.publisher.name", 3), "publisher.name"),
        (changed(CSAF, "vulnerabilities.0.product_status.fixed", ["P9"]), "products of the product tree"),
        (changed(CSAF, "vulnerabilities.0.product_status.known_affected", ["P1"]), "each product in one state"),
        (changed(CSAF, "product_tree.relationships.0.product_reference", "P9"), r"relationships\[0\].product_reference"),
        (changed(CSAF, "product_tree.branches", deep("branches", 70)), "at most 64 levels"),
        (changed(changed(CSAF, "vulnerabilities.0.cve", ...), "vulnerabilities.0.ids", []), "a CVE or ids"),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_its_place(document: dict[str, Any], named: str) -> None:
    with pytest.raises(AdvisoryError, match=named):
        read(document)


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vex_document, "MAX_BYTES", 100)
    with pytest.raises(AdvisoryError, match="at most 100 bytes"):
        read(OPENVEX)


@needs(VECTORS / "advisories" / "csaf")
def test_the_examples_of_the_standards_are_read() -> None:
    documents = [
        path
        for folder, pattern in (("csaf", "20*.json"), ("csaf", "sec-*.json"), ("cyclonedx-1.6", "valid-*.json"))
        for path in sorted((VECTORS / "advisories" / folder).glob(pattern))
    ]
    said = {path.name: len(read_vex(path.read_bytes())) for path in documents}
    assert len(said) >= 50
    assert said["2022-evd-uc-02-na-001.json"] == 19
    assert said["valid-vulnerability-1.6.json"] == 1
    states = [
        read_vex((VECTORS / "advisories" / "csaf" / f"2022-evd-uc-01-{each}-001.json").read_bytes())[0].status
        for each in ("a", "f", "na", "ui")
    ]
    assert states == [Status.AFFECTED, Status.FIXED, Status.NOT_AFFECTED, Status.UNDER_INVESTIGATION]
