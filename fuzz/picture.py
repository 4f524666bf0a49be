# SPDX-License-Identifier: Apache-2.0
"""Pictures that people upload: any bytes are a picture that can do nothing, or one error that says what they are."""

from __future__ import annotations

import struct
import zlib

from armillary.errors import InvalidArgumentError
from armillary.wire.picture.picture import read_picture


def seeds() -> list[bytes]:
    """One picture of each kind, with what is left out of it."""
    return [_png(), _jpeg(), _SVG]


def fuzz(data: bytes) -> None:
    """Read any bytes; what is kept is read again as it is."""
    try:
        found = read_picture(data)
    except InvalidArgumentError:
        return
    again = read_picture(found.content)
    assert again.content == found.content
    assert again.removed == ()
    assert b"<script" not in found.content.lower() or found.media_type != "image/svg+xml"


_SVG = b"""<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 viewBox="0 0 60 30" onload="x()"><style>.a{fill:url(#p)}</style><defs><pattern id="p"><path d="M0 0"/></pattern></defs>
<script>x()</script><g id="g" fill="url(#p)"><rect class="a"/><text>a &amp; b</text></g><use xlink:href="#g"/></svg>"""


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    rest = (chunk(b"tEXt", b"a\0b"), chunk(b"IDAT", zlib.compress(b"\0\x80")), chunk(b"IEND", b""))
    return b"".join((b"\x89PNG\r\n\x1a\n", header, *rest))


def _jpeg() -> bytes:
    def segment(marker: int, data: bytes) -> bytes:
        return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data

    frame = segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 1) + b"\x01\x11\x00")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34"
    return b"".join((b"\xff\xd8", segment(0xE1, b"Exif"), segment(0xDB, bytes(65)), frame, scan, b"\xff\xd9"))
