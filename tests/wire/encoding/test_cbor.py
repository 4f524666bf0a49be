# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.cbor_items import items_of

from armillary.errors import WireError
from armillary.wire.encoding import cbor


def decode(text: str, limit: int = 1000):
    return cbor.decode(bytes.fromhex(text), what="test", limit=limit)


# RFC 8949 appendix A, the part that is in the profile
ACCEPTED = {
    "00": 0,
    "17": 23,
    "1818": 24,
    "1903e8": 1000,
    "1b000000e8d4a51000": 1_000_000_000_000,
    "1bffffffffffffffff": 2**64 - 1,
    "20": -1,
    "3903e7": -1000,
    "3bffffffffffffffff": -(2**64),
    "40": b"",
    "4401020304": b"\x01\x02\x03\x04",
    "60": "",
    "6449455446": "IETF",
    "62c3bc": "\u00fc",
    "80": [],
    "8301820203820405": [1, [2, 3], [4, 5]],
    "a0": {},
    "a201020304": {1: 2, 3: 4},
    "a26161016162820203": {"a": 1, "b": [2, 3]},
    "f4": False,
    "f5": True,
    "f6": None,
    "a3186402200161610 3".replace(" ", ""): {100: 2, -1: 1, "a": 3},  # bytewise order, not length first
}


@pytest.mark.parametrize("text", ACCEPTED)
def test_one_value_one_spelling(text: str):
    assert decode(text) == ACCEPTED[text]
    assert cbor.encode(ACCEPTED[text]).hex() == text


REFUSED = {
    "nothing": "",
    "two values": "0001",
    "byte after a map": "a000",
    "number longer than needed": "1817",
    "number longer than needed, 2 bytes": "1900ff",
    "number longer than needed, 8 bytes": "1b00000000ffffffff",
    "length longer than needed": "580101",
    "text length longer than needed": "780161",
    "array length longer than needed": "9800",
    "indefinite array": "9fff",
    "indefinite map": "bfff",
    "indefinite bytes": "5f4101ff",
    "indefinite text": "7f6161ff",
    "duplicate integer key": "a201010102",
    "duplicate text key": "a2616101616102",
    "keys out of order": "a202000100",
    "negative before positive": "a220011864 01".replace(" ", ""),
    "text before integer": "a26161010201",
    "longer text first": "a262616101616201",
    "byte string key": "a1410101",
    "boolean key": "a1f401",
    "null key": "a1f601",
    "array key": "a1800 1".replace(" ", ""),
    "half float": "f93c00",
    "float": "fa47c35000",
    "double": "fb3ff199999999999a",
    "NaN": "f97e00",
    "NaN with payload": "f97e01",
    "double NaN": "fb7ff8000000000001",
    "infinity": "f97c00",
    "undefined": "f7",
    "simple value": "f0",
    "simple value in two bytes": "f8ff",
    "reserved simple value": "f818",
    "reserved length 28": "1c",
    "break alone": "ff",
    "tag date": "c074323031332d30332d32315432303a30343a30305a",
    "tag epoch": "c11a514b67b0",
    "tag bignum": "c249010000000000000000",
    "small bignum": "c24101",
    "tag regular expression": "d8236161",
    "tag shared value": "d81c80",
    "tag self-described": "d9d9f700",
    "tag set": "d9010281 01".replace(" ", ""),
    "unknown tag": "d9ffff00",
    "tag 18": "d280",
    "tag inside": "8101c100",
    "bad UTF-8": "62c328",
    "surrogate": "63eda080",
    "overlong UTF-8": "62c080",
    "array that ends early": "8201",
    "array of 2^63 items": "9b7fffffffffffffff",
    "bytes of 2^63": "5b7fffffffffffffff",
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_other_spelling_is_refused(name: str):
    with pytest.raises(WireError) as caught:
        decode(REFUSED[name])
    assert caught.value.format == "test"
    assert caught.value.remedy


def test_trailing_bytes_are_located():
    with pytest.raises(WireError, match=r"byte 1: .* got 2 more bytes"):
        decode("000102")


STRINGS = st.lists(
    st.one_of(
        st.binary(max_size=30), st.integers(0, 70_000).map(bytes), st.sampled_from((23, 24, 255, 256)).map(bytes)
    ),
    max_size=4,
)


@given(STRINGS)
def test_strings_are_cut_as_the_decoder_reads_them(strings: list[bytes]):
    data = cbor.encode(strings)
    short = all(len(string) <= 0xFFFF for string in strings)
    assert cbor.cut_strings(data, 1, len(strings)) == (strings if short else None)


@given(STRINGS.filter(bool), st.data())
def test_only_what_the_decoder_reads_is_cut(strings: list[bytes], draw: st.DataObject):
    data = bytearray(cbor.encode(strings))
    where = draw.draw(st.sampled_from([1, 2, 3, len(data) - 1]).filter(lambda at: at < len(data)))
    data[where] = draw.draw(st.integers(0, 255))
    edited = bytes(data[: draw.draw(st.sampled_from([len(data), len(data) - 1]))])
    found = cbor.cut_strings(edited, 1, len(strings))
    try:
        decoded = cbor.decode(edited, what="test", limit=400_000)
    except WireError:
        assert found is None
    else:
        assert found in (None, decoded)


@pytest.mark.parametrize(
    "data", ["", "58", "59", "5900", "41", "5801aa", "590001aa", "5a00000001aa", "5f41aaff", "41aa00", "61aa", "20"]
)
def test_other_spellings_are_not_cut(data: str):
    assert cbor.cut_strings(b"\x41" + b"z" + bytes.fromhex(data), 0, 2) is None
    assert cbor.cut_strings(b"\x41" + b"z" + b"\x41" + b"y", 0, 2) == [b"z", b"y"]


def test_size_limit():
    assert cbor.decode(b"\x43abc", what="test", limit=4) == b"abc"
    with pytest.raises(WireError, match="at most 3 bytes"):
        cbor.decode(b"\x43abc", what="test", limit=3)


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64 - 1),
        st.sampled_from((0, 23, 24, 255, 256, 65_536)).map(lambda size: b"\x80" * size),  # what items look like
        st.text(max_size=30),
    ),
    lambda inner: (
        st.lists(inner, max_size=30) | st.dictionaries(st.integers(0, 300) | st.text(max_size=3), inner, max_size=30)
    ),
    max_leaves=60,
)


@given(VALUES)
def test_items_are_counted_as_they_are(value: Any):
    data, count = cbor.encode(value), items_of(value)
    for items in (count, count + 1):
        assert cbor.decode(data, what="test", limit=len(data), items=items) == cbor.decode(
            data, what="test", limit=len(data)
        )
    if len(data) > count - 1 > 0:
        with pytest.raises(WireError, match=f"at most {count - 1} items, got more"):
            cbor.decode(data, what="test", limit=len(data), items=count - 1)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_a_bound_on_items_lets_nothing_else_in(data: bytes, items: int):
    """What is taken with a bound is taken without one, and has no more items."""
    try:
        found = cbor.decode(data, what="test", limit=60, items=items)
    except WireError:
        return
    assert found == cbor.decode(data, what="test", limit=60)
    assert items_of(found) <= items


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_item_is_refused_for_what_it_is(name: str):
    data = b"\x98\x1a" + bytes(25) + bytes.fromhex(REFUSED[name])
    with pytest.raises(WireError) as alone:
        cbor.decode(data, what="test", limit=1000)
    with pytest.raises(WireError) as bounded:
        cbor.decode(data, what="test", limit=1000, items=40)
    assert str(bounded.value) == str(alone.value)


@pytest.mark.parametrize("nest", [b"\x81", b"\xa1\x00"])
def test_depth_limit(nest: bytes):
    cbor.decode(nest * (cbor.MAX_DEPTH - 1) + b"\x80", what="test", limit=1000)
    for depth in (cbor.MAX_DEPTH, 500, 100_000):
        with pytest.raises(WireError):
            cbor.decode(nest * depth + b"\x80", what="test", limit=1_000_000)


def test_encode_sorts_and_stays_in_the_profile():
    assert cbor.encode({"b": 1, 2: 1, "a": 1, -1: 1, 100: 1}).hex() == "a5020118640120016161016162 01".replace(" ", "")
    assert cbor.encode((1, (2,))) == cbor.encode([1, [2]])


@pytest.mark.parametrize("value", [1.5, float("nan"), {b"k": 1}, {True: 1}, {None: 1}, {1}, object(), [1.5], {1: 1.5}])
def test_encode_refuses_other_types(value: Any):
    with pytest.raises(TypeError):
        cbor.encode(value)


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1, [2**64]])
def test_encode_refuses_large_integers(value: Any):
    with pytest.raises(ValueError, match="64 bits"):
        cbor.encode(value)


def test_encode_refuses_depth():
    value: list = []
    for _ in range(cbor.MAX_DEPTH):
        value = [value]
    with pytest.raises(ValueError, match="deeper"):
        cbor.encode(value)
