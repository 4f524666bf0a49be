# SPDX-License-Identifier: Apache-2.0
"""Which blocks of a target are in the source, and where: what windows and copies are chosen by.

Blocks have 4 KiB and stand at multiples of it, as the files of an EROFS image do: a file that did not change is found
wherever it moved to. What lies between two matches is expected where its neighbours are.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

BLOCK_BYTES: Final = 4096
# Collisions cost bytes, never correctness: 8 bytes are enough for 2^32 blocks.
_HASH_BYTES: Final = 8
NO_MATCH: Final = -1


def match_blocks(source: memoryview, target: memoryview) -> list[int]:
    """For each block of the target the block of the source that equals it, or :data:`NO_MATCH`.

    Of several equal blocks the one that goes on where the last match was is taken, else the first. Blocks that repeat
    one byte match nothing: they are everywhere, and compress to nothing without a window.
    """
    hashes = [_hash(source, at) for at in range(0, len(source), BLOCK_BYTES)]
    first: dict[bytes, int] = {}
    for index, digest in enumerate(hashes):
        first.setdefault(digest, index)
    found, expected = [], NO_MATCH
    for at in range(0, len(target), BLOCK_BYTES):
        digest = _hash(target, at)
        if 0 <= expected < len(hashes) and hashes[expected] == digest and digest:
            match = expected
        else:
            match = first.get(digest, NO_MATCH) if digest else NO_MATCH
        found.append(match)
        expected = NO_MATCH if match == NO_MATCH else match + 1
    return found


def _hash(data: memoryview, at: int) -> bytes:
    """Hash of a block; empty for one that repeats one byte, or that is cut short by the end."""
    block = bytes(data[at : at + BLOCK_BYTES])
    if len(block) < BLOCK_BYTES or block.count(block[0]) == BLOCK_BYTES:
        return b""
    return blake2b(block, digest_size=_HASH_BYTES).digest()


def fill_gaps(matches: list[int], source_blocks: int) -> list[int]:
    """For each block of the target the block of the source where its content is expected.

    A match itself; else where the match before it leads to. Before the first match, and without any, the same part of
    the source.
    """
    first = next((index for index, match in enumerate(matches) if match != NO_MATCH), None)
    last = -1
    found = []
    for index, match in enumerate(matches):
        if match != NO_MATCH:
            last = match
        elif last >= 0:
            last += 1
        elif first is not None:
            found.append(_within(matches[first] - (first - index), source_blocks))
            continue
        else:
            found.append(index * source_blocks // len(matches))
            continue
        found.append(_within(last, source_blocks))
    return found


def _within(block: int, blocks: int) -> int:
    return max(0, min(block, blocks - 1))
