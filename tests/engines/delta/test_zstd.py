# SPDX-License-Identifier: Apache-2.0
"""Payloads: what is compressed over a window is made again of it, from the first to the last byte of a segment."""

from __future__ import annotations

import pytest
import zstandard
from tests.update.delta.pairs import noise

from armillary.engines.delta.zstd import LEVEL, compress, decompress
from armillary.errors import DeltaError
from armillary.wire.update.delta import MAX_PAYLOAD_BYTES, MAX_SEGMENT_BYTES

NOISE = noise(7, MAX_SEGMENT_BYTES)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 100_000])
def test_what_is_compressed_is_made_again(size: int) -> None:
    data = NOISE[5 : 5 + size]
    for window in (b"", b"x", NOISE[:200_000]):
        payload = compress(data, window, level=3)
        assert decompress(payload, lambda window=window: window, size) == data


def test_the_window_counts_up_to_the_last_byte_of_a_segment() -> None:
    """A frame whose own window is shorter than the segment forgets its dictionary in the middle of it."""
    assert len(compress(NOISE, NOISE)) < 4096
    parameters = zstandard.ZstdCompressionParameters.from_level(LEVEL, window_log=20, write_content_size=True)
    dictionary = zstandard.ZstdCompressionDict(NOISE, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    short = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters).compress(NOISE)
    assert len(short) > MAX_SEGMENT_BYTES // 2, "positive control"


def test_the_longest_payload_is_within_the_format() -> None:
    assert len(NOISE) < len(compress(NOISE, b"", level=LEVEL)) <= MAX_PAYLOAD_BYTES


def test_a_window_of_another_source_gives_other_bytes_or_an_error() -> None:
    data = NOISE[1000:50_000]
    payload = compress(data, NOISE[:60_000], level=3)
    try:
        made = decompress(payload, lambda: NOISE[100_000:160_000], len(data))
    except DeltaError:
        return
    assert made != data, "which the digest of the whole finds"


def test_a_window_is_read_after_the_frame_was_looked_at() -> None:
    def never() -> bytes:
        raise AssertionError("read for a payload that is no frame")

    for payload in (b"", b"no frame", compress(b"x" * 100, b"", level=1)):
        with pytest.raises(DeltaError):
            decompress(payload, never, 99)
