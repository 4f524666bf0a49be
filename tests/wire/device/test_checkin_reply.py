# SPDX-License-Identifier: Apache-2.0
"""The fast encoder gives what the plain one gives, byte for byte."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import WireError
from armillary.wire.device.checkin import AppraisalStep, CheckinReply, Offer, OfferedImage, encode_reply, parse_reply
from armillary.wire.device.checkin_reply import MAX_CACHED, ReplyEncoder
from armillary.wire.device.offer_timing import OfferTiming

uuids = st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number))
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
steps = st.one_of(
    st.builds(AppraisalStep, st.integers(1, 20), words, words, st.just("fail"), words),
    st.builds(AppraisalStep, st.integers(1, 20), words, words, st.just("pass"), st.just("")),
)
images = st.builds(
    OfferedImage,
    component_id=uuids,
    image_id=uuids,
    image_type=st.integers(0, 30),
    name=words,
    size=st.integers(0, 2**32),
    sha256=st.binary(min_size=32, max_size=32),
)
offers = st.builds(
    Offer,
    offer_id=uuids,
    deployment_id=st.none() | uuids,
    images=st.lists(images, max_size=3).map(tuple),
    os_version=words | st.just(""),
    os_abi=st.integers(0, 9),
    when=st.none() | st.builds(OfferTiming, not_before=st.integers(0, 2**33), urgent=st.booleans()),
)


@settings(max_examples=examples(100), deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "steps": st.lists(steps, max_size=4).map(tuple),
            "catalog_id": uuids,
            "offer": st.none() | offers,
            "next_check_in_s": st.integers(0, 86400),
            "challenge": st.binary(min_size=8, max_size=64),
            "server_time": st.integers(0, 2**33),
            "version": st.sampled_from([1, 2, 3, 4]),
            "log_request": st.none() | uuids,
            "dumps": st.sampled_from([0, 1, 2]),
            "directive": st.none() | st.binary(max_size=300),
        }
    ),
    st.sampled_from([{"verdict": "attested", "purpose": "client"}, {"verdict": "update-only", "purpose": "update"}]),
    st.binary(min_size=1, max_size=300),
    st.tuples(st.binary(min_size=1, max_size=300), st.binary(min_size=1, max_size=300)),
    st.tuples(words, st.integers(0, 65535)),
)
def test_equal_to_the_plain_encoder(fields, verdict, leaf, authorities, hub) -> None:  # type: ignore[no-untyped-def]
    encoder = ReplyEncoder()
    fields |= verdict
    if fields["version"] == 1 or fields["offer"] is not None:
        fields["directive"] = None
    others = {name: value for name, value in fields.items() if name != "version"}
    plain = CheckinReply(
        **others,
        certificate_chain=(leaf, *authorities),
        hub_host=hub[0],
        hub_port=hub[1],
        protocol_version=fields["version"],
    )
    for _ in range(2):  # encoded, then from the cache
        assert encoder.encode(**fields, leaf=leaf, authorities=authorities, hub=hub) == encode_reply(plain)


def encode(encoder: ReplyEncoder, leaf: bytes, authorities: tuple[bytes, bytes]) -> bytes:
    return encoder.encode(
        verdict="attested",
        steps=(),
        leaf=leaf,
        authorities=authorities,
        purpose="client",
        catalog_id=UUID(int=1),
        offer=None,
        next_check_in_s=1,
        challenge=bytes(54),
        server_time=1,
        hub=("localhost", 8883),
    )


def test_equal_looking_objects_are_not_mixed_up_and_the_memory_is_bounded() -> None:
    encoder = ReplyEncoder()
    for number in range(MAX_CACHED + 10):
        authorities = (b"issuer %d" % number, b"root")
        assert parse_reply(encode(encoder, b"leaf", authorities)).certificate_chain == (b"leaf", *authorities)
    assert len(encoder._authorities._known) <= MAX_CACHED


def test_a_reply_that_is_too_large_is_refused() -> None:
    with pytest.raises(WireError):
        encode(ReplyEncoder(), bytes(70_000), (b"a", b"b"))
