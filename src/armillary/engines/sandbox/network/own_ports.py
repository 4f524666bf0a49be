# SPDX-License-Identifier: Apache-2.0
"""Ports at this machine that devices themselves listen at: no application is connected to them, whatever it declares.

The supervisor connects for applications, as the user who runs the device. To a server that knows its callers by their
user, an application that declares an address of this machine would look like that user. So it is with the server of
another device of the same user, or of any user where root runs this one.

A port is marked with an abstract Unix socket (unix(7)) of a name that says it, which every process of the same network
namespace sees, and which the kernel removes with its process. Somebody who makes such a name himself keeps applications
from a port of this machine, and can do no more with it.

A mark is neither connected nor listened with. Few sockets of a machine are so, however many it has, and the kernel
lists those alone when it is asked for their state (sock_diag(7)); where it cannot, all of them are read.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from armillary.capability.network import Address

_NAMES = Path("/proc/thread-self/net/unix")
# linux/netlink.h and linux/sock_diag.h: struct nlmsghdr { u32 length; u16 type, flags; u32 sequence, port; }
_NETLINK_SOCK_DIAG = 4
_HEADER = struct.Struct("=IHHII")
_DONE, _SOCK_DIAG_BY_FAMILY, _DUMP = 3, 20, 0x301  # NLM_F_REQUEST | NLM_F_DUMP
# linux/unix_diag.h: struct unix_diag_req { u8 family, protocol; u16 pad; u32 states, inode, show, cookie[2]; }
_REQUEST = struct.Struct("=BBHIIIII")
_SHOW_NAME = 1
# include/net/tcp_states.h: TCP_CLOSE, as the kernel calls a socket that is neither connected nor listened with.
_UNCONNECTED = 1 << 7
_PART_BYTES = 64 * 1024


@contextlib.contextmanager
def own_port(port: int) -> Iterator[None]:
    """Keep applications of all devices from a port of this machine while the block runs; enter it before listening."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mark:
        mark.bind(b"\0" + _mark(port) + secrets.token_hex(8).encode())  # a name that nobody can have taken before
        yield


def check_not_own(address: Address, port: int) -> None:
    """Raise OSError (EACCES) where a device itself listens."""
    if (address.is_loopback or address.is_unspecified) and _is_marked(port):
        raise OSError(errno.EACCES, f"{address} port {port} belongs to a device itself")


def _is_marked(port: int) -> bool:
    try:
        return b"\0" + _mark(port) in _unconnected()
    except OSError:  # a kernel without CONFIG_UNIX_DIAG
        return b"@" + _mark(port) in _NAMES.read_bytes()


def _unconnected() -> bytes:
    """The kernel's messages about Unix sockets of this network that are not connected, with their names.

    Raises:
        OSError: this kernel does not list them.
    """
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _UNCONNECTED, 0, _SHOW_NAME, 0, 0)
    found = bytearray()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(_HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP, 0, 0) + request)
        while True:
            part = kernel.recv(_PART_BYTES)
            place = 0
            while place + _HEADER.size <= len(part):
                length, kind, *_ = _HEADER.unpack_from(part, place)
                if kind == _DONE:
                    return bytes(found)
                if kind != _SOCK_DIAG_BY_FAMILY or length < _HEADER.size:
                    raise OSError(errno.EOPNOTSUPP, "no list of Unix sockets")
                found += part[place + _HEADER.size : place + length]
                place += (length + 3) & ~3  # NLMSG_ALIGN


def _mark(port: int) -> bytes:
    return f"armillary-device-port/{port}/".encode()
