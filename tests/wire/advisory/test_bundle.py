# SPDX-License-Identifier: Apache-2.0
"""Feed bundles: what is packed comes out as it was, and whatever else comes is one error, in little memory."""

from __future__ import annotations

import zlib
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings, strategies as st

from armillary.errors import SignatureError, WireError
from armillary.wire.advisory import bundle as bundles
from armillary.wire.advisory.bundle import BundleStatement
from armillary.wire.encoding import cose

KEY, OTHER = (ec.derive_private_key(number, ec.SECP256R1()) for number in (3, 4))


def statement(packed: bytes, records: int) -> BundleStatement:
    return BundleStatement(
        feed="osv-pypi", kind="osv", source_url="https://example.com/all.zip", as_of=1_795_478_400,
        sha256=sha256(packed).digest(), records=records, size=len(packed), ecosystems=("PyPI", "Debian:12"),
    )  # fmt: skip


def opened(content: bytes, *keys: ec.EllipticCurvePrivateKey) -> tuple[BundleStatement, list[bytes]]:
    size = bundles.statement_size(content[: bundles.HEAD_BYTES])
    unverified = bundles.parse_statement(content[bundles.HEAD_BYTES : bundles.HEAD_BYTES + size])
    said, place = bundles.verify(unverified, [each.public_key() for each in keys or (OTHER, KEY)])
    assert place == len(keys or (1, 2)) - 1
    rest = content[unverified.offset :]
    return said, list(bundles.lines((rest[at : at + 100] for at in range(0, len(rest), 100)), said))


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=1, max_size=300).map(lambda each: each.replace(b"\n", b" ")), max_size=20))
def test_what_is_packed_comes_out_as_it_was(records: list[bytes]) -> None:
    packed, count = bundles.pack_records(records)
    said = statement(packed, count)
    assert opened(bundles.seal(said, packed, KEY)) == (said, records)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_garbage_is_a_bundle_or_a_wire_error(data: bytes) -> None:
    for content in (data, bundles.MAGIC + data, bundles.MAGIC + b"\0\0\0\x10" + data):
        with pytest.raises(WireError):
            opened(content)


def test_another_signature_of_the_same_key_is_none_of_a_bundle() -> None:
    """The key signs evidence of something else: that is no feed, whatever it says."""
    packed, count = bundles.pack_records([b"{}"])
    good = bundles.seal(statement(packed, count), packed, KEY)
    size = bundles.statement_size(good[: bundles.HEAD_BYTES])
    payload = cose.parse_sign1(good[bundles.HEAD_BYTES : bundles.HEAD_BYTES + size]).payload
    foreign = cose.encode_sign1(payload, KEY)
    with pytest.raises(SignatureError):
        opened(bundles.MAGIC + len(foreign).to_bytes(4, "big") + foreign + packed)
    assert opened(good)[1] == [b"{}"]


def test_records_that_unpack_to_far_more_than_they_are_stop_early() -> None:
    bomb = zlib.compress((b"x" * 99_999 + b"\n") * 600, 9)
    with pytest.raises(WireError, match="200th"):
        opened(bundles.seal(statement(bomb, 600), bomb, KEY))


def test_one_record_is_not_longer_than_a_record_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_RECORD_BYTES", 1000)
    long = zlib.compress(b"x" * 1001 + b"\n")
    with pytest.raises(WireError, match="a longer one"):
        opened(bundles.seal(statement(long, 1), long, KEY))
    with pytest.raises(WireError, match="1 to 1000 bytes"):
        bundles.pack_records([b"x" * 1001])


@pytest.mark.parametrize(
    "packed", [zlib.compress(b"a\nb"), zlib.compress(b"a\n") + b"x", zlib.compress(b"a\n")[:-1], b"x"]
)
def test_records_end_where_they_should(packed: bytes) -> None:
    with pytest.raises(WireError):
        opened(bundles.seal(statement(packed, 1), packed, KEY))


@pytest.mark.parametrize(
    "change",
    [
        {"feed": ""}, {"feed": "Ab"}, {"feed": "a" * 64}, {"kind": "x"}, {"source_url": ""}, {"source_url": "a\nb"},
        {"as_of": 0}, {"as_of": 1 << 41}, {"records": -1}, {"records": 1_000_001}, {"size": 0},
        {"ecosystems": ("",)}, {"ecosystems": ("x" * 65,)}, {"ecosystems": ("x",) * 257},
    ],
)  # fmt: skip
def test_a_statement_that_cannot_be_is_not_signed(change: dict[str, object]) -> None:
    packed, count = bundles.pack_records([b"{}"])
    with pytest.raises(WireError):
        bundles.seal(replace(statement(packed, count), **change), packed, KEY)
