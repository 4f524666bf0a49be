# SPDX-License-Identifier: Apache-2.0
"""Rules about what a profile lets be written: commands, recipes, firmware. What none of them lists is never sent."""

from __future__ import annotations

from collections.abc import Iterator

from armillary.wire.equipment.field import Place
from armillary.wire.equipment.framed_serial import RESERVED_KINDS
from armillary.wire.equipment.profile import (
    BacnetIp,
    Command,
    Condition,
    FirmwareArea,
    FramedSerial,
    FrameField,
    ModbusAddress,
    ModbusRtu,
    ModbusTcp,
    NodeAddress,
    Point,
    Profile,
    RecipeArea,
    RecipeField,
    Table,
    standing_point,
)
from armillary.wire.equipment.profile_fields import LAST_ADDRESS
from armillary.wire.equipment.profile_points import check_address, check_range, check_scale
from armillary.wire.equipment.raw_value import UnwritableValueError, encode_value, is_integer, is_kept, words_of
from armillary.wire.equipment.reading import Value

WRITABLE = frozenset({Table.COIL, Table.HOLDING})


def check_writes(profile: Profile, root: Place) -> None:
    """Raises ProfileError for the first command, recipe or firmware area that breaks a rule."""
    if isinstance(profile.link, BacnetIp) and profile.commands:
        raise root.below("commands").fault("unlisted-write", "no commands: BACnet equipment is read only", "some")
    if not isinstance(profile.link, (ModbusTcp, ModbusRtu)) and (profile.recipe or profile.firmware):
        key = "recipe" if profile.recipe else "firmware"
        raise root.below(key).fault("unlisted-write", "recipes and firmware on Modbus links only", "one")
    points = {each.name: each for each in profile.all_points}
    for command in profile.commands:
        place = root.below("commands").below(command.name)
        _check_place(command, profile, place)
        _check_value(command, place)
        _check_standing(command, profile, place)
        check_conditions(command.when, points, place.below("when"))
    if profile.recipe is not None:
        _check_recipe(profile.recipe, points, root.below("recipe"))
    if profile.firmware is not None:
        _check_firmware(profile.firmware, points, root.below("firmware"))
    _check_apart(profile, root)


def check_conditions(when: tuple[Condition, ...], points: dict[str, Point], place: Place) -> None:
    """Each condition is about a point, and about values that it can have."""
    for condition in when:
        at = place.below(condition.point)
        point = points.get(condition.point)
        if point is None:
            raise at.fault("reference", "the name of a point", condition.point)
        for value in condition.values:
            if not _can_be(point, value):
                if point.bits:
                    raise at.fault("reference", "no set of flags: compare with a point of its own", f"{value!r}")
                known = ", ".join(point.states.values()) or ("true, false" if point.raw == "bool" else "a number")
                raise at.fault("reference", f"a value of {point.name}: {known}", f"{value!r}")


def _can_be(point: Point, value: Value) -> bool:
    if point.states:
        return value in point.states.values()
    if point.raw == "bool":
        return isinstance(value, bool)
    return not point.bits and not isinstance(value, (bool, str))


def _check_place(command: Command, profile: Profile, place: Place) -> None:
    framed = isinstance(profile.link, FramedSerial)
    if framed != (command.frame is not None):
        expected = "the type byte of the frame that carries it" if framed else "none: the link has no frames"
        raise place.below("frame").fault("address", expected, "none" if framed else f"{command.frame}")
    if framed and command.frame in {each.kind for each in profile.frames}:
        raise place.below("frame").fault("write-overlap", "a type that the equipment does not send", f"{command.frame}")
    if command.frame in RESERVED_KINDS:
        raise place.below("frame").fault("address", "a type that is no acknowledgement", f"{command.frame}")
    address = command.address
    if isinstance(address, ModbusAddress) and address.table not in WRITABLE:
        raise place.below("table").fault("read-only-table", "coil or holding", address.table)
    if address is not None:
        check_address(address, command.raw, place)


def _check_value(command: Command, place: Place) -> None:
    """A number has a range or is fixed; a truth value is fixed or free; without payload there is none."""
    check_scale(command, place)
    has_range = command.low is not None or command.high is not None
    if command.address is None:
        if has_range or command.fixed is not None or command.step is not None or command.verify:
            raise place.below("raw").fault("form", "the kind of its value", "none")
        return
    if command.fixed is not None:
        if has_range or command.step is not None:
            raise place.below("fixed").fault("range", "a fixed value without low, high and step", "both")
        _check_kept(command, command.fixed, place.below("fixed"))
        return
    if command.raw == "bool":
        if has_range or command.step is not None:
            raise place.below("low").fault("range", "no range of a truth value", "one")
        return
    if command.low is None or command.high is None:
        raise place.below("low" if command.low is None else "high").fault("range", "low and high of a number", "none")
    check_range(command.low, command.high, command, place)
    for key, bound in (("low", command.low), ("high", command.high)):
        _check_kept(command, bound, place.below(key))
    if command.step is not None and command.step < abs(command.scale):
        raise place.below("step").fault("range", f"at least the scale, {abs(command.scale):g}", f"{command.step:g}")


def _check_kept(value: Command | RecipeField, number: Value, place: Place) -> None:
    """The round trip: what is written reads back as what was asked for."""
    offset = value.offset if isinstance(value, Command) else 0.0
    try:
        if value.raw == "bool":
            encode_value(value.raw, number)
            return
        if isinstance(number, (bool, str)):
            raise place.fault("range", "a number", f"{number!r:.40}")
        if not is_kept(value.raw, number, value.scale, offset):
            expected = f"a multiple of the scale, {value.scale:g}, which reads back as itself"
            raise place.fault("round-trip", expected, f"{number:g}")
    except UnwritableValueError as error:
        raise place.fault("range", f"a value that {value.raw} can carry", f"{number!r:.40}") from error


def _check_standing(command: Command, profile: Profile, place: Place) -> None:
    point = standing_point(profile, command)
    if command.shows and point is None:
        raise place.below("shows").fault("reference", "the name of a point", command.shows)
    if point is None and command.step is not None:
        expected = "the point that shows the value that stands, from which step counts: at its address, or named here"
        raise place.below("shows").fault("reference", expected, "none")
    if point is not None and (point.unit != command.unit or (point.raw == "bool") != (command.raw == "bool")):
        raise place.below("unit").fault("overlap", f"the unit and kind of {point.name}, {point.unit}", command.unit)
    same = point is not None and point.address == command.address
    if point is not None and same and (point.scale, point.offset) != (command.scale, command.offset):
        raise place.below("scale").fault("overlap", f"the scale of {point.name}, {point.scale:g}", f"{command.scale:g}")


def _check_recipe(area: RecipeArea, points: dict[str, Point], place: Place) -> None:
    if area.address + area.words * area.slots - 1 > LAST_ADDRESS:
        raise place.below("slots").fault("address", f"slots that end at {LAST_ADDRESS} at the latest", "more")
    at = 0
    for each in area.fields:
        inside = place.below("fields").below(each.name)
        if each.offset != at:
            rule = "overlap" if each.offset < at else "recipe-gap"
            raise inside.below("offset").fault(rule, f"{at}: each word of a slot in one field", f"{each.offset}")
        check_address(ModbusAddress(Table.HOLDING, 0), each.raw, inside)
        check_scale(each, inside)
        check_range(each.low, each.high, each, inside)
        for key, bound in (("low", each.low), ("high", each.high)):
            _check_kept(each, bound, inside.below(key))
        at += words_of(each.raw)
    if at != area.words:
        raise place.below("words").fault("recipe-gap", f"{at}: fields for every word of a slot", f"{area.words}")
    _check_interlock(area.when, points, place)


def _check_firmware(area: FirmwareArea, points: dict[str, Point], place: Place) -> None:
    if max(area.address + area.words, area.offset_address + 2) - 1 > LAST_ADDRESS:
        raise place.below("address").fault("address", f"areas that end at {LAST_ADDRESS} at the latest", "more")
    version = points.get(area.version)
    plain = version is not None and not version.states and not version.bits and is_integer(version.raw)
    if version is None or not plain or (version.scale, version.offset) != (1, 0):
        raise place.below("version").fault("reference", "the name of a point that is a whole number", area.version)
    _check_interlock(area.when, points, place)


def _check_interlock(when: tuple[Condition, ...], points: dict[str, Point], place: Place) -> None:
    if not when:
        raise place.below("when").fault("interlock", "the state in which the equipment takes it", "none")
    check_conditions(when, points, place.below("when"))


def _check_apart(profile: Profile, root: Place) -> None:
    """Every place that can be written belongs to one command or area."""
    taken: dict[tuple[object, int], str] = {}
    for owner, place, space, start, count in _written(profile, root):
        for at in range(start, start + count):
            other = taken.setdefault((space, at), owner)
            if other != owner:
                both = owner.startswith("command ") and other.startswith("command ")
                rule = "two-commands" if both else "write-overlap"
                raise place.fault(rule, f"a place that {other} does not write", f"{owner} at {at}")


def _written(profile: Profile, root: Place) -> Iterator[tuple[str, Place, object, int, int]]:
    """Owner, place in the document, space of addresses, first address and count of all that can be written."""
    for command in profile.commands:
        place, owner = root.below("commands").below(command.name), f"command {command.name}"
        match command.address:
            case ModbusAddress(table, address):
                yield owner, place, table, address, words_of(command.raw)
            case NodeAddress(node):
                yield owner, place, node, 0, 1
            case None | FrameField():
                yield owner, place, "frame", command.frame or 0, 1
    if profile.recipe is not None:
        area, place = profile.recipe, root.below("recipe")
        yield "recipe", place, Table.HOLDING, area.address, area.words * area.slots
        yield "recipe commit", place.below("commit_coil"), Table.COIL, area.commit_coil, 1
    if profile.firmware is not None:
        firmware, place = profile.firmware, root.below("firmware")
        yield "firmware", place, Table.HOLDING, firmware.address, firmware.words
        yield "firmware offset", place.below("offset_address"), Table.HOLDING, firmware.offset_address, 2
        for key in ("write_coil", "commit_coil", "revert_coil"):
            yield f"firmware {key}", place.below(key), Table.COIL, getattr(firmware, key), 1
