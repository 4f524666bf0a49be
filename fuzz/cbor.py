# SPDX-License-Identifier: Apache-2.0
"""Strict CBOR: any bytes are one value in its one spelling, or a WireError."""

from __future__ import annotations

from armillary.errors import WireError
from armillary.wire.encoding import cbor


def seeds() -> list[bytes]:
    return [
        cbor.encode({1: [1, -1, b"bytes", "text", True, None], "map": {"a": {}, "b": []}}),
        cbor.encode([0, 23, 24, 255, 256, 65535, 65536, 2**32, 2**64 - 1, -(2**64)]),
        bytes.fromhex("a201020304"),
        bytes.fromhex("c249010000000000000000"),
        bytes.fromhex("fb7ff8000000000001"),
        bytes.fromhex("bf61610161629f0203ffff"),
        b"\x81" * 20 + b"\x80",
    ]


def fuzz(data: bytes) -> None:
    try:
        value = cbor.decode(data, what="fuzz", limit=4096)
    except WireError:
        return
    assert cbor.encode(value) == data
