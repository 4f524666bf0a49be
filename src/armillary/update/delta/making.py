# SPDX-License-Identifier: Apache-2.0
"""Writes a delta: cuts the target into segments, chooses a window for each, has each compressed over its window.

Long runs of blocks that the source has as well are copies: they cost their head alone, and leave the windows to what
changed. Everything else is cut into segments of at most 4 MiB. Equal inputs give equal deltas, so that a download of
one goes on after the service forgot it and made it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from armillary.errors import DeltaError
from armillary.update.delta.matching import BLOCK_BYTES, NO_MATCH, fill_gaps, match_blocks
from armillary.update.delta.windows import choose_window
from armillary.wire.update.delta import (
    MAX_SEGMENT_BYTES,
    MAX_WINDOW_BYTES,
    ArtifactDigest,
    DeltaHeader,
    Segment,
    SourceRange,
    encode_header,
    encode_segment,
)

# A shorter run of shared blocks is compressed with its neighbours: a segment more costs 30 bytes and a cold start of
# the compressor.
COPY_BLOCKS: Final = 256

# Compresses data over a window; see ``engines/delta/zstd.py``.
Compress = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Bytes of a segment and of a window, at most; smaller ones than the format's are for measuring."""

    segment: int = MAX_SEGMENT_BYTES
    window: int = MAX_WINDOW_BYTES
    copy_blocks: int = COPY_BLOCKS


LARGEST: Final = Sizes()


@dataclass(frozen=True, slots=True)
class _Piece:
    """Blocks of the target, ``first`` up to ``end``; ``copied`` from the source as they are, or compressed."""

    first: int
    end: int
    copied: bool


def make_delta(
    source: tuple[ArtifactDigest, memoryview],
    target: tuple[ArtifactDigest, memoryview],
    compress: Compress,
    *,
    sizes: Sizes = LARGEST,
) -> Iterator[bytes]:
    """The parts of a delta from ``source`` to ``target``, in order.

    DeltaError if one of the two has no bytes or more than the format holds, or is not of the size that its digest says.
    """
    (source_id, old), (target_id, new) = source, target
    if (len(old), len(new)) != (source_id.size, target_id.size):
        raise DeltaError(
            "delta", expected=f"artifacts of {source_id.size} and {target_id.size} bytes", got=f"{len(old)}, {len(new)}"
        )
    encode_header(DeltaHeader(source_id, target_id, -(-len(new) // MAX_SEGMENT_BYTES)))  # the sizes fit
    matches = match_blocks(old, new)
    expected = fill_gaps(matches, -(-len(old) // BLOCK_BYTES))
    pieces = cut(matches, sizes)
    yield encode_header(DeltaHeader(source_id, target_id, len(pieces)))
    for piece in pieces:
        first, end = piece.first * BLOCK_BYTES, min(piece.end * BLOCK_BYTES, len(new))
        if piece.copied:
            place = SourceRange(matches[piece.first] * BLOCK_BYTES, end - first)
            yield encode_segment(Segment(end - first, (place,), b""), len(old))
            continue
        blocks = slice(piece.first, piece.end)
        window = choose_window(matches[blocks], expected[blocks], source_bytes=len(old), limit=sizes.window)
        payload = compress(bytes(new[first:end]), b"".join(old[one.offset : one.offset + one.size] for one in window))
        yield encode_segment(Segment(end - first, window, payload), len(old))


def cut(matches: list[int], sizes: Sizes) -> list[_Piece]:
    """Cut a target, given by the matches of its blocks, into copies and pieces to compress."""
    most = sizes.segment // BLOCK_BYTES
    pieces: list[_Piece] = []
    begun = 0  # of what is not in a piece yet
    for first, end in _runs(matches):
        if end - first >= sizes.copy_blocks:
            pieces += _split(begun, first, most, copied=False)
            pieces += _split(first, end, most, copied=True)
            begun = end
    return pieces + _split(begun, len(matches), most, copied=False)


def _runs(matches: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of blocks that stand in the source one after the other."""
    first = 0
    for index in range(1, len(matches) + 1):
        goes_on = index < len(matches) and matches[index - 1] != NO_MATCH and matches[index] == matches[index - 1] + 1
        if not goes_on:
            if matches[first] != NO_MATCH:
                yield first, index
            first = index


def _split(first: int, end: int, most: int, *, copied: bool) -> list[_Piece]:
    """Pieces of about equal length."""
    if first == end:
        return []
    count = -(-(end - first) // most)
    edges = [first + (end - first) * part // count for part in range(count + 1)]
    return [_Piece(one, other, copied) for one, other in pairwise(edges)]
