# SPDX-License-Identifier: Apache-2.0
"""Sessions of debugging, one for each application that was started for it, until it is started or stopped otherwise.

They end with the permission to develop, too: at once where it is taken back, and where it expires with the client that
is inside.

At the port for gdb a client speaks gdb's remote protocol with a gdbserver of its own, which is attached to the
application's process as it comes and let go as it leaves. At the port for output it reads what the application prints.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from uuid import UUID

from armillary.device.applications.supervisor import ApplicationRun
from armillary.device.debugging.door import Serve, open_door
from armillary.device.state.journal import Journal
from armillary.engines.sandbox.port import OutputLine

SERVER: Final = "gdbserver"
_READ_BYTES: Final = 64 * 1024
_SAID_CHARACTERS: Final = 200
_KEPT_BYTES: Final = 4 * _SAID_CHARACTERS  # as many as UTF-8 takes for them
PATIENCE_S: Final = 2.0  # with a debugging server that was told to end
MAX_UNREAD_BYTES: Final = 1 << 20  # of output; who reads more slowly is let go


@dataclass(frozen=True, slots=True)
class DebugPorts:
    """Where an application is debugged."""

    gdb: int
    output: int


class CannotDebugError(Exception):
    """An application cannot be debugged here; the text says why, ``remedy`` what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy


class DebuggerStartsError(CannotDebugError):
    """Another request is starting the application for a debugger."""


class DebugSessions:
    """The sessions of one boot of a device, at an address of this host."""

    def __init__(self, host: str, journal: Journal) -> None:
        self._host = host
        self._journal = journal
        self._open: dict[UUID, contextlib.AsyncExitStack] = {}  # by image
        self._starting: set[UUID] = set()  # images

    def check(self, run: ApplicationRun) -> str:
        """The path of gdbserver; CannotDebugError where an application cannot be debugged."""
        if not ip_address(self._host).is_loopback:
            raise CannotDebugError(
                f"gdb's protocol knows no token, so that nobody is let in at {self._host}",
                "Serve the API at loopback: --rest 127.0.0.1:PORT, from elsewhere through ssh -L.",
            )
        if run.application.grant.real_time:
            raise CannotDebugError("an emulated core has no debugging server", "Debug an application of the main core.")
        found = shutil.which(SERVER)
        if found is None:
            raise CannotDebugError("this device has no debugging server", "sudo apt-get install gdbserver")
        return found

    @contextlib.contextmanager
    def starting(self, run: ApplicationRun) -> Iterator[None]:
        """Be the only one who starts an application for a debugger; DebuggerStartsError while another does."""
        image_id = run.application.image_id
        if image_id in self._starting:
            raise DebuggerStartsError(
                "the application is already being started for a debugger, by another request",
                "Use the ports that the other request is told, or ask again afterwards: its session ends then.",
            )
        self._starting.add(image_id)
        try:
            yield
        finally:
            self._starting.discard(image_id)

    async def open(self, run: ApplicationRun, *, may: Callable[[], bool] = lambda: True) -> DebugPorts:
        """Open the ports for an application; CannotDebugError as :meth:`check`.

        ``may`` is asked of each client: whether debugging is allowed at that moment.
        """
        server = self.check(run)
        await self.end(run.application.image_id)
        async with contextlib.AsyncExitStack() as stack:
            gdb = await stack.enter_async_context(
                open_door(self._host, _while(may, lambda reader, writer: self._debug(server, run, reader, writer)))
            )
            output = await stack.enter_async_context(
                open_door(self._host, _while(may, lambda reader, writer: _tell_output(run, reader, writer)))
            )
            self._open[run.application.image_id] = stack.pop_all()
        self._journal.write("debugging", name=run.application.name, gdb_port=gdb, output_port=output)
        return DebugPorts(gdb, output)

    async def end(self, image_id: UUID) -> None:
        """Close the ports of an application, if there are any."""
        stack = self._open.pop(image_id, None)
        if stack is not None:
            await stack.aclose()

    async def keep_only(self, images: Collection[UUID]) -> None:
        """Close the ports of all others."""
        for image_id in tuple(self._open):
            if image_id not in images:
                await self.end(image_id)

    async def close(self) -> None:
        """Close all."""
        await self.keep_only(())

    async def _debug(
        self, server: str, run: ApplicationRun, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Attach to what runs now, and pass on what both sides say until one of them ends."""
        if run.running is None:
            return
        process = await asyncio.create_subprocess_exec(
            server,
            *("--once", "--attach", "stdio", str(run.running.pid)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - asked for above
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        words = bytearray()
        said = asyncio.create_task(_keep_last(process.stderr, words))  # all of it: a full pipe would hold the server
        ways = [
            asyncio.create_task(_pass_on(reader, process.stdin)),
            asyncio.create_task(_pass_on(process.stdout, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ways:
                each.cancel()
            process.stdin.close()  # it lets go of the application, which runs on
            await _ended(process)
            await asyncio.wait((said,), timeout=PATIENCE_S)  # until nobody can say more
            said.cancel()
            if process.returncode:
                reason = words.decode("utf-8", "replace").strip()[-_SAID_CHARACTERS:]
                self._journal.write("debugger-failed", name=run.application.name, reason=reason)


def _while(may: Callable[[], bool], serve: Serve) -> Serve:
    """What serves clients, but those that come when it may not be."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if may():
            await serve(reader, writer)

    return served


async def _keep_last(reader: asyncio.StreamReader, kept: bytearray) -> None:
    """Read until the end, and keep the last of it."""
    while data := await reader.read(_READ_BYTES):
        kept += data
        del kept[:-_KEPT_BYTES]


async def _ended(process: asyncio.subprocess.Process, patience_s: float = PATIENCE_S) -> None:
    """Wait for the end of a process that has been told, or make it."""
    try:
        await asyncio.wait_for(process.wait(), patience_s)
    except (TimeoutError, asyncio.CancelledError):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_READ_BYTES):
        writer.write(data)
        await writer.drain()


async def _tell_output(run: ApplicationRun, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send what the application prints, until the client leaves or reads too slowly."""
    gone = asyncio.ensure_future(reader.read())  # nothing is expected of it but its end

    def hear(line: OutputLine) -> None:
        if writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            gone.cancel()
        else:
            writer.write(line.text.encode("utf-8", "replace") + b"\n")

    forget = run.listen(hear)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await gone
    finally:
        forget()
