# SPDX-License-Identifier: Apache-2.0
"""Loads cores for a device: takes firmware from a channel, checks it again, starts a core with it, carries its frames.

A channel is a Unix socket to which QEMU connects for one machine's port. Everything that a device says is checked; a
device that is gone without a word (its machine was switched off, its process killed) has its core held in reset after
STILL_LIMIT_S, or as soon as the next session begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from armillary.device_image import tools
from armillary.device_image.cores import machine
from armillary.device_image.cores.board import COMPILER, checked_firmware, compile_board
from armillary.device_image.cores.machine import WHAT, CoreMachine
from armillary.errors import ArmillaryError, WireError
from armillary.wire.device.core_channel import (
    FIRMWARE_LIMIT_BYTES,
    RESULT_BYTES,
    STILL_LIMIT_S,
    Frame,
    FrameReader,
    Kind,
    encode,
    parse_letter,
)
from armillary.wire.device.core_fault import CoreFault, encode_fault
from armillary.wire.image.firmware import Firmware

READ_BYTES: Final = 64 * 1024
_LOOK_EVERY_S: Final = 1.0
Start = Callable[[bytes, Firmware], Awaitable[CoreMachine]]


class Loader:
    """One core and its channel."""

    def __init__(
        self,
        board: bytes,
        write: Callable[[bytes], Awaitable[None]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        start: Start = machine.start,
    ) -> None:
        self._board = board
        self._write = write
        self._monotonic = monotonic
        self._start = start
        self._session = b""
        self._file = bytearray()
        self._core: CoreMachine | None = None
        self._carrying: asyncio.Task[None] | None = None
        self._heard_at = 0.0

    async def hear(self, frame: Frame) -> None:
        """A frame of the device."""
        if frame.kind == Kind.LOAD and frame.session != self._session:
            await self.hold()
            self._session = frame.session
            self._file.clear()
        if frame.session != self._session:
            return
        self._heard_at = self._monotonic()
        if frame.kind == Kind.LOAD:
            await self._take(frame.body)
        elif frame.kind == Kind.START and self._core is None:
            await self._begin(frame.body)
        elif frame.kind == Kind.STOP:
            await self.hold()
        elif self._core is not None and _is_sound(frame):
            self._core.tell(Frame(frame.kind, frame.body))

    async def look(self) -> None:
        """Hold the core of a device that is gone; called every second."""
        if self._core is not None and self._monotonic() - self._heard_at > STILL_LIMIT_S:
            await self.hold()

    async def hold(self) -> None:
        """Hold the core in reset, if one runs; its session is over."""
        core, carrying, self._core, self._carrying, self._session = self._core, self._carrying, None, None, b""
        if core is not None:
            await core.stop()
        if carrying is not None:
            carrying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await carrying

    async def _take(self, part: bytes) -> None:
        if len(self._file) + len(part) > FIRMWARE_LIMIT_BYTES:
            await self._refuse(f"firmware: expected at most {FIRMWARE_LIMIT_BYTES} bytes, got more")
        elif self._core is None:
            self._file += part

    async def _begin(self, digest: bytes) -> None:
        data = bytes(self._file)
        if hashlib.sha256(data).digest() != digest:
            await self._refuse(f"firmware: expected SHA-256 {digest.hex()}, got {hashlib.sha256(data).hexdigest()}")
            return
        try:
            firmware = checked_firmware(data)
        except WireError as error:
            await self._refuse(error.message)
            return
        try:
            self._core = core = await self._start(self._board, firmware)
        except (ArmillaryError, OSError) as error:  # of this start alone: the channel is the core's for good
            await self._refuse(f"the core does not start here: {error}")
            return
        await self._say(Kind.STARTED, WHAT.encode())
        self._carrying = asyncio.create_task(self._carry(core))

    async def _carry(self, core: CoreMachine) -> None:
        """Hand on what a core sends, and its end."""
        fault = await core.until_end(lambda frame: self._say(frame.kind, frame.body))
        if self._core is core:  # and nobody held it
            await self._say(Kind.ENDED, _words_of(fault))
            self._core, self._carrying, self._session = None, None, b""

    async def _refuse(self, reason: str) -> None:
        await self._say(Kind.REFUSED, reason.encode())
        self._session = b""

    async def _say(self, kind: Kind, body: bytes) -> None:
        await self._write(encode(Frame(kind, body, self._session)))


def _words_of(fault: CoreFault | None) -> bytes:
    return b"" if fault is None else encode_fault(fault).encode()


def _is_sound(frame: Frame) -> bool:
    """Whether a frame of the device is one for the core."""
    if frame.kind == Kind.MAIL:
        with contextlib.suppress(WireError):
            parse_letter(frame.body)
            return True
    return frame.kind == Kind.RESULT and len(frame.body) == RESULT_BYTES


async def serve_channel(board: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Load one core for whoever is at the other end, until they are gone."""

    async def write(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    async def watch() -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await loader.look()

    loader, frames = Loader(board, write), FrameReader(sessions=True)
    watching = asyncio.create_task(watch())
    try:
        while data := await reader.read(READ_BYTES):
            for each in frames.feed(data):
                if isinstance(each, Frame):
                    await loader.hear(each)
    except ConnectionError:
        pass  # the machine was switched off
    finally:
        watching.cancel()
        await loader.hold()
        writer.close()


async def serve(folder: Path, number: int) -> None:
    """Stand in for so many cores, each at a socket in ``folder``, until this process is ended.

    Raises:
        HostError: the host lacks QEMU or the compiler.
    """
    tools.require(COMPILER, machine.NEEDED)
    board = compile_board()
    servers = [
        await asyncio.start_unix_server(lambda reader, writer: serve_channel(board, reader, writer), folder / str(each))
        for each in range(number)
    ]
    sys.stdout.write(f"{number} real-time cores, each {WHAT}\n")
    sys.stdout.flush()
    async with contextlib.AsyncExitStack() as stack:
        for each in servers:
            await stack.enter_async_context(each)
        await asyncio.Event().wait()
