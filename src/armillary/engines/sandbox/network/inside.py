# SPDX-License-Identifier: Apache-2.0
"""Connections that an application makes to itself, in its own network and file tree.

A program may talk to its own sockets: an event loop wakes itself over loopback, processes share a Unix socket. The
broker stops these calls like all others, finds that they stay in the sandbox, and makes them on a copy of the
application's socket, which belongs to the application's network whichever process connects it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from armillary.engines.sandbox.network import kernel

# An application can make a connect to its own socket block (it never accepts); it then waits for itself.
THREADS = 2
# Retries of the first packet on such a connect: about three seconds, then ETIMEDOUT.
FIRST_PACKET_RETRIES = 1
# One line per socket; an application has at most as many as descriptors.
TABLE_LIMIT_BYTES = 256 * 1024
SO_NETNS_COOKIE = 71  # asm-generic/socket.h
# include/net/tcp_states.h: TCP_LISTEN; unconnected datagram sockets are shown as TCP_CLOSE.
_WAITING_STATE = {socket.SOCK_STREAM: "0A", socket.SOCK_DGRAM: "07"}
_TABLES = {socket.SOCK_STREAM: ("tcp", "tcp6"), socket.SOCK_DGRAM: ("udp", "udp6")}


@dataclass(slots=True)
class InsideNetwork:
    """Makes connections within the sandbox's network. Owns its threads."""

    _threads: ThreadPoolExecutor | None = None

    async def connect(self, own: socket.socket, where: tuple[str, int]) -> None:
        """Reach a port of the application's own network; errors are those of the call itself, EINPROGRESS included."""
        if own.type == socket.SOCK_STREAM:
            with contextlib.suppress(OSError):
                own.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, FIRST_PACKET_RETRIES)
        await self._connect(own, where, -1)

    async def connect_unix(self, own: socket.socket, thread: int, path: bytes) -> None:
        """Connect to a Unix socket: an abstract name of its own network, or a path below its own root."""
        if path.startswith(b"\0"):
            await self._connect(own, path, -1)
        else:
            inside = kernel.open_in_root(thread, path)
            await self._connect(own, f"/proc/self/fd/{inside}", inside)

    async def connect_path(self, own: socket.socket, path: str) -> None:
        """Connect to a Unix socket of the host by a path that the device itself has chosen."""
        await self._connect(own, path, -1)

    async def _connect(self, own: socket.socket, where: tuple[str, int] | bytes | str, held: int) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sandbox-inside")
        # The thread owns its copies: it may outlive this call.
        copy = own.dup()
        await asyncio.get_running_loop().run_in_executor(self._threads, _connect_and_close, copy, where, held)

    def close(self) -> None:
        """Start nothing more."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _connect_and_close(copy: socket.socket, where: tuple[str, int] | bytes | str, held: int) -> None:
    try:
        copy.connect(where)
    finally:
        copy.close()
        if held >= 0:
            os.close(held)


def network_of(own: socket.socket) -> bytes:
    """The identity of a socket's network namespace (SO_NETNS_COOKIE, Linux 5.14)."""
    return own.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)


def is_loopback(host: str) -> bool:
    """Whether an address as ``getsockname`` gives it is of loopback; an IPv4 one in an IPv6 address too."""
    address = ipaddress.ip_address(host)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def waits_inside(thread: int, host: str, port: int, kind: int) -> bool:
    """Whether a socket of the thread's own network listens at this loopback address.

    Only for a thread that has a network of its own: /proc shows that network's sockets.
    """
    if not ipaddress.ip_address(host).is_loopback:
        return False
    for table in _TABLES.get(socket.SocketKind(kind), ()):
        with contextlib.suppress(OSError), open(f"/proc/{thread}/net/{table}", "rb") as file:  # noqa: PTH123
            for line in file.read(TABLE_LIMIT_BYTES).decode("ascii", "replace").splitlines()[1:]:
                fields = line.split()
                waiting = len(fields) > 3 and fields[3] == _WAITING_STATE[socket.SocketKind(kind)]
                if waiting and int(fields[1].rpartition(":")[2], 16) == port:
                    return True
    return False
