# SPDX-License-Identifier: Apache-2.0
"""CycloneDX documents: what is one, and what is refused with its place in the document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError
from armillary.wire.image import bill_of_materials as format_
from armillary.wire.image.bill_of_materials import BillOfMaterials, components_of, read_bill

BILL: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
    "version": 1,
    "components": [
        {"type": "library", "name": "zlib", "version": "1.3.1", "components": [{"type": "file", "name": "zlib.h"}]},
        {"type": "operating-system", "name": "debian"},
    ],
}


def read(**changes: Any) -> BillOfMaterials:
    document = {name: value for name, value in {**BILL, **changes}.items() if value is not ...}
    return read_bill(json.dumps(document).encode())


def test_a_document_says_how_many_components_it_has() -> None:
    assert read() == BillOfMaterials("1.6", 3)
    assert read(components=..., serialNumber=..., version=...) == BillOfMaterials("1.6", 0)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"bomFormat": "SPDX"}, "bomFormat"),
        ({"bomFormat": ...}, "bomFormat: expected CycloneDX, got nothing"),
        ({"specVersion": "2.0"}, "specVersion"),
        ({"specVersion": 1.6}, "specVersion"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"serialNumber": "3e671687"}, "serialNumber"),
        ({"components": {}}, "components: expected a list"),
        ({"components": ["zlib"]}, r"components\[0\]: expected an object"),
        ({"components": [{"type": "library"}]}, r"components\[0\].name"),
        ({"components": [{"type": "thing", "name": "x"}]}, r"components\[0\].type"),
        ({"components": [{"type": ["library"], "name": "x"}]}, r"components\[0\].type"),
        ({"components": [{"type": "file", "name": "x", "components": 3}]}, r"components\[0\].components"),
    ],
)
def test_what_is_none_is_refused_with_its_place(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        read(**changes)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b'"x"', b"\xff\xfe", b'{"bomFormat": "CycloneDX", "bomFormat": "x"}', b'{"version": NaN}'],
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="bill of materials"):
        read_bill(data)


def test_what_is_too_large_or_too_deep_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgumentError, match="bill of materials"):
        read_bill(b"[" * 200_000)
    nested: dict[str, Any] = {"type": "file", "name": "x"}
    for _ in range(format_.MAX_DEPTH):
        nested = {"type": "file", "name": "x", "components": [nested]}
    with pytest.raises(InvalidArgumentError, match="levels"):
        read(components=[nested])
    monkeypatch.setattr(format_, "MAX_COMPONENTS", 2)
    with pytest.raises(InvalidArgumentError, match="at most 2"):
        read()
    monkeypatch.setattr(format_, "MAX_BYTES", 100)
    with pytest.raises(InvalidArgumentError, match="at most 100 bytes"):
        read()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*BILL, "type", "name"]), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(list(BILL)), JSON))
def test_whatever_is_given_is_a_document_or_refused(changes: dict[str, Any]) -> None:
    try:
        found = read(**changes)
    except InvalidArgumentError:
        return
    assert found.components >= 0


def test_components_are_read_with_those_within_them_and_what_they_say() -> None:
    written = {
        **BILL,
        "components": [
            {
                "type": "library", "group": "org.apache", "name": "commons", "version": "2", "purl": "pkg:maven/x@2",
                "licenses": [{"license": {"id": "Apache-2.0"}}, {"license": {"name": "Ours"}}, {"expression": "A OR B"}],
                "components": [{"type": "file", "name": "n" * 1024}],
            },
            {"type": "data", "name": "odd", "version": 7, "purl": None, "licenses": [3, {"license": []}, {}]},
        ],
    }  # fmt: skip
    document = json.dumps(written).encode()
    assert read_bill(document).components == 3
    first, inner, odd = components_of(document)
    assert (first.name, first.version, first.kind, first.depth) == ("org.apache/commons", "2", "library", 0)
    assert (first.purl, first.licences) == ("pkg:maven/x@2", ("Apache-2.0", "Ours", "A OR B"))
    assert (inner.name, inner.depth) == ("n" * 1024, 1)
    assert (odd.version, odd.purl, odd.licences) == ("", "", ())


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["group", "version", "purl", "licenses", "components"]), _ANYTHING))
def test_whatever_is_taken_is_shown(said: dict[str, Any]) -> None:
    document = json.dumps({**BILL, "components": [{**said, "type": "file", "name": "x"}]}).encode()
    try:
        count = read_bill(document).components
    except InvalidArgumentError:
        return
    assert len(components_of(document)) == count
