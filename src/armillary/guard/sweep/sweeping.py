# SPDX-License-Identifier: Apache-2.0
"""The sweep: puts every frame there is to the guard, and asks a second reading of the profile about each permit.

Every function with every address, in the forms that functions have; at the edges every count, length and value; and
every unit. A number of refusals alone says nothing, as a guard that refuses everything has it too: so the frames that
the second reading allows are put to the guard as well, and their count stands beside the false ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from armillary.guard.allow_list import AllowList, WriteRule
from armillary.guard.deciding import decide
from armillary.guard.sweep.second_reading import SecondReading
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.request import (
    FrameRequest,
    ModbusRequest,
    NodesRead,
    NodeWrite,
    ObjectsRead,
    Request,
)

ALL_FUNCTIONS: Final = range(256)
ALL_ADDRESSES: Final = range(65536)
ALL_UNITS: Final = range(256)
NEAR: Final = 4  # Addresses and counts beside a listed one
KEPT: Final = 20  # False decisions that are kept to be shown
PAYLOAD_MAX: Final = 34  # Bytes of a frame's payload; one and a little more than the longest
VARIANTS: Final = ("Boolean", "SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Float", "Double", "String")
VALUES: Final = (False, True, 0, 1, -1, 2**40, 0.0, 1.0, -1.0, 1e300, float("nan"), float("inf"), "", "1")


@dataclass(slots=True)
class Sweep:
    """What a sweep found."""

    tried: int = 0
    allowed: int = 0  # Frames that the guard permitted, and rightly
    false_allows: int = 0  # Permitted, and the second reading does not allow them
    examples: int = 0  # Frames that the second reading allows
    false_denials: int = 0  # Of these, refused by the guard
    wrong: list[Request] = field(default_factory=list)  # The first of both kinds
    enough: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether enough was found."""
        return self.enough is not None and len(self.wrong) >= self.enough


def sweep(
    allow: AllowList,
    reading: SecondReading,
    *,
    functions: Sequence[int] = ALL_FUNCTIONS,
    addresses: Sequence[int] = ALL_ADDRESSES,
    enough: int | None = None,
) -> Sweep:
    """Put all these frames to the guard, and the examples of the second reading.

    ``enough``: stop at so many false decisions.
    """
    found = Sweep(enough=enough)
    _try_examples(found, allow, reading)
    if reading.is_modbus:
        _try(found, allow, reading, _plain_frames(allow, reading.unit, functions, addresses))
        _try(found, allow, reading, _other_units(allow))
        _try(found, allow, reading, _edge_frames(allow, reading.unit))
    else:
        _try(found, allow, reading, _link_frames(allow))
    return found


def _try_examples(found: Sweep, allow: AllowList, reading: SecondReading) -> None:
    for request in reading.examples():
        found.examples += 1
        try:
            decide(allow, request)
        except GuardRefusedError:
            found.false_denials += 1
            _keep(found, request)


def near_addresses(allow: AllowList) -> list[int]:
    """Addresses at the edges of what is listed, and of the address space: where mistakes are made."""
    listed = {end for span in allow.reads for end in (span.first, span.first + span.count)}
    listed |= {int.from_bytes(head[1:3], "big") for head in allow.writes} | {0, 255, 256, 32768, 65535}
    return sorted({place + by for place in listed for by in range(-NEAR, NEAR + 1) if 0 <= place + by <= 65535})


def _try(found: Sweep, allow: AllowList, reading: SecondReading, requests: Iterable[Request]) -> None:
    tried = 0
    for request in () if found.is_over else requests:
        tried += 1
        try:
            decide(allow, request)
        except GuardRefusedError:
            continue
        if reading.allows(request):
            found.allowed += 1
        else:
            found.false_allows += 1
            _keep(found, request)
            if found.is_over:
                break
    found.tried += tried


def _keep(found: Sweep, request: Request) -> None:
    if len(found.wrong) < KEPT:
        found.wrong.append(request)


def _plain_frames(
    allow: AllowList, unit: int, functions: Iterable[int], addresses: Sequence[int]
) -> Iterator[ModbusRequest]:
    """Every function at every address: as a read of one, and in each form that a listed frame of its function has."""
    places = [address.to_bytes(2, "big") for address in addresses]
    for function in functions:
        head = bytes([function])
        for tail in _tails(allow, function):
            for place in places:
                yield ModbusRequest(unit, head + place + tail)


def _tails(allow: AllowList, function: int) -> set[bytes]:
    """What follows the address, in the forms of this function."""
    tails = {b"\0\1"} | {span.pdu[3:] for span in allow.reads if span.function == function}
    return tails | {(rule.head + _lowest(rule))[3:] for head, rule in allow.writes.items() if head[0] == function}


def _lowest(rule: WriteRule) -> bytes:
    """Data that a write may have."""
    if rule.choices is not None:
        return min(rule.choices)
    data = bytearray(rule.length - len(rule.head))
    for item in rule.ranges:
        layout = item.layout
        number = item.low if layout.code in "fd" else int(item.low)
        data[layout.offset : layout.offset + layout.size] = layout.encode(number)
    return bytes(data)


def _edge_frames(allow: AllowList, unit: int) -> Iterator[ModbusRequest]:
    """At listed places: counts, lengths and values beside what is listed, and the same data by other functions."""
    for span in allow.reads:
        for count in {
            *range(NEAR + 1),
            *range(max(0, span.count - NEAR), span.count + NEAR + 1),
            125,
            126,
            2000,
            65535,
        }:
            yield ModbusRequest(unit, span.pdu[:3] + count.to_bytes(2, "big"))
        for length in range(10):
            yield ModbusRequest(unit, span.pdu.ljust(length, b"\0")[:length])
    for rule in allow.writes.values():
        whole = rule.head + _lowest(rule)
        for pdu in _changed(whole, len(whole) if rule.free else len(rule.head)):
            yield ModbusRequest(unit, pdu)


def _changed(whole: bytes, data: int) -> Iterator[bytes]:
    """A write with another function, another length, and every other byte and word."""
    for function in ALL_FUNCTIONS:
        yield bytes([function]) + whole[1:]
    for length in range(len(whole) + NEAR):
        yield whole.ljust(length, b"\0")[:length]
    for at in range(len(whole)):
        for byte in range(256):
            yield whole[:at] + bytes([byte]) + whole[at + 1 :]
    is_short = len(whole) - data <= 2
    for at in range(data, len(whole) - 1, 2):
        for word in range(0, 65536, 1 if is_short else 97):
            yield whole[:at] + word.to_bytes(2, "big") + whole[at + 2 :]


def _other_units(allow: AllowList) -> Iterator[ModbusRequest]:
    """Every listed frame to every unit, and every function to every unit."""
    listed = [span.pdu for span in allow.reads] + [rule.head + _lowest(rule) for rule in allow.writes.values()]
    listed += [bytes([function, 0, 0, 0, 1]) for function in ALL_FUNCTIONS]
    for unit in ALL_UNITS:
        for pdu in listed:
            yield ModbusRequest(unit, pdu)


def _link_frames(allow: AllowList) -> Iterator[Request]:
    """Frames of every kind and length, and values of one and two bytes; nodes and objects, and those beside them."""
    for kind in range(256):
        for length in range(PAYLOAD_MAX):
            yield FrameRequest(kind, bytes(length))
        for byte in range(256):
            yield FrameRequest(kind, bytes([byte]))
        for word in range(0, 65536, 1 if kind in allow.frames else 257):
            yield FrameRequest(kind, word.to_bytes(2, "big"))
    yield from _node_requests(allow)
    yield from _object_requests(allow)


def _object_requests(allow: AllowList) -> Iterator[Request]:
    """Reads of every object, of those beside it, and of other properties."""
    for kind, instance, name in (*allow.objects, ("device", 0, "object-list")):
        for other in (instance - 1, instance, instance + 1):
            yield from (ObjectsRead(((kind, other, each),)) for each in (name, "object-name", "priority-array"))
        yield ObjectsRead(((kind, instance, name),) * 51)


def _node_requests(allow: AllowList) -> Iterator[Request]:
    """Reads of every node, alone and with others; writes of every node as every type."""
    for node in (*allow.nodes, "", "ns=0;i=2253", "ns=2;s=*"):
        yield NodesRead((node,))
        yield NodesRead((node, "ns=0;i=2259"))
        yield NodesRead((f"{node} ",))
        for variant in VARIANTS:
            for value in VALUES:
                yield NodeWrite(node, value, variant)
