# SPDX-License-Identifier: Apache-2.0
"""What U-Boot measures of a slot's file, calculated of the file; a recorded start is in tests/device_image/reference."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Any

import pytest

from armillary.errors import WireError
from armillary.wire.device_image.boot_measurements import extended
from armillary.wire.device_image.uboot_measurements import SEPARATOR, slot_values, version_value

PARTS = {"kernel": b"packed kernel", "initial": b"first files", "tree-a": b"tree of a", "tree-b": b"tree of b"}


def flattened(nodes: dict[str, Any]) -> bytes:
    """A device tree of nodes (dictionaries) and properties (bytes)."""
    names = b""

    def node(name: str, content: dict[str, Any]) -> bytes:
        nonlocal names
        text = name.encode() + b"\0"
        made = struct.pack(">I", 1) + text + bytes(-len(text) % 4)
        for key, value in content.items():
            if isinstance(value, dict):
                made += node(key, value)
                continue
            made += struct.pack(">III", 3, len(value), len(names)) + value + bytes(-len(value) % 4)
            names += key.encode() + b"\0"
        return made + struct.pack(">I", 2)

    body = node("", nodes) + struct.pack(">I", 9)
    return struct.pack(">10I", 0xD00DFEED, 40 + len(body) + len(names), 40, 40 + len(body), *([0] * 6)) + body + names


def slot_file(**changes: Any) -> dict[str, Any]:
    return {
        "images": {name: {"data": content} for name, content in PARTS.items()},
        "configurations": {
            f"slot-{slot}": {"kernel": b"kernel\0", "ramdisk": b"initial\0", "fdt": f"tree-{slot}\0".encode()}
            for slot in ("a", "b")
        },
        **changes,
    }


def test_each_slots_value_is_its_parts_in_their_order_and_the_separator() -> None:
    found = slot_values(flattened(slot_file()) + bytes(4096))
    assert set(found) == {"slot-a", "slot-b"}
    for slot in ("a", "b"):
        digests = [sha256(PARTS[name]).digest() for name in ("kernel", "initial", f"tree-{slot}")]
        assert found[f"slot-{slot}"] == extended([*digests, SEPARATOR])
    assert found["slot-a"] != found["slot-b"]


@pytest.mark.parametrize("name", PARTS)
def test_a_changed_part_gives_another_value(name: str) -> None:
    images = {each: {"data": content + (b"x" if each == name else b"")} for each, content in PARTS.items()}
    before, after = slot_values(flattened(slot_file())), slot_values(flattened(slot_file(images=images)))
    changed = {"tree-a": {"slot-a"}, "tree-b": {"slot-b"}}.get(name, {"slot-a", "slot-b"})
    assert {slot for slot in before if before[slot] != after[slot]} == changed


def test_a_file_that_names_what_is_not_in_it_is_refused() -> None:
    with pytest.raises(WireError, match="/images/tree-b/data"):
        slot_values(flattened(slot_file(images={name: {"data": b"x"} for name in ("kernel", "initial", "tree-a")})))
    with pytest.raises(WireError, match="configurations with a kernel"):
        slot_values(flattened({"images": {}}))
    with pytest.raises(WireError):
        slot_values(b"MZ" + bytes(100))


def test_a_program_has_one_version() -> None:
    text = b"U-Boot 2025.01 (Jan 01 2026 - 00:00:00 +0000)\0"
    assert version_value(b"before\0" + text + b"after") == extended([sha256(text).digest(), SEPARATOR])
    for program in (b"no version", text + text.replace(b"2026", b"2027")):
        with pytest.raises(WireError, match="one version in it"):
            version_value(program)
