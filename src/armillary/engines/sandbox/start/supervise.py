# SPDX-License-Identifier: Apache-2.0
"""A running application: its output, its end, and how it is stopped. Shared by all engines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from armillary.engines.sandbox.network.attempts import AttemptLog
from armillary.engines.sandbox.network.broker import Broker
from armillary.engines.sandbox.port import LINE_LIMIT_BYTES, LINE_RATE_LIMIT, AppEvent, ExitStatus, OutputLine, Usage
from armillary.engines.sandbox.serving.served import Served
from armillary.engines.sandbox.start.plan import StartPlan

if TYPE_CHECKING:
    from armillary.engines.sandbox.crash.tracer import Tracer

# Bytes read from an application's output at a time.
READ_SIZE_BYTES = 64 * 1024
# After SIGKILL the kernel needs a moment; longer means a process stuck in the kernel.
KILL_TIMEOUT_S = 10.0


Result = TypeVar("Result")
# An application that was started, and what stands between it and this process.
Started = Served | asyncio.subprocess.Process


@dataclass(slots=True)
class SupervisedApplication:
    """A running application (``port.RunningApplication``)."""

    pid: int  # On the host
    _process: Started
    _pidfd: int
    _plan: StartPlan
    _attempts: AttemptLog
    _broker: Broker | None
    _readers: list[asyncio.Task[None]]
    _tracer: Tracer | None = None
    _finish: asyncio.Task[ExitStatus] | None = None

    def watch(self) -> None:
        """Begin to wait for its end."""
        self._finish = asyncio.get_running_loop().create_task(self._wait())

    async def wait(self) -> ExitStatus:
        """Wait until it and all its children are gone."""
        assert self._finish is not None  # noqa: S101 - set by watch() before anybody gets this object
        return await asyncio.shield(self._finish)

    async def stop(self, grace_s: float) -> ExitStatus:
        """SIGTERM, then SIGKILL after ``grace_s`` seconds."""
        self._signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), grace_s)
        except TimeoutError:
            self._kill()
            return await asyncio.wait_for(self.wait(), KILL_TIMEOUT_S)

    def usage(self) -> Usage | None:
        """What it uses now, or had used when it ended."""
        return None if self._plan.group is None else self._plan.group.usage()

    def restart_memory_peak(self) -> bool:
        """Have the peak of its memory start over; False where nothing counts it, or the kernel does not."""
        return self._plan.group is not None and self._plan.group.restart_memory_peak()

    def _signal(self, number: signal.Signals) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _kill(self) -> None:
        """Kill it with its children: with the wrapper ends the process namespace; without one, kill the session."""
        self._signal(signal.SIGKILL)
        if self._plan.group is not None:
            self._plan.group.kill()
        if self._plan.wraps:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        else:
            kill_group(self.pid)

    async def _wait(self) -> ExitStatus:
        await readable(self._pidfd)
        if self._plan.group is not None and self._plan.group.is_empty:  # while its sandbox is still taken down
            self._plan.group.end()
            await self._close_broker()
        code = await self._process.wait()
        if not self._plan.wraps:
            kill_group(self.pid)
        if self._plan.group is not None and not self._plan.group.has_ended:
            await _at_once_or_in_a_thread(self._plan.group.end, at_once=self._plan.group.is_empty)
        for reader in self._readers:
            await reader
        await self._close_broker()
        self._attempts.flush()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self._plan.end()
        status = replace(exit_status(code, wraps=self._plan.wraps and not self._plan.served), usage=self.usage())
        if self._tracer is None:
            return status
        state = await _at_once_or_in_a_thread(self._tracer.state, at_once=self._tracer.has_ended)
        return replace(status, state=state if status.signal is not None else None)

    async def _close_broker(self) -> None:
        if self._broker is not None:
            await self._broker.close()


async def readable(descriptor: int) -> None:
    """Wait until there is something to read; of a pidfd, until the process has ended."""
    await once_readable(descriptor, lambda: None)


async def once_readable(descriptor: int, call: Callable[[], Result]) -> Result:
    """Wait until there is something to read, and call this before anything else in this loop has its turn."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()
    loop.add_reader(descriptor, _resolve, done, call)
    try:
        return await done
    finally:
        loop.remove_reader(descriptor)


def _resolve(done: asyncio.Future[Result], call: Callable[[], Result]) -> None:
    if done.done():
        return
    try:
        done.set_result(call())
    except Exception as error:  # noqa: BLE001 - whoever waits is told
        done.set_exception(error)


async def _at_once_or_in_a_thread(call: Callable[[], Result], *, at_once: bool) -> Result:
    """Call what takes microseconds when ``at_once``, and otherwise may wait."""
    return call() if at_once else await asyncio.to_thread(call)


def exit_status(code: int, *, wraps: bool) -> ExitStatus:
    """From asyncio's return code; bwrap reports its child's signal as 128 + number."""
    if code < 0:
        return ExitStatus(exit_code=None, signal=-code)
    if wraps and 128 < code <= 128 + 64:
        return ExitStatus(exit_code=None, signal=code - 128)
    return ExitStatus(exit_code=code, signal=None)


async def read_lines(
    stream: asyncio.StreamReader,
    name: str,
    process: Started,
    on_event: Callable[[AppEvent], None],
) -> None:
    """Turn output into events; a flood fills the pipe and the application waits."""
    rest = b""
    window, lines = time.monotonic(), 0
    while part := await stream.read(READ_SIZE_BYTES):
        *complete, rest = (rest + part).split(b"\n")
        while len(rest) >= LINE_LIMIT_BYTES:
            complete.append(rest[:LINE_LIMIT_BYTES])
            rest = rest[LINE_LIMIT_BYTES:]
        for line in complete:
            for cut in _cut(line):
                on_event(OutputLine(name, cut.decode("utf-8", "backslashreplace"), time.time()))
                lines += 1
                if lines < LINE_RATE_LIMIT:
                    continue
                pause = window + 1.0 - time.monotonic()
                if pause > 0 and process.returncode is None:
                    await asyncio.sleep(pause)
                window, lines = time.monotonic(), 0
    if rest:
        on_event(OutputLine(name, rest.decode("utf-8", "backslashreplace"), time.time()))


def _cut(line: bytes) -> list[bytes]:
    if len(line) <= LINE_LIMIT_BYTES:
        return [line]
    return [line[start : start + LINE_LIMIT_BYTES] for start in range(0, len(line), LINE_LIMIT_BYTES)]


def kill_group(group: int) -> None:
    """SIGKILL a session's process group until it is empty; a process being forked is killed in the next round."""
    for _ in range(64):
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
