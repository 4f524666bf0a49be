# SPDX-License-Identifier: Apache-2.0
"""Makes readings of replies, and wire forms of values.

A reading is good, or it says why not: a number that no state has and a float that is no number are BAD and have no
value; what lies outside of the plausible range is RANGE and keeps what came. There is no magic value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from armillary.guard.slots import FrameBlock, Layout, PollBlock, Slot
from armillary.wire.equipment import raw_value
from armillary.wire.equipment.faults import GuardRefusedError, LinkError
from armillary.wire.equipment.profile import RAW_KINDS, Command, FrameField, RecipeField
from armillary.wire.equipment.reading import Quality, Reading, Value
from armillary.wire.equipment.request import Frame, ModbusReply, Reply, ValuesReply

GOOD, BAD, RANGE = Quality.GOOD, Quality.BAD, Quality.RANGE
FLOAT_ERROR = 1e-6  # How far a float of 32 bits is from its value, relative
_HEAD_BYTES = 2  # Of a reply to a Modbus read: function and byte count


def decode(block: PollBlock | FrameBlock, reply: Reply, at: float) -> list[Reading]:
    """The readings of a reply, one for each slot of its block; ``at`` is the time of the acquisition.

    Raises:
        LinkError: the reply has another form or length than the block's (``damaged``).
    """
    match reply:
        case ModbusReply(pdu) if isinstance(block, PollBlock):
            count = block.span[1]
            if block.layout is None:
                data = _data(pdu, -(-count // 8))
                return [_bit(slot, data, at) for slot in block.slots]
            return _unpacked(block.slots, block.layout, _data(pdu, count * 2), at)
        case Frame(_, _, payload) if isinstance(block, FrameBlock):
            if len(payload) != block.length:
                raise LinkError("damaged", f"a frame of kind {block.kind} has {block.length} bytes, not {len(payload)}")
            return _unpacked(block.slots, block.layout, payload, at)
        case ValuesReply(values) if isinstance(block, PollBlock) and len(values) == len(block.slots):
            return [_typed(slot, value, at) for slot, value in zip(block.slots, values, strict=True)]
    raise LinkError("damaged", f"{type(reply).__name__} is no reply of this block's form")


def bad(block: PollBlock | FrameBlock, at: float) -> list[Reading]:
    """Readings without value, for points that were never read."""
    return [Reading(slot.point.name, None, BAD, at) for slot in block.slots]


def _data(pdu: bytes, length: int) -> bytes:
    if len(pdu) != length + _HEAD_BYTES or pdu[1] != length:
        raise LinkError("damaged", f"a reply has {length} bytes of data, not {len(pdu) - _HEAD_BYTES}")
    return pdu[_HEAD_BYTES:]


def _bit(slot: Slot, data: bytes, at: float) -> Reading:
    return Reading(slot.point.name, bool(data[slot.index >> 3] >> (slot.index & 7) & 1), GOOD, at)


def _unpacked(slots: Sequence[Slot], layout: Layout, data: bytes, at: float) -> list[Reading]:
    numbers: Sequence[float | bytes] = layout.unpack.unpack(data)
    if layout.swapped:
        numbers = [
            layout.swapped[index](each) if isinstance(each, bytes) else each for index, each in enumerate(numbers)
        ]
    if len(numbers) != len(slots):  # Points that share a place
        numbers = list(_shared(slots, numbers))
    return [
        Reading(slot.name, number, GOOD, at)  # type: ignore[arg-type]
        if slot.plain
        else Reading(slot.name, number / slot.divisor, GOOD, at)  # type: ignore[operator]
        if slot.linear
        else _scaled(slot, number, at)  # type: ignore[arg-type]
        for slot, number in zip(slots, numbers, strict=True)
    ]


def _shared(slots: Sequence[Slot], numbers: Sequence[float | bytes]) -> Iterator[float | bytes]:
    """The number of each slot, where slots with the same index have the same."""
    position, before = -1, -1
    for slot in slots:
        if slot.index != before:
            position, before = position + 1, slot.index
        yield numbers[position]


def _scaled(slot: Slot, number: float, at: float) -> Reading:
    point = slot.point
    if point.states:
        name = point.states.get(int(number))
        return Reading(point.name, name, BAD if name is None else GOOD, at)
    if point.bits:
        return _flags(slot, int(number), at)
    if point.raw == "bool":
        good = number in (0, 1)
        return Reading(point.name, bool(number) if good else None, GOOD if good else BAD, at)
    if number != number or number in (math.inf, -math.inf):  # noqa: PLR0124 - not a number is unlike itself
        return Reading(point.name, None, BAD, at)
    value = number / slot.divisor if slot.divisor else number * point.scale
    if point.offset:
        value = round(value + point.offset, slot.digits)
    return Reading(point.name, value, _plausible(slot, value), at)


def _plausible(slot: Slot, value: float) -> Quality:
    low, high = slot.point.low, slot.point.high
    return RANGE if (low is not None and value < low) or (high is not None and value > high) else GOOD


def _flags(slot: Slot, number: int, at: float) -> Reading:
    """The names of the flags that are set, in the order of their bits; one without a name is outside of the range."""
    known = slot.point.bits
    bits = RAW_KINDS[slot.point.raw].size * 8
    number &= (1 << bits) - 1  # A signed number has its sign in the last bit
    found = [bit for bit in range(number.bit_length()) if number >> bit & 1]
    names = " ".join(known.get(bit, f"bit{bit}") for bit in found)
    return Reading(slot.point.name, names, GOOD if all(bit in known for bit in found) else RANGE, at)


def _typed(slot: Slot, value: Value | None, at: float) -> Reading:
    """A value that came with its type (OPC UA, BACnet), if that is the one that the profile has."""
    point = slot.point
    kind = RAW_KINDS[point.raw]
    if not kind.code and value is not None and value in (0, 1):
        return Reading(point.name, bool(value), GOOD, at)
    if not kind.code or isinstance(value, (bool, str)) or value is None or not kind.minimum <= value <= kind.maximum:
        return Reading(point.name, None, BAD, at)
    if kind.code not in raw_value.FLOAT_CODES and value != int(value):
        return Reading(point.name, None, BAD, at)
    return Reading(point.name, value, GOOD, at) if slot.plain else _scaled(slot, value, at)


def encode_value(target: Command | RecipeField, value: Value) -> bytes:
    """The wire form of a value of a command or a field of a recipe: registers, a byte of a frame, 1 or 0 for a bit.

    The round trip is checked: what was encoded reads back within half a raw step of what was asked for, which is
    within the range.

    Raises:
        GuardRefusedError: ``value``: of the wrong type, not finite, or not kept by the wire form.
    """
    offset = target.offset if isinstance(target, Command) else 0.0
    framed = isinstance(target, Command) and isinstance(target.address, FrameField)
    try:
        data = raw_value.encode_value(target.raw, value, scale=target.scale, offset=offset, framed=framed)
    except raw_value.UnwritableValueError as error:
        raise GuardRefusedError("value", f"{target.name}: {error}") from error
    back = decode_written(target, data)
    if not _is_near(target, value, back):
        raise GuardRefusedError("value", f"{target.name}: {value!r:.40} would become {back!r:.40}")
    return data


def decode_written(target: Command | RecipeField, data: bytes) -> Value | None:
    """The value of a wire form that :func:`encode_value` made, or that was read back. None: it is no value.

    Raises:
        LinkError: the data has another length (``damaged``).
    """
    offset = target.offset if isinstance(target, Command) else 0.0
    framed = isinstance(target, Command) and isinstance(target.address, FrameField)
    try:
        return raw_value.decode_value(target.raw, data, scale=target.scale, offset=offset, framed=framed)
    except ValueError as error:
        raise LinkError("damaged", f"{target.name}: {error}") from error


def _is_near(target: Command | RecipeField, value: Value, back: Value | None) -> bool:
    if isinstance(value, (bool, str)) or isinstance(back, (bool, str)) or back is None:
        return value is back
    floating = RAW_KINDS[target.raw].code in raw_value.FLOAT_CODES
    near = abs(value) * FLOAT_ERROR if floating else abs(target.scale) * (0.5 + raw_value.NOISE)
    low, high = target.low, target.high
    return abs(back - value) <= near and (low is None or low <= value) and (high is None or value <= high)
