# SPDX-License-Identifier: Apache-2.0
"""Socket addresses as an application wrote them in its memory: ``struct sockaddr`` and ``struct msghdr``."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from dataclasses import dataclass

from armillary.engines.sandbox.network.kernel import COPY_LIMIT_BYTES, Memory

# sizeof(struct sockaddr_storage): the kernel refuses longer addresses.
ADDRESS_LIMIT_BYTES = 128
# UIO_MAXIOV
VECTOR_LIMIT = 1024
# struct msghdr, struct mmsghdr and struct iovec, of programs with this process's word length: the filter ends others
_MESSAGE = struct.Struct("@PIPNPNi0P")
MULTIPLE_MESSAGE_BYTES = struct.calcsize("@PIPNPNi0PI0P")
MULTIPLE_LENGTH_OFFSET = _MESSAGE.size  # msg_len, after the msghdr
_VECTOR = struct.Struct("@PN")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call wants to go."""

    family: int  # Address family number; ``AF_UNSPEC`` for none
    host: str = ""  # Textual address, "" unless the family is inet
    port: int = 0  # 0 unless the family is inet
    path: bytes = b""  # Bytes of a Unix address, b"" otherwise; a leading NUL is the abstract namespace


@dataclass(frozen=True, slots=True)
class Message:
    """What one ``sendmsg`` wants to send."""

    destination: Destination | None  # None when the call names none
    vectors: tuple[tuple[int, int], ...]  # Address and length of each part of the data
    control_bytes: int  # Length of the ancillary data


def read_destination(memory: Memory, address: int, size: int) -> Destination:
    """Read a ``struct sockaddr``.

    Raises:
        OSError: the errno the call would have had (EINVAL, EFAULT, EAFNOSUPPORT).
    """
    if not 2 <= size <= ADDRESS_LIMIT_BYTES:
        raise OSError(errno.EINVAL, "address length")
    return parse_destination(memory.read(address, size))


def parse_destination(raw: bytes) -> Destination:
    """Interpret a ``struct sockaddr``; raises OSError as :func:`read_destination`."""
    (family,) = struct.unpack_from("=H", raw)
    if family == socket.AF_UNSPEC:
        return Destination(family)
    if family == socket.AF_UNIX:
        path = raw[2:]
        return Destination(family, path=path if path[:1] == b"\0" else path.split(b"\0")[0])
    if family == socket.AF_INET and len(raw) >= 16:
        return Destination(family, socket.inet_ntop(socket.AF_INET, raw[4:8]), int.from_bytes(raw[2:4], "big"))
    if family == socket.AF_INET6 and len(raw) >= 24:
        return Destination(family, socket.inet_ntop(socket.AF_INET6, raw[8:24]), int.from_bytes(raw[2:4], "big"))
    raise OSError(errno.EINVAL if family in (socket.AF_INET, socket.AF_INET6) else errno.EAFNOSUPPORT, "address")


def read_message(memory: Memory, address: int) -> Message:
    """Read a ``struct msghdr``; raises OSError with the errno for the caller."""
    raw = memory.read(address, _MESSAGE.size)
    name, name_bytes, vectors, count, _, control_bytes, _ = _MESSAGE.unpack(raw)
    if count > VECTOR_LIMIT:
        raise OSError(errno.EMSGSIZE, "too many parts")
    table = memory.read(vectors, _VECTOR.size * count) if count else b""
    parts = tuple(_VECTOR.iter_unpack(table))
    destination = read_destination(memory, name, name_bytes) if name and name_bytes else None
    return Message(destination, parts, control_bytes)


def read_data(memory: Memory, message: Message) -> bytes:
    """Gather the data of a message, at most the copy limit (a stream then sends less than asked)."""
    data = bytearray()
    for address, size in message.vectors:
        room = COPY_LIMIT_BYTES - len(data)
        if size and room:
            data += memory.read(address, min(size, room))
    return bytes(data)


def source_of(own: socket.socket) -> tuple[str, int]:
    """Where a socket is bound."""
    host, port = own.getsockname()[:2]
    return str(host).removeprefix("::ffff:"), int(port)


def local_of(own: socket.socket) -> tuple[str, int]:
    """Source address an unconnected socket has towards the gateway."""
    host, port = source_of(own)
    return ("127.0.0.1" if host in ("0.0.0.0", "::") else host), port  # noqa: S104 - compared, not bound


def for_family(own: socket.socket, where: tuple[str, int]) -> tuple[str, int]:
    """An address in the form that a socket's family has for it."""
    host, port = where
    if own.family != socket.AF_INET6 or ":" in host:
        return where
    take_both_families(own)
    return f"::ffff:{host}", port


def take_both_families(own: socket.socket) -> None:
    """The gateway has an IPv4 address: a socket for IPv6 alone reaches it too, unless it has a port already."""
    if own.family == socket.AF_INET6:
        with contextlib.suppress(OSError):
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
