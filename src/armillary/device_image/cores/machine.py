# SPDX-License-Identifier: Apache-2.0
"""One core: QEMU's machine mps2-an386 with one firmware, and the line to the board's program in it.

What the core sends comes over a serial line; what it is sent goes through a ring in memory that QEMU shares with this
process (``image/cores/board.c``).

Firmware is hostile until proven otherwise. QEMU has a seccomp filter, no device that reaches the host but this line,
low priority, and half of one processor; what the line brings is checked, and a core that breaks its form is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Final

from armillary.device_image import tools
from armillary.device_image.cores.board import memory_with
from armillary.device_image.cores.faults import ended_by_itself, fault_of
from armillary.engines.host.ended_with import ended_with_us
from armillary.errors import WireError
from armillary.wire.device.core_channel import Frame, FrameReader, Kind, encode, parse_letter
from armillary.wire.device.core_fault import CoreFault
from armillary.wire.image.firmware import Firmware

NEEDED: Final = {"qemu-system-arm": "qemu-system-arm", "nice": "coreutils"}
WHAT: Final = "a stand-in for a chip's core: Cortex-M4 of QEMU's mps2-an386, not silicon"
READ_BYTES: Final = 16 * 1024
# Of the ring: eight messages and their answers, which is all that waits for a core that keeps to the rules, are less.
RING_SIZE: Final = 64 * 1024
_MEMORY_BYTES: Final = 16 * 1024 * 1024
_WRITTEN, _READ, _BYTES = 0, 4, 64
SAID_LIMIT_BYTES: Final = 16 * 1024  # of QEMU's last words
BUSY_PART: Final = 0.5  # of one processor, as emulated cores have
_LOOK_EVERY_S: Final = 0.1
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_ARGUMENTS: Final = (
    *("-machine", "mps2-an386,memory-backend=shared", "-nodefaults", "-no-user-config", "-no-reboot"),
    *("-display", "none", "-monitor", "none"),
    *("-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line"),
    *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
)


class Ring:
    """Bytes for a core, in memory that it shares: it says there how far it has read, and may say anything."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._place = 0

    def write(self, data: bytes) -> bool:
        """Write all of these bytes; False, and none, if there is no room."""
        read = int.from_bytes(self._memory[_READ : _READ + 4], "little") % RING_SIZE
        if len(data) > (read - self._place - 1) % RING_SIZE:
            return False
        until_end = RING_SIZE - self._place
        for place, part in ((self._place, data[:until_end]), (0, data[until_end:])):
            self._memory[_BYTES + place : _BYTES + place + len(part)] = part
        self._place = (self._place + len(data)) % RING_SIZE
        self._memory[_WRITTEN : _WRITTEN + 4] = self._place.to_bytes(4, "little")
        return True


class CoreMachine:
    """A core that runs."""

    def __init__(self, firmware: Firmware, process: Process, ring: Ring) -> None:
        self._firmware = firmware
        self._process = process
        self._ring = ring
        self._rest = asyncio.create_task(self._have_it_rest())
        self._fault: CoreFault | None = None
        self._is_held = False

    def tell(self, frame: Frame) -> None:
        """MAIL or RESULT for the core, which never makes the caller wait: one that does not read is ended."""
        if not self._ring.write(encode(frame)):
            self._end("it does not read what it is sent")

    async def until_end(self, on_frame: Callable[[Frame], object]) -> CoreFault | None:
        """Hand on what the core sends until it has stopped; its fault, None for a reset or :meth:`stop`.

        ``on_frame`` may wait; the core waits with it.
        """
        said = asyncio.create_task(self._last_words())
        reader = FrameReader(sessions=False)
        line = self._process.stdout
        while line is not None and (data := await line.read(READ_BYTES)):
            for frame in joined(reader.feed(data)):
                if self._fault is None and self._is_sound(frame):
                    waits = on_frame(frame)
                    if asyncio.iscoroutine(waits):
                        await waits
        status, words = await self._process.wait(), await said
        self._rest.cancel()
        if self._fault is not None or self._is_held or status == 0:
            return self._fault
        return ended_by_itself(f"its QEMU has ended with {status}, as at a lockup", words)

    async def stop(self) -> None:
        """Hold the core in reset."""
        self._is_held = True
        self._rest.cancel()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def _is_sound(self, frame: Frame) -> bool:
        """Whether it may be handed on; a fault, or what is no frame of a core, ends it."""
        try:
            if frame.kind == Kind.FAULT:
                self._fault = fault_of(frame.body, self._firmware)
                self._process.kill()
                return False
            if frame.kind == Kind.SEND:
                parse_letter(frame.body)
        except WireError as error:
            self._end(error.message)
            return False
        if frame.kind in (Kind.OUTPUT, Kind.SEND, Kind.TAKEN):
            return True
        self._end("it sends what no core sends")
        return False

    def _end(self, reason: str) -> None:
        if self._fault is None:
            self._fault = ended_by_itself(reason)
            if self._process.returncode is None:
                self._process.kill()

    async def _last_words(self) -> str:
        """What QEMU prints: its end, at most so much."""
        said = b""
        stream = self._process.stderr
        while stream is not None and (data := await stream.read(READ_BYTES)):
            said = (said + data)[-SAID_LIMIT_BYTES:]
        return said.decode("ascii", "replace")

    async def _have_it_rest(self) -> None:
        """Keep a core that never waits at its part of one processor, on hosts without control groups as well."""
        before = _processor_s(self._process.pid)
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            while True:
                await asyncio.sleep(_LOOK_EVERY_S)
                used, before = _processor_s(self._process.pid) - before, _processor_s(self._process.pid)
                rest_s = used / BUSY_PART - _LOOK_EVERY_S
                if rest_s > 0:
                    self._process.send_signal(signal.SIGSTOP)
                    await asyncio.sleep(rest_s)
                    self._process.send_signal(signal.SIGCONT)


async def start(board: bytes, firmware: Firmware) -> CoreMachine:
    """A core with this firmware, which runs. It ends with this process, however that ends."""
    memory, shared = os.memfd_create("core"), os.memfd_create("ring")  # files of nobody: nothing is left behind
    try:
        os.write(memory, memory_with(board, firmware))
        os.ftruncate(shared, _MEMORY_BYTES)
        ring = Ring(mmap.mmap(shared, _BYTES + RING_SIZE))
        process = await asyncio.create_subprocess_exec(
            *(*ended_with_us(), "nice", "-n", "10", _qemu(), *_ARGUMENTS),
            *("-object", f"memory-backend-file,id=shared,share=on,size=16M,mem-path=/proc/self/fd/{shared}"),
            *("-kernel", f"/proc/self/fd/{memory}"),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            pass_fds=(memory, shared),
            env={"PATH": tools.PATH},
        )
    finally:
        os.close(memory)
        os.close(shared)
    return CoreMachine(firmware, process, ring)


def joined(frames: list[Frame | WireError]) -> list[Frame]:
    """Frames with output that follows output as one; one that is none becomes a frame that no core sends."""
    found: list[Frame] = []
    for each in frames:
        frame = Frame(Kind.STOP) if isinstance(each, WireError) else each
        if found and frame.kind == found[-1].kind == Kind.OUTPUT:
            found[-1] = Frame(Kind.OUTPUT, found[-1].body + frame.body)
        else:
            found.append(frame)
    return found


def _qemu() -> str:
    return shutil.which("qemu-system-arm", path=tools.PATH) or "qemu-system-arm"


def _processor_s(pid: int) -> float:
    """Seconds of a processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
