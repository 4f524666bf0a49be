# SPDX-License-Identifier: Apache-2.0
"""What is captured of an application that ended by itself: signal or exit code, build id, and where it was.

Of a native application the sandbox has seen the thread that crashed (``engines/sandbox/crash``): its call stack is
kept and, of its registers, program counter and link register, as offsets within modules. Of a real-time application
these two are addresses of its firmware, which has no others, and the stack pointer is kept as well.

Of others, where it was is taken from what their runtime writes to standard error as they end: an uncaught exception's
traceback, or what ``faulthandler`` says on a deadly signal (the sandbox switches it on). Class of the error, files,
lines and functions are kept, the text of the error is not. An application can write such lines itself: they are its
own word.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Final

from armillary.device.applications.admission import Application
from armillary.engines.sandbox.port import ExitStatus
from armillary.errors import WireError
from armillary.wire.device import crash_record
from armillary.wire.device.core_fault import CoreFault
from armillary.wire.device.crash_record import CrashRecord, Frame
from armillary.wire.encoding.clip import clip_text

# Lines that are kept of what an application wrote last: a deep traceback has three a frame, and chained ones follow.
KEPT_LINES: Final = 200
# A program of which the build id is looked for; larger ones have none as far as we say.
MAX_PROGRAM_BYTES: Final = 32 * 1024 * 1024
# Where the thread was and who called it: offsets within the modules of the two innermost frames.
REGISTERS: Final = ("pc", "lr")

_FRAME: Final = re.compile(r'\s+File "(?P<file>[^"]*)", line (?P<line>\d{1,9})(?:,)? in (?P<function>.*)')
_TRACEBACK: Final = "Traceback (most recent call last):"  # outermost first
# Threads come in any order, innermost frame first; the one that failed is the current one.
_FAULT: Final = re.compile(r"(?P<current>Current t|T)hread 0x[0-9a-f]+ .*\(most recent call first\):")
_ERROR: Final = re.compile(r"(?P<cause>[A-Za-z_][\w.]{0,200})(?:: .*)?")


class CrashCapture:
    """Listens to one run of an application, and says what is known of its end."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)

    def hear(self, stream: str, text: str) -> None:
        """A line that the application wrote."""
        if stream == "stderr":
            self._lines.append(text)

    def record(self, status: ExitStatus) -> CrashRecord:
        """The record of an end by this status."""
        cause, frames = read_trace(self._lines)
        registers: tuple[tuple[str, int], ...] = ()
        if status.state is not None:
            frames = status.state.frames
            registers = tuple((name, frame.offset) for name, frame in zip(REGISTERS, frames, strict=False))
        if status.core is not None:
            frames, registers = self._core_frames(status.core), _core_registers(status.core)
        return CrashRecord(
            signal=status.signal,
            exit_code=None if status.signal is not None else (status.exit_code or 0) & crash_record.MAX_EXIT_CODE,
            cause=cause if status.signal is None else "",
            build_id=build_id_of(self._application),
            frames=frames,
            registers=registers,
        )

    def _core_frames(self, fault: CoreFault) -> tuple[Frame, ...]:
        """Where a core was and where it had been called: firmware is linked to the addresses that it runs at."""
        module = self._application.manifest.entry_point.rpartition("/")[2]
        places = (fault.pc, fault.lr & ~1) if fault.lr else (fault.pc,)
        return tuple(Frame(module, build_id_of(self._application), place, function="") for place in places)


def _core_registers(fault: CoreFault) -> tuple[tuple[str, int], ...]:
    return (("pc", fault.pc), ("lr", fault.lr), ("sp", fault.sp))


def read_trace(lines: Iterable[str]) -> tuple[str, tuple[Frame, ...]]:
    """Class of the error ("" on a signal) and frames, innermost first, of the last trace in some lines."""
    frames: list[Frame] = []
    cause, outermost_first, is_open = "", False, False
    for line in lines:
        found = _FRAME.fullmatch(line)
        if line.strip() == _TRACEBACK:
            frames, cause, outermost_first, is_open = [], "", True, True
        elif (fault := _FAULT.fullmatch(line)) is not None:
            is_open = fault["current"] != "T" or outermost_first or not frames
            if is_open:
                frames, cause, outermost_first = [], "", False
        elif is_open and found is not None:
            frames.append(_frame(found))
        elif is_open and outermost_first and frames and (error := _ERROR.fullmatch(line)) is not None:
            cause, is_open = clip_text(error["cause"].rpartition(".")[2], crash_record.MAX_CAUSE_BYTES), False
    if outermost_first:
        frames.reverse()
    return cause, tuple(frames[: crash_record.MAX_FRAMES])


def build_id_of(application: Application) -> bytes:
    """The build id of an application's program; empty for a script, or a program that has none."""
    program = application.filesystem.files.get(application.manifest.entry_point.removeprefix("/"))
    if program is None or len(program.content) > MAX_PROGRAM_BYTES:
        return b""
    from armillary.wire.image import elf_symbols  # noqa: PLC0415 - a device whose applications do well goes without it

    try:
        return elf_symbols.read_build_id(program.content)[: crash_record.MAX_BUILD_ID_BYTES]
    except WireError:
        return b""


def _frame(found: re.Match[str]) -> Frame:
    # The end of a path says enough; its beginning differs with the sandbox.
    module = "/".join(found["file"].split("/")[-2:])
    return Frame(
        module=clip_text(module, crash_record.MAX_MODULE_BYTES),
        build_id=b"",
        offset=int(found["line"]),
        function=clip_text(found["function"].strip(), crash_record.MAX_FUNCTION_BYTES),
    )
