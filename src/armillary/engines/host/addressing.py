# SPDX-License-Identifier: Apache-2.0
"""Gives an interface of this host an IPv4 address and a default route with a metric, and takes them away again.

Ioctls of netdevice(7): no program is needed for it. Where several interfaces have a default route, the kernel takes
that of the smallest metric; with :func:`leave_lost_links` only among those whose other side is there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import socket
import struct
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

# Ethernet before Wi-Fi before a modem, whose data costs money (as NetworkManager has them).
ETHERNET_METRIC: Final = 100
WIFI_METRIC: Final = 600
MODEM_METRIC: Final = 700
# The largest private network (RFC 1918) has it. A network that claims more would take packets for half of the internet
# away from a better one, whatever the metrics say: the kernel takes the narrower route.
WIDEST_MASK: Final = IPv4Address("255.0.0.0")
LOST_LINKS: Final = Path("/proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown")
_GET_FLAGS, _SET_FLAGS, _SET_ADDRESS, _SET_MASK, _ADD_ROUTE = 0x8913, 0x8914, 0x8916, 0x891C, 0x890B
_SET_NAME: Final = 0x8923
_UP: Final = 1
# struct rtentry of 64-bit Linux: destination, gateway, mask, flags, metric (and one), interface.
_ROUTE: Final = struct.Struct("@L16s16s16sHhLPhPLLH")
_RTF_UP, _RTF_GATEWAY = 0x1, 0x2
_NOWHERE: Final = IPv4Address(0)


def bring_up(interface: str) -> None:
    """Switch an interface on; OSError where there is none of this name, or the process may not."""
    with closing(_control()) as control:
        name = interface.encode()
        found = fcntl.ioctl(control, _GET_FLAGS, struct.pack("16sH14x", name, 0))
        (flags,) = struct.unpack_from("H", found, 16)
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", name, flags | _UP))


def rename(interface: str, name: str) -> None:
    """Give an interface that is off another name; OSError where there is none, it is on, or the name is taken."""
    with closing(_control()) as control:
        fcntl.ioctl(control, _SET_NAME, struct.pack("16s16s", interface.encode(), name.encode()))


def set_address(interface: str, address: IPv4Address, mask: IPv4Address) -> None:
    """Give an interface its address.

    Raises OSError: there is no interface of this name, the process may not, or the mask is wider than ``WIDEST_MASK``.
    """
    if mask < WIDEST_MASK:
        raise OSError(errno.EINVAL, f"expected a network with mask {WIDEST_MASK} or a narrower one, got {mask}")
    name = interface.encode()
    with closing(_control()) as control:
        fcntl.ioctl(control, _SET_ADDRESS, struct.pack("16s16s", name, _socket_address(address)))
        fcntl.ioctl(control, _SET_MASK, struct.pack("16s16s", name, _socket_address(mask)))


def add_default_route(interface: str, router: IPv4Address | None, *, metric: int) -> None:
    """Have an interface lead to everywhere; without a router its other side answers for everybody.

    Raises OSError: as above, or the router is in no network of the interface.
    """
    name = ctypes.create_string_buffer(interface.encode())
    nowhere = _socket_address(_NOWHERE)
    gateway = nowhere if router is None else _socket_address(router)
    flags = _RTF_UP if router is None else _RTF_UP | _RTF_GATEWAY
    route = _ROUTE.pack(0, nowhere, gateway, nowhere, flags, 0, 0, 0, metric + 1, ctypes.addressof(name), 0, 0, 0)
    with closing(_control()) as control:
        try:
            fcntl.ioctl(control, _ADD_ROUTE, route)
        except OSError as error:
            if error.errno != errno.EEXIST:  # an address that was given again
                raise


def forget_address(interface: str) -> None:
    """Take an interface's address away, and its routes with it; nothing where it has none, or is gone."""
    with closing(_control()) as control:
        try:
            fcntl.ioctl(control, _SET_ADDRESS, struct.pack("16s16s", interface.encode(), _socket_address(_NOWHERE)))
        except OSError as error:
            if error.errno not in (errno.ENODEV, errno.EADDRNOTAVAIL):
                raise


def leave_lost_links(setting: Path = LOST_LINKS) -> None:
    """Have the kernel take no route through an interface whose cable was pulled out; OSError where it refuses."""
    setting.write_text("1", "ascii")


def _control() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)


def _socket_address(address: IPv4Address) -> bytes:
    """``struct sockaddr_in``."""
    return struct.pack("=HH4s8x", socket.AF_INET, 0, address.packed)
