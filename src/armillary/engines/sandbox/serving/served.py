# SPDX-License-Identifier: Apache-2.0
"""One application as the fork server started it: its number, its output, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.engines.sandbox.serving.fork_server import MESSAGE_LIMIT_BYTES, ForkServer
from armillary.errors import SandboxUnavailableError

# A server that has not one descriptor left is not told where to say so.
UNSAID = "it ended, or may open no more files"


@dataclass(slots=True)
class Served:
    """What the fork server started."""

    status: socket.socket
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    transports: Sequence[asyncio.ReadTransport]
    returncode: int | None = None

    async def started(self) -> int:
        """Wait for the launcher's process id.

        Raises:
            SandboxUnavailableError: it could not be made; names the step.
        """
        said = await self._hear()
        if "process" in said:
            return int(said["process"])
        raise SandboxUnavailableError(
            f"the fork server failed at {said.get('step', 'process')}: {said.get('error', UNSAID)}",
            remedy="Start the application again; if it persists, this host forbids that step, or so many open files.",
        )

    def join(self, group: str, files: Sequence[str]) -> None:
        """Say in which control groups it is (``ApplicationGroup.entrances``); its launcher waits for that."""
        with contextlib.suppress(OSError):  # the server has ended, as whoever waits for the launcher is told
            self.status.send(json.dumps({"group": group, "groups": list(files)}).encode())

    async def wait(self) -> int:
        """Wait until everything of it is gone: its exit code, or minus the signal that ended it."""
        while self.returncode is None:
            said = await self._hear()
            if "error" not in said:
                # Where the server ended, everything that it had started ended with it.
                self.returncode = int(said.get("ended", -signal.SIGKILL))
                self.status.close()
        return self.returncode

    def kill(self) -> None:
        """End it, with its sandbox."""
        with contextlib.suppress(OSError):
            self.status.shutdown(socket.SHUT_WR)

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait for the end, and return all output that nobody has read."""
        said = await asyncio.gather(self.stdout.read(), self.stderr.read())
        await self.wait()
        return said[0], said[1]

    def close(self) -> None:
        """Let go of its output."""
        for transport in self.transports:
            transport.close()

    async def _hear(self) -> Mapping[str, Any]:
        """The next message; empty when the server has ended."""
        loop = asyncio.get_running_loop()
        said = b""
        try:
            said = await loop.sock_recv(self.status, MESSAGE_LIMIT_BYTES)
        except ConnectionError:  # it has closed its end with something unread: what it said before comes after that
            with contextlib.suppress(ConnectionError):
                said = await loop.sock_recv(self.status, MESSAGE_LIMIT_BYTES)
        return json.loads(said) if said else {}


async def serve(
    server: ForkServer, asked: Mapping[str, Any], channel: int, inherited: Sequence[int], limit: int
) -> Served:
    """Have the server start one (see ``program``); ``limit`` is how much output waits here to be read.

    Raises:
        SandboxUnavailableError: no server can be started.
    """
    read_output, write_output = os.pipe2(os.O_CLOEXEC)
    read_errors, write_errors = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            status = await server.request(asked, [channel, write_output, write_errors, *inherited])
        finally:
            os.close(write_output)
            os.close(write_errors)
    except BaseException:  # cancelled included
        os.close(read_output)
        os.close(read_errors)
        raise
    transports: list[asyncio.ReadTransport] = []
    try:
        output = await _reader(read_output, limit, transports)
        errors = await _reader(read_errors, limit, transports)
    except BaseException:  # cancelled included: the server ends what it started
        status.close()
        for transport in transports:
            transport.close()
        raise
    return Served(status, output, errors, transports)


async def _reader(descriptor: int, limit: int, transports: list[asyncio.ReadTransport]) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit)
    pipe = os.fdopen(descriptor, "rb", 0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    transports.append(transport)
    return reader
