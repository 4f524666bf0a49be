# SPDX-License-Identifier: Apache-2.0
"""QMI messages as bytes: QMUX frames with fields of type, length and value (the public description is libqmi's).

::

    frame = marker 01, length of the rest (16 bits), flags (80 from the modem), service, client,
            flags of the message, transaction (8 bits with service 0, else 16), number (16 bits), length of the fields
            (16 bits), fields
    field = type (8 bits), length (16 bits), value

All numbers are little-endian. What a modem says is another computer's word: frames and fields are bounded, and what is
none is left out, never guessed at.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from armillary.errors import WireError

MARKER: Final = 1
FROM_MODEM: Final = 0x80
CONTROL: Final = 0  # the service that gives clients their numbers
# The largest answers that are used, card status and serving system, have some hundred bytes.
MAX_FRAME_BYTES: Final = 4096
MAX_FIELDS: Final = 64
_HEAD: Final = struct.Struct("<BHBBB")
_CONTROL_HEAD: Final = struct.Struct("<BBHH")
_SERVICE_HEAD: Final = struct.Struct("<BHHH")
_FIELD: Final = struct.Struct("<BH")
_WHAT: Final = "QMI message"


class Kind(enum.Enum):
    """What a message is."""

    REQUEST = "request"
    RESPONSE = "response"
    INDICATION = "indication"  # unasked


@dataclass(frozen=True, slots=True, kw_only=True)
class QmiMessage:
    """One message; values of fields may hold secrets, so they are in no repr."""

    service: int
    client: int
    kind: Kind
    transaction: int
    number: int
    fields: Mapping[int, bytes] = field(default_factory=dict, repr=False)


def encode_frame(message: QmiMessage) -> bytes:
    """A message as a frame; WireError above :data:`MAX_FRAME_BYTES`."""
    body = b"".join(_FIELD.pack(kind, len(value)) + value for kind, value in message.fields.items())
    flags = _FLAGS[message.service == CONTROL][message.kind]
    head = _CONTROL_HEAD if message.service == CONTROL else _SERVICE_HEAD
    said = head.pack(flags, message.transaction, message.number, len(body)) + body
    origin = 0 if message.kind is Kind.REQUEST else FROM_MODEM
    frame = _HEAD.pack(MARKER, _HEAD.size - 1 + len(said), origin, message.service, message.client) + said
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError(_WHAT, expected=f"at most {MAX_FRAME_BYTES} bytes", got=f"{len(frame)}")
    return frame


def parse_frame(frame: bytes) -> QmiMessage:
    """The message of a whole frame; WireError if it is none."""
    if len(frame) < _HEAD.size or len(frame) > MAX_FRAME_BYTES:
        raise WireError(_WHAT, expected=f"{_HEAD.size} to {MAX_FRAME_BYTES} bytes", got=f"{len(frame)}")
    marker, length, _, service, client = _HEAD.unpack_from(frame)
    if marker != MARKER or length != len(frame) - 1:
        raise WireError(_WHAT, expected=f"marker {MARKER} and the length of the rest", got=f"{marker}, {length}")
    is_control = service == CONTROL
    head = _CONTROL_HEAD if is_control else _SERVICE_HEAD
    if len(frame) < _HEAD.size + head.size:
        raise WireError(_WHAT, expected="the head of a message", got=f"{len(frame)} bytes")
    flags, transaction, number, size = head.unpack_from(frame, _HEAD.size)
    kinds = {value: kind for kind, value in _FLAGS[is_control].items()}
    body = frame[_HEAD.size + head.size :]
    if flags not in kinds or size != len(body):
        raise WireError(_WHAT, expected="a kind of message, and all of its fields", got=f"flags {flags}, {size} bytes")
    return QmiMessage(
        service=service,
        client=client,
        kind=kinds[flags],
        transaction=transaction,
        number=number,
        fields=_fields(body),
    )


class FrameReader:
    """Collects bytes, and gives the messages that are whole; keeps at most one frame."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.dropped = 0  # bytes of no frame, and frames of no message

    def feed(self, data: bytes) -> list[QmiMessage]:
        """The messages that are whole with these bytes."""
        self._bytes += data
        found = []
        while (frame := self._next()) is not None:
            try:
                found.append(parse_frame(frame))
            except WireError:
                self.dropped += 1
        return found

    def _next(self) -> bytes | None:
        while len(self._bytes) >= _HEAD.size:
            marker, length, *_ = _HEAD.unpack_from(self._bytes)
            if marker != MARKER or not _HEAD.size <= length < MAX_FRAME_BYTES:
                del self._bytes[0]  # look for the next marker
                self.dropped += 1
                continue
            if len(self._bytes) <= length:
                return None
            frame = bytes(self._bytes[: length + 1])
            del self._bytes[: length + 1]
            return frame
        return None


_FLAGS: Final[Mapping[bool, Mapping[Kind, int]]] = {
    True: {Kind.REQUEST: 0, Kind.RESPONSE: 1, Kind.INDICATION: 2},
    False: {Kind.REQUEST: 0, Kind.RESPONSE: 2, Kind.INDICATION: 4},
}


def _fields(body: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    place = 0
    while place < len(body):
        if len(body) - place < _FIELD.size or len(found) >= MAX_FIELDS:
            raise WireError(_WHAT, expected=f"at most {MAX_FIELDS} whole fields", got=f"{len(body) - place} bytes more")
        kind, size = _FIELD.unpack_from(body, place)
        place += _FIELD.size
        if size > len(body) - place or kind in found:
            raise WireError(_WHAT, expected="each field once and whole", got=f"field {kind} of {size} bytes")
        found[kind] = body[place : place + size]
        place += size
    return found
