# SPDX-License-Identifier: Apache-2.0
"""Reference values survive CoRIM, in both forms, and so does what a file of others leaves out."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.attestation import corim, corim_fields
from armillary.wire.encoding.cbor_cursor import Cursor

KEY = ec.generate_private_key(ec.SECP256R1())


def text(limit: int) -> st.SearchStrategy[str]:
    letters = st.characters(codec="utf-8", categories=("L", "N", "P", "S"))
    return st.text(letters, min_size=1, max_size=limit // 4)


identity = st.uuids() | text(corim_fields.MAX_NAME_BYTES)
claim = st.builds(
    corim_fields.ReferenceClaim,
    component_id=st.uuids(),
    image_type=st.integers(0, corim_fields.MAX_IMAGE_TYPE),
    layer=st.just(0),
    name=text(corim_fields.MAX_NAME_BYTES),
    image_id=st.uuids(),
    security_version=st.integers(0, corim_fields.MAX_SECURITY_VERSION),
    digest=st.binary(min_size=32, max_size=32),
    vendor=st.none() | text(corim_fields.MAX_NAME_BYTES),
)
entity = st.builds(
    corim_fields.Entity,
    name=text(corim_fields.MAX_NAME_BYTES),
    roles=st.lists(st.integers(0, 2), min_size=1, max_size=3).map(tuple),
    uri=st.none() | text(corim_fields.MAX_URI_BYTES),
)


@st.composite
def values(draw: st.DrawFn) -> corim.Corim:
    claims = draw(st.lists(claim, min_size=1, max_size=12, unique_by=lambda one: one.component_id))
    validity: dict[str, Any] = {}
    if draw(st.booleans()):
        validity = {"not_before": draw(st.none() | st.integers(0, 2**35)), "not_after": draw(st.integers(0, 2**35))}
    return corim.Corim(
        corim_id=draw(identity),
        tag_id=draw(identity),
        chip=draw(text(corim_fields.MAX_CHIP_BYTES)),
        os_version=draw(text(corim_fields.MAX_VERSION_BYTES)),
        components=tuple(dataclasses.replace(one, layer=layer) for layer, one in enumerate(claims)),
        entities=tuple(draw(st.lists(entity, max_size=3))),
        **validity,
    )


@given(values())
def test_every_value_survives_both_forms(value: corim.Corim):
    data = corim.encode_corim(value)
    assert corim.parse_corim(data) == value
    found = corim.parse_signed_corim(corim.sign_corim(value, KEY, "signer"))
    assert corim.verify_signed_corim(found, KEY.public_key(), now=0) == value
    assert found.envelope.message.payload == data


@given(values(), st.data())
def test_what_is_not_said_stays_unsaid(value: corim.Corim, data: st.DataObject):
    optional = ("component_id", "image_type", "name", "image_id", "security_version")
    components = []
    for one in value.components:
        absent = data.draw(st.sets(st.sampled_from(optional)))
        element = (
            data.draw(st.none() | st.uuids() | text(corim_fields.MAX_NAME_BYTES)) if "image_type" in absent else None
        )
        changes: dict[str, Any] = dict.fromkeys(absent)
        components.append(dataclasses.replace(one, layer=None, element=element, **changes))
    said = dataclasses.replace(
        value,
        components=tuple(components),
        chip=data.draw(st.none() | st.just(value.chip)),
        os_version=data.draw(st.none() | st.just(value.os_version)),
    )
    assert corim.parse_corim(corim.encode_corim(said)) == said


@given(st.binary(max_size=200))
def test_any_item_is_skipped_whole_or_refused(raw: bytes):
    cursor = Cursor(raw, "item")
    with suppress(WireError):
        cursor.skip()
        assert cursor.at > 0
    assert cursor.at <= len(raw)
