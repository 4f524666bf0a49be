# SPDX-License-Identifier: Apache-2.0
"""Messages of a DHCP client, byte by byte."""

from __future__ import annotations

HARDWARE = bytes.fromhex("020000000002")
DISCOVER = b"\x35\x01\x01"


def sent(*options: bytes, **changed: bytes) -> bytes:
    """A client's message with these options, and fixed fields changed by their offset."""
    head = bytearray(bytes([1, 1, 6, 0]) + b"\x12\x34\x56\x78" + bytes(20) + HARDWARE + bytes(10 + 64 + 128))
    for place, value in changed.items():
        at = int(place.removeprefix("at"))
        head[at : at + len(value)] = value
    return bytes(head) + bytes([99, 130, 83, 99]) + b"".join(options)
