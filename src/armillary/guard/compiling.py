# SPDX-License-Identifier: Apache-2.0
"""Compiles a profile: poll plan, allow-list, report rules and the grants of the guardian's application.

The poll plan asks for spans, not for points: points of a group and table lie in one request where at most
``bridged_words`` of no point are between them, up to the longest read that the equipment takes. A request costs as
much as hundreds of points of its reply. Whatever is compiled here reads; what may be written, the allow-list takes
from commands, recipe and firmware.

Source: Modbus Application Protocol 1.1b3 §6.1 to §6.4 (most of one read); ``docs/reference/equipment-profile.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final, cast
from urllib.parse import urlsplit

from armillary.guard.allow_list import AllowList, allow_list
from armillary.guard.interface import SIMULATED
from armillary.guard.line_load import line_load
from armillary.guard.slots import FrameBlock, PollBlock, Slot, layout_of, width_of
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.modbus import MAX_READ_BITS, read_request
from armillary.wire.equipment.profile import (
    BacnetIp,
    FramedSerial,
    FrameField,
    ModbusAddress,
    ModbusRtu,
    ModbusTcp,
    NodeAddress,
    ObjectAddress,
    OpcUa,
    Point,
    Profile,
    ReportRule,
    Table,
)
from armillary.wire.equipment.request import ModbusRequest, NodesRead, ObjectsRead

WORD_BYTES: Final = 2
BRIDGED_BITS: Final = 64  # Eight bytes of a reply, as eight registers are sixteen
NODES_OF_A_READ: Final = 100  # Batches of a hundred cost 11 to 19 us a value; larger ones bring little (measured)
OBJECTS_OF_A_READ: Final = 20  # Their names and values fit one APDU of 480 bytes, which nearly all equipment takes
MAX_LINE_LOAD: Final = 0.8  # The rest is for commands, their read-back, and equipment that answers late
_BIT_TABLES: Final = frozenset({Table.COIL, Table.DISCRETE})


@dataclass(frozen=True, slots=True)
class Grants:
    """What the manifest of the guardian's application asks for, for one piece of equipment."""

    hosts: tuple[str, ...] = ()  # ``AllowedConnections``
    serial_ports: tuple[str, ...] = ()  # ``Uart``


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledProfile:
    """What a guardian works with."""

    profile: Profile
    blocks: tuple[PollBlock, ...]  # Ordered by group, then by address
    frames: Mapping[int, FrameBlock]  # Type byte -> what such a frame brings
    allow: AllowList
    reports: Mapping[str, ReportRule]  # Of what is telemetry: points (``simulated`` is a property) and derived values
    grants: Grants


def compile_profile(profile: Profile) -> CompiledProfile:
    """Compile a profile that was read (``profile_reader.read_profile``).

    Raises:
        ProfileError: a command cannot be written as the profile says, or a serial line cannot carry its poll plan.
    """
    points = profile.all_points
    blocks = tuple(_blocks(profile, points))
    _check_line(profile, blocks)
    return CompiledProfile(
        profile=profile,
        blocks=blocks,
        frames={each.kind: each for each in _frame_blocks(profile, points)},
        allow=allow_list(profile, (each.request for each in blocks)),
        reports={
            **{each.name: each.report for each in points if each.name != SIMULATED},
            **{each.name: each.report for each in profile.derived},
        },
        grants=_grants(profile),
    )


def _check_line(profile: Profile, blocks: Iterable[PollBlock]) -> None:
    load = line_load(profile, blocks)
    if load is not None and load > MAX_LINE_LOAD:
        raise ProfileError(
            "groups",
            expected=f"reads that take at most {MAX_LINE_LOAD:.0%} of the line's time",
            got=f"{load:.0%}: poll less often, or fewer points, or at more baud",
            rule="line",
        )


def _blocks(profile: Profile, points: Iterable[Point]) -> Iterator[PollBlock]:
    order = {group: index for index, group in enumerate(sorted(profile.groups))}
    polled = [each for each in points if each.group]
    polled.sort(key=lambda each: order[each.group])
    for group, members in groupby(polled, key=lambda each: each.group):
        link = profile.link
        if isinstance(link, (ModbusTcp, ModbusRtu)):
            yield from _modbus_blocks(link, group, members)
        elif isinstance(link, OpcUa):
            yield from _node_blocks(group, members)
        elif isinstance(link, BacnetIp):
            yield from _object_blocks(group, members)


def _modbus_blocks(link: ModbusTcp | ModbusRtu, group: str, points: Iterable[Point]) -> Iterator[PollBlock]:
    placed = sorted(
        ((cast("ModbusAddress", each.address), each) for each in points),
        key=lambda each: (each[0].table, each[0].address, each[1].name),
    )
    for table, of_table in groupby(placed, key=lambda each: each[0].table):
        bits = table in _BIT_TABLES
        limit = MAX_READ_BITS if bits else link.words_per_read
        bridged = BRIDGED_BITS if bits else link.bridged_words
        for first, last, members in _spans(of_table, limit, bridged):
            unit = 1 if bits else WORD_BYTES
            slots = tuple(Slot(point, (address.address - first) * unit) for address, point in members)
            request = ModbusRequest(link.unit, read_request(table, first, last - first))
            layout = None if bits else layout_of(slots, (last - first) * WORD_BYTES, framed=False)
            yield PollBlock(group=group, request=request, slots=slots, layout=layout)


_Placed = tuple[ModbusAddress, Point]


def _spans(points: Iterable[_Placed], limit: int, bridged: int) -> Iterator[tuple[int, int, list[_Placed]]]:
    """First address, end and points of each read: gaps of at most ``bridged``, at most ``limit`` from first to end.

    A point longer than the limit has a read of its own.
    """
    first = end = 0
    members: list[_Placed] = []
    for address, point in points:
        start, stop = address.address, address.address + width_of(point)
        if members and (start - end > bridged or max(stop, end) - first > limit):
            yield first, end, members
            members = []
        if not members:
            first = end = start
        end = max(end, stop)
        members.append((address, point))
    if members:
        yield first, end, members


def _node_blocks(group: str, points: Iterable[Point]) -> Iterator[PollBlock]:
    for batch in _batches(points, NODES_OF_A_READ):
        nodes = tuple(cast("NodeAddress", each.address).node for each in batch)
        slots = tuple(Slot(point, index) for index, point in enumerate(batch))
        yield PollBlock(group=group, request=NodesRead(nodes), slots=slots)


def _object_blocks(group: str, points: Iterable[Point]) -> Iterator[PollBlock]:
    for batch in _batches(points, OBJECTS_OF_A_READ):
        places = [cast("ObjectAddress", each.address) for each in batch]
        objects = tuple((each.object_type, each.instance, each.property) for each in places)
        slots = tuple(Slot(point, index) for index, point in enumerate(batch))
        yield PollBlock(group=group, request=ObjectsRead(objects), slots=slots)


def _batches(points: Iterable[Point], size: int) -> Iterator[list[Point]]:
    found = list(points)
    for at in range(0, len(found), size):
        yield found[at : at + size]


def _frame_blocks(profile: Profile, points: Iterable[Point]) -> Iterator[FrameBlock]:
    placed = [(each.address, each) for each in points if isinstance(each.address, FrameField)]
    for frame in profile.frames:
        mine = sorted((address.offset, point.name, point) for address, point in placed if address.frame == frame.kind)
        slots = tuple(Slot(point, offset) for offset, _, point in mine)
        layout = layout_of(slots, frame.length, framed=True)
        yield FrameBlock(kind=frame.kind, length=frame.length, slots=slots, layout=layout)


def _grants(profile: Profile) -> Grants:
    match profile.link:
        case ModbusTcp(host=host) | BacnetIp(host=host):
            return Grants(hosts=(host,))
        case OpcUa(url=url):
            return Grants(hosts=(urlsplit(url).hostname or "",))
        case ModbusRtu(port=port) | FramedSerial(port=port):
            return Grants(serial_ports=(port,))
