# SPDX-License-Identifier: Apache-2.0
"""The channel between a device and whatever loads a real-time core that lies outside of the device's Linux.

Frames as in SLIP (RFC 1055): END after each, and before one where the stream may be in the middle of another. In a
frame::

    content = kind (u8), session (8 bytes), body

A session is one run of one firmware; the device makes its number. What belongs to another session is not looked at, so
nothing of a run that was cut short is taken for the next one. Kinds and bodies: :class:`Kind`.

Between the loader and the core itself the same frames go without a session (``image/cores/board.c``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from uuid import UUID

from armillary.errors import WireError

ID_BYTES: Final = 16
MESSAGE_LIMIT_BYTES: Final = 1024
SESSION_BYTES: Final = 8
# Of the firmware's file in one frame: few enough that a mailbox's frame never waits long behind it.
PART_BYTES: Final = 4096
# An ELF file with its symbols; what is loaded of it is far less.
FIRMWARE_LIMIT_BYTES: Final = 4 * 1024 * 1024
TEXT_LIMIT_BYTES: Final = 1024
# A device that says nothing for so long is gone: its core is held in reset.
STILL_LIMIT_S: Final = 30.0
FRAME_LIMIT_BYTES: Final = 1 + SESSION_BYTES + PART_BYTES
RESULT_BYTES: Final = 4
FAULT: Final = struct.Struct("<8I")
END: Final = 0xC0
_ESCAPE, _ESCAPED_END = 0xDB, 0xDC


class Kind(IntEnum):
    """What a frame is: below 0x80 from the device, above from the core."""

    LOAD = 0x01  # the next bytes of the firmware's file; the first one of a session begins it
    START = 0x02  # SHA-256 of the file: check it, load it, start the core
    MAIL = 0x03  # the sender's component id, then its message
    RESULT = 0x04  # u32, little endian: what became of the oldest SEND without a result (Linux's error number)
    STILL = 0x05  # nothing: the device is there
    STOP = 0x06  # nothing: hold the core in reset
    STARTED = 0x81  # text: what the core is
    REFUSED = 0x82  # text: why it was not started
    OUTPUT = 0x83  # bytes of the core's serial line
    SEND = 0x84  # the receiver's component id, then the message
    TAKEN = 0x85  # nothing: the core has read a message
    ENDED = 0x86  # text: the line of wire/device/core_fault.py, or nothing for a reset
    FAULT = 0x87  # only of the core to its loader: FAULT, see image/cores/board.c


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame with its session; empty between loader and core."""

    kind: Kind
    body: bytes = b""
    session: bytes = b""


def encode(frame: Frame) -> bytes:
    """A frame as it goes over the line, with its end."""
    content = bytes([frame.kind]) + frame.session + frame.body
    escaped = content.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
    return escaped + bytes([END])


class FrameReader:
    """Takes a stream apart into frames. ``sessions``: whether they have one."""

    def __init__(self, *, sessions: bool) -> None:
        self._session_bytes = SESSION_BYTES if sessions else 0
        self._begun = bytearray()

    def feed(self, data: bytes) -> list[Frame | WireError]:
        """Frames that are whole now, in order; for one that is none the error that says so, and the stream goes on."""
        found: list[Frame | WireError] = []
        *ended, rest = data.split(bytes([END]))
        for part in ended:
            self._begun += part
            if self._begun:
                found.append(self._frame(bytes(self._begun)))
            self._begun.clear()
        self._begun += rest
        if len(self._begun) > 2 * FRAME_LIMIT_BYTES:  # all of it escaped
            found.append(_fault(f"at most {FRAME_LIMIT_BYTES} bytes", "more without an end"))
            self._begun.clear()
        return found

    def _frame(self, escaped: bytes) -> Frame | WireError:
        try:
            content = _unescaped(escaped)
            if len(content) > FRAME_LIMIT_BYTES or len(content) < 1 + self._session_bytes:
                raise _fault(f"{1 + self._session_bytes} to {FRAME_LIMIT_BYTES} bytes", f"{len(content)}")
            kind = Kind(content[0])
        except WireError as error:
            return error
        except ValueError:
            return _fault("a kind of frame", f"{content[0]:#04x}")
        session_end = 1 + self._session_bytes
        return Frame(kind, content[session_end:], content[1:session_end])


def pack_letter(component_id: UUID, content: bytes) -> bytes:
    """The body of MAIL and SEND."""
    return component_id.bytes + content


def parse_letter(body: bytes) -> tuple[UUID, bytes]:
    """Component id and message of MAIL and SEND.

    Raises:
        WireError: no message, or one that is too long.
    """
    if not ID_BYTES < len(body) <= ID_BYTES + MESSAGE_LIMIT_BYTES:
        raise _fault(f"a component id and 1 to {MESSAGE_LIMIT_BYTES} bytes", f"{len(body)} bytes")
    return UUID(bytes=body[:ID_BYTES]), body[ID_BYTES:]


def text_of(body: bytes) -> str:
    """A text for people, at most :data:`TEXT_LIMIT_BYTES`, printable."""
    text = body[:TEXT_LIMIT_BYTES].decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "?" for each in text)


def _unescaped(data: bytes) -> bytes:
    if b"\xdb" not in data:
        return data
    first, *others = data.split(b"\xdb")
    found = bytearray(first)
    for part in others:
        if part[:1] not in (b"\xdc", b"\xdd"):
            raise _fault("an escape of SLIP", f"0xdb before {part[:1].hex() or 'the end'}")
        found.append(END if part[0] == _ESCAPED_END else _ESCAPE)
        found += part[1:]
    return bytes(found)


def _fault(expected: str, got: str) -> WireError:
    return WireError("core channel", expected=expected, got=got)
