# SPDX-License-Identifier: Apache-2.0
"""Our own CBOR agrees with cbor2: of every value the same bytes, of all bytes the same value or none."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from tests.wire.encoding.test_cbor import ACCEPTED, REFUSED

from armillary.errors import WireError
from armillary.wire.encoding import cbor, fast_cbor, plain_cbor


class Kind(enum.IntEnum):
    ONE = 1


KEYS = st.integers(cbor.MIN_INTEGER, cbor.MAX_INTEGER) | st.text(max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | KEYS | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
# Beginnings of values, so that more of what is drawn says something.
HEADS = st.sampled_from(
    [bytes((kind << 5 | length,)) for kind in range(8) for length in (0, 1, 2, 20, 21, 22, 24, 25, 27, 31)]
)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The strict wrapper without cbor2."""
    monkeypatch.setattr(cbor, "codec", plain_cbor)


def read(data: bytes) -> Any:
    """The value, and WireError for none."""
    try:
        return cbor.decode(data, what="test", limit=100_000)
    except WireError:
        return WireError


@given(VALUES)
def test_both_write_the_same_bytes_and_read_them(value: Any) -> None:
    data = plain_cbor.dumps(value)
    assert data == fast_cbor.dumps(value)
    assert plain_cbor.loads(data, max_depth=16) == value


@example([b"\x81"] * 16, b"\x80")
@example([b"\xa1"], b"\xf4\x01")
@given(st.lists(HEADS, max_size=12), st.binary(max_size=30))
def test_the_wrapper_reads_the_same_of_all_bytes(heads: list[bytes], rest: bytes) -> None:
    data = b"".join(heads) + rest
    with_cbor2 = read(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cbor, "codec", plain_cbor)
        assert read(data) == with_cbor2


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("text", ACCEPTED)
def test_one_value_has_one_spelling(text: str) -> None:
    assert read(bytes.fromhex(text)) == ACCEPTED[text]
    assert cbor.encode(ACCEPTED[text]).hex() == text


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("name", REFUSED)
def test_every_other_spelling_is_refused(name: str) -> None:
    assert read(bytes.fromhex(REFUSED[name])) is WireError


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("nest", [b"\x81", b"\xa1\x00"])
def test_nesting_has_the_same_end(nest: bytes) -> None:
    assert read(nest * (cbor.MAX_DEPTH - 1) + b"\x80") is not WireError
    for depth in (cbor.MAX_DEPTH, 50_000):
        assert read(nest * depth + b"\x80") is WireError


@pytest.mark.parametrize("value", [bytearray(b"ab"), Kind.ONE, (1, 2)])
def test_what_messages_are_built_of_is_written_as_cbor2_does(value: Any) -> None:
    assert plain_cbor.dumps(value) == fast_cbor.dumps(value)


@pytest.mark.parametrize("value", [1.5, object(), {1}, 1 << 64])
def test_what_the_profile_has_not_is_not_written(value: Any) -> None:
    with pytest.raises(TypeError):
        plain_cbor.dumps(value)
