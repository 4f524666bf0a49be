# SPDX-License-Identifier: Apache-2.0
"""Gives the equipment its fixed addresses: Debian's dnsmasq as a child process, with a configuration of ours.

It gives up root by itself, so it does not notice when the process that started it is killed. What such a process left
behind is found by the file with its number at the next start, and ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from pathlib import Path

from armillary.engines.isolation.programs import program, run
from armillary.errors import HostError

# It begins to serve within milliseconds or ends with the reason; a busy host takes longer.
START_LIMIT_S = 20.0
STOP_LIMIT_S = 5.0
NUMBERS = Path("/run")
_OPTION = "--conf-file=-"  # its input: no file that somebody could change
_READY = "started, version"  # its first line; sockets are bound then


class AddressServer:
    """dnsmasq for the equipment on one interface. ``say`` gets each line that it writes."""

    def __init__(self, interface: str, configuration: str, say: Callable[[str], None]) -> None:
        self._configuration = configuration
        self._say = say
        self._number = NUMBERS / f"armillary-guardian-{interface}.pid"
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready = False
        self._last = "it says nothing"

    def check(self) -> None:
        """Let dnsmasq look at the configuration; HostError if it refuses it."""
        run("dnsmasq", "--test", _OPTION, text=self._configuration)

    async def start(self) -> None:
        """Start it; returns when it serves.

        Raises:
            HostError: it ended at once, most often because another DHCP server has the port; or the host starts none.
        """
        self._end_leftover()
        self._ready = False
        try:
            self._process = await asyncio.create_subprocess_exec(
                program("dnsmasq"), _OPTION, stdin=PIPE, stdout=DEVNULL, stderr=PIPE
            )
            self._number.write_text(f"{self._process.pid}\n", encoding="ascii")
        except OSError as error:
            await self.stop()
            raise HostError(f"dnsmasq: {error}", remedy="Look at the host's memory and disk.") from error
        if self._process.stdin is not None:
            with contextlib.suppress(ConnectionError):  # it ended already; its last words are read below
                self._process.stdin.write(self._configuration.encode())
                await self._process.stdin.drain()
            self._process.stdin.close()
        settled = asyncio.Event()
        self._reader = asyncio.create_task(self._read(self._process, settled), name="dnsmasq output")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(settled.wait(), START_LIMIT_S)
        if not self._ready:
            await self.stop()
            raise HostError(
                f"dnsmasq: {self._last:.300}", remedy="Stop another DHCP server of this host; isolation needs root."
            )

    async def ended(self) -> int | None:
        """Wait until it has ended; returns its exit code, None where it never ran."""
        return None if self._process is None else await self._process.wait()

    async def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_LIMIT_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._reader is not None:
            await self._reader
            self._reader = None
        self._number.unlink(missing_ok=True)

    async def _read(self, process: Process, settled: asyncio.Event) -> None:
        """Hand on its lines, and note when it serves or is gone."""
        if process.stderr is not None:
            async for line in process.stderr:
                self._last = line.decode(errors="replace").strip()
                self._say(self._last)
                if _READY in self._last:
                    self._ready = True
                    settled.set()
        settled.set()

    def _end_leftover(self) -> None:
        """End what a killed process left: the same program, with our option, in this network."""
        try:
            number = int(self._number.read_text(encoding="ascii"))
            process = Path(f"/proc/{number}")
            words = (process / "cmdline").read_bytes().split(b"\0")
            network = (process / "ns/net").readlink()
        except (OSError, ValueError):  # none, or it has ended
            return
        if (
            b"dnsmasq" in words[0]
            and words[1:2] == [_OPTION.encode()]
            and network == Path("/proc/self/ns/net").readlink()
        ):
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGTERM)
