# SPDX-License-Identifier: Apache-2.0
"""Where the properties of a flattened device tree are in its file; U-Boot's signed file (FIT) is one.

::

    u32 each, big-endian: magic d00dfeed, whole size, place of the nodes, place of the names, 6 more
    nodes: 1 begin of a node, its name with a zero byte, padded to 4; 2 end of a node;
           3 property: u32 size, u32 place of its name among the names, value padded to 4; 4 nothing; 9 the end

Specification: Devicetree Specification v0.4, chapter 5.
"""

from __future__ import annotations

import struct
from typing import Final

from armillary.errors import WireError

MAGIC: Final = 0xD00DFEED
_HEAD: Final = struct.Struct(">4I")
_WORD: Final = struct.Struct(">I")
_PROPERTY: Final = struct.Struct(">II")
_BEGIN, _END, _HAS_PROPERTY, _NOTHING, _LAST = 1, 2, 3, 4, 9


def properties_of(tree: bytes) -> dict[str, tuple[int, int]]:
    """``/node/property`` -> (place in the file, bytes); WireError for what is no such tree."""
    try:
        magic, _, at, names = _HEAD.unpack_from(tree)
        if magic != MAGIC:
            raise WireError("device-tree", expected=f"{MAGIC:08x}", got=f"{magic:08x}", offset=0)
        found: dict[str, tuple[int, int]] = {}
        path: list[str] = []
        while (token := _WORD.unpack_from(tree, at)[0]) != _LAST:
            at += _WORD.size
            if token == _BEGIN:
                end = tree.index(b"\0", at)
                path.append(tree[at:end].decode("ascii"))
                at = _whole(end + 1)
            elif token == _END:
                path.pop()
            elif token == _HAS_PROPERTY:
                size, name_at = _PROPERTY.unpack_from(tree, at)
                at += _PROPERTY.size
                _refuse_beyond(tree, at + size)
                name = tree[names + name_at : tree.index(b"\0", names + name_at)].decode("ascii")
                found["/".join((*path, name))] = (at, size)
                at = _whole(at + size)
            elif token != _NOTHING:
                raise WireError("device-tree", expected="a token", got=f"{token:08x}", offset=at - _WORD.size)
    except (struct.error, ValueError, IndexError) as error:
        raise WireError("device-tree", expected="nodes inside the file", got=str(error)) from error
    return found


def _refuse_beyond(tree: bytes, end: int) -> None:
    if end > len(tree):
        raise WireError("device-tree", expected=f"{end} bytes", got=f"{len(tree)}")


def _whole(place: int) -> int:
    return -(-place // 4) * 4
