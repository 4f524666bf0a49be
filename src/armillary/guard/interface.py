# SPDX-License-Identifier: Apache-2.0
"""The DTDL interface of a profile: what the hub's side is told of a piece of equipment.

Points and derived values are telemetry, as are events (with what they captured), alarms, attempts and the qualities of
what is not good; commands are commands, whose request carries value, nonce and expiry; profile, version, recipe and
firmware are properties, as is ``simulated``. A range is a ``minValue`` and ``maxValue`` of the type ``NumberValue``,
which DTDL v2 has no word of its own for: the guard holds it, the interface only tells people of it.

Source: DTDL v2 §Interface, §Telemetry, §Command, §Property; ``docs/reference/equipment-profile.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from armillary.wire.equipment.profile import Command, Derived, EventRule, Operator, Point, Profile
from armillary.wire.equipment.raw_value import is_integer
from armillary.wire.equipment.units import OWN_UNITS, QUANTITY_UNITS

CONTEXT: Final = ("dtmi:dtdl:context;2", "dtmi:iotcentral:context;2")
MAX_LABEL: Final = 64  # DTDL v2 §Interface: displayName
MAX_COMMENT: Final = 512
# Points that the module tells of as properties.
SIMULATED: Final = "simulated"
_INTEGER_LIMIT: Final = 2**31 - 1


def dtdl_interface(profile: Profile) -> dict[str, Any]:
    """The interface of a profile, as a DTDL v2 document."""
    points = {each.name: each for each in profile.all_points}
    contents: list[dict[str, Any]] = [_telemetry(each) for each in points.values() if each.name != SIMULATED]
    contents += [_derived(each) for each in profile.derived]
    contents += [_event(each, points) for each in profile.events]
    contents += [_alarm(), _attempt(), _quality()] if profile.alarms else [_attempt(), _quality()]
    contents += [_command(each) for each in profile.commands]
    contents += _properties(profile)
    return {
        "@context": list(CONTEXT),
        "@id": model_id(profile),
        "@type": "Interface",
        "displayName": profile.title[:MAX_LABEL],
        "comment": f"Made of the profile {profile.name}, version {profile.version}: {profile.manufacturer}, "
        f"{profile.model}."[:MAX_COMMENT],
        "contents": contents,
    }


def model_id(profile: Profile) -> str:
    """``dtmi:guard:coffee;3`` of ``guard/coffee`` in version 3. DTMI: segments of letters, digits and underscores."""
    return f"dtmi:{profile.name.replace('/', ':').replace('-', '_')};{profile.version}"


def display_unit(unit: str) -> str:
    """What people see behind a number of a unit that DTDL has no name for; empty for none."""
    return OWN_UNITS.get(unit, unit)


def _telemetry(point: Point) -> dict[str, Any]:
    element: dict[str, Any] = {"@type": ["Telemetry"], "name": point.name, "schema": _schema(point)}
    _named(element, point.title)
    if isinstance(element["schema"], str) and element["schema"] in ("double", "integer", "long"):
        _measured(element, point.quantity, point.unit, point.low, point.high)
    return element


def _schema(point: Point) -> str | dict[str, Any]:
    if point.states:
        return _enumeration(point.states.values())
    if point.bits:
        return "string"
    return number_schema(point.raw, point.scale, point.offset)


def number_schema(raw: str, scale: float, offset: float) -> str:
    """The DTDL schema of a value: boolean, integer, long or double."""
    if raw == "bool":
        return "boolean"
    if not is_integer(raw) or scale != int(scale) or offset != int(offset):
        return "double"
    return "integer" if raw in ("u8", "i8", "u16", "i16", "u16le", "i16le") and abs(scale) == 1 else "long"


def _measured(
    element: dict[str, Any], quantity: str | None, unit: str, low: float | None = None, high: float | None = None
) -> None:
    if quantity is None and unit not in OWN_UNITS:
        # The one quantity of a unit, where it has one: percent alone says nothing of what
        owners = [each for each, units in QUANTITY_UNITS.items() if unit in units]
        quantity = owners[0] if len(owners) == 1 and unit not in ("percent", "unity") else None
    if quantity is not None:
        element["@type"].append(quantity)
        element["unit"] = unit
    number: dict[str, Any] = {}
    if quantity is None and display_unit(unit):
        number["displayUnit"] = display_unit(unit)
    if low is not None:
        number["minValue"] = low
    if high is not None:
        number["maxValue"] = high
    if number:
        element["@type"].append("NumberValue")
        element.update(number)


def _derived(derived: Derived) -> dict[str, Any]:
    element: dict[str, Any] = {"@type": ["Telemetry"], "name": derived.name, "schema": "double"}
    words = {Operator.RATIO: "per", Operator.DIFFERENCE: "minus"}
    inputs = f" {words.get(derived.operator, 'and')} ".join(derived.inputs)
    element["comment"] = f"{derived.operator.value}: {inputs}"[:MAX_COMMENT]
    _named(element, derived.title)
    _measured(element, None, derived.unit)
    return element


def _event(event: EventRule, points: Mapping[str, Point]) -> dict[str, Any]:
    fields = [_field(name, _schema(points[name])) for name in event.capture]
    fields.append(_field("seconds", "double"))
    return {"@type": ["Telemetry"], "name": event.name, "schema": {"@type": "Object", "fields": fields}}


def _field(name: str, schema: str | dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "schema": schema}


def _enumeration(names: Any) -> dict[str, Any]:
    return {
        "@type": "Enum",
        "valueSchema": "string",
        "enumValues": [{"name": name, "enumValue": name} for name in names],
    }


def _object(name: str, fields: Mapping[str, str | dict[str, Any]], label: str) -> dict[str, Any]:
    schema = {"@type": "Object", "fields": [_field(key, each) for key, each in fields.items()]}
    return {"@type": ["Telemetry"], "name": name, "displayName": label, "schema": schema}


def _alarm() -> dict[str, Any]:
    fields: dict[str, str | dict[str, Any]] = {
        "name": "string",
        "state": _enumeration(("raised", "cleared")),
        "point": "string",
        "value": "double",
        "limit": "double",
        "position": "double",
        "severity": _enumeration(("info", "warning", "critical")),
    }
    return _object("alarm", fields, "Alarm")


def _attempt() -> dict[str, Any]:
    fields: dict[str, str | dict[str, Any]] = {
        "command": "string",
        "value": "double",
        "outcome": "string",
        "rule": "string",
        "by": "string",
    }
    return _object("attempt", fields, "Attempt to command")


def _quality() -> dict[str, Any]:
    schema = {
        "@type": "Map",
        "mapKey": {"name": "point", "schema": "string"},
        "mapValue": {"name": "quality", "schema": _enumeration(("range", "stale", "bad"))},
    }
    return {"@type": ["Telemetry"], "name": "quality", "displayName": "Not good", "schema": schema}


def _command(command: Command) -> dict[str, Any]:
    value = None if command.address is None else number_schema(command.raw, command.scale, command.offset)
    request = [_field("value", value)] if value is not None and command.fixed is None else []
    request += [_field("nonce", "string"), _field("expires", "dateTime")]
    response = [_field("value", value)] if value is not None else []
    response += [_field("verified", "boolean")]
    element: dict[str, Any] = {
        "@type": "Command",
        "name": command.name,
        "request": {"name": "request", "schema": {"@type": "Object", "fields": request}},
        "response": {"name": "response", "schema": {"@type": "Object", "fields": response}},
        "comment": bounds_text(command)[:MAX_COMMENT],
    }
    _named(element, command.title)
    return element


def bounds_text(command: Command) -> str:
    """What the guard demands of a command, in words: range, step, rate, interlock, consent, read-back."""
    unit = f" {display_unit(command.unit)}" if display_unit(command.unit) else ""
    words = []
    if command.fixed is not None:
        words.append(f"always {str(command.fixed).lower()}")
    elif command.low is not None and command.high is not None:
        words.append(f"{command.low:g} to {command.high:g}{unit}")
    if command.step is not None:
        words.append(f"by at most {command.step:g}{unit}")
    if command.every_s:
        words.append(f"once in {command.every_s:g} s")
    words += [f"while {each.point} is {' or '.join(f'{value}' for value in each.values)}" for each in command.when]
    words += ["with consent at the equipment"] * command.local_consent + ["read back"] * command.verify
    return ", ".join(words) or "at any time"


def _properties(profile: Profile) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"@type": "Property", "name": "profile", "displayName": "Profile", "schema": "string"},
        {"@type": "Property", "name": "profileVersion", "displayName": "Version of the profile", "schema": "integer"},
        {"@type": "Property", "name": SIMULATED, "displayName": "Is simulated", "schema": "boolean"},
    ]
    signed = {"version": "integer", "sha256": "string", "envelope": "string"}
    named = {"version": "integer", "sha256": "string", "size": "integer", "file": "string", "envelope": "string"}
    areas = (("recipe", "Recipe", signed, profile.recipe), ("firmware", "Firmware", named, profile.firmware))
    for name, label, fields, area in areas:
        if area is not None:
            schema = {"@type": "Object", "fields": [_field(key, each) for key, each in fields.items()]}
            found.append({"@type": "Property", "name": name, "displayName": label, "writable": True, "schema": schema})
    return found


def _named(element: dict[str, Any], title: str) -> None:
    if title:
        element["displayName"] = title[:MAX_LABEL]
