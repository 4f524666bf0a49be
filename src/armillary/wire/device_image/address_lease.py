# SPDX-License-Identifier: Apache-2.0
"""The client's side of DHCP for IPv4 (RFC 2131, options of RFC 2132): messages as values, packets as bytes.

A client without an address cannot use UDP sockets, so a message is a whole packet here: IPv4 header, UDP header,
message. Only what a device asks for is read: address, mask, router, name servers, times.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from armillary.errors import WireError

DISCOVER, OFFER, REQUEST, ACKNOWLEDGE, REFUSE = 1, 2, 3, 5, 6
CLIENT_PORT, SERVER_PORT = 68, 67
MAX_BYTES: Final = 1500
_MASK, _ROUTER, _NAME_SERVERS, _WANTED, _SECONDS, _KIND, _SERVER, _ASKED, _CLIENT = 1, 3, 6, 50, 51, 53, 54, 55, 61
_END, _PAD = 255, 0
_COOKIE: Final = bytes.fromhex("63825363")
_MESSAGE: Final = struct.Struct(">BBBBIHH4s4s4s4s16s64s128s")
_BROADCAST: Final = 0x8000
_EVERYBODY: Final = bytes((255, 255, 255, 255))
_IPV4_HEAD, _UDP_HEAD = 20, 8
# A lease without a time, or with a silly one, is asked for again after an hour.
_DEFAULT_S: Final = 3600
_SECONDS_BYTES: Final = 4  # RFC 2132, section 9.2
_LEAST_S: Final = 60
_LONGEST_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Lease:
    """What a server offers or gives; ``seconds`` is how long it holds."""

    kind: int
    address: IPv4Address
    mask: IPv4Address
    server: bytes
    router: IPv4Address | None
    name_servers: tuple[IPv4Address, ...]
    seconds: int

    @property
    def ask_again_s(self) -> float:
        """When it is to be asked for again: at half its time, within an hour however long that is.

        Who is no server of this network may have given it, for 136 years: then the machine would be offline for good.
        """
        return min(self.seconds / 2, _LONGEST_S)


def discover(hardware: bytes, transaction: int) -> bytes:
    """The packet that asks everybody for an address."""
    return _packet(hardware, transaction, {_KIND: bytes((DISCOVER,))})


def request(hardware: bytes, transaction: int, offer: Lease) -> bytes:
    """The packet that takes an offer, or asks for the same address again."""
    options = {_KIND: bytes((REQUEST,)), _WANTED: offer.address.packed, _SERVER: offer.server}
    return _packet(hardware, transaction, options)


def parse_reply(packet: bytes, hardware: bytes, transaction: int) -> Lease | None:
    """A server's reply to us; None for a packet that is none.

    Raises:
        WireError: it is one, and breaks the format.
    """
    if len(packet) < _IPV4_HEAD + _UDP_HEAD or packet[0] >> 4 != 4 or packet[9] != 17:
        return None
    udp = packet[(packet[0] & 15) * 4 :]
    if udp[:4] != struct.pack(">HH", SERVER_PORT, CLIENT_PORT):
        return None
    message = udp[_UDP_HEAD:]
    if len(message) < _MESSAGE.size + 4:
        return None
    fields = _MESSAGE.unpack_from(message)
    if fields[0] != 2 or fields[4] != transaction or fields[11][:6] != hardware:
        return None
    if message[_MESSAGE.size : _MESSAGE.size + 4] != _COOKIE:
        raise WireError("dhcp", expected="the magic cookie", got=message[_MESSAGE.size :][:4].hex(), offset=236)
    return _lease(fields[8], _options(message[_MESSAGE.size + 4 :]))


def _lease(address: bytes, options: Mapping[int, bytes]) -> Lease | None:
    kind = options.get(_KIND, b"")
    if len(kind) != 1 or len(options.get(_SERVER, b"")) != 4:
        raise WireError("dhcp", expected="a kind and a server", got=f"options {sorted(options)}")
    mask = options.get(_MASK, bytes((255, 255, 255, 0)))
    seconds = options.get(_SECONDS, b"")
    if len(mask) != 4 or any(len(options.get(name, b"")) % 4 for name in (_ROUTER, _NAME_SERVERS)):
        raise WireError("dhcp", expected="addresses of 4 bytes", got=f"options {sorted(options)}")
    if len(seconds) not in (0, _SECONDS_BYTES):  # a longer one is a number that no clock can wait for
        raise WireError("dhcp", expected=f"a time of {_SECONDS_BYTES} bytes", got=f"{len(seconds)} bytes")
    routers, servers = options.get(_ROUTER, b""), options.get(_NAME_SERVERS, b"")
    return Lease(
        kind=kind[0],
        address=IPv4Address(address),
        mask=IPv4Address(mask),
        server=options[_SERVER],
        router=IPv4Address(routers[:4]) if routers else None,
        name_servers=tuple(IPv4Address(servers[at : at + 4]) for at in range(0, min(len(servers), 12), 4)),
        seconds=max(_LEAST_S, int.from_bytes(seconds, "big")) if seconds else _DEFAULT_S,
    )


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        if at + 1 >= len(data) or at + 2 + data[at + 1] > len(data):
            raise WireError("dhcp", expected="options inside the message", got=f"option {data[at]}", offset=at)
        found[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found


def _packet(hardware: bytes, transaction: int, options: Mapping[int, bytes]) -> bytes:
    nobody = bytes(4)
    message = _MESSAGE.pack(
        1, 1, 6, 0, transaction, 0, _BROADCAST, nobody, nobody, nobody, nobody, hardware, b"", b""
    )  # fmt: skip
    asked = bytes((_MASK, _ROUTER, _NAME_SERVERS, _SECONDS))
    every = {**options, _CLIENT: b"\x01" + hardware, _ASKED: asked}
    listed = b"".join(bytes((name, len(value))) + value for name, value in every.items())
    body = message + _COOKIE + listed + bytes((_END,))
    udp = struct.pack(">HHHH", CLIENT_PORT, SERVER_PORT, _UDP_HEAD + len(body), 0) + body
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, _IPV4_HEAD + len(udp), 0, 0, 64, 17, 0, nobody, _EVERYBODY)
    return head[:10] + _checksum(head).to_bytes(2, "big") + head[12:] + udp


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
