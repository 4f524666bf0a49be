# SPDX-License-Identifier: Apache-2.0
"""Slots: where each point lies in a reply, prepared so that a reply of a hundred points costs one ``unpack``.

A block is what one reply brings: the reply to a read of the poll plan, or a frame that came by itself. Each point of a
profile has exactly one slot in exactly one block.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from armillary.wire.equipment.profile import RAW_KINDS, FrameField, ModbusAddress, Point
from armillary.wire.equipment.raw_value import FLOAT_CODES, digits_of, divisor_of, ordered, size_of, words_of
from armillary.wire.equipment.request import ModbusRequest, NodesRead, ObjectsRead


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a point lies in a reply, and how its raw number becomes a value."""

    point: Point
    index: int  # Bits, bytes (registers, frames) or items (nodes, objects) from the start of the data
    name: str = field(init=False)  # Of the point
    divisor: float = field(init=False)  # ``1 / scale`` where that is whole: a division rounds correctly; else 0
    digits: int = field(init=False)  # Decimal places of a value with an offset
    plain: bool = field(init=False)  # The raw number is the value, and any is plausible
    linear: bool = field(init=False)  # An integer that is only scaled, and any is plausible: nearly all points

    def __post_init__(self) -> None:
        point = self.point
        object.__setattr__(self, "name", point.name)
        object.__setattr__(self, "divisor", divisor_of(point.scale))
        object.__setattr__(self, "digits", digits_of(point.scale, point.offset))
        code = RAW_KINDS[point.raw].code
        coded = bool(point.states or point.bits) or not code or code in FLOAT_CODES
        shaped = point.scale != 1 or point.offset != 0 or point.low is not None or point.high is not None
        object.__setattr__(self, "plain", not coded and not shaped)
        ranged = point.low is not None or point.high is not None
        object.__setattr__(self, "linear", not coded and not ranged and not point.offset and self.divisor != 0)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the registers of a reply, or the payload of a frame, are taken apart at once."""

    unpack: struct.Struct
    swapped: Mapping[int, Callable[[bytes], float]]  # Position in the unpacked tuple -> number of its bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PollBlock:
    """One read of the poll plan and what its reply brings."""

    group: str
    request: ModbusRequest | NodesRead | ObjectsRead
    slots: tuple[Slot, ...]  # Ordered as in the reply
    layout: Layout | None = None  # Of registers

    @property
    def span(self) -> tuple[int, int]:
        """First address and count of a Modbus read, 0 and number of items of another."""
        if isinstance(self.request, ModbusRequest):
            return int.from_bytes(self.request.pdu[1:3], "big"), int.from_bytes(self.request.pdu[3:5], "big")
        return 0, len(self.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameBlock:
    """What a frame of one kind brings."""

    kind: int
    length: int  # Of its payload; another is dropped
    slots: tuple[Slot, ...]
    layout: Layout


def layout_of(slots: Sequence[Slot], length: int, *, framed: bool) -> Layout:
    """The layout of slots within ``length`` bytes; points that share a place share its bytes."""
    code, at, position = ">", 0, -1
    starts: dict[int, int] = {}
    swapped: dict[int, Callable[[bytes], float]] = {}
    for slot in slots:
        if slot.index in starts:
            continue
        raw, kind = slot.point.raw, RAW_KINDS[slot.point.raw]
        size = size_of(raw, framed=framed)
        code += "x" * (slot.index - at) + (f"{size}s" if kind.swapped else kind.code or "B")
        at, position = slot.index + size, position + 1
        starts[slot.index] = position
        if kind.swapped:
            swapped[position] = _number_of(raw, framed=framed)
    return Layout(struct.Struct(code + "x" * (length - at)), swapped)


def _number_of(raw: str, *, framed: bool) -> Callable[[bytes], float]:
    kind = RAW_KINDS[raw]
    unpack = struct.Struct(f">{kind.code}").unpack

    def number(data: bytes) -> float:
        (value,) = unpack(ordered(data, kind, framed=framed))
        return value  # type: ignore[no-any-return]  # struct's types are not known to the checker

    return number


def width_of(point: Point) -> int:
    """Registers or bits of a Modbus point, bytes of a frame's field."""
    if isinstance(point.address, FrameField):
        return size_of(point.raw, framed=True)
    return words_of(point.raw) if isinstance(point.address, ModbusAddress) else 1
