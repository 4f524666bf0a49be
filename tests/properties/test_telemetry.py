# SPDX-License-Identifier: Apache-2.0
"""The short way of reading a message says what the long one says, or leaves it to that."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, strategies as st

from armillary.errors import WireError
from armillary.wire.hub import telemetry

NAMES = st.one_of(st.sampled_from(["t", "a.b", "é", "", "a\n", "x" * 128, "x" * 129]), st.text(max_size=6))
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.floats(),
    st.integers(),
    st.booleans(),
    st.none(),
    st.text(max_size=8),
    st.sampled_from(["y" * 1024, "y" * 1025, "\ud800", 10**400, -0.0, 2**64, 5e-324]),
)
DOCUMENTS: st.SearchStrategy[Any] = st.one_of(
    LEAVES,
    st.dictionaries(NAMES, LEAVES, max_size=5),
    st.dictionaries(NAMES, st.one_of(LEAVES, st.lists(LEAVES, max_size=2)), max_size=3),
)
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


def by_the_long_way(payload: bytes, prefix: str) -> dict[str, telemetry.Value] | None:
    values: dict[str, telemetry.Value] = {}
    try:
        telemetry._flatten(telemetry._document(payload), prefix, 1, values)
    except WireError:
        return None
    return values


def agree(payload: bytes, prefix: str = "") -> None:
    short = telemetry._flat(payload, prefix)
    if short is not None:
        long = by_the_long_way(payload, prefix)
        assert short == long
        assert [type(each) for each in short.values()] == [type(each) for each in long.values()]


@given(DOCUMENTS, st.booleans(), st.sampled_from(["", "c.", "c\n.", "z" * 127 + "."]))
@example({}, True, "")
def test_documents(document: Any, ascii_only: bool, prefix: str) -> None:
    agree(json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"), prefix)


@given(NUMBERS)
def test_numbers_to_the_last_bit(number: str) -> None:
    agree(b'{"t":%s}' % number.encode())


@given(st.binary(max_size=20), st.integers(0, 30), st.integers(0, 30))
def test_bytes_put_into_a_message(piece: bytes, start: int, length: int) -> None:
    whole = b'{"t":21.5,"on":true,"s":"idle"}'
    agree(whole[:start] + piece + whole[start + length :])


@given(
    st.dictionaries(st.sampled_from(["t", "on", "s"]), st.one_of(st.floats(-1e9, 1e9), st.booleans(), st.text("ab")))
)
def test_ordinary_messages_are_read_the_short_way(document: dict[str, Any]) -> None:
    assert telemetry._flat(json.dumps(document).encode(), "") == document
