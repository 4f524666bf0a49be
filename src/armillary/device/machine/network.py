# SPDX-License-Identifier: Apache-2.0
"""Brings the network up: loopback, and the first Ethernet interface with an address that it is given by DHCP.

Ioctls of ``netdevice(7)`` and a packet socket: no program is needed for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import time
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from armillary.errors import WireError
from armillary.wire.device_image.address_lease import (
    ACKNOWLEDGE,
    MAX_BYTES,
    OFFER,
    Lease,
    discover,
    parse_reply,
    request,
)

INTERFACES: Final = Path("/sys/class/net")
RESOLVER: Final = Path("/run/resolv.conf")
ROUTES: Final = Path("/proc/net/route")
_DEFAULT: Final = "00000000"
_GET_FLAGS, _SET_FLAGS, _SET_ADDRESS, _SET_MASK, _ADD_ROUTE = 0x8913, 0x8914, 0x8916, 0x891C, 0x890B
_UP: Final = 1
_ETHERNET: Final = "1"
_IPV4: Final = 0x0800
_EVERYBODY: Final = b"\xff" * 6
_ROUTE: Final = struct.Struct("@L16s16s16sHhLPhPLLH")
_GATEWAY: Final = 0x3  # RTF_UP | RTF_GATEWAY
_ANSWER_S: Final = 2.0
_FILE_EXISTS: Final = 17


def first_ethernet() -> str | None:
    """The first interface with a card behind it that is no radio, by name."""
    for path in sorted(INTERFACES.iterdir()):
        is_card = (path / "device").exists() and (path / "type").read_text().strip() == _ETHERNET
        if is_card and not is_radio(path):
            return path.name
    return None


def first_radio() -> str | None:
    """The first interface that is a Wi-Fi radio, by name."""
    return next((path.name for path in sorted(INTERFACES.iterdir()) if is_radio(path)), None)


def is_radio(path: Path) -> bool:
    """Whether an interface, by its folder in sysfs, is a Wi-Fi radio."""
    return (path / "phy80211").exists()


def forget_address(interface: str) -> None:
    """Take an interface's address, and the routes with it; nothing where it has none."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as control, contextlib.suppress(OSError):
        fcntl.ioctl(control, _SET_ADDRESS, struct.pack("16s16s", interface.encode(), _address(IPv4Address(0))))


def bring_up(interface: str) -> None:
    """Switch an interface on."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as control:
        name = interface.encode()
        found = fcntl.ioctl(control, _GET_FLAGS, struct.pack("16sH14x", name, 0))
        (flags,) = struct.unpack_from("H", found, 16)
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", name, flags | _UP))


def lease_address(interface: str, *, within_s: float) -> Lease | None:
    """Ask for an address until one is given, at most so long, and use it; None if nobody answers."""
    hardware = bytes.fromhex((INTERFACES / interface / "address").read_text().strip().replace(":", ""))
    ends_at = time.monotonic() + within_s
    with closing(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4))) as packets:
        packets.bind((interface, _IPV4))
        while time.monotonic() < ends_at:
            transaction = int.from_bytes(os.urandom(4), "big")
            offer = _exchange(packets, interface, discover(hardware, transaction), hardware, transaction, OFFER)
            if offer is None:
                continue
            asked = request(hardware, transaction, offer)
            given = _exchange(packets, interface, asked, hardware, transaction, ACKNOWLEDGE)
            if given is not None:
                use(interface, given)
                return given
    return None


def use(interface: str, lease: Lease) -> None:
    """Give an interface the address of a lease, and the machine its router and name servers.

    A machine with two networks keeps the way out, and the name servers, of the one that was first.
    """
    name = interface.encode()
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as control:
        fcntl.ioctl(control, _SET_ADDRESS, struct.pack("16s16s", name, _address(lease.address)))
        fcntl.ioctl(control, _SET_MASK, struct.pack("16s16s", name, _address(lease.mask)))
        if lease.router is not None:
            nowhere = _address(IPv4Address(0))
            route = _ROUTE.pack(0, nowhere, _address(lease.router), nowhere, _GATEWAY, 0, 0, 0, 0, 0, 0, 0, 0)
            try:
                fcntl.ioctl(control, _ADD_ROUTE, route)
            except OSError as error:
                if error.errno != _FILE_EXISTS:  # a lease that was renewed, or another network's way out
                    raise
    if way_out(ROUTES.read_text("ascii")) in (None, interface):
        RESOLVER.write_text("".join(f"nameserver {server}\n" for server in lease.name_servers), "ascii")


def way_out(routes: str) -> str | None:
    """The interface of the default route, by the text of ``/proc/net/route``; None if there is none."""
    for line in routes.splitlines()[1:]:
        interface, target, *_ = line.split()
        if target == _DEFAULT:
            return interface
    return None


def _exchange(
    packets: socket.socket, interface: str, packet: bytes, hardware: bytes, transaction: int, wanted: int
) -> Lease | None:
    packets.sendto(packet, (interface, _IPV4, 0, 0, _EVERYBODY))
    ends_at = time.monotonic() + _ANSWER_S
    while (left_s := ends_at - time.monotonic()) > 0:
        if not select.select([packets], [], [], left_s)[0]:
            return None
        try:
            reply = parse_reply(packets.recv(MAX_BYTES), hardware, transaction)
        except WireError:
            continue  # somebody else's packet, or a broken server: another may answer
        if reply is not None and reply.kind == wanted:
            return reply
    return None


def _address(address: IPv4Address) -> bytes:
    """``struct sockaddr_in``."""
    return struct.pack("=HH4s8x", socket.AF_INET, 0, address.packed)
