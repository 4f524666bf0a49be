# SPDX-License-Identifier: Apache-2.0
"""Properties of device trees as dtc writes them (1.7.2), whole, cut and hostile."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.device_image.flattened_tree import properties_of

# dtc -O dtb of: /dts-v1/; / { description = "x"; images { kernel { data = [01 02 03 04 05]; os = "linux"; }; }; };
FOREIGN = bytes.fromhex(
    "d00dfeed000000b400000038000000a000000028000000110000001000000000000000140000006800000000000000000000"
    "00000000000000000001000000000000000300000002000000007800000000000001696d616765730000000000016b65726e"
    "656c000000000003000000050000000c01020304050000000000000300000006000000116c696e7578000000000000020000"
    "000200000002000000096465736372697074696f6e0064617461006f7300"
)


def test_properties_are_found_where_they_are() -> None:
    found = properties_of(FOREIGN)
    values = {path: FOREIGN[place : place + size] for path, (place, size) in found.items()}
    assert values == {
        "/description": b"x\0",
        "/images/kernel/data": b"\1\2\3\4\5",
        "/images/kernel/os": b"linux\0",
    }


@pytest.mark.parametrize("length", range(len(FOREIGN) - 1))
def test_a_tree_that_was_cut_is_refused_or_loses_a_name(length: int) -> None:
    try:
        properties_of(FOREIGN[:length])
    except WireError:
        return
    assert length > FOREIGN.index(b"description")


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda data: FOREIGN[:60] + data))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        properties_of(data)
    except WireError as error:
        assert "device-tree" in error.message  # noqa: PT017 - both ends are right


def test_another_file_is_refused() -> None:
    with pytest.raises(WireError, match="d00dfeed"):
        properties_of(b"MZ" + FOREIGN[2:])
