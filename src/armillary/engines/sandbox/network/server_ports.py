# SPDX-License-Identifier: Apache-2.0
"""Where an application waits: bind(2) and listen(2) of inet sockets, decided and made by the supervisor.

A stream listens at a port that the manifest names, or at loopback in a network of its own; at any other it is refused,
and reported as every refused connection is. A datagram socket waits where it is bound, so that is decided at its bind;
without a network of its own that of a stream is as well. Everything is done with a copy of the application's socket and
a copy of the address, so that nothing can be swapped between the decision and the act; the application's own bind(2) of
a stream is refused by Landlock in any case.

In a network of its own nothing comes in. So when an application listens at a declared port, a listener of the host's
network, at the device's address and that port, takes the place of its socket: it accepts, and does nothing else. It
cannot be bound (it has a port, which it keeps), disconnected or connected (the broker refuses both), and once shut down
it is not listened with again. What it accepts are connections like those made outside.

A datagram socket stays inside, and what strangers send is relayed to it (``datagram_server``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from armillary.capability.device_addresses import DeviceAddresses
from armillary.capability.network import Decision
from armillary.engines.sandbox.network.datagram_server import DatagramServer
from armillary.engines.sandbox.network.destination import Destination
from armillary.engines.sandbox.network.inside import is_loopback, network_of
from armillary.engines.sandbox.network.outside import keep_options

INET = (socket.AF_INET, socket.AF_INET6)
# The protocol of what is reported of a refused listen, and of a refused bind of a datagram socket.
LISTEN = "listen"
LISTEN_UDP = "listen-udp"
# Called with protocol, address, port, and why it could not be opened ("" when it was).
OnPort = Callable[[str, str, int, str], None]
# State of a listening socket in /proc/net/tcp (include/net/tcp_states.h).
_LISTENING = "0A"
_INODE_FIELD = 9


@dataclass(slots=True, kw_only=True)
class ServerPorts:
    """Decides where one application waits, and opens its declared ports. Owns the datagram server."""

    tcp: frozenset[int]  # Ports that it may listen at
    udp: frozenset[int]  # Ports that it may bind
    addresses: DeviceAddresses
    inside: socket.socket | None  # A socket of the application's own network; None where it has none
    datagrams: DatagramServer | None  # None without a network of its own, or without UDP ports
    report: Callable[[Decision, str], None]  # Called with (decision, protocol) for what is refused
    on_port: OnPort
    _open: dict[int, tuple[str, int]] = field(default_factory=dict)  # Port to address and inode of its listener

    def close(self) -> None:
        """Close what was opened for datagrams; listeners end with the application that has them."""
        if self.datagrams is not None:
            self.datagrams.close()

    def bind(self, own: socket.socket, target: Destination) -> None:
        """Carry out an application's bind; errors are those of the call itself."""
        if self.is_of_outside(own):
            raise OSError(errno.EINVAL, "a socket of outside")
        if target.family != own.family:
            raise OSError(errno.EAFNOSUPPORT, "address of another family")
        is_datagram = own.type == socket.SOCK_DGRAM
        declared = self.udp if is_datagram else self.tcp
        is_own = self._is_own_loopback(target.host)
        if target.port and target.port not in declared and not is_own and (is_datagram or self.inside is None):
            raise self._refused(target.host, target.port, LISTEN_UDP if is_datagram else LISTEN)
        if target.port in declared and self.inside is None:
            self._bind_outside(own, "udp" if is_datagram else "tcp", target.port)
            return
        if target.port in declared and is_datagram and not is_own and self.datagrams is not None:
            self.datagrams.open(target.port, self._note)
        own.bind((target.host, target.port))

    def _bind_outside(self, own: socket.socket, protocol: str, port: int) -> None:
        """Bind a socket of an application that is in the host's network: at the device's address, whatever it asked."""
        address = self._outside_address(own, protocol, port)
        try:
            own.bind((address, port))
        except OSError as error:
            self._note(protocol, address, port, error)
            raise
        self._note(protocol, address, port, None)

    def listen(self, own: socket.socket, backlog: int) -> socket.socket | None:
        """Carry out an application's listen; returns what is to take the socket's place, if anything is."""
        if self.is_of_outside(own):
            if not is_listening(own):
                raise OSError(errno.EINVAL, "a connection, or a listener that was shut down")
            own.listen(backlog)  # again: another length of its queue
            return None
        host, port = own.getsockname()[:2]
        if not (self._is_own_loopback(host) or port in self.tcp):
            raise self._refused(host, port, LISTEN)
        if self.inside is None or self._is_own_loopback(host):
            own.listen(backlog)
            return None
        return self._listener(own, port, backlog)

    def has_opened(self, port: int) -> bool:
        """Whether the application has listened at a port of the device; it may have closed it since."""
        return port in self._open

    def itself(self, host: str, port: int) -> tuple[str, int] | None:
        """Where a connect to the application's own loopback goes that means its own open server port, or None.

        Reads all sockets of the host: not for the supervisor's loop.
        """
        found = self._open.get(port)
        if found is None or not self._is_own_loopback(host):
            return None
        address, inode = found
        return (_reached_at(address), port) if _listens(inode) else None

    def is_of_outside(self, own: socket.socket) -> bool:
        """Whether a socket is in the host's network, while the application has its own."""
        return self.inside is not None and network_of(own) != network_of(self.inside)

    def _listener(self, own: socket.socket, port: int, backlog: int) -> socket.socket:
        address = self._outside_address(own, "tcp", port)
        stream = socket.socket(own.family, socket.SOCK_STREAM)
        try:
            if own.family == socket.AF_INET6:
                stream.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, _is_ipv6_only(own))
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            keep_options(own, stream)
            stream.bind((address, port))
            stream.listen(backlog)
        except OSError as error:
            stream.close()
            self._note("tcp", address, port, error)
            raise
        self._open[port] = (address, os.fstat(stream.fileno()).st_ino)
        self._note("tcp", address, port, None)
        return stream

    def _outside_address(self, own: socket.socket, protocol: str, port: int) -> str:
        ipv6 = own.family == socket.AF_INET6
        address = self.addresses.stream(ipv6=ipv6, ipv6_only=ipv6 and _is_ipv6_only(own))
        if address is None:
            error = OSError(errno.EADDRNOTAVAIL, f"the device listens at no {'IPv6' if ipv6 else 'IPv4'} address")
            self._note(protocol, "::" if ipv6 else "0.0.0.0", port, error)  # noqa: S104 - told, not bound
            raise error
        return address

    def _note(self, protocol: str, address: str, port: int, problem: OSError | None) -> None:
        self.on_port(protocol, address, port, "" if problem is None else explain(problem))

    def _refused(self, host: str, port: int, protocol: str) -> OSError:
        """Report, and the error."""
        self.report(Decision(allowed=False, host=host, port=port, reason="not declared"), protocol)
        return OSError(errno.EACCES, "port is not in AllowedTcpServerPorts or AllowedUdpServerPorts")

    def _is_own_loopback(self, host: str) -> bool:
        return self.inside is not None and is_loopback(host)


def explain(problem: OSError) -> str:
    """Why a port could not be opened, and what to do."""
    if problem.errno == errno.EADDRINUSE:
        return (
            "another program of this host, or another device on it, has the port: stop it, or give this device an "
            "address of its own (armillary device boot --listen ADDRESS)"
        )
    if problem.errno == errno.EACCES:
        return (
            "only root opens ports below 1024: start the device as root, or lower them: "
            "sysctl net.ipv4.ip_unprivileged_port_start=80"
        )
    if problem.errno == errno.EADDRNOTAVAIL:
        return (
            f"{problem.strerror}: name an address that this host has (armillary device boot --listen ADDRESS; "
            "ip address show)"
        )
    return problem.strerror or str(problem)


def is_listening(own: socket.socket) -> bool:
    """Whether a socket accepts connections."""
    return bool(own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _is_ipv6_only(own: socket.socket) -> bool:
    return bool(own.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))


def _reached_at(address: str) -> str:
    """An address at which a listener of this one is reached from this host."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound


def _listens(inode: int) -> bool:
    """Whether the socket with this inode still listens in this process's network."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/self/net/{table}", encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                fields = line.split()
                if len(fields) > _INODE_FIELD and fields[3] == _LISTENING and fields[_INODE_FIELD] == str(inode):
                    return True
    return False
