# SPDX-License-Identifier: Apache-2.0
"""Hashes of a tree in tiles of 256, as C2SP tlog-tiles divides a tree: few are kept, and few are read for a proof.

Kept are the hashes of whole subtrees of 256, 65,536, ... leaves (levels 8, 16, ...); leaves are hashed anew from what
they are of. A hash between these levels is folded from at most 128 hashes of the level below. So a log of ten million
entries keeps 39,214 hashes, and a proof reads, of each of three levels, at most 255 hashes for its own path and as many
for the right edge of the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from armillary.wire.transparency.merkle import WholeSubtree, folded

TILE_LEVELS: Final = 8
TILE_WIDTH: Final = 1 << TILE_LEVELS

# (tile level, first, count) -> hashes of neighbouring subtrees of 256^level leaves; level 0 are leaves.
ReadHashes = Callable[[int, int, int], Sequence[bytes]]


def subtrees(read: ReadHashes) -> WholeSubtree:
    """Whole subtrees of every level, from what is read of the tiles; each range is read once."""
    known: dict[tuple[int, int], bytes] = {}

    def whole(level: int, index: int) -> bytes:
        found = known.get((level, index))
        if found is None:
            tile_level, above = divmod(level, TILE_LEVELS)
            width = 1 << above
            found = known[level, index] = folded(read(tile_level, index << above, width))
        return found

    return whole
