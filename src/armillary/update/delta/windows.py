# SPDX-License-Identifier: Apache-2.0
"""Which parts of the source a segment needs: its window.

A segment needs the blocks that it shares with the source, and around the places where its other blocks are expected
whatever was there before: old and new versions of a file stand at the same place of the order. Places count in granules
of 16 KiB. What the segment shares comes first, then the granules in which its unshared blocks are expected, then rings
of granules around those, until the window is full.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from armillary.update.delta.matching import BLOCK_BYTES, NO_MATCH
from armillary.wire.update.delta import MAX_RANGES, MAX_READ_FACTOR, MAX_WINDOW_BYTES, SourceRange

GRANULE_BLOCKS: Final = 4
GRANULE_BYTES: Final = GRANULE_BLOCKS * BLOCK_BYTES


def choose_window(
    matches: list[int], expected: list[int], *, source_bytes: int, limit: int = MAX_WINDOW_BYTES
) -> tuple[SourceRange, ...]:
    """The window of a segment of blocks with these matches and expected places (:mod:`matching`).

    It is in the order of the source and has at most ``limit`` bytes, less for a short segment: all windows of a delta
    together are bounded.
    """
    limit = min(limit, MAX_READ_FACTOR * BLOCK_BYTES * len(matches))
    if source_bytes <= limit:
        return (SourceRange(0, source_bytes),)
    granules = -(-source_bytes // GRANULE_BYTES)
    wanted = limit // GRANULE_BYTES
    chosen: set[int] = set()
    for granule in _by_need(matches, expected, granules):
        chosen.add(granule)
        if len(chosen) == wanted:
            break
    return _ranges(chosen, source_bytes)


def _by_need(matches: list[int], expected: list[int], granules: int) -> Iterator[int]:
    """Granules, the most needed first; some come twice. Ends when every granule came."""
    shared = dict.fromkeys(match // GRANULE_BLOCKS for match in matches if match != NO_MATCH)
    yield from shared
    unshared = [place for match, place in zip(matches, expected, strict=True) if match == NO_MATCH]
    centres = list(dict.fromkeys(place // GRANULE_BLOCKS for place in unshared)) or list(shared)
    yield from centres
    for distance in range(1, granules):
        for centre in centres:
            for granule in (centre - distance, centre + distance):
                if 0 <= granule < granules:
                    yield granule


def _ranges(chosen: Iterable[int], source_bytes: int) -> tuple[SourceRange, ...]:
    """The granules as ranges, neighbours joined; of more than the format holds the shortest are left out."""
    runs: list[list[int]] = []  # first granule, the one after the last
    for granule in sorted(chosen):
        if runs and runs[-1][1] == granule:
            runs[-1][1] += 1
        else:
            runs.append([granule, granule + 1])
    if len(runs) > MAX_RANGES:
        runs = sorted(sorted(runs, key=lambda run: run[0] - run[1])[:MAX_RANGES])
    return tuple(
        SourceRange(first * GRANULE_BYTES, min(end * GRANULE_BYTES, source_bytes) - first * GRANULE_BYTES)
        for first, end in runs
    )
