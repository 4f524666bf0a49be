# SPDX-License-Identifier: Apache-2.0
"""The network interfaces of this host, as the kernel tells them, and their switch.

They are asked for by netlink (``RTM_GETLINK``, ``RTM_GETADDR``, rtnetlink(7)), routes are read from ``/proc``: both
tell of the network namespace that the caller is in, which ``/sys/class/net`` does not. Reading needs no right.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from armillary.errors import HostError

_ROUTES = Path("/proc/thread-self/net")
_STATUS, _CAP_NET_ADMIN = Path("/proc/thread-self/status"), 12
_IFF_UP = 0x1
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_FLAGS_REQUEST = struct.Struct("=16sh22x")  # struct ifreq with ifr_flags
_SIOCGIFHWADDR, _SIOCSIFHWADDR = 0x8927, 0x8924
_HARDWARE_REQUEST = struct.Struct("=16sH6s16x")  # struct ifreq with ifr_hwaddr: the kind of hardware, its address
_ETHERNET = 1

_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ADDRESS = struct.Struct("=BBBBi")  # ifaddrmsg: family, prefix length, flags, scope, interface
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, interface, flags, changes
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_CARRIER = 1, 3, 33
_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInterface:
    """One interface now."""

    name: str
    is_up: bool  # switched on
    has_carrier: bool  # the other side of its wire is there
    addresses: tuple[str, ...]  # textual, without prefix lengths
    has_default_route: bool
    hardware_address: str = ""  # six bytes in hex with colons; empty where it has none

    @property
    def is_loopback(self) -> bool:
        """Whether it only reaches this host."""
        return self.name == "lo"

    @property
    def has_address(self) -> bool:
        """Whether it has an address that others could answer to."""
        found = map(ipaddress.ip_address, self.addresses)
        return any(not each.is_link_local and not each.is_loopback for each in found)


def interfaces() -> tuple[HostInterface, ...]:
    """The interfaces of this network namespace, in the kernel's order."""
    addresses = _addresses()
    routed = _default_routes()
    found: list[HostInterface] = []
    for kind, body in _dump(_RTM_GETLINK):
        if kind != _RTM_NEWLINK or len(body) < _LINK.size:
            continue
        _, _, index, flags, _ = _LINK.unpack_from(body)
        values = dict(_attributes(body[_LINK.size :]))
        name = values.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
        found.append(
            HostInterface(
                name=name,
                is_up=bool(flags & _IFF_UP),
                has_carrier=bool(flags & _IFF_UP) and values.get(_IFLA_CARRIER) == b"\x01",
                addresses=tuple(addresses.get(index, ())),
                has_default_route=name in routed,
                hardware_address=values.get(_IFLA_ADDRESS, b"").hex(":"),
            )
        )
    return tuple(found)


def switch(name: str, *, up: bool) -> None:
    """Switch an interface on or off.

    Raises:
        HostError: there is none of this name, or the process may not (CAP_NET_ADMIN).
    """
    with _control() as control:
        try:
            found = fcntl.ioctl(control, _SIOCGIFFLAGS, _FLAGS_REQUEST.pack(name.encode(), 0))
            _, flags = _FLAGS_REQUEST.unpack(found)
            wanted = flags | _IFF_UP if up else flags & ~_IFF_UP
            fcntl.ioctl(control, _SIOCSIFFLAGS, _FLAGS_REQUEST.pack(name.encode(), wanted))
        except OSError as error:
            raise HostError(
                f"interface {name}: {error.strerror or error}",
                remedy="Start the device as root, or give it CAP_NET_ADMIN; ip link lists the interfaces.",
            ) from error


def ethernet_address(name: str) -> bytes:
    """The hardware address of an Ethernet interface now.

    Raises OSError: ENOENT where there is none of this name, EPERM where it is of another kind.
    """
    with _control() as control:
        try:
            found = fcntl.ioctl(control, _SIOCGIFHWADDR, _HARDWARE_REQUEST.pack(name.encode(), 0, b""))
        except OSError as error:
            raise OSError(errno.ENOENT, f"the host has no interface {name} now") from error
    _, kind, address = _HARDWARE_REQUEST.unpack(found)
    if kind != _ETHERNET:
        raise OSError(errno.EPERM, f"{name} is no Ethernet")
    return bytes(address)


def may_change_interfaces() -> bool:
    """Whether this process may change interfaces (CAP_NET_ADMIN)."""
    lines = _STATUS.read_text().splitlines()
    found = next((line for line in lines if line.startswith("CapEff:")), "CapEff: 0")
    return bool(int(found.split()[1], 16) >> _CAP_NET_ADMIN & 1)


def set_ethernet_address(name: str, address: bytes) -> None:
    """Give an Ethernet interface another hardware address, which is looked at afterwards.

    A driver that changes it only while it is off is switched off for that: addresses of IPv4 stay, routes go. Where the
    new one does not hold, the interface has the one before.

    Raises OSError: as above, it takes no such address, or the process may not (CAP_NET_ADMIN).
    """
    before = ethernet_address(name)
    try:
        _give(name, address)
        _check(name, address)
    except OSError:
        if ethernet_address(name) != before:
            _give(name, before)
        raise


def _give(name: str, address: bytes) -> None:
    try:
        _set_hardware(name, address)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
    else:
        return
    switch(name, up=False)
    try:
        _set_hardware(name, address)
    finally:
        switch(name, up=True)


def _check(name: str, address: bytes) -> None:
    found = ethernet_address(name)
    if found != address:
        raise OSError(errno.EADDRNOTAVAIL, f"{name} has {found.hex(':')} all the same: its driver takes no other")


def _set_hardware(name: str, address: bytes) -> None:
    with _control() as control:
        fcntl.ioctl(control, _SIOCSIFHWADDR, _HARDWARE_REQUEST.pack(name.encode(), _ETHERNET, address))


def _control() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)


def _addresses() -> Mapping[int, list[str]]:
    """Addresses by the number of their interface."""
    found: dict[int, list[str]] = {}
    for kind, body in _dump(_RTM_GETADDR):
        if kind != _RTM_NEWADDR or len(body) < _ADDRESS.size:
            continue
        family, _, _, _, index = _ADDRESS.unpack_from(body)
        values = dict(_attributes(body[_ADDRESS.size :]))
        raw = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
        if raw is not None and family in (socket.AF_INET, socket.AF_INET6):
            found.setdefault(index, []).append(socket.inet_ntop(family, raw))
    return found


def _dump(kind: int) -> Iterator[tuple[int, bytes]]:
    """The messages that answer one request of rtnetlink; none where the kernel refuses."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
        link.settimeout(1.0)
        body = bytes(_LINK.size if kind == _RTM_GETLINK else _ADDRESS.size)  # of any family
        link.send(_HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0) + body)
        while True:
            data = link.recv(_READ_BYTES)
            while len(data) >= _HEADER.size:
                length, found, _, _, _ = _HEADER.unpack_from(data)
                if found in (_NLMSG_DONE, _NLMSG_ERROR) or length < _HEADER.size:
                    return
                yield found, data[_HEADER.size : length]
                data = data[_aligned(length) :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _default_routes() -> frozenset[str]:
    """Names of the interfaces that a default route goes through."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for line in (_ROUTES / "route").read_text().splitlines()[1:]:
            fields = line.split()
            if len(fields) > 7 and fields[1] == fields[7] == "00000000":
                found.add(fields[0])
    with contextlib.suppress(OSError):
        for line in (_ROUTES / "ipv6_route").read_text().splitlines():
            fields = line.split()
            if len(fields) > 9 and fields[1] == "00" and not fields[0].strip("0"):
                found.add(fields[9])
    return frozenset(found - {"lo"})
