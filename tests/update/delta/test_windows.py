# SPDX-License-Identifier: Apache-2.0
"""Windows hold what a segment shares with the source, then what stands around the places of its other blocks."""

from __future__ import annotations

import itertools

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.update.delta.matching import BLOCK_BYTES, NO_MATCH, fill_gaps
from armillary.update.delta.windows import GRANULE_BYTES, choose_window
from armillary.wire.update.delta import MAX_RANGES, MAX_READ_FACTOR, MAX_WINDOW_BYTES, SourceRange

SOURCE_BLOCKS = 40_000  # 160 MB
SOURCE_BYTES = SOURCE_BLOCKS * BLOCK_BYTES - 100


def window(matches: list[int], **limits: int) -> tuple[SourceRange, ...]:
    return choose_window(matches, fill_gaps(matches, SOURCE_BLOCKS), source_bytes=SOURCE_BYTES, **limits)


def holds(ranges: tuple[SourceRange, ...], block: int) -> bool:
    return any(one.offset <= block * BLOCK_BYTES < one.offset + one.size for one in ranges)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.integers(-1, SOURCE_BLOCKS - 1), min_size=1, max_size=1024), st.integers(1, 512))
def test_windows_keep_every_limit_and_are_in_order(matches: list[int], mebi_quarters: int) -> None:
    limit = mebi_quarters * GRANULE_BYTES
    ranges = window(matches, limit=limit)
    assert sum(one.size for one in ranges) <= min(limit, MAX_READ_FACTOR * BLOCK_BYTES * len(matches))
    assert len(ranges) <= MAX_RANGES
    assert all(one.offset + one.size < other.offset for one, other in itertools.pairwise(ranges))
    assert all(one.offset >= 0 and one.size > 0 and one.offset + one.size <= SOURCE_BYTES for one in ranges)


def test_what_is_shared_comes_first() -> None:
    matches = [block for first in range(0, 30_000, 300) for block in (first, NO_MATCH, NO_MATCH, NO_MATCH)]
    ranges = window(matches, limit=100 * GRANULE_BYTES)
    assert all(holds(ranges, match) for match in matches if match != NO_MATCH)


def test_then_what_stands_where_the_other_blocks_are_expected() -> None:
    matches = [*range(1000, 1100), *[NO_MATCH] * 300, *range(20_000, 20_100)]
    ranges = window(matches)
    assert all(holds(ranges, block) for block in range(1100, 1400)), "behind what came before"
    assert all(holds(ranges, block) for block in (*range(1000, 1100), *range(20_000, 20_100)))
    assert sum(one.size for one in ranges) == MAX_WINDOW_BYTES, "and around it, until the window is full"


def test_a_source_that_fits_is_the_window() -> None:
    assert choose_window([NO_MATCH] * 1024, [0] * 1024, source_bytes=5_000_000) == (SourceRange(0, 5_000_000),)


def test_a_short_segment_has_a_small_window() -> None:
    """All windows of a delta are bounded together: see the format."""
    assert sum(one.size for one in window([500, NO_MATCH])) <= 2 * BLOCK_BYTES * MAX_READ_FACTOR
