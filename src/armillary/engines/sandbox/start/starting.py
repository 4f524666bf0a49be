# SPDX-License-Identifier: Apache-2.0
"""Starts a launcher, talks to it, and returns its application: shared by all engines."""

from __future__ import annotations

import array
import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from armillary.capability.confine import DATA_FOLDER
from armillary.capability.network import RESOLVER_ADDRESS, Decision
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.network.attempts import AttemptLog
from armillary.engines.sandbox.network.broker import Broker
from armillary.engines.sandbox.network.datagram import Gateway
from armillary.engines.sandbox.network.datagram_server import DatagramServer
from armillary.engines.sandbox.network.lookups import lookups_of
from armillary.engines.sandbox.network.name_lookup import Lookup
from armillary.engines.sandbox.network.resolving import Answers
from armillary.engines.sandbox.network.server_ports import ServerPorts
from armillary.engines.sandbox.patience import NoAnswerError
from armillary.engines.sandbox.port import LINE_LIMIT_BYTES, AppEvent
from armillary.engines.sandbox.serving.fork_server import fork_server
from armillary.engines.sandbox.serving.served import Served, serve
from armillary.engines.sandbox.start.executed import check_executed
from armillary.engines.sandbox.start.plan import StartPlan
from armillary.engines.sandbox.start.spawning import kill_tree, spawn
from armillary.engines.sandbox.start.supervise import (
    KILL_TIMEOUT_S,
    READ_SIZE_BYTES,
    Started,
    SupervisedApplication,
    once_readable,
    read_lines,
)
from armillary.errors import InstallError, SandboxUnavailableError

if TYPE_CHECKING:
    from armillary.engines.sandbox.crash.tracer import Tracer

ANSWER_LIMIT_BYTES = 64 * 1024

Result = TypeVar("Result")


async def launch(plan: StartPlan, on_event: Callable[[AppEvent], None]) -> SupervisedApplication:
    """Start an application by plan.

    Raises:
        InstallError: the entry point cannot be executed.
        NoAnswerError: it was not executed in time.
        SandboxUnavailableError: a step of the launch failed; names the step.
    """
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    ours.setblocking(False)
    process: Started | None = None
    try:
        async with asyncio.timeout(plan.within_s):
            try:
                process = await (_serve if plan.served else spawn)(plan, theirs.fileno())
            finally:
                theirs.close()
                for descriptor in plan.descriptors:
                    os.close(descriptor)
            return await _converse(plan, process, ours, on_event)
    except (OSError, TimeoutError, SandboxUnavailableError, InstallError) as error:
        detail = await _abandon(process)
        plan.end()
        if isinstance(error, InstallError) or (isinstance(error, SandboxUnavailableError) and not detail):
            raise
        is_late = isinstance(error, TimeoutError)
        said = f"no answer within {plan.within_s:g} s" if is_late else str(error)
        raise (NoAnswerError if is_late else SandboxUnavailableError)(
            f"application not started: {said}{': ' if detail else ''}{detail}",
            remedy="Run armillary device status to see which mechanism this host lacks.",
        ) from error
    except BaseException:  # cancelled: leave no process behind
        await _abandon(process)
        plan.end()
        raise
    finally:
        ours.close()


async def _serve(plan: StartPlan, channel: int) -> Served:
    """Have the fork server start the launcher."""
    asked = {"command": list(plan.command), "inherited": list(plan.descriptors)}
    return await serve(fork_server(plan.interpreter), asked, channel, plan.descriptors, READ_SIZE_BYTES)


async def _converse(
    plan: StartPlan, process: Started, channel: socket.socket, on_event: Callable[[AppEvent], None]
) -> SupervisedApplication:
    loop = asyncio.get_running_loop()
    if isinstance(process, Served):
        plan.group = plan.opens()
        process.join(*(("", ()) if plan.group is None else plan.group.entrances))
    try:
        # White space before the object: descriptors travel with a byte.
        socket.send_fds(channel, [b" "], [plan.storage] if plan.storage >= 0 else [])
        await loop.sock_sendall(channel, json.dumps(_asked(plan)).encode() + b"\n")
    except ConnectionError:
        if isinstance(process, Served):
            await process.started()  # the server says why nobody will read this
        raise
    launched = _Launched(plan, channel)
    try:
        if isinstance(process, Served):
            launched.expect(await process.started())  # while the sandbox is made
        await _receive_answer(channel, launched.let_go)
        check_executed(await _receive_answer(channel, lambda answer, _: answer), plan.program, kernel.machine())
        log = AttemptLog(on_event)
        broker = launched.answer_calls(log)
    except BaseException:  # cancelled included: nothing of a start that failed stays open
        await launched.abandon()
        raise
    readers = [
        loop.create_task(read_lines(stream, name, process, on_event))
        for stream, name in ((process.stdout, "stdout"), (process.stderr, "stderr"))
        if stream is not None
    ]
    application = SupervisedApplication(
        launched.pid, process, launched.pidfd, plan, log, broker, readers, launched.tracer
    )
    application.watch()
    return application


@dataclass(slots=True)
class _Launched:
    """What is held of a launcher until its application is executed."""

    plan: StartPlan
    channel: socket.socket
    pid: int = 0
    pidfd: int = -1
    tracer: Tracer | None = None
    taken: _Taken | None = None
    broker: Broker | None = None

    def expect(self, pid: int) -> None:
        """Begin what needs nothing but its number."""
        self.pid = pid
        self.tracer = _tracer(pid) if self.plan.traces else None

    def let_go(self, answer: dict[str, Any], pid: int) -> None:
        """Take what is needed of a launcher that has answered, and have it execute the application.

        From here on a call that the filter holds waits in the kernel until the broker serves it: nothing more is done
        here before the execution, which would wait for this process's turn to end.
        """
        _check_prepared(answer)
        if pid != self.pid:
            self.expect(pid)
        self.pidfd = os.pidfd_open(pid)
        if self.plan.filter:
            self.taken = _taken(pid, answer)
        if self.tracer is not None and not self.tracer.started():
            self.tracer = None
        self.channel.send(b"g")

    def answer_calls(self, log: AttemptLog) -> Broker | None:
        """Begin to decide about the application's connections."""
        if self.taken is not None:
            self.broker = _broker(self.plan, self.taken, log)
            self.broker.start()
        return self.broker

    async def abandon(self) -> None:
        """Let go of everything."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
        if self.broker is not None:
            await self.broker.close()
        elif self.taken is not None:
            self.taken.close()


def _check_prepared(answer: dict[str, Any]) -> None:
    """Raise SandboxUnavailableError where the launcher has not prepared everything."""
    if "error" in answer:
        raise SandboxUnavailableError(
            f"the launcher failed at {answer.get('step')}: {answer['error']}",
            remedy="This host forbids that step; choose another sandbox or allow it.",
        )
    if not answer:
        raise SandboxUnavailableError(
            "the launcher ended", remedy="Start the application again; if it persists, this host forbids it to run."
        )


def _asked(plan: StartPlan) -> dict[str, Any]:
    """What the launcher is asked for."""
    asked = plan.configure() | {"filter": base64.b64encode(plan.filter).decode(), "machine": kernel.machine()}
    asked["gateway"] = (str(RESOLVER_ADDRESS) if plan.own_network else "127.0.0.1") if plan.filter else None
    asked["notify"] = bool(plan.filter)
    asked["datagram_server"] = bool(plan.filter and plan.own_network and plan.udp_server_ports)
    if not plan.wraps:
        asked["supervisor"] = fork_server(plan.interpreter).pid if plan.served else os.getpid()
    asked["storage"] = DATA_FOLDER if plan.storage >= 0 else None
    return asked


def _tracer(pid: int) -> Tracer:
    from armillary.engines.sandbox.crash.tracer import Tracer  # noqa: PLC0415 - only with native applications

    tracer = Tracer(pid, kernel.machine())
    tracer.start()
    return tracer


class _Taken(NamedTuple):
    """What a broker works with, taken from the launcher."""

    listener: int  # Of its filter
    inside: socket.socket  # In its network, at the address of names
    datagrams: socket.socket | None  # In its network, for what comes to its UDP server ports

    def close(self) -> None:
        """Let go of it where there is no broker."""
        os.close(self.listener)
        self.inside.close()
        if self.datagrams is not None:
            self.datagrams.close()


def _taken(pid: int, answer: dict[str, Any]) -> _Taken:
    """Copy the launcher's descriptors here: its own filter already stops it from sending them."""
    with contextlib.ExitStack() as held, contextlib.closing(kernel.Descriptors(pid)) as theirs:
        listener = theirs.copy(answer["listener"])
        held.callback(os.close, listener)
        inside = held.enter_context(socket.socket(fileno=theirs.copy(answer["gateway"])))
        datagrams = None
        if answer["datagram_server"] >= 0:
            datagrams = socket.socket(fileno=theirs.copy(answer["datagram_server"]))
        held.pop_all()
    return _Taken(listener, inside, datagrams)


def _broker(plan: StartPlan, taken: _Taken, log: AttemptLog) -> Broker:
    """What decides about the application's connections."""
    inside = taken.inside

    def on_lookup(lookup: Lookup) -> None:
        if not lookup.allowed:  # a declared name shows when it is connected to
            log.record(Decision(allowed=False, host=lookup.name, port=0, reason="not declared"), "lookup")

    return Broker(
        listener=taken.listener,
        hosts=plan.hosts,
        interface=plan.interface,
        ports=ServerPorts(
            tcp=plan.server_ports,
            udp=plan.udp_server_ports,
            addresses=plan.addresses,
            inside=inside if plan.own_network else None,
            datagrams=None if taken.datagrams is None else DatagramServer(taken.datagrams, plan.addresses),
            report=log.record,
            on_port=log.note_port,
        ),
        gateway=Gateway(inside, plan.hosts, on_lookup),
        own_network=plan.own_network,
        report=log.record,
        crowded=log.note_crowded,
        answers=Answers(lookups_of(plan.component_id)),
    )


async def _receive_answer(channel: socket.socket, then: Callable[[dict[str, Any], int], Result]) -> Result:
    """What is made at once of one line of JSON and the sender's process id.

    An empty mapping stands for a channel that was closed: it executed.
    """
    received, pid = bytearray(), 0
    credentials_size = socket.CMSG_SPACE(struct.calcsize("3i"))

    def receive() -> list[Result]:
        nonlocal pid
        part, ancillary, _, _ = channel.recvmsg(ANSWER_LIMIT_BYTES, credentials_size)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid = array.array("i", data[:4])[0] or pid
        if not part:
            return [then({}, pid)]
        received.extend(part)
        if len(received) > ANSWER_LIMIT_BYTES:
            raise SandboxUnavailableError("the launcher answered too much", remedy="Report this as a fault.")
        if not received.endswith(b"\n"):
            return []
        answer = json.loads(received)
        return [then(answer if isinstance(answer, dict) else {"error": "no object"}, pid)]

    while not (found := await once_readable(channel.fileno(), receive)):
        pass
    return found[0]


async def _abandon(process: Started | None) -> str:
    """Kill a launch that failed, with all its processes, and return its standard error."""
    if process is None:
        return ""
    if isinstance(process, Served):
        process.kill()
    elif process.returncode is None:
        kill_tree(process.pid)
    said: bytes = b""
    with contextlib.suppress(TimeoutError):
        _, said = await asyncio.wait_for(process.communicate(), KILL_TIMEOUT_S)
    return said[:LINE_LIMIT_BYTES].decode("utf-8", "backslashreplace").strip()
