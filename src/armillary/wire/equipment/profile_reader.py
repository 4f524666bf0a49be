# SPDX-License-Identifier: Apache-2.0
"""Reads a profile of plain values (parsed YAML or JSON), and writes it back.

What is read has passed every rule of the reference; a profile that breaks one is refused as a whole, with the place,
the rule and, where the document was YAML, the line. The order of keys in a document says nothing: parts are ordered by
address, then by name, so that the same document always becomes the same profile.

Source: ``docs/reference/equipment-profile.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from armillary.wire.equipment import profile_fields as tables
from armillary.wire.equipment.field import Place, members
from armillary.wire.equipment.profile import (
    Address,
    Array,
    Command,
    FrameField,
    LinkSettings,
    ModbusAddress,
    NodeAddress,
    ObjectAddress,
    Point,
    Profile,
    RecipeArea,
)
from armillary.wire.equipment.profile_rules import check_profile

SECTIONS: Final = (
    "profile", *tables.HEAD, "link", "frames", "points", "arrays",
    "events", "derived", "alarms", "commands", "recipe", "firmware",
)  # fmt: skip
_REQUIRED: Final = ("profile", "version", "title", "manufacturer", "model", "link")
# A profile with as many parts as there may be has a quarter of it.
MAX_DOCUMENT_BYTES: Final = 1 << 20


def read_profile(document: object, *, lines: Mapping[str, int] | None = None, file: str = "") -> Profile:
    """The profile that a document describes. ``lines`` has the line of each path of keys, for errors.

    Raises:
        ProfileError: it breaks the form or a rule; it names place, rule and line.
    """
    root = Place(lines=lines or {}, file=file)
    given = dict(members(document, root, 2 * len(SECTIONS)))
    for key in given:
        if key not in SECTIONS:
            raise root.below(key).fault("form", f"one of {', '.join(SECTIONS)}", "an unknown key")
    for key in _REQUIRED:
        if key not in given:
            raise root.below(key).fault("form", "it to be given", "nothing")
    name = tables.PROFILE_NAME.read(given["profile"], root.below("profile"))
    head: dict[str, Any] = {
        key: kind.read(given[key], root.below(key)) for key, kind in tables.HEAD.items() if key in given
    }
    link = _read_link(given["link"], root.below("link"))
    frames = tables.FRAME.named(given.get("frames", {}), root.below("frames"))
    reader = _PointReader(tables.ADDRESS_OF_LINK[type(link)], {each.name: each.kind for each in frames})
    profile = Profile(
        **{"groups": {}, **head},
        name=name,
        link=link,
        frames=tuple(sorted(frames, key=lambda each: each.kind)),
        points=reader.points(given.get("points", {}), root.below("points"), tables.MAX_POINTS),
        arrays=reader.arrays(given.get("arrays", {}), root.below("arrays")),
        commands=reader.commands(given.get("commands", {}), root.below("commands")),
        events=tables.EVENT.named(given.get("events", {}), root.below("events")),
        derived=tables.DERIVED.named(given.get("derived", {}), root.below("derived")),
        alarms=tables.ALARM.named(given.get("alarms", {}), root.below("alarms")),
        recipe=_read_recipe(given["recipe"], root.below("recipe")) if "recipe" in given else None,
        firmware=tables.FIRMWARE.read(given["firmware"], root.below("firmware")) if "firmware" in given else None,
    )
    check_profile(profile, root)
    return profile


def profile_document(profile: Profile) -> dict[str, Any]:
    """A profile as plain values, defaults left out; read_profile makes the same profile of it."""
    kinds = {each.kind: each.name for each in profile.frames}
    head = {key: kind.write(getattr(profile, key)) for key, kind in tables.HEAD.items()}
    document: dict[str, Any] = {"profile": profile.name, **head, "link": _written_link(profile.link)}
    document["points"] = {each.name: _written_point(each, kinds) for each in profile.points}
    document["arrays"] = {each.name: _written_array(each, kinds) for each in profile.arrays}
    document["commands"] = {each.name: _written_command(each, kinds) for each in profile.commands}
    for section, record in (
        ("frames", tables.FRAME),
        ("events", tables.EVENT),
        ("derived", tables.DERIVED),
        ("alarms", tables.ALARM),
    ):
        document[section] = {each.name: record.write(each) for each in getattr(profile, section)}
    if profile.recipe is not None:
        area = profile.recipe
        document["recipe"] = {
            **{key: kind.write(getattr(area, key)) for key, kind in tables.RECIPE.items()},
            "fields": {each.name: tables.RECIPE_FIELD.write(each) for each in area.fields},
        }
    if profile.firmware is not None:
        document["firmware"] = tables.FIRMWARE.write(profile.firmware)
    return {key: each for key, each in document.items() if each not in ({}, False)}


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one spelling of a document that is signed and stored: JSON in UTF-8, keys sorted, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def read_json(data: bytes, file: str = "") -> object:
    """The document of JSON bytes, of ``file`` if they are of one; a key that stands twice is refused.

    Raises:
        ProfileError: not JSON in UTF-8, too long, nested too deep, or a key twice.
    """
    place = Place(file=file)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise place.fault("limit", f"at most {MAX_DOCUMENT_BYTES} bytes", f"{len(data)}")

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise place.fault("duplicate", "each key once", "one that stands twice")
        return found

    def no_constant(word: str) -> object:
        raise place.fault("form", "JSON numbers", word)

    try:
        return json.loads(data.decode(), object_pairs_hook=once, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise place.fault("form", "JSON in UTF-8", f"{error!s:.80}") from error


def _read_link(value: object, place: Place) -> LinkSettings:
    given = dict(members(value, place, tables.MAX_PARTS))
    protocol = tables.LINK_PROTOCOL.read(given.pop("protocol", None), place.below("protocol"))
    make, fields = tables.LINKS[protocol]
    link: LinkSettings = tables.Record(make, fields).read(given, place)
    return link


def _written_link(link: LinkSettings) -> dict[str, object]:
    for protocol, (make, fields) in tables.LINKS.items():
        if type(link) is make:
            return {"protocol": protocol, **tables.Record(make, fields).write(link)}
    raise TypeError(type(link).__name__)


def _read_recipe(value: object, place: Place) -> RecipeArea:
    given = dict(members(value, place, tables.MAX_PARTS))
    fields = tables.RECIPE_FIELD.named(given.pop("fields", {}), place.below("fields"), tables.MAX_FIELDS)
    area = tables.Record(RecipeArea, tables.RECIPE).given(given, place)
    return RecipeArea(**area, fields=tuple(sorted(fields, key=lambda each: each.offset)))


class _PointReader:
    """Points, arrays and commands, whose addresses depend on the link."""

    def __init__(self, address: type, frames: Mapping[str, int]) -> None:
        self._address = address
        self._fields = tables.ADDRESSES[address]
        self._frames = frames

    def points(self, value: object, place: Place, limit: int) -> tuple[Point, ...]:
        found = []
        for name, each in members(value, place, limit):
            at = place.below(name)
            tables.NAME.read(name, at)
            given = dict(members(each, at, len(tables.POINT) + 8))
            address = self._address_of(given, at)
            defaults: dict[str, Any] = {"raw": "f64be"} if isinstance(address, (NodeAddress, ObjectAddress)) else {}
            fields = tables.Record(Point, tables.POINT).given({**defaults, **given}, at)
            found.append(Point(name=name, address=address, **fields))
        return tuple(sorted(found, key=_order))

    def arrays(self, value: object, place: Place) -> tuple[Array, ...]:
        found = []
        for name, each in members(value, place, tables.MAX_PARTS):
            at = place.below(name)
            tables.NAME.read(name, at)
            given = dict(members(each, at, tables.MAX_PARTS))
            inner = self.points(given.pop("members", {}), at.below("members"), tables.MAX_PARTS)
            position = tables.POSITION.given(given.pop("position", {}), at.below("position"))
            found.append(Array(name=name, members=inner, **tables.ARRAY.given(given, at), **position))
        return tuple(sorted(found, key=lambda each: each.name))

    def commands(self, value: object, place: Place) -> tuple[Command, ...]:
        found = []
        for name, each in members(value, place, tables.MAX_PARTS):
            at = place.below(name)
            tables.NAME.read(name, at)
            given = dict(members(each, at, len(tables.COMMAND) + 8))
            address = None if self._address is FrameField else self._address_of(given, at)
            fields = tables.Record(Command, tables.COMMAND).given(given, at)
            if self._address is FrameField and "raw" in fields and "frame" in fields:
                address = FrameField(fields["frame"], 0)
            found.append(Command(name=name, address=address, **fields))
        return tuple(sorted(found, key=lambda each: each.name))

    def _address_of(self, given: dict[str, object], place: Place) -> Address:
        """Takes the fields of the address out of what is given."""
        own = {key: given.pop(key) for key in self._fields if key in given}
        record = tables.Record(self._address, self._fields, tables.ADDRESS_ATTRIBUTES)
        if self._address is not FrameField:
            address: Address = record.read(own, place)
            return address
        fields = record.given(own, place)
        if fields["frame"] not in self._frames:
            raise place.below("frame").fault("reference", "the name of a frame", fields["frame"])
        return FrameField(self._frames[fields["frame"]], fields["offset"])


def _order(point: Point) -> tuple[str, int, str, str]:
    match point.address:
        case ModbusAddress(table, address):
            return (table, address, "", point.name)
        case FrameField(frame, offset):
            return ("", frame * 256 + offset, "", point.name)
        case NodeAddress(node):
            return (node, 0, "", point.name)
        case ObjectAddress(object_type, instance, name):
            return (object_type, instance, name, point.name)


def _written_address(address: Address | None, kinds: Mapping[int, str]) -> dict[str, object]:
    if address is None:
        return {}
    if isinstance(address, FrameField):
        return {"frame": kinds[address.frame], "byte": address.offset}
    fields = tables.ADDRESSES[type(address)]
    return tables.Record(type(address), fields, tables.ADDRESS_ATTRIBUTES).write(address)


def _written_point(point: Point, kinds: Mapping[int, str]) -> dict[str, object]:
    fields = tables.Record(Point, tables.POINT).write(point)
    return {**_written_address(point.address, kinds), **fields}


def _written_array(array: Array, kinds: Mapping[int, str]) -> dict[str, object]:
    written = {
        **tables.ARRAY.write(array),
        "position": tables.POSITION.write(array),
        "members": {each.name: _written_point(each, kinds) for each in array.members},
    }
    return {key: each for key, each in written.items() if each != {}}


def _written_command(command: Command, kinds: Mapping[int, str]) -> dict[str, object]:
    fields = tables.Record(Command, tables.COMMAND).write(command)
    if isinstance(command.address, FrameField):
        return {"raw": command.raw, **fields}  # Its frame is the command's own
    return {**_written_address(command.address, kinds), **fields}
