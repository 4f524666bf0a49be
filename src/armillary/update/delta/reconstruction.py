# SPDX-License-Identifier: Apache-2.0
"""Makes an artifact out of a delta and the artifact that it starts from. Nothing of a delta is trusted.

(1) The delta names the source and the target that were asked for.   prevents: the right delta of other artifacts
(2) Every length, count and range is within the format's limits.     prevents: bombs, reading outside of the source
(3) Each payload makes exactly the bytes that its segment says.      prevents: lengths that lie
(4) All bytes together have the size and the signed SHA-256.         prevents: everything else, also a wrong source

What was written before step (4) has passed is to be thrown away on any error: the caller writes to where nothing runs
from. Memory: one window (and its copy, as the decompressor's dictionary) or one window and one segment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from armillary.errors import DeltaError
from armillary.wire.update.delta import ArtifactDigest, DeltaParser, Segment

# Of the source at a time: what is read and joined is in memory twice.
READ_BYTES: Final = 256 << 10

# Reads so many bytes of the source at an offset; fewer only at its end.
ReadSource = Callable[[int, int], bytes]
# What a payload makes of a window: exactly so many bytes, else DeltaError (``engines/delta/zstd.py``). The window is
# read by one call: whoever copies it can let go of it before the target's bytes are there.
Decompress = Callable[[bytes, Callable[[], bytearray], int], bytes]


class Reconstruction:
    """Makes the ``target`` out of the ``source``: :meth:`feed` the delta as it arrives, then :meth:`finish`.

    ``source`` is what the device has, ``target`` what was signed for it; ``write`` is called with the next bytes of
    the target. Every fault of the delta is a DeltaError; what ``read`` and ``write`` raise is raised on.
    """

    def __init__(
        self,
        source: ArtifactDigest,
        target: ArtifactDigest,
        *,
        read: ReadSource,
        decompress: Decompress,
        write: Callable[[bytes | bytearray], object],
    ) -> None:
        self._source = source
        self._target = target
        self._read = read
        self._decompress = decompress
        self._write = write
        self._parser = DeltaParser()
        self._named = False
        self._digest = hashlib.sha256()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the delta."""
        segments = self._parser.feed(data)
        self._check_names()  # before anything is read or written
        for segment in segments:
            self._take(self._make(segment))

    def finish(self) -> ArtifactDigest:
        """The delta has ended: returns the target that was made, verified (step 4)."""
        self._parser.finish()
        if self._digest.digest() != self._target.sha256:
            raise DeltaError(
                "delta",
                expected=f"an artifact with SHA-256 {self._target.sha256.hex()}",
                got=self._digest.hexdigest(),
            )
        return self._target

    def _check_names(self) -> None:
        """Step (1), once the header is there."""
        header = self._parser.header
        if header is None or self._named:
            return
        for what, named, wanted in (("source", header.source, self._source), ("target", header.target, self._target)):
            if named != wanted:
                raise DeltaError("delta", expected=f"the {what} {_name(wanted)}", got=_name(named))
        self._named = True

    def _take(self, made: bytes | bytearray) -> None:
        """The next bytes of the target; nobody keeps them while those after them are made."""
        self._digest.update(made)
        self._write(made)

    def _make(self, segment: Segment) -> bytes | bytearray:
        if not segment.payload:
            return self._window(segment)  # as long as the segment: the parser has compared them
        made = self._decompress(segment.payload, lambda: self._window(segment), segment.size)
        if len(made) != segment.size:  # (3)
            raise DeltaError("delta", expected=f"a segment of {segment.size} bytes", got=f"{len(made)}")
        return made

    def _window(self, segment: Segment) -> bytearray:
        window, filled = bytearray(segment.window_bytes), 0
        for one in segment.window:
            end = one.offset + one.size
            for offset in range(one.offset, end, READ_BYTES):
                part = self._read(offset, min(READ_BYTES, end - offset))
                window[filled : filled + len(part)] = part
                filled += len(part)
        if filled != len(window):
            raise DeltaError("delta", expected=f"a source of {self._source.size} bytes", got="one that ends before")
        return window


def _name(artifact: ArtifactDigest) -> str:
    return f"{artifact.sha256.hex()} of {artifact.size} bytes"
