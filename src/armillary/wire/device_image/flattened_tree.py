# SPDX-License-Identifier: Apache-2.0
"""Where properties and nodes of a flattened device tree are in its file, and the file with one changed.

U-Boot's signed file (FIT) is one.

::

    u32 each, big-endian: magic d00dfeed, whole size, place of the nodes, place of the names, 5 more, size of the nodes
    nodes: 1 begin of a node, its name with a zero byte, padded to 4; 2 end of a node;
           3 property: u32 size, u32 place of its name among the names, value padded to 4; 4 nothing; 9 the end

Specification: Devicetree Specification v0.4, chapter 5.
"""

from __future__ import annotations

import struct
from typing import Final

from armillary.errors import WireError

MAGIC: Final = 0xD00DFEED
# Nodes inside one another: U-Boot's signed files have 3, boards' trees some 10. Each node and property is kept with its
# whole path, so that deep trees, and long names, would take time and memory as the square of a file's size.
MAX_DEPTH: Final = 32
MAX_NAME_BYTES: Final = 255  # the specification has 31, before a node's address
_HEAD: Final = struct.Struct(">10I")
_WORD: Final = struct.Struct(">I")
_PROPERTY: Final = struct.Struct(">II")
_BEGIN, _END, _HAS_PROPERTY, _NOTHING, _LAST = 1, 2, 3, 4, 9


def properties_of(tree: bytes) -> dict[str, tuple[int, int]]:
    """``/node/property`` -> (place of the value in the file, bytes); WireError for what is no such tree."""
    return _walked(tree)[0]


def nodes_of(tree: bytes) -> dict[str, tuple[int, int]]:
    """``/node`` -> (place in the file, bytes) with both marks, the root is ``""``; WireError for no such tree."""
    return _walked(tree)[1]


def with_value(tree: bytes, path: str, value: bytes) -> bytes:
    """The tree with another value of a property; KeyError if it has no such property, WireError for no such tree."""
    place, size = properties_of(tree)[path]
    begin = place - _PROPERTY.size
    _, name = _PROPERTY.unpack_from(tree, begin)
    return _spliced(tree, begin, _whole(place + size), _PROPERTY.pack(len(value), name) + _padded(value))


def without_property(tree: bytes, path: str) -> bytes:
    """The tree without a property; KeyError if it has no such property, WireError for no such tree."""
    place, size = properties_of(tree)[path]
    return _spliced(tree, place - _PROPERTY.size - _WORD.size, _whole(place + size), b"")


def with_node(tree: bytes, parent: str, name: str, inside: bytes = b"") -> bytes:
    """The tree with one more node, the last of its parent; ``inside`` is what it has, as another node has it.

    Raises:
        KeyError: there is no such parent.
        WireError: it is no such tree.
    """
    place, size = nodes_of(tree)[parent]
    end = place + size - _WORD.size
    begin = _WORD.pack(_BEGIN) + _padded(name.encode("ascii") + b"\0")
    return _spliced(tree, end, end, begin + inside + _WORD.pack(_END))


def _walked(tree: bytes) -> tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
    """Where the properties are, and where the nodes."""
    try:
        magic, _, at, names, *_ = _HEAD.unpack_from(tree)
        if magic != MAGIC:
            raise WireError("device-tree", expected=f"{MAGIC:08x}", got=f"{magic:08x}", offset=0)
        properties: dict[str, tuple[int, int]] = {}
        nodes: dict[str, tuple[int, int]] = {}
        path: list[str] = []
        begun: list[int] = []
        while (token := _WORD.unpack_from(tree, at)[0]) != _LAST:
            at += _WORD.size
            if token == _BEGIN:
                if len(begun) >= MAX_DEPTH:
                    raise WireError(
                        "device-tree", expected=f"at most {MAX_DEPTH} nodes inside one another", got="more", offset=at
                    )
                begun.append(at - _WORD.size)
                path.append(_name(tree, at))
                at = _whole(at + len(path[-1]) + 1)
            elif token == _END:
                begin = begun.pop()
                nodes["/".join(path)] = (begin, at - begin)
                path.pop()
            elif token == _HAS_PROPERTY:
                size, name_at = _PROPERTY.unpack_from(tree, at)
                at += _PROPERTY.size
                _refuse_beyond(tree, at + size)
                properties["/".join((*path, _name(tree, names + name_at)))] = (at, size)
                at = _whole(at + size)
            elif token != _NOTHING:
                raise WireError("device-tree", expected="a token", got=f"{token:08x}", offset=at - _WORD.size)
    except (struct.error, ValueError, IndexError) as error:
        raise WireError("device-tree", expected="nodes inside the file", got=str(error)) from error
    return properties, nodes


def _name(tree: bytes, at: int) -> str:
    end = tree.find(b"\0", at, at + MAX_NAME_BYTES + 1)
    if end < 0:
        raise WireError("device-tree", expected=f"a name of at most {MAX_NAME_BYTES} bytes", got="none", offset=at)
    return tree[at:end].decode("ascii")


def _spliced(tree: bytes, begin: int, end: int, part: bytes) -> bytes:
    """The tree with another part in the place of one of its nodes' parts; the head is put right."""
    more = len(part) - (end - begin)
    magic, total, nodes, names, reserved, *others, size = _HEAD.unpack_from(tree)
    names += more if names >= end else 0
    reserved += more if reserved >= end else 0
    head = _HEAD.pack(magic, total + more, nodes, names, reserved, *others, size + more)
    return head + tree[_HEAD.size : begin] + part + tree[end:]


def _padded(value: bytes) -> bytes:
    return value.ljust(_whole(len(value)), b"\0")


def _refuse_beyond(tree: bytes, end: int) -> None:
    if end > len(tree):
        raise WireError("device-tree", expected=f"{end} bytes", got=f"{len(tree)}")


def _whole(place: int) -> int:
    return -(-place // 4) * 4
