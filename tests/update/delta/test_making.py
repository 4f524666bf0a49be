# SPDX-License-Identifier: Apache-2.0
"""Deltas between any two artifacts lead from one to the other, and are short where the two are alike."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples
from tests.update.delta.pairs import SMALL, delta, digest, edited, noise, reconstruct, text

from armillary.errors import DeltaError
from armillary.update.delta.making import LARGEST, Sizes, cut, make_delta
from armillary.update.delta.matching import NO_MATCH
from armillary.wire.update.delta import MAX_SEGMENT_BYTES, DeltaParser, Segment

NOISE = noise(1, 600_000)


@settings(max_examples=examples(80), deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(1, 400_000),
    st.integers(0, 6),
    st.sampled_from([SMALL, LARGEST, Sizes(segment=4096, window=16 << 10, copy_blocks=2)]),
)
def test_any_edit_is_reconstructed(seed: int, size: int, edits: int, sizes: Sizes) -> None:
    source = text(seed, size)
    target = edited(source, seed, edits)
    made = delta(source, target, sizes)
    assert reconstruct(source, made, digest(target)) == target
    assert delta(source, target, sizes) == made, "a download of it goes on after it was made again"


@pytest.mark.parametrize("target", [b"x", bytes(4096), bytes(10_000_000), NOISE[:5000], NOISE[100_000:] + NOISE[:9]])
@pytest.mark.parametrize("source", [b"y", NOISE, bytes(5_000_000)])
def test_odd_pairs_are_reconstructed(source: bytes, target: bytes) -> None:
    assert reconstruct(source, delta(source, target), digest(target)) == target


def test_one_change_in_what_does_not_compress_costs_a_few_bytes() -> None:
    target = NOISE[:300_000] + b"new" + NOISE[300_000:]
    assert len(delta(NOISE, target)) < 800
    assert len(delta(NOISE[::-1], target)) > len(target), "positive control: from another source it costs all of it"


def test_a_long_run_that_both_have_is_copied_and_not_compressed() -> None:
    compressed = []
    target = b"head" + bytes(4092) + NOISE
    parts = make_delta(
        (digest(NOISE), memoryview(NOISE)),
        (digest(target), memoryview(target)),
        lambda data, _: compressed.append(len(data)) or b"payload",
        sizes=SMALL,
    )
    parser = DeltaParser()
    segments: list[Segment] = []
    for part in parts:
        segments += parser.feed(part)
    copied = [segment for segment in segments if not segment.payload]
    whole_blocks = len(NOISE) // 4096 * 4096
    assert sum(segment.size for segment in copied) == whole_blocks
    assert sum(compressed) == len(target) - whole_blocks
    assert max(segment.size for segment in segments) <= SMALL.segment


def test_pieces_cover_the_target_in_order_and_within_their_size() -> None:
    matches = [NO_MATCH, *range(100, 110), NO_MATCH, 5, 6, 7, *range(50, 59), NO_MATCH]
    pieces = cut(matches, Sizes(segment=4 * 4096, window=4096, copy_blocks=9))
    edges = [(piece.first, piece.end) for piece in pieces]
    assert edges[0][0] == 0
    assert edges[-1][1] == len(matches)
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(edges))
    assert all(0 < end - begin <= 4 for begin, end in edges)
    copied = [index for piece in pieces if piece.copied for index in range(piece.first, piece.end)]
    assert [matches[index] for index in copied] == [*range(100, 110), *range(50, 59)]


def test_an_artifact_of_another_size_than_its_digest_says_is_refused() -> None:
    with pytest.raises(DeltaError, match="artifacts of 600000 and 5 bytes"):
        list(make_delta((digest(NOISE), memoryview(NOISE)), (digest(b"12345"), memoryview(b"123456")), lambda *_: b""))


def test_no_segment_is_longer_than_a_device_holds() -> None:
    assert LARGEST.segment == MAX_SEGMENT_BYTES
    target = text(5, 2 * MAX_SEGMENT_BYTES + 1)
    made = delta(NOISE, target, level=1)
    assert sum(segment.size > MAX_SEGMENT_BYTES // 2 for segment in DeltaParser().feed(made)) == 3
