# SPDX-License-Identifier: Apache-2.0
"""The gateway: one datagram socket in the sandbox's own network, answered by the supervisor outside.

An application's datagram sockets never leave its network. When one connects to a declared host, the supervisor connects
it to the gateway instead and stores its source address; datagrams from that address are relayed through a socket
outside, and answers come back the same way. Sources that connected to the resolver's address get their DNS queries
answered (``name_lookup``). Datagrams from other sources are dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from armillary.capability.network import AllowedHosts
from armillary.engines.sandbox.network.name_lookup import Lookup, look_up

Source = tuple[str, int]

# Flows and resolver sockets one application may have at a time; the oldest makes room.
SOURCE_LIMIT = 64
DATAGRAM_LIMIT_BYTES = 65535
# What a send gets whose source address has gone, or whose network has.
_ADDRESS_GONE = (errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
# Datagrams taken per wake-up, so that a flood cannot starve the supervisor's loop.
BURST_LIMIT = 32


@dataclass(slots=True)
class Gateway:
    """Relays datagrams and answers lookups. Owns ``inside`` and every socket it opens."""

    inside: socket.socket  # Bound datagram socket in the sandbox's network
    allowed: AllowedHosts  # Names with stand-ins
    on_lookup: Callable[[Lookup], None]
    _flows: OrderedDict[Source, socket.socket] = field(default_factory=OrderedDict)
    _resolvers: OrderedDict[Source, None] = field(default_factory=OrderedDict)

    def start(self) -> None:
        """Begin to answer; needs a running loop."""
        self.inside.setblocking(False)
        asyncio.get_running_loop().add_reader(self.inside.fileno(), self._from_inside)

    @property
    def address(self) -> Source:
        """Where sockets inside must be connected to."""
        host, port = self.inside.getsockname()[:2]
        return str(host), int(port)

    def add_resolver(self, source: Source) -> None:
        """Answer lookups from this source."""
        self._resolvers[source] = None
        self._resolvers.move_to_end(source)
        self._drop_flow(source)
        if len(self._resolvers) > SOURCE_LIMIT:
            self._resolvers.popitem(last=False)

    def add_flow(self, source: Source, family: socket.AddressFamily, address: str, port: int) -> None:
        """Relay datagrams from this source to a target outside."""
        outside = socket.socket(family, socket.SOCK_DGRAM)
        try:
            outside.setblocking(False)
            outside.connect((address, port))
        except OSError:
            outside.close()
            raise
        self._resolvers.pop(source, None)
        self._drop_flow(source)
        while len(self._flows) >= SOURCE_LIMIT:
            self._drop_flow(next(iter(self._flows)))
        self._flows[source] = outside
        asyncio.get_running_loop().add_reader(outside.fileno(), self._from_outside, outside, source)

    def send(self, source: Source, data: bytes) -> None:
        """Send as if it had come from this source: for a caller that named the address with the datagram."""
        self._route(source, data)

    def close(self) -> None:
        """Stop and close every socket."""
        asyncio.get_running_loop().remove_reader(self.inside.fileno())
        self.inside.close()
        for source in list(self._flows):
            self._drop_flow(source)

    def _from_inside(self) -> None:
        for _ in range(BURST_LIMIT):
            try:
                data, where = self.inside.recvfrom(DATAGRAM_LIMIT_BYTES)
            except OSError:
                return  # nothing more, or an ICMP error of an earlier answer
            self._route((str(where[0]), int(where[1])), data)

    def _route(self, source: Source, data: bytes) -> None:
        outside = self._flows.get(source)
        if outside is not None:
            with contextlib.suppress(OSError):  # datagrams may be lost; the application sees silence
                _send(outside, data)
        elif source in self._resolvers:
            lookup = look_up(data, self.allowed)
            if lookup is not None:
                self.on_lookup(lookup)
                with contextlib.suppress(OSError):
                    self.inside.sendto(lookup.answer, source)

    def _from_outside(self, outside: socket.socket, source: Source) -> None:
        for _ in range(BURST_LIMIT):
            try:
                data = outside.recv(DATAGRAM_LIMIT_BYTES)
                self.inside.sendto(data, source)
            except OSError:
                return

    def _drop_flow(self, source: Source) -> None:
        outside = self._flows.pop(source, None)
        if outside is not None:
            asyncio.get_running_loop().remove_reader(outside.fileno())
            outside.close()


def _send(outside: socket.socket, data: bytes) -> None:
    """Send, also after this machine has lost the address that the socket sent from: it then takes another."""
    try:
        outside.send(data)
    except OSError as error:
        if error.errno not in _ADDRESS_GONE:
            raise
        outside.connect(outside.getpeername())
        outside.send(data)
