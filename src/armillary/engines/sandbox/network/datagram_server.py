# SPDX-License-Identifier: Apache-2.0
"""Relays datagrams between an application's UDP server ports and who writes to the device's address.

The application's socket stays in its own network. For each port that it binds the supervisor opens a socket at the
device's addresses; who writes to it gets an address of its own in ``PEER_NETWORK``, from which the datagram arrives
inside. What the application sends to that address from that port goes back to who wrote, from the port that they wrote
to. It can answer nobody else: an address that nobody has is dropped, and addresses are given again only after all
others.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from armillary.capability.device_addresses import PEER_NETWORK, DeviceAddresses

# Who wrote last; the one longest ago makes room.
PEER_LIMIT = 1024
DATAGRAM_LIMIT_BYTES = 65535
# Datagrams taken per wake-up, so that a flood cannot starve the supervisor's loop.
BURST_LIMIT = 32
# linux/in.h: IP_PKTINFO with struct in_pktinfo {int interface; in_addr source of what is sent; in_addr destination}
IP_PKTINFO = 8
_PACKET_INFO = struct.Struct("=i4s4s")

# Called with protocol, address, port, and the error that kept it from being opened.
Note = Callable[[str, str, int, OSError | None], None]


@dataclass(frozen=True, slots=True)
class _Peer:
    """Who wrote: through which socket of the device, and from where."""

    outside: socket.socket
    port: int  # The server port
    address: Any


@dataclass(slots=True)
class DatagramServer:
    """Owns ``inside``, a socket of the application's network that takes datagrams at every address, and the others."""

    inside: socket.socket
    addresses: DeviceAddresses
    _ports: dict[int, list[socket.socket]] = field(default_factory=dict)
    _peers: dict[str, _Peer] = field(default_factory=dict)  # By the address that stands for it inside
    _known: OrderedDict[tuple[int, Any], str] = field(default_factory=OrderedDict)  # (descriptor, address) to that
    _next: int = 0

    def start(self) -> None:
        """Begin to relay; needs a running loop."""
        self.inside.setblocking(False)
        self.inside.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        asyncio.get_running_loop().add_reader(self.inside.fileno(), self._from_inside)

    def open(self, port: int, note: Note) -> None:
        """Wait at a port of the device from now on, until the application has ended.

        Raises:
            OSError: the port is not to be had; ``note`` heard why.
        """
        if port in self._ports:
            return
        opened: list[socket.socket] = []
        for address in self.addresses.datagram():
            try:
                opened.append(_open(address, port, ipv6_only=self.addresses.ipv4 is not None))
            except OSError as error:
                for each in opened:
                    each.close()
                note("udp", address, port, error)
                raise
        self._ports[port] = opened
        for address, outside in zip(self.addresses.datagram(), opened, strict=True):
            asyncio.get_running_loop().add_reader(outside.fileno(), self._from_outside, outside, port)
            note("udp", address, port, None)

    def is_peer(self, host: str, port: int) -> bool:
        """Whether an address inside stands for somebody who wrote."""
        return port == self.inside.getsockname()[1] and host.removeprefix("::ffff:") in self._peers

    def close(self) -> None:
        """Stop and close every socket."""
        loop = asyncio.get_running_loop()
        for each in (self.inside, *(one for opened in self._ports.values() for one in opened)):
            loop.remove_reader(each.fileno())
            each.close()
        self._ports.clear()

    def _from_outside(self, outside: socket.socket, port: int) -> None:
        for _ in range(BURST_LIMIT):
            try:
                data, address = outside.recvfrom(DATAGRAM_LIMIT_BYTES)
            except OSError:
                return  # nothing more, or an ICMP error of an earlier answer
            source = ipaddress.IPv4Address(self._stand_in(outside, port, address)).packed
            information = _PACKET_INFO.pack(0, source, source)
            with contextlib.suppress(OSError):  # a full buffer: datagrams may be lost
                self.inside.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, information)], 0, ("127.0.0.1", port))

    def _stand_in(self, outside: socket.socket, port: int, address: Any) -> str:
        key = (outside.fileno(), address)
        found = self._known.get(key)
        if found is None:
            while len(self._known) >= PEER_LIMIT:
                self._peers.pop(self._known.popitem(last=False)[1], None)
            found = self._free_address()
            self._known[key] = found
            self._peers[found] = _Peer(outside, port, address)
        self._known.move_to_end(key)
        return found

    def _free_address(self) -> str:
        """The next that stands for nobody: who still writes keeps theirs, however many others write."""
        while True:
            found = str(PEER_NETWORK[1 + self._next])
            self._next = (self._next + 1) % (PEER_NETWORK.num_addresses - 2)
            if found not in self._peers:
                return found

    def _from_inside(self) -> None:
        space = socket.CMSG_SPACE(_PACKET_INFO.size)
        for _ in range(BURST_LIMIT):
            try:
                data, ancillary, _, source = self.inside.recvmsg(DATAGRAM_LIMIT_BYTES, space)
            except OSError:
                return
            for level, kind, information in ancillary:
                if (level, kind) != (socket.IPPROTO_IP, IP_PKTINFO) or len(information) < _PACKET_INFO.size:
                    continue
                _, _, destination = _PACKET_INFO.unpack_from(information)
                peer = self._peers.get(socket.inet_ntoa(destination))
                if peer is not None and source[1] == peer.port:
                    with contextlib.suppress(OSError):
                        peer.outside.sendto(data, peer.address)


def _open(address: str, port: int, *, ipv6_only: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    outside = socket.socket(family, socket.SOCK_DGRAM)
    try:
        outside.setblocking(False)
        if family == socket.AF_INET6:  # "::" takes both families, unless IPv4 has an address of its own
            outside.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, ipv6_only)
        outside.bind((address, port))
    except OSError:
        outside.close()
        raise
    return outside
