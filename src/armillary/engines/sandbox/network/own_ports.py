# SPDX-License-Identifier: Apache-2.0
"""Ports at this machine that devices themselves listen at: no application is connected to them, whatever it declares.

The supervisor connects for applications, as the user who runs the device. To a server that knows its callers by their
user, an application that declares an address of this machine would look like that user. So it is with the server of
another device of the same user, or of any user where root runs this one.

A port is marked with an abstract Unix socket (unix(7)) of a name that says it, which every process of the same network
namespace sees, and which the kernel removes with its process. Somebody who makes such a name himself keeps applications
from a port of this machine, and can do no more with it.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from armillary.capability.network import Address

_NAMES = Path("/proc/thread-self/net/unix")


@contextlib.contextmanager
def own_port(port: int) -> Iterator[None]:
    """Keep applications of all devices from a port of this machine while the block runs; enter it before listening."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mark:
        mark.bind(b"\0" + _mark(port) + secrets.token_hex(8).encode())  # a name that nobody can have taken before
        yield


def check_not_own(address: Address, port: int) -> None:
    """Raise OSError (EACCES) where a device itself listens."""
    if (address.is_loopback or address.is_unspecified) and b"@" + _mark(port) in _NAMES.read_bytes():
        raise OSError(errno.EACCES, f"{address} port {port} belongs to a device itself")


def _mark(port: int) -> bytes:
    return f"armillary-device-port/{port}/".encode()
