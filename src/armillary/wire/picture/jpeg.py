# SPDX-License-Identifier: Apache-2.0
"""JPEG (ITU-T T.81): the segments that make the picture; what cameras and programs tell in others is left out."""

from __future__ import annotations

from typing import Final

from armillary.wire.picture.refusal import refused

_START, _END, _SCAN, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
# Frame headers, which have the size (§B.2.2): all of C0 to CF but tables and what is reserved.
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_RESTARTS: Final = frozenset(range(0xD0, 0xD8))
# Of the application segments, E0 to EF, those that say how colours are meant: JFIF and Adobe.
_LEFT_OUT: Final = frozenset(range(0xE0, 0xF0)) - {0xE0, 0xEE} | {_COMMENT}


def clean_jpeg(data: bytes) -> tuple[bytes, int, int, tuple[str, ...]]:
    """The picture's bytes, width, height, and what was left out.

    Raises:
        InvalidArgumentError: a segment is cut, or there is no picture in it.
    """
    parts, removed, at = [data[:2]], set[str](), 2
    size: tuple[int, int] | None = None
    while True:
        marker, at = _marker(data, at)
        if marker == _END:
            parts.append(b"\xff\xd9")
            break
        end = _segment(data, at)
        if marker in _FRAMES:
            if end - at < 8:
                raise refused("a sound JPEG file", f"a header at byte {at} that is too short")
            size = (int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 3 : at + 5], "big"))
        if marker == _SCAN:
            end = _scan(data, end)
        if marker in _LEFT_OUT:
            removed.add("data of camera and programs")
        else:
            parts.append(bytes((0xFF, marker)) + data[at:end])
        at = end
    if size is None or not all(size):
        raise refused("a JPEG file with width and height", "none")
    if at < len(data):
        removed.add("bytes behind its end")
    return b"".join(parts), *size, tuple(sorted(removed))


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at a place, and where it ends; it may begin with several FF."""
    if data[at : at + 1] != b"\xff":
        raise refused("a whole JPEG file", f"no marker at byte {at}" if at < len(data) else "one that is cut")
    while data[at : at + 1] == b"\xff":
        at += 1
    if at >= len(data):
        raise refused("a whole JPEG file", "one that is cut")
    marker = data[at]
    if marker in _RESTARTS or marker in (0x00, _START):
        raise refused("a sound JPEG file", f"the marker {marker:02x} at byte {at}")
    return marker, at + 1


def _segment(data: bytes, at: int) -> int:
    """Where the segment ends whose length stands at a place."""
    length = int.from_bytes(data[at : at + 2], "big")
    if length < 2 or at + length > len(data):
        raise refused("a whole JPEG file", f"a segment at byte {at} that is cut")
    return at + length


def _scan(data: bytes, at: int) -> int:
    """Where the picture's data end: at the next marker that belongs to no data."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise refused("a whole JPEG file", "one that is cut within the picture")
        if data[at + 1] != 0x00 and data[at + 1] not in _RESTARTS:
            return at
        at += 2
