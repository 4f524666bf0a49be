# SPDX-License-Identifier: Apache-2.0
"""Properties of device trees as dtc writes them (1.7.2), whole, cut and hostile."""

from __future__ import annotations

import shutil
import struct
import subprocess

import pytest
from hypothesis import given, strategies as st

from armillary.errors import WireError
from armillary.wire.device_image.flattened_tree import (
    MAGIC,
    MAX_DEPTH,
    MAX_NAME_BYTES,
    nodes_of,
    properties_of,
    with_node,
    with_value,
    without_property,
)

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


def values(tree: bytes) -> dict[str, bytes]:
    return {path: tree[place : place + size] for path, (place, size) in properties_of(tree).items()}


def test_nodes_are_found_with_all_that_they_have() -> None:
    found = nodes_of(FOREIGN)
    assert list(found) == ["/images/kernel", "/images", ""]
    place, size = found["/images/kernel"]
    assert FOREIGN[place : place + size].startswith(b"\0\0\0\1kernel\0\0")
    assert FOREIGN[place : place + size].endswith(b"linux\0\0\0\0\0\0\2")


@pytest.mark.parametrize("value", [b"", b"1234", b"of another length"])
def test_a_value_is_changed_and_all_else_stays(value: bytes) -> None:
    changed = with_value(FOREIGN, "/images/kernel/data", value)
    assert values(changed) == values(FOREIGN) | {"/images/kernel/data": value}
    assert with_value(changed, "/images/kernel/data", b"\1\2\3\4\5") == FOREIGN


def test_a_property_is_taken_out() -> None:
    changed = without_property(FOREIGN, "/images/kernel/data")
    assert values(changed) == {"/description": b"x\0", "/images/kernel/os": b"linux\0"}
    assert list(nodes_of(changed)) == list(nodes_of(FOREIGN))


def nested(depth: int, node: bytes = b"a", name: bytes = b"p") -> bytes:
    """A tree of nodes inside one another, of which the innermost has an empty property."""
    begin = struct.pack(">I", 1) + node + bytes(4 - len(node) % 4)
    nodes = begin * depth + struct.pack(">3I", 3, 0, 0) + struct.pack(">I", 2) * depth + struct.pack(">I", 9)
    names, size = 40 + len(nodes), len(name) + 1
    return struct.pack(">10I", MAGIC, names + size, 40, names, 40, 17, 16, 0, size, len(nodes)) + nodes + name + b"\0"


def test_a_tree_is_as_deep_as_boards_are_and_no_deeper() -> None:
    assert list(properties_of(nested(MAX_DEPTH))) == ["/".join(["a"] * MAX_DEPTH + ["p"])]
    for depth in (MAX_DEPTH + 1, 8000):
        for read in (properties_of, nodes_of):
            with pytest.raises(WireError, match="at most 32 nodes inside one another, got more"):
                read(nested(depth))


def test_names_are_as_long_as_the_specification_has_them_and_little_longer() -> None:
    longest = b"n" * MAX_NAME_BYTES
    assert list(properties_of(nested(1, longest, longest))) == [f"{longest.decode()}/{longest.decode()}"]
    for names in ((longest + b"n", b"p"), (b"a", longest + b"n")):
        with pytest.raises(WireError, match="a name of at most 255 bytes"):
            properties_of(nested(1, *names))


def test_a_node_is_put_behind_its_parents_others() -> None:
    place, size = nodes_of(FOREIGN)["/images/kernel"]
    changed = with_node(FOREIGN, "/images", "copies", FOREIGN[place : place + size])
    assert values(changed)["/images/copies/kernel/os"] == b"linux\0"
    assert list(nodes_of(changed)) == ["/images/kernel", "/images/copies/kernel", "/images/copies", "/images", ""]
    with pytest.raises(KeyError):
        with_node(FOREIGN, "/image", "copies")


@pytest.mark.skipif(shutil.which("dtc") is None, reason="no dtc; to enable: sudo apt-get install device-tree-compiler")
def test_a_changed_tree_is_one_to_dtc() -> None:
    changed = with_node(with_value(FOREIGN, "/description", b"a longer text\0"), "/images/kernel", "hash")
    source = subprocess.run(["dtc", "-I", "dtb"], input=changed, capture_output=True, check=True).stdout.decode()
    assert 'description = "a longer text";' in source
    assert "hash {" in source


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
