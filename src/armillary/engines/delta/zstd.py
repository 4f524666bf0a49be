# SPDX-License-Identifier: Apache-2.0
"""One payload of a delta: a Zstandard frame (RFC 8878) whose dictionary is the window, as raw content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import zstandard

from armillary.errors import DeltaError
from armillary.wire.update.delta import MAX_SEGMENT_BYTES

# docs/reference/delta.md has the bytes and seconds of each level.
LEVEL: Final = 12
# A dictionary counts only while the frame's window holds everything since its first byte (RFC 8878 §5): with a window
# shorter than the segment, all that comes after its first 2^n bytes is compressed as if there were no source.
_WINDOW_LOG: Final = MAX_SEGMENT_BYTES.bit_length() - 1


def compress(data: bytes, window: bytes, *, level: int = LEVEL) -> bytes:
    """The shortest frame that makes ``data`` of ``window``."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(data),
        dict_size=len(window),
        window_log=max(_WINDOW_LOG, (len(data) - 1).bit_length()),
        write_content_size=True,
        write_checksum=False,
        write_dict_id=False,
    )
    if not window:
        return zstandard.ZstdCompressor(compression_params=parameters).compress(data)
    dictionary = zstandard.ZstdCompressionDict(window, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters).compress(data)


def decompress(payload: bytes, window: Callable[[], bytes | bytearray], size: int) -> bytes:
    """The ``size`` bytes that ``payload`` makes of ``window``; DeltaError unless it is one frame of exactly these."""
    try:
        frame = zstandard.get_frame_parameters(payload)
    except zstandard.ZstdError as error:
        raise DeltaError("delta payload", expected="a Zstandard frame", got=str(error)) from error
    if (frame.content_size, frame.dict_id) != (size, 0):  # before memory is taken for what the frame says
        raise DeltaError(
            "delta payload",
            expected=f"a frame of {size} bytes and no dictionary id",
            got=f"{frame.content_size} and id {frame.dict_id}",
        )
    try:
        dictionary = zstandard.ZstdCompressionDict(window(), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)
        return decompressor.decompress(payload, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DeltaError("delta payload", expected=f"a frame of {size} bytes", got=str(error)) from error
