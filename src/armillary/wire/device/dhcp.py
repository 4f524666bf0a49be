# SPDX-License-Identifier: Apache-2.0
"""DHCP messages as a server reads and writes them (RFC 2131 §2; options RFC 2132, long ones RFC 3396).

Only what a client on the same Ethernet sends is a request here: a relayed one, one of BOOTP, and one of another kind
of hardware are refused, as is anything whose options do not add up.

One message, big endian::

    op u8 | hardware type u8 | its length u8 | hops u8 | transaction 4 bytes | seconds u16 | flags u16
    client, your, server, relay address 4 bytes each | hardware address 16 | server name 64 | file 128
    63 82 53 63 | options: code u8, length u8, value; 0 is padding, 255 the end
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from armillary.errors import WireError

_HEAD = struct.Struct(">BBBBIHH4s4s4s4s16s64s128s4s")
_COOKIE = bytes([99, 130, 83, 99])
# An Ethernet frame's worth (RFC 2131 §2 lets servers refuse more than 576; real clients stay below it).
LIMIT_BYTES = 1500
# What BOOTP made the least length of a reply, which some clients still ask for (RFC 951 §3, RFC 1542 §2.1).
LEAST_REPLY_BYTES = 300
ETHERNET, HARDWARE_BYTES = 1, 6
REQUEST, REPLY = 1, 2
BROADCAST = IPv4Address("255.255.255.255")
NO_ADDRESS = IPv4Address(0)
CLIENT_ID_LIMIT_BYTES = 255
_WHAT = "DHCP message"

# Options (RFC 2132).
PADDING, END, OVERLOAD = 0, 255, 52
NETMASK, ROUTER, DNS_SERVERS, NTP_SERVERS = 1, 3, 6, 42
REQUESTED_ADDRESS, LEASE_TIME, MESSAGE_TYPE, SERVER_ID, MESSAGE = 50, 51, 53, 54, 56
RENEWAL_TIME, REBINDING_TIME, CLIENT_ID = 58, 59, 61
# Of the overload option: which of the fixed fields have options as well.
_IN_FILE, _IN_NAME = 1, 2


class Kind(IntEnum):
    """What a message is (option 53)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


FROM_CLIENTS = (Kind.DISCOVER, Kind.REQUEST, Kind.DECLINE, Kind.RELEASE, Kind.INFORM)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMessage:
    """What of a client's message a server's answer depends on."""

    kind: Kind
    transaction: int
    flags: int
    client_address: IPv4Address  # that it has already, else 0.0.0.0
    hardware: bytes  # six bytes
    client_id: bytes | None = None  # option 61
    requested: IPv4Address | None = None  # option 50
    server: IPv4Address | None = None  # option 54: which server it means

    @property
    def key(self) -> bytes:
        """Who the client is: its identifier, else its hardware (RFC 2131 §4.2)."""
        return self.client_id if self.client_id is not None else bytes([ETHERNET]) + self.hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMessage:
    """An answer; ``options`` has more than the kind and the server's address, which every answer has."""

    kind: Kind
    server: IPv4Address
    address: IPv4Address = NO_ADDRESS
    options: Mapping[int, bytes]


def parse_message(data: bytes) -> ClientMessage:
    """Read what a client sent.

    Raises:
        WireError: it is no DHCP message of a client on this Ethernet.
    """
    if not _HEAD.size <= len(data) <= LIMIT_BYTES:
        raise WireError(_WHAT, expected=f"{_HEAD.size} to {LIMIT_BYTES} bytes", got=str(len(data)))
    op, hardware_type, length, _, transaction, _, flags, client, _, _, relay, hardware, name, file, cookie = (
        _HEAD.unpack_from(data)
    )
    if op != REQUEST or cookie != _COOKIE:
        raise WireError(_WHAT, expected="a client's, with DHCP's mark", got=f"operation {op}, mark {cookie.hex()}")
    if (hardware_type, length) != (ETHERNET, HARDWARE_BYTES):
        raise WireError(_WHAT, expected="an Ethernet address", got=f"hardware {hardware_type} of {length} bytes")
    if relay != NO_ADDRESS.packed:
        raise WireError(_WHAT, expected="one from this network", got=f"one that {IPv4Address(relay)} relayed")
    options = _options(data[_HEAD.size :], file, name)
    return ClientMessage(
        kind=_kind(options),
        transaction=transaction,
        flags=flags,
        client_address=IPv4Address(client),
        hardware=hardware[:HARDWARE_BYTES],
        client_id=_client_id(options),
        requested=_address(options, REQUESTED_ADDRESS),
        server=_address(options, SERVER_ID),
    )


def encode_answer(asked: ClientMessage, answer: ServerMessage) -> bytes:
    """The bytes of an answer to a client."""
    keeps = asked.client_address if answer.kind == Kind.ACK else NO_ADDRESS
    head = _HEAD.pack(
        REPLY,
        ETHERNET,
        HARDWARE_BYTES,
        0,
        asked.transaction,
        0,
        asked.flags,
        keeps.packed,
        answer.address.packed,
        NO_ADDRESS.packed,
        NO_ADDRESS.packed,
        asked.hardware,
        b"",
        b"",
        _COOKIE,
    )
    options = {MESSAGE_TYPE: bytes([answer.kind]), SERVER_ID: answer.server.packed, **answer.options}
    if asked.client_id is not None:  # RFC 6842
        options[CLIENT_ID] = asked.client_id
    body = b"".join(bytes([code, len(value)]) + value for code, value in options.items())
    return (head + body + bytes([END])).ljust(LEAST_REPLY_BYTES, b"\0")


def _options(body: bytes, file: bytes, name: bytes) -> Mapping[int, bytes]:
    """All options; several of one code are one, in parts (RFC 3396)."""
    found: dict[int, bytes] = {}
    for code, value in _read(body):
        found[code] = found.get(code, b"") + value
    overload = found.get(OVERLOAD, b"\0")
    if len(overload) != 1 or overload[0] > (_IN_FILE | _IN_NAME):
        raise WireError(f"{_WHAT}, option {OVERLOAD}", expected="one byte, 1 to 3", got=overload.hex()[:40])
    for bit, more in ((_IN_FILE, file), (_IN_NAME, name)):
        if overload[0] & bit:
            for code, value in _read(more):
                found[code] = found.get(code, b"") + value
    return found


def _read(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The options of one area, up to its end."""
    at = 0
    while at < len(data) and data[at] != END:
        if data[at] == PADDING:
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else LIMIT_BYTES
        if at + 2 + length > len(data):
            raise WireError(f"{_WHAT}, option {data[at]}", expected="as many bytes as it says", got="fewer")
        yield data[at], data[at + 2 : at + 2 + length]
        at += 2 + length


def _kind(options: Mapping[int, bytes]) -> Kind:
    value = options.get(MESSAGE_TYPE, b"")
    if len(value) != 1 or value[0] not in FROM_CLIENTS:
        raise WireError(f"{_WHAT}, option {MESSAGE_TYPE}", expected="what clients send", got=value.hex()[:40] or "none")
    return Kind(value[0])


def _client_id(options: Mapping[int, bytes]) -> bytes | None:
    value = options.get(CLIENT_ID)
    if value is not None and not 2 <= len(value) <= CLIENT_ID_LIMIT_BYTES:
        expected = f"2 to {CLIENT_ID_LIMIT_BYTES} bytes"
        raise WireError(f"{_WHAT}, option {CLIENT_ID}", expected=expected, got=f"{len(value)} bytes")
    return value


def _address(options: Mapping[int, bytes], code: int) -> IPv4Address | None:
    value = options.get(code)
    if value is None:
        return None
    if len(value) != 4:
        raise WireError(f"{_WHAT}, option {code}", expected="an address of 4 bytes", got=f"{len(value)} bytes")
    return IPv4Address(value)
