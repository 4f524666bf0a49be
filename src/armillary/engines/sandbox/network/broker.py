# SPDX-License-Identifier: Apache-2.0
"""The network broker: answers every connect, addressed send, bind and listen of one application.

The application's filter stops these calls in the kernel and queues them here. For each one the broker copies the
address out of the caller's memory, decides on the copy, and makes the call itself. The caller's memory is not read
again, so changing it afterwards has no effect. The order for every call:

(1) open the caller's memory and socket; (2) check that the caller still waits, so that both are its own and not those
of a later thread with the same number; (3) copy the arguments; (4) decide and report; (5) act outside; (6) put the
result in place and answer.

An allowed TCP connect replaces the application's socket by one that was connected outside, or is being connected there
when the application does not block: then it gets EINPROGRESS, and the kernel tells how it goes on. Such a socket lives
in the host's network, so it is never handed out without its destination, and cannot be disconnected: AF_UNSPEC connects
of streams are refused here, MSG_FASTOPEN by the filter; and it keeps its port when the other side resets or refuses
(``outside.hold_port``), so that it cannot be bound to another port of the host. Datagram sockets stay in the sandbox's
network (``datagram.Gateway``); without such a network (``reduced``) they are connected here, and every send that could
name another address is made here on a copy of the socket.

Where it waits (bind, listen) is decided and made by ``server_ports``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import select
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from armillary.capability.network import RESOLVER_ADDRESS, RESOLVER_PORT, AllowedHosts, Decision
from armillary.capability.syscalls import ARCHITECTURES
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.network.datagram import Gateway
from armillary.engines.sandbox.network.destination import (
    MULTIPLE_LENGTH_OFFSET,
    MULTIPLE_MESSAGE_BYTES,
    Destination,
    Message,
    for_family,
    local_of,
    read_data,
    read_destination,
    read_message,
    source_of,
    take_both_families,
)
from armillary.engines.sandbox.network.held_calls import HELD
from armillary.engines.sandbox.network.inside import InsideNetwork, waits_inside
from armillary.engines.sandbox.network.kernel import Notification
from armillary.engines.sandbox.network.outside import (
    CONNECT_TIMEOUT_S,
    begin_outside,
    check_not_failed,
    connect_outside,
    is_connecting,
    keep_options,
    writable,
)
from armillary.engines.sandbox.network.reading import Reading
from armillary.engines.sandbox.network.replacing import Replacement
from armillary.engines.sandbox.network.resolving import Answers, addresses_of
from armillary.engines.sandbox.network.server_ports import INET, ServerPorts, is_listening

# Notifications taken per wake-up, so that one application cannot starve the supervisor's loop.
BURST_LIMIT = 32
# Calls of one application that may wait for the outside at a time; more wait in the kernel.
PENDING_LIMIT = 64
# Messages of one sendmmsg that are carried out in one call; the caller sends the rest again (sendmmsg(2)).
MULTIPLE_LIMIT = 16


_RESOLVER = str(RESOLVER_ADDRESS)


class _Answered(Exception):  # noqa: N818 - control flow, not an error
    """The notification was answered already."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A notification with what is held of its caller."""

    notification: Notification
    memory: kernel.Memory
    descriptors: kernel.Descriptors
    own: socket.socket


@dataclass(slots=True, kw_only=True)
class Broker:
    """Serves one application's notification listener. Owns the listener, the gateway and the server ports."""

    listener: int  # Descriptor of the filter's listener
    hosts: AllowedHosts
    ports: ServerPorts  # Where the application may wait
    gateway: Gateway
    interface: str | None = None  # Path of the one Unix socket of the host that it may connect to
    own_network: bool  # Whether the application has a network namespace of its own
    report: Callable[[Decision, str], None]  # Called with (decision, protocol) for each attempt
    crowded: Callable[[int], None]  # Called with how many calls wait when too many do, and one was refused
    answers: Answers  # What the names that it declares resolved to
    _pending: set[asyncio.Task[None]] = field(default_factory=set)
    _names: dict[int, str] = field(default_factory=dict)
    _poll: select.poll = field(default_factory=select.poll)
    _inside: InsideNetwork = field(default_factory=InsideNetwork)
    _reading: Reading = field(default_factory=Reading)
    _paused: bool = False
    _closed: bool = False

    def start(self) -> None:
        """Begin to answer; needs a running loop."""
        numbers = ARCHITECTURES[kernel.machine()].numbers
        self._names = {numbers[name]: name for name in ("connect", "sendto", "sendmsg", "sendmmsg", "bind", "listen")}
        os.set_blocking(self.listener, False)
        kernel.wake_at_once(self.listener)
        self._poll.register(self.listener, select.POLLIN)
        self.gateway.start()
        if self.ports.datagrams is not None:
            self.ports.datagrams.start()
        asyncio.get_running_loop().add_reader(self.listener, self._on_readable)

    async def close(self) -> None:
        """Stop answering and close everything. Calls that still wait fail with ENOSYS in the kernel."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.listener)
        for task in self._pending:
            task.cancel()
        if self._pending:
            await asyncio.wait(self._pending)
        os.close(self.listener)
        self.gateway.close()
        self.ports.close()
        self._inside.close()
        self._reading.close()

    def _on_readable(self) -> None:
        for _ in range(BURST_LIMIT):
            if len(self._pending) >= PENDING_LIMIT:
                asyncio.get_running_loop().remove_reader(self.listener)
                self._paused = True
                return
            waiting = sum(event for _, event in self._poll.poll(0))
            if not waiting & select.POLLIN:
                if waiting & select.POLLHUP:  # all that could call are gone; the loop would be told so for ever
                    asyncio.get_running_loop().remove_reader(self.listener)
                return
            try:
                notification = kernel.receive(self.listener)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue  # the caller was killed before its turn
                asyncio.get_running_loop().remove_reader(self.listener)
                return
            if not HELD.has_room(len(self._pending)):
                self._refuse(notification)
                continue
            task = _begin(self._serve(notification))
            if not task.done():
                HELD.add()
                self._pending.add(task)
                task.add_done_callback(self._done)

    def _refuse(self, notification: Notification) -> None:
        """The calls of all applications that wait take what the device has for them: this one does not get to wait."""
        self.crowded(len(self._pending))
        with contextlib.suppress(OSError):  # ENOENT: the caller is gone
            kernel.answer(self.listener, notification.identity, error=errno.ENOBUFS)

    def _done(self, task: asyncio.Task[None]) -> None:
        HELD.remove()
        self._pending.discard(task)
        if self._paused and not self._closed:
            self._paused = False
            asyncio.get_running_loop().add_reader(self.listener, self._on_readable)

    async def _serve(self, notification: Notification) -> None:
        value, error = 0, 0
        try:
            with contextlib.ExitStack() as held:
                call = self._hold(notification, held)  # (1)
                kernel.still_waiting(self.listener, notification.identity)  # (2)
                value = await self._dispatch(call)
        except _Answered:
            return
        except OSError as problem:
            error = problem.errno or errno.EIO
        except ValueError:  # an address Python cannot express, such as a name with an embedded NUL
            error = errno.EINVAL
        with contextlib.suppress(OSError):  # ENOENT: the caller is gone
            kernel.answer(self.listener, notification.identity, value=value, error=error)

    def _hold(self, notification: Notification, held: contextlib.ExitStack) -> _Call:
        """EBADF or ENOTSOCK as the call itself would have had."""
        memory = kernel.Memory(notification.thread)
        held.callback(memory.close)
        descriptors = kernel.Descriptors(notification.thread)
        held.callback(descriptors.close)
        own = socket.socket(fileno=descriptors.copy(notification.arguments[0] & 0xFFFFFFFF))
        held.enter_context(own)
        return _Call(notification, memory, descriptors, own)

    def _dispatch(self, call: _Call) -> Awaitable[int]:
        name = self._names.get(call.notification.number)
        if name == "connect":
            return self._connect(call)
        if name == "sendto":
            return self._send_to(call)
        if name == "sendmsg":
            return self._send_message(call)
        if name == "listen":
            return self._listen(call)
        if name == "bind":
            return self._bind(call)
        return self._send_messages(call)

    # connect(2)

    async def _connect(self, call: _Call) -> int:
        _, address, size = call.notification.arguments[:3]
        target = read_destination(call.memory, address, size & 0xFFFFFFFF)  # (3)
        call.memory.close()  # it may wait for long
        if target.family == socket.AF_UNSPEC:
            return _disconnect(call.own)
        if target.family == socket.AF_UNIX:
            return await self._connect_unix(call, target.path)
        if call.own.family not in INET:
            raise OSError(errno.EAFNOSUPPORT, "inet address on another socket")
        decision = self.hosts.decide(target.host, target.port)
        if not decision.allowed and self._stays_inside(call, target):
            await self._inside.connect(call.own, for_family(call.own, (target.host, target.port)))
            return 0
        if call.own.type == socket.SOCK_DGRAM:
            return await self._connect_datagram(call.own, target, decision)
        return await self._connect_stream(call, target, decision)

    async def _connect_stream(self, call: _Call, target: Destination, decision: Decision) -> int:
        if _is_resolver(target):
            raise OSError(errno.ECONNREFUSED, "lookups are answered over UDP only")
        itself = None if decision.allowed else await self._itself(target)
        if itself is None:
            self._note(decision, "tcp")  # (4)
            host, port = decision.host, decision.port
        else:
            host, port = itself
        if _is_connected(call.own) or is_listening(call.own):
            raise OSError(errno.EISCONN, "connected already, or a listener")
        if is_connecting(call.own):
            raise OSError(errno.EALREADY, "it is being connected")
        blocking = not fcntl.fcntl(call.own.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK
        if blocking or itself is not None:
            stream = await connect_outside(host, port, patience_s=CONNECT_TIMEOUT_S, answers=self.answers)  # (5)
        else:
            stream = await begin_outside(host, port, self.answers)
        with stream:
            if itself is not None and await self._itself(target) != itself:
                raise OSError(errno.ECONNREFUSED, "its own listener has gone")
            if not is_connecting(stream):
                check_not_failed(stream, host, port)
            keep_options(call.own, stream)
            await self._replace(call, stream)  # (6)
        if not blocking:
            raise OSError(errno.EINPROGRESS, "the kernel goes on with it")
        return 0

    async def _itself(self, target: Destination) -> tuple[str, int] | None:
        if not self.ports.has_opened(target.port):
            return None
        return await self._reading.run(self.ports.itself, target.host, target.port)

    async def _connect_datagram(self, own: socket.socket, target: Destination, decision: Decision) -> int:
        if self._asks_resolver(target):
            own.connect(for_family(own, self.gateway.address))
            self.gateway.add_resolver(source_of(own))
            return 0
        self._note(decision, "udp")
        family, address = (await addresses_of(decision.host, decision.port, self.answers))[0]
        if self.own_network:
            own.connect(for_family(own, self.gateway.address))
            self.gateway.add_flow(source_of(own), family, address, decision.port)
        else:
            own.connect(for_family(own, (address, decision.port)))
        return 0

    async def _connect_unix(self, call: _Call, path: bytes) -> int:
        if call.own.family != socket.AF_UNIX:
            raise OSError(errno.EAFNOSUPPORT, "Unix address on another socket")
        if not self.own_network:
            if self.interface is None or path != os.fsencode(self.interface):
                # Its name would be looked up in the host's own name spaces.
                raise OSError(errno.EACCES, "no Unix sockets without namespaces, but for the application interface")
            await self._inside.connect_path(call.own, self.interface)
            return 0
        await self._inside.connect_unix(call.own, call.notification.thread, path)
        return 0

    # bind(2) and listen(2)

    async def _bind(self, call: _Call) -> int:
        _, address, size = call.notification.arguments[:3]
        if call.own.family not in INET:
            if not self.own_network:
                raise OSError(errno.EACCES, "no Unix sockets without namespaces")
            self._let_continue(call)
        self.ports.bind(call.own, read_destination(call.memory, address, size & 0xFFFFFFFF))
        return 0

    async def _listen(self, call: _Call) -> int:
        own, backlog = call.own, call.notification.arguments[1] & 0x7FFFFFFF
        if own.family in INET:
            stream = self.ports.listen(own, backlog)
            if stream is not None:
                with stream:
                    await self._replace(call, stream)
            return 0
        if not self.own_network:
            raise OSError(errno.EACCES, "no Unix sockets without namespaces")
        own.listen(backlog)  # (5)
        return 0

    async def _replace(self, call: _Call, stream: socket.socket) -> None:
        """(6) Put a socket of outside in the place of the caller's, which blocks or not as that did."""
        place = Replacement(
            self.listener, call.notification.identity, call.descriptors, call.own, stream, self._reading
        )
        await place.place(call.notification.arguments[0] & 0xFFFFFFFF)

    def _stays_inside(self, call: _Call, target: Destination) -> bool:
        """Loopback in a network of its own, at a port where the application itself waits; never a stand-in.

        Nor for a socket that was connected outside: it belongs to the host's network, where loopback is the host.
        """
        return (
            self.own_network
            and not self.ports.is_of_outside(call.own)
            and waits_inside(call.notification.thread, target.host, target.port, call.own.type)
        )

    # sendto(2) with an address, sendmsg(2), sendmmsg(2)

    async def _send_to(self, call: _Call) -> int:
        _, buffer, size, flags, address, address_size = call.notification.arguments
        target = read_destination(call.memory, address, address_size & 0xFFFFFFFF)
        if call.own.family not in INET:
            raise OSError(errno.EISCONN if _is_connected(call.own) else errno.EOPNOTSUPP, "address on a Unix socket")
        data = call.memory.read(buffer, size) if size else b""
        return await self._send_datagram(call.own, target, data, flags)

    async def _send_message(self, call: _Call) -> int:
        _, address, flags = call.notification.arguments[:3]
        message = read_message(call.memory, address)
        if not self._is_addressed(call.own, message) and self.own_network:
            self._let_continue(call)
        return await self._send_one(call, message, flags)

    async def _send_messages(self, call: _Call) -> int:
        _, table, count, flags = call.notification.arguments[:4]
        places = [table + MULTIPLE_MESSAGE_BYTES * index for index in range(min(count & 0xFFFFFFFF, MULTIPLE_LIMIT))]
        messages = [read_message(call.memory, place) for place in places]
        if self.own_network and not any(self._is_addressed(call.own, message) for message in messages):
            self._let_continue(call)
        for done, (place, message) in enumerate(zip(places, messages, strict=True)):
            try:
                sent = await self._send_one(call, message, flags)
            except OSError:
                if done == 0:
                    raise
                return done
            call.memory.write(place + MULTIPLE_LENGTH_OFFSET, sent.to_bytes(4, "little"))
        return len(messages)

    def _let_continue(self, call: _Call) -> None:
        """Only for sends that need no decision.

        An unaddressed send goes where the socket's connect was decided, or stays in a network with nothing in it.
        Whatever the caller swaps in after this, the same holds: a datagram socket never leaves that network, and a
        connected stream ignores addresses.
        """
        kernel.let_continue(self.listener, call.notification.identity)
        raise _Answered

    @staticmethod
    def _is_addressed(own: socket.socket, message: Message) -> bool:
        return message.destination is not None and own.family in INET

    async def _send_one(self, call: _Call, message: Message, flags: int) -> int:
        data = read_data(call.memory, message)
        if message.destination is not None and call.own.family in INET:
            return await self._send_datagram(call.own, message.destination, data, flags)
        if message.destination is not None or message.control_bytes:
            raise OSError(errno.EACCES, "neither Unix addresses nor descriptors are sent by the supervisor")
        return await _send(call.own, data, flags)

    async def _send_datagram(self, own: socket.socket, target: Destination, data: bytes, flags: int) -> int:
        """Send one addressed datagram; a stream ignores addresses, but an undeclared one is still reported."""
        if target.family not in INET:
            raise OSError(errno.EAFNOSUPPORT, "not an inet address")
        if own.type != socket.SOCK_DGRAM:
            self._decide(target, "tcp")
            raise OSError(errno.EISCONN if _is_connected(own) else errno.EPIPE, "address on a stream")
        if self._asks_resolver(target):
            if source_of(own)[1] == 0:
                take_both_families(own)
                own.bind(("", 0))
            self.gateway.add_resolver(local_of(own))
            return own.sendto(data, _allowed_flags(flags), for_family(own, self.gateway.address))
        if self.ports.datagrams is not None and self.ports.datagrams.is_peer(target.host, target.port):
            return own.sendto(data, _allowed_flags(flags), (target.host, target.port))  # it stays inside
        decision = self._decide(target, "udp")
        family, address = (await addresses_of(decision.host, decision.port, self.answers))[0]
        if not self.own_network:
            return own.sendto(data, _allowed_flags(flags), for_family(own, (address, decision.port)))
        if source_of(own)[1] == 0:
            take_both_families(own)
            own.bind(("", 0))
        self.gateway.add_flow(local_of(own), family, address, decision.port)
        self.gateway.send(local_of(own), data)
        return len(data)

    # shared

    def _decide(self, target: Destination, protocol: str) -> Decision:
        """Decide and report; raises EACCES for what is not declared."""
        decision = self.hosts.decide(target.host, target.port)
        self._note(decision, protocol)
        return decision

    def _note(self, decision: Decision, protocol: str) -> None:
        self.report(decision, protocol)
        if not decision.allowed:
            raise OSError(errno.EACCES, decision.reason)

    def _asks_resolver(self, target: Destination) -> bool:
        """Without a network of its own an application asks the host's resolver, whatever its address."""
        return _is_resolver(target) or (not self.own_network and target.port == RESOLVER_PORT)


def _begin(serving: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that has already run until it first waits, if it does (Python 3.12); before it begins in the next turn."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(serving, loop=asyncio.get_running_loop(), eager_start=True)
    else:  # noqa: RET505 - mypy reads the branches
        return asyncio.get_running_loop().create_task(serving)


def _is_resolver(target: Destination) -> bool:
    return target.host == _RESOLVER and target.port == RESOLVER_PORT


def _is_connected(own: socket.socket) -> bool:
    try:
        own.getpeername()
    except OSError:
        return False
    return True


def _disconnect(own: socket.socket) -> int:
    if own.family not in INET or own.type != socket.SOCK_DGRAM:
        raise OSError(errno.EPERM, "a stream is not disconnected, it is closed")
    kernel.disconnect(own.fileno())
    return 0


def _allowed_flags(flags: int) -> int:
    """The caller's flags; never wait in the supervisor, never a signal for it."""
    return (flags & ~0x20000000) | socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


async def _send(own: socket.socket, data: bytes, flags: int) -> int:
    """Send on a connected socket, waiting as a blocking caller would."""
    while True:
        try:
            return own.send(data, _allowed_flags(flags))
        except BlockingIOError:
            if flags & socket.MSG_DONTWAIT or fcntl.fcntl(own.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK:
                raise
        await writable(own)
