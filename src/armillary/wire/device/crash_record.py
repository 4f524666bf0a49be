# SPDX-License-Identifier: Apache-2.0
"""What a device captured of a crash: how the process ended, where it was, and of which build its program is.

::

    crash = [
        signal : uint / null, exit-code : uint / null,      ; exactly one of the two
        cause : tstr .size (0..64),                         ; class of what went wrong: ValueError, not its text
        build-id : bstr .size (0..64),                      ; GNU build id of the program; empty: it has none
        frames : [0*16 frame],                              ; innermost first
        registers : [0*40 [name : tstr .size (0..16), value : uint]]
    ]
    frame = [
        module : tstr .size (0..128), build-id : bstr .size (0..64), offset : uint,
        function : tstr .size (0..128)                      ; empty: known by build id and offset alone
    ]

Names, offsets and registers, never the contents of memory or the text of an exception: they could hold what belongs to
a person. So are the registers ``pc`` and ``lr`` of a native application: offsets within the modules of the first two
frames, and no other register is sent (a crash dump has them, ``crash_dump.py``). Of a real-time application ``pc``,
``lr`` and ``sp`` are sent as its core had them.

``offset`` is an address within the module as its symbol table counts, or the line of an interpreted one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import WireError
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array, take_bytes, take_text, take_uint

MAX_FRAMES: Final = 16  # the fingerprint looks at six; the rest is for people
MAX_REGISTERS: Final = 40  # AArch64 has 34
MAX_CAUSE_BYTES: Final = 64
MAX_MODULE_BYTES: Final = 128
MAX_FUNCTION_BYTES: Final = 128  # the device clips what is longer
MAX_BUILD_ID_BYTES: Final = 64  # SHA-1 has 20; ld takes any
MAX_REGISTER_NAME_BYTES: Final = 16
MAX_SIGNAL: Final = 64
MAX_EXIT_CODE: Final = 255
# A record with everything at its limit: 16 frames of about 340 bytes, 40 registers, and the rest.
MAX_CRASH_BYTES: Final = 8 * 1024
_UINT64: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Frame:
    """One place in the stack. An empty ``build_id`` or ``function`` is one that is not known."""

    module: str
    build_id: bytes
    offset: int
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashRecord:
    """A captured crash; exactly one of ``signal`` and ``exit_code`` is set."""

    signal: int | None
    exit_code: int | None
    cause: str = ""
    build_id: bytes = b""
    frames: tuple[Frame, ...] = ()
    registers: tuple[tuple[str, int], ...] = ()


def crash_fields(crash: CrashRecord) -> list[Any]:
    """The CBOR array of a crash."""
    return [
        crash.signal,
        crash.exit_code,
        crash.cause,
        crash.build_id,
        [frame_fields(one) for one in crash.frames],
        [[name, value] for name, value in crash.registers],
    ]


def crash_from_fields(value: Any) -> CrashRecord:
    """A crash from its decoded CBOR array; raises WireError if it is not of the form above."""
    fields = take_array(value, "crash", limit=6, size=6)
    if (fields[0] is None) == (fields[1] is None):
        raise WireError("crash", expected="a signal or an exit code", got=f"{fields[0]!r:.20} and {fields[1]!r:.20}")
    return CrashRecord(
        signal=None if fields[0] is None else take_uint(fields[0], "crash signal", limit=MAX_SIGNAL),
        exit_code=None if fields[1] is None else take_uint(fields[1], "crash exit code", limit=MAX_EXIT_CODE),
        cause=take_text(fields[2], "crash cause", limit=MAX_CAUSE_BYTES),
        build_id=take_bytes(fields[3], "crash build id", limit=MAX_BUILD_ID_BYTES),
        frames=tuple(frame_from_fields(one) for one in take_array(fields[4], "crash frames", limit=MAX_FRAMES)),
        registers=tuple(_register(one) for one in take_array(fields[5], "crash registers", limit=MAX_REGISTERS)),
    )


def encode_crash(crash: CrashRecord) -> bytes:
    """A crash as it is stored."""
    return cbor.encode_ordered(crash_fields(crash))


def parse_crash(data: bytes) -> CrashRecord:
    """A stored crash; raises WireError."""
    return crash_from_fields(cbor.decode(data, what="crash", limit=MAX_CRASH_BYTES))


def frame_fields(frame: Frame) -> list[Any]:
    """The CBOR array of a frame."""
    return [frame.module, frame.build_id, frame.offset, frame.function]


def frame_from_fields(value: Any) -> Frame:
    """A frame from its decoded CBOR array; raises WireError if it is not of the form above."""
    fields = take_array(value, "crash frame", limit=4, size=4)
    return Frame(
        module=take_text(fields[0], "crash frame module", limit=MAX_MODULE_BYTES),
        build_id=take_bytes(fields[1], "crash frame build id", limit=MAX_BUILD_ID_BYTES),
        offset=take_uint(fields[2], "crash frame offset", limit=_UINT64),
        function=take_text(fields[3], "crash frame function", limit=MAX_FUNCTION_BYTES),
    )


def _register(value: Any) -> tuple[str, int]:
    fields = take_array(value, "crash register", limit=2, size=2)
    name = take_text(fields[0], "crash register name", limit=MAX_REGISTER_NAME_BYTES)
    return name, take_uint(fields[1], "crash register value", limit=_UINT64)
