# SPDX-License-Identifier: Apache-2.0
"""The device's side of its fork server (``program.py``): starts the server when it is needed and sends it requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from armillary.errors import SandboxUnavailableError

PROGRAM = Path(__file__).with_name("program.py")
LAUNCHER = Path(__file__).parents[1] / "within" / "launcher.py"
# The server takes a request within a millisecond; its socket holds about ten.
RETRY_S = 0.002
MESSAGE_LIMIT_BYTES = 4096
# Its own end takes no longer than one scheduling.
END_TIMEOUT_S = 5.0


@dataclass(slots=True)
class ForkServer:
    """The server of this process. May be used from several threads, each with its own loop."""

    interpreter: str  # Of the host
    _process: subprocess.Popen[bytes] | None = None
    _control: socket.socket | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def pid(self) -> int:
        """Its process id; 0 before the first start."""
        return 0 if self._process is None else self._process.pid

    async def request(self, asked: Mapping[str, Any], descriptors: Sequence[int]) -> socket.socket:
        """Ask for a start (see ``program``): returns this side's end of the status socket, not blocking.

        A server that has ended is replaced by a new one.

        Raises:
            SandboxUnavailableError: no server can be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            ours.setblocking(False)
            await self._send(json.dumps(asked).encode(), [theirs.fileno(), *descriptors])
        except BaseException:  # cancelled included
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    async def _send(self, said: bytes, descriptors: list[int]) -> None:
        replaced = False
        while True:
            try:
                socket.send_fds(self._running(), [said], descriptors)
            except BlockingIOError:  # it has much to do
                await asyncio.sleep(RETRY_S)
            except (BrokenPipeError, ConnectionError) as error:
                if replaced:
                    raise SandboxUnavailableError(
                        "the fork server ends as soon as it is started",
                        remedy=f"Run {self.interpreter} by hand: the host's Python must work.",
                    ) from error
                replaced = True
                self._end()
            else:
                return

    def _running(self) -> socket.socket:
        """The socket of a server that was started."""
        with self._guard:
            if self._control is None:
                self._process, self._control = _start(self.interpreter)
            return self._control

    def _end(self) -> None:
        with self._guard:
            if self._control is not None:
                self._control.close()
                self._control = None
            if self._process is not None:
                self._process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_TIMEOUT_S)
                self._process = None


def _start(interpreter: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    program = (str(PROGRAM), str(LAUNCHER), str(theirs.fileno()), str(os.getpid()))
    try:
        process = subprocess.Popen(  # noqa: S603 - the host's Python and our own file
            [interpreter, "-I", "-S", *program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
        )
    except OSError as error:
        ours.close()
        raise SandboxUnavailableError(
            f"the fork server cannot be started: {error}", remedy="The host's Python must be there and work."
        ) from error
    finally:
        theirs.close()
    return process, ours


@cache
def fork_server(interpreter: str) -> ForkServer:
    """The server of this process, run by this Python of the host."""
    return ForkServer(interpreter)
