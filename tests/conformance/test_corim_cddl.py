# SPDX-License-Identifier: Apache-2.0
"""CoRIM against what others wrote: the draft's CDDL judges our bytes, and we judge the draft's own examples.

``corim/corim.cddl`` says where it comes from. ``corim/corim-1.cbor`` and ``corim-2.cbor`` are cddl/examples/corim-1.diag
and corim-2.diag of github.com/ietf-rats-wg/draft-ietf-rats-corim (2026-08-19) in binary form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.wire.attestation.test_corim import VALUE

from armillary.errors import WireError
from armillary.wire.attestation import corim, corim_fields

FOLDER = Path(__file__).parent / "corim"
KEY = ec.generate_private_key(ec.SECP256R1())


def schema(start: str) -> Any:
    pycddl = pytest.importorskip("pycddl", reason="needs the CDDL validator pycddl (pip install pycddl)")
    return pycddl.Schema(f"start = {start}\n" + (FOLDER / "corim.cddl").read_text())


@pytest.mark.parametrize("name", ["corim-1", "corim-2"])
def test_the_schema_accepts_the_drafts_examples(name: str):
    """The positive control: without it a schema that accepts nothing, or anything, would not show."""
    judge = schema("tagged-unsigned-corim-map")
    data = (FOLDER / f"{name}.cbor").read_bytes()
    judge.validate_cbor(data)
    with pytest.raises(Exception, match="expected tagged data"):
        judge.validate_cbor(data.replace(b"\xd9\x01\xf5", b"\xd9\x01\xf4", 1))


def test_the_schema_accepts_what_we_write():
    data = corim.encode_corim(VALUE)
    schema("tagged-unsigned-corim-map").validate_cbor(data)
    schema("tagged-unsigned-corim-map").validate_cbor(_with_validity())
    found = corim.parse_signed_corim(corim.sign_corim(VALUE, KEY, "Contoso", key_id=b"2026")).envelope
    schema("protected-corim-header-map").validate_cbor(found.message.protected)
    schema("tagged-unsigned-corim-map").validate_cbor(found.message.payload)


def test_the_drafts_example_of_one_component_is_read():
    found = corim.parse_corim((FOLDER / "corim-1.cbor").read_bytes())
    assert (found.chip, found.os_version, found.passed_over) == ("ACME RoadRunner", "1.0.0", ("version-scheme",))
    (one,) = found.components
    assert (one.vendor, one.layer, one.image_type, one.digest[:3].hex()) == ("ACME Inc.", 1, None, "44aa33")


def test_the_drafts_example_of_two_products_is_refused_for_the_field_that_tells_them_apart():
    data = (FOLDER / "corim-2.cbor").read_bytes()
    with pytest.raises(WireError, match="index, which does not fit") as caught:
        corim.parse_corim(data)
    assert caught.value.offset == 265
    with pytest.raises(WireError, match="one chip and one version"):
        corim.parse_corim(data, waived=frozenset({"index"}))


def test_the_drafts_example_is_read_once_it_says_what_a_release_needs():
    """corim-1 with our four further fields in place of its version scheme: nothing else of it is changed."""
    data = (FOLDER / "corim-1.cbor").read_bytes()
    scheme, layer = b"\xa2\x00\x65" + b"1.0.0" + b"\x01\x19\x40\x00", b"\x03\x01\x81\xa1\x01\xa2\x00"
    assert (data.count(scheme), data.count(layer)) == (1, 1)
    changed = data.replace(scheme, b"\xa1\x00\x65" + b"1.0.0" + b"\x01\xd9\x02\x28\x03")
    changed = changed.replace(layer, b"\x03\x00\x81\xa2\x00\x11\x01\xa5\x00")
    changed += b"\x0a\x50" + bytes(16) + b"\x0b\x64" + b"boot"
    grown = len(changed) - len(data)
    at = data.index(b"\xd9\x01\xfa\x58") + 4  # the length of the CoMID
    changed = changed[:at] + bytes((data[at] + grown,)) + changed[at + 1 :]
    found = corim.parse_corim(changed)
    assert (found.chip, found.os_version, found.components[0].vendor) == ("ACME RoadRunner", "1.0.0", "ACME Inc.")
    assert found.entities == (corim_fields.Entity(name="ACME Inc.", roles=(0,), uri="https://acme.example"),)
    assert corim.encode_corim(found) == changed


def _with_validity() -> bytes:
    value = corim.parse_corim(corim.encode_corim(VALUE))
    return corim.encode_corim(
        corim.Corim(
            corim_id="a name",
            tag_id="another",
            chip=value.chip,
            os_version=value.os_version,
            components=value.components,
            entities=(corim_fields.Entity(name="A", roles=(0, 1, 2), uri="https://a.example"),),
            not_before=1,
            not_after=2,
        )
    )
