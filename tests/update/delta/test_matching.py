# SPDX-License-Identifier: Apache-2.0
"""Which blocks two artifacts share, and where the others are expected."""

from __future__ import annotations

from tests.update.delta.pairs import noise

from armillary.update.delta.matching import BLOCK_BYTES, NO_MATCH, fill_gaps, match_blocks

BLOCKS = [noise(seed, BLOCK_BYTES) for seed in range(8)]
ZEROS = bytes(BLOCK_BYTES)


def matches(source: list[bytes], target: list[bytes]) -> list[int]:
    return match_blocks(memoryview(b"".join(source)), memoryview(b"".join(target)))


def test_blocks_are_found_wherever_they_moved_to() -> None:
    assert matches(BLOCKS, [BLOCKS[5], BLOCKS[6], b"x" * BLOCK_BYTES, BLOCKS[0]]) == [5, 6, NO_MATCH, 0]
    assert matches(BLOCKS, [b"?" + BLOCKS[5][1:]]) == [NO_MATCH]


def test_of_equal_blocks_the_one_that_goes_on_is_taken() -> None:
    a, b, c, d = BLOCKS[:4]
    assert matches([a, b, c, a, d], [c, a, d]) == [2, 3, 4]
    assert matches([a, b, c, a, d], [a, d]) == [0, 4], "nothing to go on from: the first"


def test_blocks_of_one_repeated_byte_match_nothing() -> None:
    assert matches([ZEROS, BLOCKS[0]], [ZEROS, b"\xff" * BLOCK_BYTES, BLOCKS[0]]) == [NO_MATCH, NO_MATCH, 1]


def test_a_short_last_block_matches_nothing() -> None:
    assert matches([BLOCKS[0], BLOCKS[1][:100]], [BLOCKS[1][:100]]) == [NO_MATCH]


def test_what_is_not_shared_is_expected_behind_its_neighbours() -> None:
    n = NO_MATCH
    assert fill_gaps([n, n, 7, n, 9, 2, n, n], 20) == [5, 6, 7, 8, 9, 2, 3, 4]


def test_expected_places_are_within_the_source() -> None:
    n = NO_MATCH
    assert fill_gaps([n, n, 1, 18, n, n, n], 20) == [0, 0, 1, 18, 19, 19, 19]


def test_without_any_match_the_same_part_of_the_source_is_expected() -> None:
    assert fill_gaps([NO_MATCH] * 4, 8) == [0, 2, 4, 6]
    assert fill_gaps([], 8) == []
