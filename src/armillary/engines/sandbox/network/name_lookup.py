# SPDX-License-Identifier: Apache-2.0
"""Answers a sandbox's DNS query: a declared name has its stand-in address, every other name does not exist.

Nothing is ever forwarded, so a query's name cannot carry data out. Only a part of RFC 1035 is read: a header, one
question; the answer copies the question.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from armillary.capability.network import AllowedHosts, canonical_name

_HEADER = struct.Struct("!6H")  # RFC 1035 §4.1.1: id, flags, question, answer, authority, additional counts
_RESPONSE, _RECURSION_DESIRED, _RECURSION_AVAILABLE, _AUTHORITATIVE = 0x8000, 0x0100, 0x0080, 0x0400
_OPCODE_MASK = 0x7800
_NO_SUCH_NAME = 3
_TYPE_A, _TYPE_AAAA, _CLASS_IN = 1, 28, 1
_MAPPED = bytes(10) + b"\xff\xff"
_POINTER = 0xC00C  # §4.1.4: the name at offset 12, right after the header
NAME_LIMIT_BYTES = 255  # §2.3.4
QUERY_LIMIT_BYTES = 1232  # larger than any query; the usual EDNS size
# Answers are made here, so a change of the grant needs no waiting; long enough that resolvers cache at all.
TIME_TO_LIVE_S = 60


@dataclass(frozen=True, slots=True)
class Lookup:
    """One answered query."""

    name: str  # Lower case
    allowed: bool  # Whether it is declared
    answer: bytes  # The message to send back


def look_up(query: bytes, allowed: AllowedHosts) -> Lookup | None:
    """Answer a query; None for bytes that are not a query, which are dropped."""
    if not _HEADER.size < len(query) <= QUERY_LIMIT_BYTES:
        return None
    identity, flags, questions, *_ = _HEADER.unpack_from(query)
    if flags & (_RESPONSE | _OPCODE_MASK) or questions != 1:
        return None
    read = _read_name(query, _HEADER.size)
    if read is None or len(query) < read[1] + 4:
        return None
    name, end = read
    kind, network_class = struct.unpack_from("!2H", query, end)
    question = query[_HEADER.size : end + 4]
    stand_in = allowed.stand_ins.get(name)
    reply = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | flags & _RECURSION_DESIRED
    if stand_in is None:
        header = _HEADER.pack(identity, reply | _NO_SUCH_NAME, 1, 0, 0, 0)
        return Lookup(name, allowed=False, answer=header + question)
    if kind not in (_TYPE_A, _TYPE_AAAA) or network_class != _CLASS_IN:
        return Lookup(name, allowed=True, answer=_HEADER.pack(identity, reply, 1, 0, 0, 0) + question)
    record = _record(stand_in, kind)
    return Lookup(name, allowed=True, answer=_HEADER.pack(identity, reply, 1, 1, 0, 0) + question + record)


def _record(address: IPv4Address, kind: int) -> bytes:
    """The stand-in, in its IPv6 form (RFC 4291 §2.5.5.2) for who asks for that."""
    data = address.packed if kind == _TYPE_A else _MAPPED + address.packed
    return struct.pack("!HHHIH", _POINTER, kind, _CLASS_IN, TIME_TO_LIVE_S, len(data)) + data


def _read_name(query: bytes, start: int) -> tuple[str, int] | None:
    """An uncompressed name and the offset after it."""
    labels: list[str] = []
    position = start
    while position < len(query) and position - start <= NAME_LIMIT_BYTES:
        length = query[position]
        if length == 0:
            return canonical_name(".".join(labels)) or ".", position + 1
        if length > 63 or position + 1 + length > len(query):
            return None  # compressed or cut off
        # Bytes that are no name characters are shown, not interpreted.
        labels.append(query[position + 1 : position + 1 + length].decode("ascii", "backslashreplace"))
        position += 1 + length
    return None
