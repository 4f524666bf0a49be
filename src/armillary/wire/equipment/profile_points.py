# SPDX-License-Identifier: Apache-2.0
"""Rules about the points of a profile: what each may be, and that no two read the same place as different things."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from armillary.wire.equipment.field import Place
from armillary.wire.equipment.profile import (
    RAW_KINDS,
    Array,
    Command,
    FramedSerial,
    FrameField,
    ModbusAddress,
    NodeAddress,
    Point,
    Profile,
    RecipeField,
    Table,
    element_point,
)
from armillary.wire.equipment.profile_fields import LAST_ADDRESS, MAX_POINTS
from armillary.wire.equipment.raw_value import bounds_of, is_integer, size_of, words_of
from armillary.wire.equipment.units import QUANTITY_UNITS

# Kinds that fill no register, or that change only the order of bytes inside of one.
_NOT_OF_REGISTERS: Final = frozenset({"u8", "i8", "u16le", "i16le"})
BIT_TABLES: Final = frozenset({Table.COIL, Table.DISCRETE})
# Beyond these a scale is a slip of the pen: no sensor has a millionth of a millionth as its step.
MIN_SCALE: Final = 1e-9
MAX_SCALE: Final = 1e9


def check_points(profile: Profile, root: Place) -> None:
    """Raises ProfileError for the first point that breaks a rule."""
    expanded = sum(each.count * len(each.members) for each in profile.arrays)
    named = len(profile.points) + len(profile.derived) + len(profile.events) + len(profile.commands)
    if named + expanded > MAX_POINTS:
        expected = f"at most {MAX_POINTS} points, elements of arrays, derived values, events and commands"
        raise root.below("points").fault("limit", expected, f"{named + expanded}")
    for array in profile.arrays:
        _check_array(array, root.below("arrays").below(array.name))
    for point, place in placed_points(profile, root):
        _check_point(point, profile, place)
    _check_overlap(profile, root)


def placed_points(profile: Profile, root: Place) -> Iterator[tuple[Point, Place]]:
    """Every point, members of arrays once for each element, with its place in the document."""
    for point in profile.points:
        yield point, root.below("points").below(point.name)
    for array in profile.arrays:
        for index in range(array.count):
            for member in array.members:
                place = root.below("arrays").below(array.name).below("members").below(member.name)
                yield element_point(array, index, member), place


def _check_array(array: Array, place: Place) -> None:
    if not array.members:
        raise place.below("members").fault("form", "members", "none")
    for member in array.members:
        if isinstance(member.address, NodeAddress):
            if "{i}" not in member.address.node:
                raise place.below("members").below(member.name).fault("address", "{i} in the node", "none")
        elif array.count > 1 and not array.stride:
            raise place.below("stride").fault("address", "a stride above 0", "0")


def _check_point(point: Point, profile: Profile, place: Place) -> None:
    framed = isinstance(profile.link, FramedSerial)
    check_scale(point, place)
    check_address(point.address, point.raw, place)
    if isinstance(point.address, FrameField):
        length = next(each.length for each in profile.frames if each.kind == point.address.frame)
        if point.address.offset + size_of(point.raw, framed=True) > length:
            raise place.below("byte").fault("address", f"a value within the frame's {length} bytes", "one beyond")
    if framed == bool(point.group) or (point.group and point.group not in profile.groups):
        expected = (
            "no group: frames come by themselves" if framed else f"one of {', '.join(profile.groups) or 'groups'}"
        )
        raise place.below("group").fault("group", expected, point.group or "none")
    if point.quantity is not None and point.unit not in QUANTITY_UNITS[point.quantity]:
        expected = f"a unit of {point.quantity}: {', '.join(sorted(QUANTITY_UNITS[point.quantity]))}"
        raise place.below("unit").fault("unit", expected, point.unit)
    if point.report.min_s > point.report.max_s:
        raise place.below("report").fault("range", "min_s at most max_s", f"{point.report.min_s:g}")
    check_range(point.low, point.high, point, place)
    _check_meaning(point, place)


def _check_meaning(point: Point, place: Place) -> None:
    kind = RAW_KINDS[point.raw]
    if bool(point.states) + bool(point.bits) + point.counter > 1:
        raise place.fault("raw", "one of states, bits and counter", "several")
    if not (point.states or point.bits or point.counter):
        return
    if not is_integer(point.raw):
        raise place.below("raw").fault("raw", "an integer for states, bits and counters", point.raw)
    if not point.counter and (point.scale != 1 or point.offset or point.low is not None or point.high is not None):
        raise place.fault("range", "no scale, offset and range with states or bits", "one")
    if point.counter and (point.scale <= 0 or kind.minimum < 0):
        raise place.below("counter").fault("raw", "an unsigned kind with a positive scale", f"{point.raw}")
    for number in point.states:
        if not kind.minimum <= number <= kind.maximum:
            raise place.below("states").fault("range", f"numbers that {point.raw} can have", f"{number}")
    for bit in point.bits:
        if bit >= kind.size * 8:
            raise place.below("bits").fault("range", f"bits 0 to {kind.size * 8 - 1}", f"{bit}")


def check_address(address: object, raw: str, place: Place) -> None:
    """A value of this kind lies at such an address."""
    if isinstance(address, ModbusAddress):
        if (address.table in BIT_TABLES) != (raw == "bool") or raw in _NOT_OF_REGISTERS:
            expected = "bool" if address.table in BIT_TABLES else "a kind of whole registers, as u16 or u32be"
            raise place.below("raw").fault("raw", expected, raw)
        if address.address + words_of(raw) - 1 > LAST_ADDRESS:
            raise place.below("address").fault("address", f"a value that ends at {LAST_ADDRESS} at the latest", raw)
    elif isinstance(address, NodeAddress) and (RAW_KINDS[raw].swapped or "{i}" in address.node):
        raise place.fault("address", "a node without {i}, and a kind without order (OPC UA has its own)", raw)


def check_scale(value: Point | Command | RecipeField, place: Place) -> None:
    """The scale is no slip, and a truth value has none."""
    offset = getattr(value, "offset", 0.0) if not isinstance(value, RecipeField) else 0.0
    if not MIN_SCALE <= abs(value.scale) <= MAX_SCALE:
        raise place.below("scale").fault("range", f"{MIN_SCALE:g} to {MAX_SCALE:g}, or negative", f"{value.scale:g}")
    if value.raw == "bool" and (value.scale != 1 or offset):
        raise place.below("scale").fault("range", "no scale and offset of a truth value", f"{value.scale:g}")


def check_range(low: float | None, high: float | None, value: Point | Command | RecipeField, place: Place) -> None:
    """A range is one, and lies within what the raw kind can carry."""
    if low is not None and high is not None and low > high:
        raise place.below("low").fault("range", f"at most high, {high:g}", f"{low:g}")
    for key, bound in (("low", low), ("high", high)):
        if bound is not None:
            check_bound(bound, value, place.below(key))


def check_bound(bound: float, value: Point | Command | RecipeField, place: Place) -> None:
    """A limit can be reached: the raw kind can carry it."""
    offset = 0.0 if isinstance(value, RecipeField) else value.offset
    least, most = bounds_of(value.raw, value.scale, offset)
    if not _within(bound, least, most):
        raise place.fault("range", f"what {value.raw} can carry, {least:g} to {most:g}", f"{bound:g}")


def _within(bound: float, least: float, most: float) -> bool:
    near = math.isclose(bound, least, rel_tol=1e-9) or math.isclose(bound, most, rel_tol=1e-9)
    return near or least <= bound <= most


def _check_overlap(profile: Profile, root: Place) -> None:
    """No two values share a part of a place, unless they are the whole of it, of the same raw kind and meaning."""
    regions: dict[object, list[tuple[int, int, str, str, Place]]] = {}
    meanings: dict[object, Point] = {}
    for point, place in placed_points(profile, root):
        first = meanings.setdefault(point.address, point)
        if (point.scale, point.offset, point.unit) != (first.scale, first.offset, first.unit):
            expected = f"scale, offset and unit of {first.name}, which is at the same place"
            raise place.fault("overlap", expected, f"{point.scale:g}, {point.offset:g}, {point.unit}")
        _add(regions, point.address, point.raw, point.name, place)
    for command in profile.commands:
        if not isinstance(command.address, FrameField):
            place = root.below("commands").below(command.name)
            _add(regions, command.address, command.raw, command.name, place)
    for region in regions.values():
        _check_region(sorted(region, key=lambda each: each[:4]))


def _add(
    regions: dict[object, list[tuple[int, int, str, str, Place]]], address: object, raw: str, name: str, place: Place
) -> None:
    if isinstance(address, ModbusAddress):
        entry = (address.address, address.address + words_of(raw), raw, name, place)
        regions.setdefault(address.table, []).append(entry)
    elif isinstance(address, FrameField):
        entry = (address.offset, address.offset + size_of(raw, framed=True), raw, name, place)
        regions.setdefault(address.frame, []).append(entry)
    elif address is not None:
        regions.setdefault(address, []).append((0, 1, raw, name, place))


def _check_region(region: Sequence[tuple[int, int, str, str, Place]]) -> None:
    """``region``: start, end (not included), raw kind, name and place, ordered."""
    reaching = region[0]
    for each in region[1:]:
        start, end, raw, name, place = each
        if start < reaching[1] and (start, end, raw) != reaching[:3]:
            raise place.fault("overlap", f"no part of what {reaching[3]} is ({reaching[2]})", f"{name} ({raw})")
        if end > reaching[1]:
            reaching = each
