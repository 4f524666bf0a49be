# SPDX-License-Identifier: Apache-2.0
"""``python -m bench.delta_sweep [LEVEL ...]``: bytes, memory and seconds of deltas by the sizes of segment and window.

The table of ``docs/reference/delta.md``. The limits of the format are lifted for what is larger than they allow. With
the word ``forgetful`` instead of levels: the same at level 9 with a compressor that is left to choose its own window.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import zstandard

from armillary.engines.delta import files, zstd
from armillary.update.delta.making import Sizes, make_delta
from armillary.wire.update import delta as wire
from bench.delta import DECODE
from bench.delta_images import CACHE, pair

MEBIBYTE = 1 << 20
SEGMENTS_AND_WINDOWS = ((16, 32), (8, 8), (4, 16), (4, 4), (2, 4), (1, 2), (4, 8), (8, 16))
LIFT = """
from armillary.wire.update import delta as wire
wire.MAX_SEGMENT_BYTES = wire.MAX_WINDOW_BYTES = 1 << 28
wire.MAX_PAYLOAD_BYTES = 1 << 29
"""


def main(levels: list[int]) -> None:
    """Print a row for each level and pair of sizes."""
    wire.MAX_SEGMENT_BYTES = wire.MAX_WINDOW_BYTES = 1 << 28
    wire.MAX_PAYLOAD_BYTES = 1 << 29
    images = pair()
    old, new = files.digest_of(images.old), files.digest_of(images.new)
    print(f"{images.what}: {old.size} to {new.size} bytes")
    print("| level | segment MiB | window MiB | bytes | % of new | make s | decode s | decode MB |\n|" + "---|" * 8)
    for level in levels:
        for segment, window in SEGMENTS_AND_WINDOWS:
            delta = CACHE / "sweep.delta"
            sizes = Sizes(segment=segment * MEBIBYTE, window=window * MEBIBYTE)
            began = time.perf_counter()
            with delta.open("wb") as file:
                files.write_delta((old, images.old), (new, images.new), file.write, level=level, sizes=sizes)
            made_s = time.perf_counter() - began
            seconds, memory = decoded(images.old, delta, old, new)
            size = delta.stat().st_size
            print(
                f"| {level} | {segment} | {window} | {size} | {100 * size / new.size:.2f} | {made_s:.0f} | "
                f"{seconds:.2f} | {memory:.1f} |",
                flush=True,
            )


def decoded(source: Path, delta: Path, old: wire.ArtifactDigest, new: wire.ArtifactDigest) -> tuple[float, float]:
    """Seconds and MB that decoding takes in a process of its own."""
    arguments = [str(old.size), old.sha256.hex(), str(new.size), new.sha256.hex()]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", LIFT + DECODE, str(source), str(delta), "/dev/null", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return time.perf_counter() - began, int(done.stdout) / 1024


def forgetful(segments: tuple[int, ...] = (4, 8, 16)) -> None:
    """Bytes by the size of segments where the frame's window has the 4 MiB that level 9 brings by itself."""
    wire.MAX_SEGMENT_BYTES = wire.MAX_WINDOW_BYTES = 1 << 28
    wire.MAX_PAYLOAD_BYTES = 1 << 29
    images = pair()
    old, new = files.digest_of(images.old), files.digest_of(images.new)

    def compress(data: bytes, window: bytes) -> bytes:
        dictionary = zstandard.ZstdCompressionDict(window, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        return zstandard.ZstdCompressor(level=9, dict_data=dictionary, write_dict_id=False).compress(data)

    source, target = (memoryview(image.read_bytes()) for image in (images.old, images.new))
    for segment in segments:
        sizes = Sizes(segment=segment * MEBIBYTE, window=2 * segment * MEBIBYTE, copy_blocks=1 << 30)
        size = sum(map(len, make_delta((old, source), (new, target), compress, sizes=sizes)))
        print(f"| 9, forgetful | {segment} | {2 * segment} | {size} | {100 * size / new.size:.2f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["forgetful"]:
        forgetful()
    else:
        main([int(level) for level in sys.argv[1:]] or [zstd.LEVEL])
