# SPDX-License-Identifier: Apache-2.0
"""Frames of the application interface: one JSON object each, with its length before it.

::

    frame = length : 4 bytes, big endian, 2 to 65536
            object : length bytes, a JSON object in UTF-8 (RFC 8259)

JSON, because every language reads it; a length before it, so that nothing has to look for an end. Both directions have
the same frames. Descriptors that belong to a frame travel with its first byte (SCM_RIGHTS, unix(7)).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from armillary.errors import WireError

LENGTH_BYTES: Final = 4
# A page of certificates or a line of log fits many times over; a frame is held in memory for each connection.
FRAME_LIMIT_BYTES: Final = 64 * 1024
# Parameters are flat; deeper nesting only costs stack.
DEPTH_LIMIT: Final = 16
_WHAT: Final = "frame"
_REMEDY: Final = "See docs/reference/application-interface.md for the form of a frame."


def encode_frame(message: Mapping[str, Any]) -> bytes:
    """A frame of this object; raises WireError if it is larger than a frame may be."""
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    body = text.encode("utf-8", "backslashreplace")  # a lone surrogate becomes its JSON escape
    if len(body) > FRAME_LIMIT_BYTES:
        raise WireError(_WHAT, expected=f"at most {FRAME_LIMIT_BYTES} bytes", got=f"{len(body)}")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class FrameReader:
    """Cuts a stream of bytes into the objects of its frames.

    What is held is at most one frame and what was fed last. After a WireError the stream has no more frames: where the
    next one begins is not known.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Take further bytes; gives the objects that are whole, in order. Exhaust it before feeding more.

        Raises:
            WireError: a length out of bounds, or a body that is no JSON object in UTF-8.
        """
        self._held += data
        while len(self._held) >= LENGTH_BYTES:
            size = int.from_bytes(self._held[:LENGTH_BYTES], "big")
            if not 2 <= size <= FRAME_LIMIT_BYTES:
                raise WireError(
                    _WHAT, expected=f"a length of 2 to {FRAME_LIMIT_BYTES} bytes", got=f"{size}", remedy=_REMEDY
                )
            if len(self._held) < LENGTH_BYTES + size:
                return
            body = bytes(self._held[LENGTH_BYTES : LENGTH_BYTES + size])
            del self._held[: LENGTH_BYTES + size]
            yield decode_body(body)


def decode_body(body: bytes) -> dict[str, Any]:
    """The object in a frame's body; WireError for anything else."""
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise WireError(_WHAT, expected="a JSON object in UTF-8", got=f"{error!s:.80}", remedy=_REMEDY) from error
    if not isinstance(found, dict):
        raise WireError(_WHAT, expected="a JSON object", got=type(found).__name__, remedy=_REMEDY)
    if _depth_over(found, DEPTH_LIMIT):
        raise WireError(_WHAT, expected=f"at most {DEPTH_LIMIT} levels", got="more", remedy=_REMEDY)
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _depth_over(value: Any, left: int) -> bool:
    """Whether lists and objects are nested deeper than ``left``; looks no deeper than that."""
    if not isinstance(value, (dict, list)):
        return False
    if left == 0:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(_depth_over(each, left - 1) for each in inner)
