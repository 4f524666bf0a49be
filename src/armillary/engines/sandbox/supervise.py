# SPDX-License-Identifier: Apache-2.0
"""Start a launcher, talk to it, serve the application's calls and output, and end it: shared by all engines."""

from __future__ import annotations

import array
import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armillary.capability.network import RESOLVER_ADDRESS, AllowedHosts, Decision
from armillary.engines.sandbox import kernel
from armillary.engines.sandbox.attempts import AttemptLog
from armillary.engines.sandbox.broker import Broker
from armillary.engines.sandbox.datagram import Gateway
from armillary.engines.sandbox.name_lookup import Lookup
from armillary.engines.sandbox.port import (
    LINE_LIMIT_BYTES,
    LINE_RATE_LIMIT,
    AppEvent,
    ExitStatus,
    OutputLine,
)
from armillary.errors import InstallError, SandboxUnavailableError

# From the start of bwrap to the application's exec; a loaded two-core machine needs under one second.
LAUNCH_TIMEOUT_S = 20.0
# Bytes read from an application's output at a time.
READ_SIZE_BYTES = 64 * 1024
# After SIGKILL the kernel needs a moment; longer means a process stuck in the kernel.
KILL_TIMEOUT_S = 10.0
ANSWER_LIMIT_BYTES = 64 * 1024
LAUNCHER_SOURCE = Path(__file__).with_name("launcher.py").read_text("utf-8")


@dataclass(slots=True, kw_only=True)
class Plan:
    """How one application is started.

    Attributes:
        command: Program and arguments before the interpreter, e.g. bwrap's; may be empty.
        interpreter: Python for the launcher.
        configuration: What the launcher is asked for (``launcher.py``).
        filter: Seccomp program, b"" for none.
        hosts: What may be reached.
        own_network: The command makes a network namespace.
        wraps: The command stays as the application's parent and reports a signal as 128 + number.
        descriptors: Descriptors the command reads; closed after the start.
        cleanup: Called when the application is gone.
    """

    command: Sequence[str]
    interpreter: str
    configuration: dict[str, Any]
    filter: bytes
    hosts: AllowedHosts
    own_network: bool
    wraps: bool
    descriptors: tuple[int, ...] = ()
    cleanup: Callable[[], None] = lambda: None


@dataclass(slots=True)
class SupervisedApplication:
    """A running application (``port.RunningApplication``).

    Attributes:
        pid: Its process id on the host.
    """

    pid: int
    _process: asyncio.subprocess.Process
    _pidfd: int
    _plan: Plan
    _attempts: AttemptLog
    _broker: Broker | None
    _readers: list[asyncio.Task[None]]
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
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

    def _signal(self, number: signal.Signals) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _kill(self) -> None:
        """Kill it and what it started: the wrapper takes the process namespace with it, else the whole session."""
        self._signal(signal.SIGKILL)
        if self._plan.wraps:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        else:
            _kill_group(self.pid)

    async def _wait(self) -> ExitStatus:
        code = await self._process.wait()
        self._ended.set()
        if not self._plan.wraps:
            _kill_group(self.pid)
        await asyncio.gather(*self._readers)
        if self._broker is not None:
            await self._broker.close()
        self._attempts.flush()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self._plan.cleanup()
        return exit_status(code, wraps=self._plan.wraps)


def exit_status(code: int, *, wraps: bool) -> ExitStatus:
    """From asyncio's return code; bwrap reports its child's signal as 128 + number."""
    if code < 0:
        return ExitStatus(exit_code=None, signal=-code)
    if wraps and 128 < code <= 128 + 64:
        return ExitStatus(exit_code=None, signal=code - 128)
    return ExitStatus(exit_code=code, signal=None)


async def launch(plan: Plan, on_event: Callable[[AppEvent], None]) -> SupervisedApplication:
    """Start an application by plan.

    Raises:
        InstallError: the entry point cannot be executed.
        SandboxUnavailableError: a step of the launch failed; names the step.
    """
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    ours.setblocking(False)
    process: asyncio.subprocess.Process | None = None
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *plan.command,
                plan.interpreter,
                *("-I", "-S", "-c", LAUNCHER_SOURCE, str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=READ_SIZE_BYTES,
                pass_fds=(theirs.fileno(), *plan.descriptors),
                cwd="/",
                env={"PATH": "/usr/bin:/bin"},
            )
        finally:
            theirs.close()
            for descriptor in plan.descriptors:
                os.close(descriptor)
        async with asyncio.timeout(LAUNCH_TIMEOUT_S):
            return await _converse(plan, process, ours, on_event)
    except (OSError, TimeoutError, SandboxUnavailableError, InstallError) as error:
        detail = await _abandon(process)
        plan.cleanup()
        if isinstance(error, InstallError) or (isinstance(error, SandboxUnavailableError) and not detail):
            raise
        raise SandboxUnavailableError(
            f"application not started: {error or 'no answer in time'}{': ' if detail else ''}{detail}",
            remedy="Run armillary device status to see which mechanism this host lacks.",
        ) from error
    except BaseException:  # cancelled: leave no process behind
        if process is not None and process.returncode is None:
            process.kill()
        plan.cleanup()
        raise
    finally:
        ours.close()


async def _converse(
    plan: Plan, process: asyncio.subprocess.Process, channel: socket.socket, on_event: Callable[[AppEvent], None]
) -> SupervisedApplication:
    loop = asyncio.get_running_loop()
    asked = plan.configuration | {"filter": base64.b64encode(plan.filter).decode(), "machine": kernel.machine()}
    asked["gateway"] = (str(RESOLVER_ADDRESS) if plan.own_network else "127.0.0.1") if plan.filter else None
    asked["notify"] = bool(plan.filter)
    if not plan.wraps:
        asked["supervisor"] = os.getpid()
    await loop.sock_sendall(channel, json.dumps(asked).encode() + b"\n")
    answer, pid = await _receive_answer(channel)
    if "error" in answer:
        raise SandboxUnavailableError(
            f"the launcher failed at {answer.get('step')}: {answer['error']}",
            remedy="This host forbids that step; choose another sandbox or allow it.",
        )
    pidfd = os.pidfd_open(pid)
    log = AttemptLog(on_event)
    broker: Broker | None = None
    try:
        if plan.filter:
            broker = _broker(plan, pid, answer, log)
            broker.start()
        await loop.sock_sendall(channel, b"g")
        _check_executed((await _receive_answer(channel))[0])
    except BaseException:  # cancelled included: nothing of a start that failed stays open
        os.close(pidfd)
        if broker is not None:
            await broker.close()
        raise
    readers = [
        loop.create_task(_read_lines(stream, name, process, on_event))
        for stream, name in ((process.stdout, "stdout"), (process.stderr, "stderr"))
        if stream is not None
    ]
    application = SupervisedApplication(pid, process, pidfd, plan, log, broker, readers)
    application.watch()
    return application


def _check_executed(problem: dict[str, Any]) -> None:
    """The channel closes without a word when the application was executed."""
    if problem:
        raise InstallError(
            f"the application's entry point cannot be executed: {problem.get('error')}",
            remedy="Check EntryPoint in the manifest and the interpreter the program names.",
        )


def _broker(plan: Plan, pid: int, answer: dict[str, Any], log: AttemptLog) -> Broker:
    """Copy the launcher's descriptors here: its own filter already stops it from sending them."""
    listener = kernel.copy_descriptor(pid, answer["listener"])
    try:
        inside = socket.socket(fileno=kernel.copy_descriptor(pid, answer["gateway"]))
    except OSError:
        os.close(listener)
        raise

    def on_lookup(lookup: Lookup) -> None:
        if not lookup.allowed:  # a declared name shows when it is connected to
            log.record(Decision(allowed=False, host=lookup.name, port=0, reason="not declared"), "lookup")

    gateway = Gateway(inside, plan.hosts, on_lookup)
    return Broker(listener=listener, hosts=plan.hosts, gateway=gateway, own_network=plan.own_network, report=log.record)


async def _receive_answer(channel: socket.socket) -> tuple[dict[str, Any], int]:
    """One line of JSON and the sender's process id; an empty mapping when the channel closed (it executed)."""
    received, pid = bytearray(), 0
    loop = asyncio.get_running_loop()
    credentials_size = socket.CMSG_SPACE(struct.calcsize("3i"))
    while not received.endswith(b"\n"):
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(channel.fileno(), _resolve, readable)
        try:
            await readable
        finally:
            loop.remove_reader(channel.fileno())
        part, ancillary, _, _ = channel.recvmsg(ANSWER_LIMIT_BYTES, credentials_size)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid = array.array("i", data[:4])[0] or pid
        if not part:
            return {}, pid
        received += part
        if len(received) > ANSWER_LIMIT_BYTES:
            raise SandboxUnavailableError("the launcher answered too much", remedy="Report this as a fault.")
    answer = json.loads(received)
    return (answer if isinstance(answer, dict) else {"error": "no object"}), pid


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _abandon(process: asyncio.subprocess.Process | None) -> str:
    """Kill a launch that failed and return what it said on standard error."""
    if process is None:
        return ""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    said = b""
    if process.stderr is not None:
        with contextlib.suppress(TimeoutError):
            said = await asyncio.wait_for(process.stderr.read(LINE_LIMIT_BYTES), KILL_TIMEOUT_S)
    await process.wait()
    return said.decode("utf-8", "backslashreplace").strip()


async def _read_lines(
    stream: asyncio.StreamReader,
    name: str,
    process: asyncio.subprocess.Process,
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


def _kill_group(group: int) -> None:
    """SIGKILL a session's process group until nobody is left; a process being forked is caught by the next round."""
    for _ in range(64):
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
