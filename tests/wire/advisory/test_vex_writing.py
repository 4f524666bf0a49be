# SPDX-License-Identifier: Apache-2.0
"""What is written in any of the three formats is read back as it was said, by the readers of foreign documents."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from armillary.wire.advisory.openvex import JUSTIFICATIONS
from armillary.wire.advisory.vex import Status
from armillary.wire.advisory.vex_document import read_vex
from armillary.wire.advisory.vex_writing import NO_ACTION, UNSAID, Claim, ClaimedProduct, VexHead, write

HEAD = VexHead(
    document_id=UUID(int=1),
    author="Contoso AG",
    namespace="https://contoso.example",
    at=1_800_000_000,
    title="Our states",
)
TAP = ClaimedProduct(product_id=UUID(int=2), name="tap", version="3", sha256="ab" * 32)
OS = ClaimedProduct(product_id=UUID(int=3), name="os", version="1.2")
words = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30).filter(str.strip)
products = st.builds(
    ClaimedProduct,
    product_id=st.uuids(),
    name=words.map(str.strip),
    version=st.sampled_from(["1", "2.0"]),
    sha256=st.sampled_from(["", "0f" * 32]),
)
claims = st.lists(
    st.builds(
        Claim,
        names=st.integers(1, 10**6).map(lambda each: (f"PYSEC-2026-{each}", f"CVE-2026-{each:04}")),
        summary=st.sampled_from(["", "It leaks."]),
        products=st.lists(products, min_size=1, max_size=3, unique_by=lambda each: each.product_id).map(tuple),
        status=st.sampled_from(list(Status)),
        justification=st.sampled_from(["", *sorted(JUSTIFICATIONS)]),
        reason=st.sampled_from(["", "It is not called."]),
        action=st.sampled_from(["", "Install version 4."]),
    ),
    min_size=1,
    max_size=4,
    unique_by=(lambda each: each.names, lambda each: each.products),
)


@pytest.mark.parametrize("form", ["openvex", "cyclonedx", "csaf"])
@given(said=claims)
def test_what_is_written_is_read_back(form: str, said: list[Claim]) -> None:
    found = read_vex(json.dumps(write(form, HEAD, said)).encode())
    assert {each.said for each in found} == {HEAD.at}
    assert {each.author for each in found} == {"Contoso AG"}
    for claim in said:
        mine = [each for each in found if set(each.names) == set(claim.names)]
        assert {each.status for each in mine} == {claim.status}
        ids = {name for each in mine for product in each.products for name in product.ids}
        for product in claim.products:
            known = {product.urn, f"sha256:{product.sha256}", f"{product.name} {product.version}"}
            assert known & ids, (product, ids)


def test_what_nobody_said_is_said_to_be_unsaid() -> None:
    bare = [
        Claim(names=("PYSEC-1",), summary="", products=(TAP,), status=Status.NOT_AFFECTED),
        Claim(names=("PYSEC-2",), summary="", products=(OS,), status=Status.AFFECTED),
    ]
    for form in ("openvex", "cyclonedx", "csaf"):
        text = json.dumps(write(form, HEAD, bare))
        assert UNSAID in text, form
        assert NO_ACTION in text, form
    with pytest.raises(KeyError):
        write("spreadsheet", HEAD, bare)
