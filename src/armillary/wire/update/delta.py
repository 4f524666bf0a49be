# SPDX-License-Identifier: Apache-2.0
"""Deltas: the bytes from which a device makes one artifact (the target) out of another that it has (the source).

A delta is a header and segments. Each segment makes the next bytes of the target out of a *window*: a few ranges of the
source, joined in their order. All integers are unsigned, big endian::

    header, 90 bytes                              segment
     0   4  magic "ADLT"                           0    4  bytes that it makes, 1 to 4 MiB
     4   2  version, 1                             4    4  bytes of its payload; 0: the window is what it makes
     6   8  size of the source, bytes              8    2  n, ranges of the window, 0 to 512
    14   8  size of the target, bytes             10  12n  each: offset in the source (8), bytes (4, not 0)
    22  32  SHA-256 of the source               then       the payload: one Zstandard frame (RFC 8878) whose dictionary
    54  32  SHA-256 of the target                          is the window as raw content (§5: no header, no entropy
    86   4  number of segments                             tables); with its content size, no dictionary id

The bytes that the segments make add up to the size of the target, and nothing follows the last one. All windows
together have at most 8 times the size of the target and 8 MiB.

A delta is carried by anybody and signed by nobody: what it makes counts only once it has the SHA-256 that was signed
for the target (``update/delta/reconstruction.py``). The limits bound what a hostile one can make a device do: its
memory is one window and one segment, its work one pass over the target.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from armillary.errors import DeltaError

VERSION: Final = 1  # 1: 2026-11, first
MAGIC: Final = b"ADLT"

# What a device holds to decode: one window, its copy as a dictionary, one segment. docs/reference/delta.md has the
# sweep that these two come from.
MAX_SEGMENT_BYTES: Final = 4 << 20
MAX_WINDOW_BYTES: Final = 8 << 20
# Ranges of a window: a window of 8 MiB in pieces of 16 KiB.
MAX_RANGES: Final = 512
# As of images in an offer (wire/device/checkin.py).
MAX_ARTIFACT_BYTES: Final = 1 << 32
# Bytes that do not compress are stored in a frame: 3 bytes for each block of 128 KiB, and its head.
MAX_PAYLOAD_BYTES: Final = MAX_SEGMENT_BYTES + (MAX_SEGMENT_BYTES >> 10)
# Segments may be short (the end of a file, a copy between two changes), but a delta is no list of single bytes.
MIN_MEAN_SEGMENT_BYTES: Final = 4 << 10
# Bytes of source that all windows together may read for each byte of target, beside one window: short segments with
# large windows would let a delta of some kilobytes keep a device busy for hours.
MAX_READ_FACTOR: Final = 8

_HEADER: Final = struct.Struct(">4sHQQ32s32sI")
_SEGMENT: Final = struct.Struct(">IIH")
_RANGE: Final = struct.Struct(">QI")
HEADER_BYTES: Final = _HEADER.size


@dataclass(frozen=True, slots=True)
class ArtifactDigest:
    """Which artifact: its size in bytes and its SHA-256."""

    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class DeltaHeader:
    """What a delta says it is."""

    source: ArtifactDigest
    target: ArtifactDigest
    segments: int


@dataclass(frozen=True, slots=True)
class SourceRange:
    """Bytes of the source."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Segment:
    """The next ``size`` bytes of the target: the window itself without a payload, else what the payload makes of it."""

    size: int
    window: tuple[SourceRange, ...]
    payload: bytes

    @property
    def window_bytes(self) -> int:
        """Bytes of the window."""
        return sum(one.size for one in self.window)


def encode_header(header: DeltaHeader) -> bytes:
    """The bytes of a header; DeltaError for one that :func:`parse_header` would refuse."""
    source, target = header.source, header.target
    data = _HEADER.pack(MAGIC, VERSION, source.size, target.size, source.sha256, target.sha256, header.segments)
    parse_header(data)
    return data


def parse_header(data: bytes) -> DeltaHeader:
    """The header that ``data`` is; DeltaError."""
    if len(data) != HEADER_BYTES:
        raise _fault(0, f"a header of {HEADER_BYTES} bytes", f"{len(data)} bytes")
    magic, version, source_size, target_size, source, target, segments = _HEADER.unpack(data)
    if (magic, version) != (MAGIC, VERSION):
        raise _fault(0, f"{MAGIC.decode()} version {VERSION}", f"{magic!r} {version}")
    if not 0 < source_size <= MAX_ARTIFACT_BYTES or not 0 < target_size <= MAX_ARTIFACT_BYTES:
        raise _fault(6, f"sizes of 1 to {MAX_ARTIFACT_BYTES} bytes", f"{source_size} and {target_size}")
    fewest = -(-target_size // MAX_SEGMENT_BYTES)
    most = fewest + target_size // MIN_MEAN_SEGMENT_BYTES
    if not fewest <= segments <= most:
        raise _fault(86, f"{fewest} to {most} segments for {target_size} bytes", f"{segments}")
    return DeltaHeader(ArtifactDigest(source_size, source), ArtifactDigest(target_size, target), segments)


def encode_segment(segment: Segment, source_size: int) -> bytes:
    """The bytes of a segment over a source of ``source_size`` bytes; DeltaError for one that would be refused."""
    _check_segment(segment.size, len(segment.payload), len(segment.window), 0)
    _check_window(segment.size, len(segment.payload), segment.window, source_size, 0)
    ranges = b"".join(_RANGE.pack(one.offset, one.size) for one in segment.window)
    return _SEGMENT.pack(segment.size, len(segment.payload), len(segment.window)) + ranges + segment.payload


class DeltaParser:
    """Cuts a delta into its header and segments as its bytes arrive; holds one segment at most, and what came with it.

    Every limit of the format is checked here; nothing says yet that the delta makes what it says. All errors are
    DeltaError, with the byte of the delta that is wrong.
    """

    def __init__(self) -> None:
        self.header: DeltaHeader | None = None  # None until its bytes have arrived
        self._pending = bytearray()
        self._offset = 0  # in the delta, of the first pending byte
        self._segments_left = 0
        self._target_left = 0
        self._window_left = 0

    def feed(self, data: bytes) -> list[Segment]:
        """Take the next bytes; returns the segments that are complete with them."""
        self._pending += data
        if self.header is None:
            if len(self._pending) < HEADER_BYTES:
                return []
            self.header = parse_header(self._take(HEADER_BYTES))
            self._segments_left = self.header.segments
            self._target_left = self.header.target.size
            self._window_left = MAX_READ_FACTOR * self.header.target.size + MAX_WINDOW_BYTES
        found = []
        while self._segments_left and (segment := self._next(self.header)) is not None:
            found.append(segment)
        if self._pending and not self._segments_left:
            raise _fault(self._offset, "the end after the last segment", f"{len(self._pending)} bytes more")
        return found

    def finish(self) -> None:
        """The delta has ended."""
        if self.header is None or self._segments_left:
            missing = "a header" if self.header is None else f"{self._segments_left} more segments"
            raise _fault(self._offset, missing, f"its end {len(self._pending)} bytes later")

    def _next(self, header: DeltaHeader) -> Segment | None:
        """The segment that the pending bytes begin with; None while they do not hold all of it."""
        if len(self._pending) < _SEGMENT.size:
            return None
        size, payload, count = _SEGMENT.unpack_from(self._pending)
        _check_segment(size, payload, count, self._offset)
        left = self._target_left - size
        if left < 0 or (left > 0) != (self._segments_left > 1):
            raise _fault(
                self._offset,
                f"{self._segments_left} segments of {self._target_left} bytes in all",
                f"one of {size} bytes",
            )
        head = _SEGMENT.size + count * _RANGE.size
        if len(self._pending) < head + payload:
            return None
        pairs = (_RANGE.unpack_from(self._pending, _SEGMENT.size + index * _RANGE.size) for index in range(count))
        window = tuple(SourceRange(offset, length) for offset, length in pairs)
        _check_window(size, payload, window, header.source.size, self._offset)
        self._window_left -= sum(one.size for one in window)
        if self._window_left < 0:
            raise _fault(
                self._offset, f"windows of {MAX_READ_FACTOR} times the target's size and one more in all", "more"
            )
        self._take(head)
        self._segments_left -= 1
        self._target_left = left
        return Segment(size, window, self._take(payload))

    def _take(self, count: int) -> bytes:
        taken = bytes(memoryview(self._pending)[:count])
        del self._pending[:count]
        self._offset += count
        return taken


def _check_segment(size: int, payload: int, ranges: int, offset: int) -> None:
    if not 0 < size <= MAX_SEGMENT_BYTES:
        raise _fault(offset, f"a segment of 1 to {MAX_SEGMENT_BYTES} bytes", f"{size}")
    if payload > MAX_PAYLOAD_BYTES:
        raise _fault(offset + 4, f"a payload of at most {MAX_PAYLOAD_BYTES} bytes", f"{payload}")
    if ranges > MAX_RANGES:
        raise _fault(offset + 8, f"at most {MAX_RANGES} ranges", f"{ranges}")


def _check_window(size: int, payload: int, window: tuple[SourceRange, ...], source_size: int, offset: int) -> None:
    for one in window:
        if not one.size or one.offset + one.size > source_size:
            raise _fault(
                offset + _SEGMENT.size,
                f"ranges within the source's {source_size} bytes",
                f"{one.size} bytes at {one.offset}",
            )
    total = sum(one.size for one in window)
    if total > MAX_WINDOW_BYTES:
        raise _fault(offset + _SEGMENT.size, f"a window of at most {MAX_WINDOW_BYTES} bytes", f"{total}")
    if not payload and total != size:
        raise _fault(offset + _SEGMENT.size, f"a window of the {size} bytes to copy", f"{total}")


def _fault(offset: int, expected: str, got: str) -> DeltaError:
    return DeltaError("delta", offset=offset, expected=expected, got=got)
