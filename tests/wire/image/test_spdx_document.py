# SPDX-License-Identifier: Apache-2.0
"""SPDX documents as bills of materials: what is one, what is refused with its place, and the packages of one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from armillary.errors import InvalidArgumentError
from armillary.wire.image import spdx_document
from armillary.wire.image.bill_of_materials import BillOfMaterials, components_of, media_type_of, read_bill, title_of

ZLIB: dict[str, Any] = {
    "SPDXID": "SPDXRef-Package-zlib",
    "name": "zlib",
    "versionInfo": "1.3.1",
    "primaryPackagePurpose": "OPERATING_SYSTEM",
    "licenseConcluded": "NOASSERTION",
    "licenseDeclared": "Zlib",
    "externalRefs": [
        {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:zlib:zlib"},
        {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:generic/zlib@1.3.1"},
    ],
}
BILL: dict[str, Any] = {
    "spdxVersion": "SPDX-2.3",
    "SPDXID": "SPDXRef-DOCUMENT",
    "name": "image",
    "creationInfo": {"created": "2026-01-31T12:00:00Z", "creators": ["Tool: x"]},
    "packages": [ZLIB, {"SPDXID": "SPDXRef-2", "name": "busybox"}],
    # A circle, which nobody follows.
    "relationships": [
        {"spdxElementId": "SPDXRef-2", "relatedSpdxElement": "SPDXRef-2", "relationshipType": "CONTAINS"},
    ],
}


def document(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**BILL, **changes}.items() if value is not ...}).encode()


def test_a_document_says_how_many_packages_it_has_and_which() -> None:
    assert read_bill(document()) == BillOfMaterials("SPDX-2.3", 2)
    assert read_bill(document(packages=..., spdxVersion="SPDX-2.2")) == BillOfMaterials("SPDX-2.2", 0)
    zlib, busybox = components_of(b"\xef\xbb\xbf" + document())
    assert (zlib.name, zlib.version, zlib.purl) == ("zlib", "1.3.1", "pkg:generic/zlib@1.3.1")
    assert (zlib.kind, zlib.licences) == ("operating-system", ("Zlib",))
    assert (busybox.name, busybox.version, busybox.purl, busybox.kind) == ("busybox", "", "", "package")


def test_the_one_package_that_the_document_describes_is_no_part_of_itself() -> None:
    root = {"SPDXID": "SPDXRef-root", "name": "image"}
    told: dict[str, Any] = {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES"}
    one = [{**told, "relatedSpdxElement": "SPDXRef-root"}]
    for said in ({"relationships": one}, {"documentDescribes": ["SPDXRef-root"]}):
        given = document(packages=[root, ZLIB], **said)
        assert read_bill(given).components == 1
        assert [each.name for each in components_of(given)] == ["zlib"]
    # It has a package URL, or everything is described: then each may be what an advisory is about.
    both = [*one, {**told, "relatedSpdxElement": ZLIB["SPDXID"]}]
    for packages, relationships in (([root, ZLIB], both), ([{**ZLIB, "SPDXID": "SPDXRef-root"}], one)):
        given = document(packages=packages, relationships=relationships)
        assert read_bill(given).components == len(components_of(given)) == len(packages)
    odd = document(relationships=[7, {"relationshipType": "DESCRIBES", "relatedSpdxElement": []}], documentDescribes={})
    assert read_bill(odd).components == 2


def test_formats_are_told_apart_by_their_version() -> None:
    assert [media_type_of(each) for each in ("1.6", "SPDX-2.3")] == [
        "application/vnd.cyclonedx+json",
        "application/spdx+json",
    ]
    assert [title_of(each) for each in ("1.6", "SPDX-2.3")] == ["CycloneDX 1.6", "SPDX 2.3"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"spdxVersion": "SPDX-3.0"}, "spdxVersion: expected one of SPDX-2.2, SPDX-2.3"),
        ({"spdxVersion": 2.3}, "spdxVersion"),
        ({"SPDXID": "SPDXRef-other"}, "SPDXID: expected SPDXRef-DOCUMENT"),
        ({"creationInfo": ...}, "creationInfo"),
        ({"packages": {}}, "packages: expected a list"),
        ({"packages": ["zlib"]}, r"packages\[0\]: expected an object"),
        ({"packages": [{"name": "x"}]}, r"packages\[0\].SPDXID"),
        ({"packages": [{"SPDXID": "SPDXRef-a b", "name": "x"}]}, r"packages\[0\].SPDXID"),
        ({"packages": [ZLIB, ZLIB]}, r"packages\[1\].SPDXID.*each once"),
        ({"packages": [{"SPDXID": "SPDXRef-a"}]}, r"packages\[0\].name"),
        ({"packages": [{**ZLIB, "externalRefs": {}}]}, r"packages\[0\].externalRefs"),
    ],
)
def test_what_is_none_is_refused_with_its_place(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        read_bill(document(**changes))


def test_too_many_packages_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spdx_document, "MAX_COMPONENTS", 1)
    with pytest.raises(InvalidArgumentError, match="at most 1"):
        read_bill(document())


def test_a_document_of_both_formats_is_cyclonedx_or_nothing() -> None:
    with pytest.raises(InvalidArgumentError, match="specVersion"):
        read_bill(document(bomFormat="CycloneDX"))
