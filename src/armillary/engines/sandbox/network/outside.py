# SPDX-License-Identifier: Apache-2.0
"""Makes a connection outside the sandbox on behalf of an application, to a host that its manifest declares."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket

from armillary.engines.sandbox.network.own_ports import check_not_own
from armillary.engines.sandbox.network.resolving import Answers, addresses_of

# Linux gives up a TCP connect after two minutes; an application's own patience is shorter.
CONNECT_TIMEOUT_S = 20.0
# A caller that does not block waits so long for each address of a name but the last, while the next may begin: the
# application knows only one address of the name, so it cannot try the others itself (RFC 8305 §5).
NEXT_ADDRESS_S = 0.1
# Somebody may begin to listen at a port that was free a moment ago; not every time.
PORT_ATTEMPTS = 16
# First byte of struct tcp_info (linux/tcp.h), include/net/tcp_states.h
_SYN_SENT = 2

# Options an application may have set before it connected; they move to the connection made outside.
KEPT_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.SOL_SOCKET, socket.SO_OOBINLINE),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
)
KEPT_STRUCTURES = (
    (socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16),  # struct timeval
    (socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16),
    (socket.SOL_SOCKET, socket.SO_LINGER, 8),  # struct linger
)


async def connect_outside(host: str, port: int, *, patience_s: float, answers: Answers | None = None) -> socket.socket:
    """A connected, non-blocking TCP socket to the first address that answers.

    Raises:
        OSError: with the errno the application should see.
    """
    problem = OSError(errno.EHOSTUNREACH, f"{host} has no address")
    try:
        async with asyncio.timeout(patience_s):
            for family, address in await addresses_of(host, port, answers):
                try:
                    return await _connected(family, address, port)
                except OSError as error:
                    problem = error
    except TimeoutError as error:
        problem = OSError(errno.ETIMEDOUT, f"{host} port {port} did not answer within {patience_s:g} s")
        problem.__cause__ = error
    if answers is not None:
        answers.forget(host)
    raise problem


async def _connected(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    stream = _begin(family, address, port)
    try:
        if is_connecting(stream):  # a peer on this machine has answered by now
            await writable(stream)
            check_not_own(ipaddress.ip_address(address), port)
        check_not_failed(stream, address, port)
    except BaseException:  # cancelled: close the socket
        stream.close()
        raise
    return stream


def check_not_failed(stream: socket.socket, host: str, port: int) -> None:
    """Raise OSError with the error of a connect that failed."""
    if error := stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(error, f"{host} port {port}")


async def begin_outside(host: str, port: int, answers: Answers | None = None) -> socket.socket:
    """A TCP socket that is connected, or that the kernel is connecting.

    Of a name with several addresses it is the first that answered, or the last that was begun when none did in time.

    Raises:
        OSError: with the errno the application should see: no address, or none that can be begun.
    """
    problem = OSError(errno.EHOSTUNREACH, f"{host} has no address")
    begun: list[socket.socket] = []
    try:
        addresses = await addresses_of(host, port, answers)
        for number, (family, address) in enumerate(addresses):
            try:
                begun.append(_begin(family, address, port))
            except OSError as error:
                problem = error
            if begun and number < len(addresses) - 1:
                found = await _first_connected(begun)
                if found is not None:
                    begun.remove(found)
                    return found
        if not begun:
            raise problem
        return begun.pop()
    finally:
        for stream in begun:
            stream.close()


def _begin(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    stream = socket.socket(family, socket.SOCK_STREAM)
    try:
        stream.setblocking(False)
        hold_port(stream)
        error = stream.connect_ex((address, port))
        check_not_own(ipaddress.ip_address(address), port)  # it may have begun to listen meanwhile
    except OSError:
        stream.close()
        raise
    if error not in (0, errno.EINPROGRESS):
        stream.close()
        raise OSError(error, f"{address} port {port}")
    return stream


async def _first_connected(begun: list[socket.socket]) -> socket.socket | None:
    """The first of these that is connected within a while; those that have failed are closed and left out."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    for stream in begun:
        loop.add_writer(stream.fileno(), changed.set)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NEXT_ADDRESS_S):
                await changed.wait()
    finally:
        for stream in begun:
            loop.remove_writer(stream.fileno())
    for stream in list(begun):
        if is_connecting(stream):
            continue
        if not stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return stream
        begun.remove(stream)
        stream.close()
    return None


async def writable(stream: socket.socket) -> None:
    """Wait until a socket takes data, is connected or has failed."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(stream.fileno(), _finish, ready)
    try:
        await ready
    finally:
        loop.remove_writer(stream.fileno())


def _finish(waited_for: asyncio.Future[None]) -> None:
    if not waited_for.done():
        waited_for.set_result(None)


def is_connecting(stream: socket.socket) -> bool:
    """Whether the kernel is connecting a TCP socket."""
    return stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _SYN_SENT


def hold_port(stream: socket.socket) -> None:
    """Bind a socket to a free port for its lifetime, so that it cannot be bound again: bind(2) then fails with EINVAL.

    The port that a connect chose is released when the other side resets, and the owner of the socket could then bind it
    to any port of the host. A port that was bound by number stays. The kernel chooses the free number; with
    SO_REUSEADDR the port stays available for servers of the host.
    """
    for _ in range(PORT_ATTEMPTS):
        with socket.socket(stream.family, socket.SOCK_STREAM) as place:
            place.bind(("", 0))
            for each in (place, stream):  # not before: among ports to reuse the kernel looks at half of them first
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                stream.bind(("", place.getsockname()[1]))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return
    raise OSError(errno.EADDRINUSE, "no free port for a connection")


def keep_options(source: socket.socket, target: socket.socket) -> None:
    """Copy the options an application had set; one that does not apply to the new socket is left out."""
    for level, option in KEPT_OPTIONS:
        with contextlib.suppress(OSError):
            target.setsockopt(level, option, source.getsockopt(level, option))
    for level, option, size in KEPT_STRUCTURES:
        with contextlib.suppress(OSError):
            target.setsockopt(level, option, source.getsockopt(level, option, size))
