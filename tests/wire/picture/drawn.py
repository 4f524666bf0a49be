# SPDX-License-Identifier: Apache-2.0
"""Pictures for tests, made by hand: the least PNG and JPEG with their parts, and what is added to them."""

from __future__ import annotations

import base64
import struct
import zlib

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 300"><rect width="600" height="300"></rect></svg>'


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*more: bytes, width: int = 3, height: int = 2) -> bytes:
    """A grey picture, with ``more`` chunks before its data."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    lines = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *more, chunk(b"IDAT", lines), chunk(b"IEND", b"")))


def segment(marker: int, data: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def jpeg(*more: bytes, width: int = 8, height: int = 8) -> bytes:
    """The parts of a JPEG, with ``more`` segments behind its beginning; its data stand for a picture."""
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    jfif = segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
    return b"".join(
        (b"\xff\xd8", jfif, *more, segment(0xDB, bytes(65)), frame, segment(0xC4, bytes(20)), scan, b"\xff\xd9")
    )


def titled(title: str) -> str:
    """A drawing that says a title, as base64."""
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg"><title>{title}</title></svg>'
    return base64.b64encode(drawing.encode()).decode()
