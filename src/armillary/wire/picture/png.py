# SPDX-License-Identifier: Apache-2.0
"""PNG (ISO/IEC 15948): the chunks that make the picture, each with its checksum; all others are left out."""

from __future__ import annotations

import zlib
from struct import unpack_from
from typing import Final

from armillary.wire.picture.refusal import refused

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
# Chunks that say how the picture looks (ISO/IEC 15948 §11): header, palette, data, end, transparency, colours, size.
KEPT: Final = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs"))
_FRAME: Final = 12  # length, type and checksum of a chunk
_HEADER_BYTES: Final = 13


def clean_png(data: bytes) -> tuple[bytes, int, int, tuple[str, ...]]:
    """The picture's bytes, width, height, and what was left out.

    Raises:
        InvalidArgumentError: a chunk is cut or damaged, or is not where it belongs.
    """
    parts, removed, at = [SIGNATURE], set[str](), len(SIGNATURE)
    kind, end = _chunk(data, at)
    if kind != b"IHDR" or end - at != _FRAME + _HEADER_BYTES:
        raise refused("a PNG file that begins with a header", f"{kind!r:.12}")
    width, height = unpack_from(">II", data, at + 8)
    if not width or not height:
        raise refused("a picture with width and height", f"{width} x {height}")
    while True:
        if kind in KEPT:
            parts.append(data[at:end])
        elif kind[:1].isupper():  # critical: without it the picture would be another
            raise refused("a PNG file with known parts", f"the part {kind!r:.12}")
        else:
            removed.add("texts and other data in the file")
        at = end
        if kind == b"IEND":
            break
        kind, end = _chunk(data, at)
        if kind == b"IHDR":
            raise refused("a PNG file with one header", f"another at byte {at}")
    if at < len(data):
        removed.add("bytes behind its end")
    return b"".join(parts), width, height, tuple(sorted(removed))


def _chunk(data: bytes, at: int) -> tuple[bytes, int]:
    """The type of the chunk at a place, and where it ends."""
    if at + _FRAME > len(data):
        raise refused("a whole PNG file", f"one that ends at byte {len(data)}")
    length, kind = unpack_from(">I4s", data, at)
    end = at + _FRAME + length
    if end > len(data):
        raise refused("a whole PNG file", f"one that ends within the chunk at byte {at}")
    if zlib.crc32(data[at + 4 : end - 4]) != unpack_from(">I", data, end - 4)[0]:
        raise refused("a sound PNG file", f"a chunk at byte {at} whose checksum is wrong")
    return kind, end
