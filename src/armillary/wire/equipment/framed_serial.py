# SPDX-License-Identifier: Apache-2.0
"""Frames on a serial line, both sides: between flags, with a length, a kind, a sequence number and a checksum.

A small format of our own for equipment that has none, in the manner of HDLC (RFC 1662 §4 has the same flag, escape and
transparency)::

    1  flag, 0x7E; one between two frames is enough
    1  length of the payload, 0 to the link's largest                 | between the flags a byte that is flag or
    1  kind: what the payload is                                      | escape is written as escape, byte xor 0x20
    1  sequence number of the sender, rising by 1, 255 is followed by 0 |
    n  payload                                                        |
    2  CRC-16 of length, kind, sequence and payload, high byte first:
       polynomial 0x1021, start 0xFFFF (CRC-16/IBM-3740)              |
    1  flag

Where a link acknowledges, each side answers a frame with one of the kind :data:`ACKNOWLEDGED` or :data:`REFUSED` and
the frame's own sequence number, and sends again, with the same number, what was not answered in time. The answer to a
request carries as payload the value that stands after it, in the request's form; a refusal one byte, the reason.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from typing import Final

from armillary.errors import WireError
from armillary.wire.equipment.request import Frame

FLAG: Final = 0x7E
ESCAPE: Final = 0x7D
# What an escaped byte differs by, as in RFC 1662 §4.2.
ESCAPE_BIT: Final = 0x20
ACKNOWLEDGED: Final = 0x06  # ASCII ACK
REFUSED: Final = 0x15  # ASCII NAK
# Kinds that no equipment may use for its own frames.
RESERVED_KINDS: Final = frozenset({ACKNOWLEDGED, REFUSED})
MAX_PAYLOAD_BYTES: Final = 255  # The length is one byte
# Length, kind, sequence; CRC.
_AROUND_PAYLOAD: Final = 5
_CRC_START: Final = 0xFFFF
_CRC: Final = struct.Struct(">H")


def check_specials(flag: int, escape: int) -> None:
    """Refuse flags and escapes that could not be told apart once they are escaped.

    Raises:
        WireError: they are no bytes, are equal, or differ by the escape's bit alone.
    """
    if not (0 <= flag <= 255 and 0 <= escape <= 255) or flag ^ escape in (0, ESCAPE_BIT):
        expected = f"two bytes that differ, and not by {ESCAPE_BIT:#x} alone"
        raise WireError("frame", expected=expected, got=f"flag {flag:#x}, escape {escape:#x}")


def encode_frame(frame: Frame, *, flag: int = FLAG, escape: int = ESCAPE) -> bytes:
    """A frame with its flags.

    Raises:
        WireError: the payload is too long, or kind or sequence number are no bytes.
    """
    if len(frame.payload) > MAX_PAYLOAD_BYTES:
        raise WireError(
            "frame", expected=f"a payload of at most {MAX_PAYLOAD_BYTES} bytes", got=f"{len(frame.payload)}"
        )
    if not (0 <= frame.kind <= 255 and 0 <= frame.sequence <= 255):
        raise WireError("frame", expected="kind and sequence number of one byte", got=f"{frame.kind}, {frame.sequence}")
    body = bytes([len(frame.payload), frame.kind, frame.sequence]) + frame.payload
    body += _CRC.pack(crc_hqx(body, _CRC_START))
    # The escape first, or those that stand for flags would be escaped again.
    for special in (escape, flag):
        body = body.replace(bytes([special]), bytes([escape, special ^ ESCAPE_BIT]))
    return bytes([flag]) + body + bytes([flag])


def acknowledgement(frame: Frame, payload: bytes = b"") -> Frame:
    """The answer that takes a frame; to a request with the value that stands now."""
    return Frame(ACKNOWLEDGED, frame.sequence, payload)


def refusal(frame: Frame, reason: int) -> Frame:
    """The answer that refuses a request."""
    return Frame(REFUSED, frame.sequence, bytes([reason]))


class FrameDecoder:
    """Cuts what comes over a line into frames; what is damaged is dropped and counted. Holds one frame at most."""

    def __init__(self, *, max_payload: int, flag: int = FLAG, escape: int = ESCAPE) -> None:
        self.damaged = 0
        self._flag, self._escape = bytes([flag]), escape
        self._max_payload = max_payload
        # Each byte may be escaped.
        self._longest = 2 * (max_payload + _AROUND_PAYLOAD)
        self._rest = b""
        self._skipping = True  # What comes before the first flag is the end of a frame that began earlier

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return the frames that are whole now."""
        *pieces, rest = (self._rest + data).split(self._flag)
        frames = []
        for piece in pieces:
            if piece and not self._skipping:
                frame = self._read(piece)
                if frame is not None:
                    frames.append(frame)
            self._skipping = False
        if self._skipping:
            rest = b""
        elif len(rest) > self._longest:
            self.damaged += 1
            self._skipping, rest = True, b""
        self._rest = rest
        return frames

    def _read(self, piece: bytes) -> Frame | None:
        body = self._plain(piece) if self._escape in piece else piece
        size = len(body) - _AROUND_PAYLOAD
        if not 0 <= size <= self._max_payload or body[0] != size or crc_hqx(body, _CRC_START):
            self.damaged += 1
            return None
        return Frame(body[1], body[2], body[3:-2])

    def _plain(self, piece: bytes) -> bytes:
        first, *others = piece.split(bytes([self._escape]))
        if not all(others):  # An escape with nothing behind it: the sender gave the frame up (RFC 1662 §4.3)
            return b""
        return first + b"".join(bytes([each[0] ^ ESCAPE_BIT]) + each[1:] for each in others)
