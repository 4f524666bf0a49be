# SPDX-License-Identifier: Apache-2.0
"""Which user of this host holds the other end of a TCP connection.

The kernel lists the TCP sockets of a network namespace with the user who made each (``/proc/thread-self/net/tcp`` and
``tcp6``). Of a connection within the host both ends are there. Three traps: a socket that its program has closed is
shown as root's (its state is not ESTABLISHED then), so is one that no program has taken yet (it has no inode), and a
program may reach an IPv4 address by a socket of IPv6, which stands in the other list.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_ESTABLISHED: Final = "01"
_LISTS: Final = (Path("/proc/thread-self/net/tcp"), Path("/proc/thread-self/net/tcp6"))
# Columns of a line: sl local remote state queues timer retransmits uid timeout inode
_LOCAL, _REMOTE, _STATE, _USER, _INODE = 1, 2, 3, 7, 9


def peer_user(connection: socket.socket) -> int | None:
    """The user id at the other end of an accepted connection; None where that is no open socket of this host."""
    try:
        here, there = connection.getsockname(), connection.getpeername()
    except OSError:  # it is closed already
        return None
    # At the other end the remote address is ours. Each list writes addresses in its own length.
    wanted = {(_spelled(there, wide=wide), _spelled(here, wide=wide)) for wide in (False, True)}
    for fields in _sockets():
        if (fields[_LOCAL], fields[_REMOTE]) in wanted and fields[_STATE] == _ESTABLISHED and fields[_INODE] != "0":
            return int(fields[_USER])
    return None


def _sockets() -> Iterator[list[str]]:
    for path in _LISTS:
        try:
            with path.open() as lines:
                next(lines, None)
                for line in lines:
                    fields = line.split()
                    if len(fields) > _INODE:
                        yield fields
        except OSError:  # a kernel without IPv6
            continue


def _spelled(address: Any, *, wide: bool) -> str:
    """An address and port as the lists spell them: words of 32 bits as this machine keeps them, in hexadecimal."""
    found = ipaddress.ip_address(address[0].partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    raw = found.packed
    if wide and len(raw) == 4:
        raw = bytes(10) + b"\xff\xff" + raw
    words = (int.from_bytes(raw[at : at + 4], sys.byteorder) for at in range(0, len(raw), 4))
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"
