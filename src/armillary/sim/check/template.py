# SPDX-License-Identifier: Apache-2.0
"""Validates application templates: each folder of ``templates/`` is complete, consistent and our own work.

Each check is a generator of faults for ``sim/check/check.py``: models are valid; dashboards, rules, groups and jobs
refer to what exists; a simulated device sends exactly the values of its model, with their types and units, during every
incident too; images are SVG, carry their licence and are used; the README has the required parts.
"""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from armillary.content import application_templates as shipped, guardian_content
from armillary.content.equipment import load as load_profile
from armillary.errors import ArmillaryError
from armillary.guard.interface import dtdl_interface
from armillary.sim.templates import behaviour as behaviours, plans
from armillary.sim.templates.behaviour import Behaviour
from armillary.sim.templates.shape import Shape, mismatch, parts_of
from armillary.twin.author import dashboard as dashboards
from armillary.twin.author.dashboard import Dashboard, Tile
from armillary.twin.author.group import parse_group
from armillary.twin.author.job import Job, parse_job
from armillary.twin.rule.json_form import from_json as rule_from_json
from armillary.twin.rule.rule import Rule, unmodelled
from armillary.twin.template.json_form import parse_template
from armillary.wire.dtdl.model import Property, Telemetry

HEAD_FIELDS: Final = ("title", "line", "sector", "operator", "product")
# A line of a list on a terminal; a README that says something.
MAX_LINE_CHARACTERS: Final = 120
MIN_README_CHARACTERS: Final = 1000
README_PARTS: Final = ("**After the public one.**", "**Things happen.**", "**Make it yours.**")
MAX_IMAGE_BYTES: Final = 64 << 10
MAX_DEVICES: Final = 100
LICENCE: Final = "SPDX-License-Identifier: Apache-2.0"
# Moments at which behaviours are looked at: a day before the origin to a day after it.
ORIGIN_S: Final = 1_800_000_000.0
LOOKS: Final = 400

_ACTIVE = re.compile(
    rb"<script|\son[a-z]+\s*=|javascript:|<foreignObject|@import|(?:href|src)\s*=\s*[\"'](?!#)", re.IGNORECASE
)
_SECTIONS = ("reported", "desired")


def templates() -> Iterator[str]:
    """Every application template is complete and fits together; no two share an id."""
    owners: dict[tuple[str, str], str] = {}
    for name in shipped.names():
        where = f"templates/{name}"
        try:
            template = shipped.load(name)
        except (ValueError, KeyError, OSError, tomllib.TOMLDecodeError) as error:
            yield f"{where}: expected a readable template, got {error}"
            continue
        yield from (f"{where}/{fault}" for fault in _head(template))
        try:
            parts = Parts(template)
        except (ArmillaryError, KeyError) as error:
            yield f"{where}/models: {error}"
            continue
        checks = (_device_templates, _devices, _documents, _images)
        yield from (f"{where}/{fault}" for check in checks for fault in check(template, parts))
        owned = [*template.documents, *(("template", each) for each in parts.shapes)]
        for key in (*owned, ("product", template.head.get("product", ""))):
            if owners.setdefault(key, name) != name:
                yield f"{where}: {key[0]} {key[1]} is in {owners[key]} already"


def guardians() -> Iterator[str]:
    """The hub's content for equipment behind guardians fits the profiles that it is made for, and fits together."""
    for name in guardian_content.names():
        where = f"guardians/{name}"
        try:
            found = guardian_content.load(name)
            profile = load_profile(found.head["profile"])
            parts = Parts(found)
        except (ArmillaryError, ValueError, KeyError, OSError, tomllib.TOMLDecodeError) as error:
            yield f"{where}: {error}"
            continue
        for file, model in found.models.items():
            if json.loads(model) != dtdl_interface(profile):
                yield f"{where}/models/{file}.json: expected what the profile says of itself; run make docs"
        checks = (_device_templates, _documents)
        yield from (f"{where}/{fault}" for check in checks for fault in check(found, parts))


class Parts:
    """The names that the documents of a template may refer to.

    Attributes:
        shapes: Device template -> shape (``sim/templates/shape.py``).
        cloud: Device template -> names of its cloud properties.
        groups: Group -> its device template.
    """

    def __init__(self, template: shipped.ApplicationTemplate) -> None:
        self.shapes = plans.shapes(template)
        self.cloud = {
            head["id"]: {each["name"]: each for each in head.get("cloud", ())} for head in template.head["template"]
        }
        self.groups = {
            each: str(body.get("template")) for (kind, each), body in template.documents.items() if kind == "group"
        }

    def telemetry(self, template: str) -> frozenset[str]:
        """Names of the telemetry values as the hub stores them: an object counts as its parts."""
        found: set[str] = set()
        for name, each in self.shapes[template].telemetry.items():
            parts = parts_of(each.schema)
            found |= {f"{name}.{part}" for part in parts} if parts else {name}
        return frozenset(found)

    def properties(self, template: str) -> frozenset[str]:
        """Names of properties and cloud properties."""
        return frozenset(self.shapes[template].properties) | frozenset(self.cloud[template])


def _head(template: shipped.ApplicationTemplate) -> Iterator[str]:
    head = template.head
    for field in HEAD_FIELDS:
        if not isinstance(head.get(field), str) or not 0 < len(head[field]) <= MAX_LINE_CHARACTERS:
            yield f"template.toml: {field}: expected 1 to {MAX_LINE_CHARACTERS} characters, got {head.get(field)!r}"
    named = [each.get("id") for each in head.get("template", ())]
    if sorted(map(str, named)) != sorted(template.models):
        yield f"models: expected a file for each of {named}, got {sorted(template.models)}"
    if len(template.readme) < MIN_README_CHARACTERS:
        yield f"README.md: expected at least {MIN_README_CHARACTERS} characters, got {len(template.readme)}"
    for part in README_PARTS:
        if part not in template.readme:
            yield f"README.md: expected a paragraph {part}"
    kinds = {kind for kind, _ in template.documents}
    for kind in ("dashboard", "group", "rule"):
        if kind not in kinds:
            yield f"{kind}s: expected at least one, got none"


def _device_templates(template: shipped.ApplicationTemplate, _parts: Parts) -> Iterator[str]:
    documents = plans.documents_of(template, "check")
    for (kind, document_id), body in documents.items():
        if kind == "template":
            try:
                parse_template(body)
            except ArmillaryError as error:
                yield f"template.toml: {document_id}: {error}"


# Devices ------------------------------------------------------------------------------------------------------------


def _devices(template: shipped.ApplicationTemplate, parts: Parts) -> Iterator[str]:
    roles = [table.get("role") for table in template.devices]
    if len(set(roles)) != len(roles):
        yield f"devices.toml: expected every role once, got {roles}"
    if sum(table.get("count", 0) for table in template.devices) > MAX_DEVICES:
        yield f"devices.toml: expected at most {MAX_DEVICES} devices"
        return  # what each of so many does takes minutes to look at
    used = {table.get("template") for table in template.devices}
    for each in sorted(set(parts.shapes) - used):
        yield f"devices.toml: expected a simulated device of {each}"
    for table in template.devices:
        where = f"devices.toml: {table.get('role')}"
        if table.get("template") not in parts.shapes:
            yield f"{where}: template: expected one of {sorted(parts.shapes)}, got {table.get('template')}"
            continue
        yield from (f"{where}: {fault}" for fault in _device(table, parts))


def _device(table: Mapping[str, Any], parts: Parts) -> Iterator[str]:
    shape, known = parts.shapes[table["template"]], parts.cloud[table["template"]]
    modelled: dict[str, Telemetry | Property] = {**shape.telemetry, **shape.properties}
    for number, (_, own) in enumerate(shipped.device_names(table, max(1, int(table["count"]))), 1):
        try:
            behaviour = behaviours.parse(shipped.device_table(table, own))
        except (ArmillaryError, TypeError, ValueError) as error:
            yield f"device {number}: {error}"
            return
        for name in sorted(set(behaviour.shown) ^ set(modelled)):
            yield f"signal {name}: expected it both in the model and among the signals"
        for name in sorted(set(behaviour.commands) ^ set(shape.commands)):
            yield f"command {name}: expected it both in the model and among the commands"
        yield from _settings(behaviour, shape)
        for name, signal in behaviour.signals.items():
            unit = getattr(modelled.get(name), "unit", None) or ""
            if name in modelled and signal.unit != unit:
                yield f"signal {name}: unit: expected {unit or 'none'}, got {signal.unit or 'none'}"
        cloud = {**table.get("cloud", {}), **own.get("cloud", {})}
        for name in sorted(set(cloud) ^ set(known)):
            yield f"device {number}: cloud property {name}: expected it both in template.toml and of every device"
        if set(behaviour.shown) == set(modelled):
            yield from (f"device {number}: {fault}" for fault in _values(behaviour, modelled, number))


def _settings(behaviour: Behaviour, shape: Shape) -> Iterator[str]:
    for name in sorted(behaviour.settings - set(shape.properties)):
        yield f"signal {name}: a setting has to be a property: it is kept in the twin"
    for name in sorted(set(shape.writable) - behaviour.settings):
        yield f"signal {name}: a writable property has to be a setting"


def _values(behaviour: Behaviour, modelled: Mapping[str, Telemetry | Property], number: int) -> Iterator[str]:
    """Values fit their schema and bounds at sampled moments, and in the middle of every incident."""
    seed = behaviours.device_seed("check", "device", number)
    moments = [ORIGIN_S + (look - LOOKS / 2) * 2 * 86_400 / LOOKS for look in range(LOOKS)]
    for incident in behaviour.incidents:
        middle = incident.first_s + (number - 1) * incident.stagger_s + incident.jitter_s / 2 + incident.lasts_s / 2
        moments.append(ORIGIN_S + middle)
    faults: dict[str, str] = {}
    for at_s in moments:
        at = {"origin_s": ORIGIN_S, "at_s": at_s}
        observed = behaviours.observe(behaviour, seed=seed, number=number, settings={}, **at)
        for name, value in observed.values.items():
            content = modelled[name]
            fault = mismatch(content.schema, value) or _beyond(content, value)
            if fault:
                faults.setdefault(name, fault)
    for name, fault in faults.items():
        yield f"signal {name}: {fault}"


def _beyond(content: Telemetry | Property, value: object) -> str | None:
    low, high = content.others.get("minValue"), content.others.get("maxValue")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if low is not None and value < low:
            return f"expected at least {low}, got {value}"
        if high is not None and value > high:
            return f"expected at most {high}, got {value}"
    return None


# Documents ----------------------------------------------------------------------------------------------------------


def _of_kind(template: shipped.ApplicationTemplate, kind: str) -> Iterator[tuple[str, Any]]:
    for (each, document_id), body in sorted(template.documents.items()):
        if each == kind:
            yield document_id, body


def _documents(template: shipped.ApplicationTemplate, parts: Parts) -> Iterator[str]:
    for kind, parse, check in _KINDS:
        for document_id, body in _of_kind(template, kind):
            try:
                faults: Iterable[str] = check(template, parts, parse(body))
            except ArmillaryError as error:
                faults = [str(error)]
            yield from (f"{kind}s/{document_id}.json: {fault}" for fault in faults)


def _dashboard(template: shipped.ApplicationTemplate, parts: Parts, dashboard: Dashboard) -> Iterator[str]:
    if dashboard.template and dashboard.template not in parts.shapes:
        yield f"template: expected one of {sorted(parts.shapes)}, got {dashboard.template}"
    for tile in dashboard.tiles:
        yield from (f"tile {tile.id}: {fault}" for fault in _tile(template, parts, tile))


def _tile(template: shipped.ApplicationTemplate, parts: Parts, tile: Tile) -> Iterator[str]:
    options = tile.options
    if "image" in options:
        folder, _, file = options["image"].partition("/")
        if folder != template.name or file not in template.images:
            yield f"image: expected one of {template.name}/{sorted(template.images)}, got {options['image']}"
    target = options.get("target", "/")
    if not target.startswith(("/", "http")) and ("dashboard", target) not in template.documents:
        yield f"target: expected a dashboard of the template, got {target}"
    if tile.source is None:
        return
    device_template = parts.groups.get(tile.source.id, "") if tile.source.kind == "group" else tile.source.id
    if device_template in parts.shapes:
        yield from _sourced(template, parts, tile, device_template)
    else:
        yield f"source: expected a group or device template of the template, got {tile.source.id}"


def _sourced(template: shipped.ApplicationTemplate, parts: Parts, tile: Tile, device_template: str) -> Iterator[str]:
    options = tile.options
    yield from _unknown("value", tile.values, parts.telemetry(device_template))
    yield from _unknown("property", options.get("names", ()), parts.properties(device_template))
    if "location" in options:
        shape = parts.shapes[device_template]
        content = shape.telemetry.get(options["location"]) or shape.properties.get(options["location"])
        if content is None or parts_of(content.schema) != ("lat", "lon"):
            yield f"location: expected a geopoint of {device_template}, got {options['location']}"
    if "command" in options:
        yield from _unknown("command", [options["command"]], parts.shapes[device_template].commands)
    sent = [each.command for each in options.get("buttons", ())]
    yield from _unknown("command", sent, parts.shapes[device_template].commands)
    for place in options.get("places", ()):
        yield from _unknown("place", [place.name], parts.properties(device_template))
        if place.name and not _is_anywhere(template, device_template, place.name, place.equals):
            yield f"place: expected a device with {place.name} {place.equals!r}, found none"


def _is_anywhere(template: shipped.ApplicationTemplate, device_template: str, name: str, equals: object) -> bool:
    """Whether some simulated device has this value of a cloud property."""
    return any(
        {**table.get("cloud", {}), **own.get("cloud", {})}.get(name) == equals
        for table in template.devices
        if table.get("template") == device_template
        for _, own in shipped.device_names(table, int(table["count"]))
    )


def _unknown(what: str, named: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    there = set(known)
    for name in named:
        if name not in there:
            yield f"{what}: expected one of {sorted(there)}, got {name}"


def _rule(_template: shipped.ApplicationTemplate, parts: Parts, rule: Rule) -> Iterator[str]:
    if rule.target.template not in parts.shapes:
        yield f"target.template: expected one of {sorted(parts.shapes)}, got {rule.target.template!r}"
        return
    shape, cloud = parts.shapes[rule.target.template], parts.cloud[rule.target.template]
    paths = {f"{section}.{name}" for section in _SECTIONS for name in shape.properties}
    paths |= {f"cloud.{name}" for name in cloud}
    yield from unmodelled(rule, parts.telemetry(rule.target.template), paths)
    for action in rule.actions:
        if action.kind == "command":
            yield from _unknown("method", [action.options["method"]], shape.commands)


def _valid_group(body: Mapping[str, Any]) -> Mapping[str, Any]:
    parse_group(body)
    return body


def _group(_template: shipped.ApplicationTemplate, parts: Parts, group: Mapping[str, Any]) -> Iterator[str]:
    template = group.get("template", "")
    if template not in parts.shapes:
        yield f"template: expected one of {sorted(parts.shapes)}, got {group.get('template')}"
        return
    for each in group.get("filters", ()):
        source, _, name = each["field"].partition(":")
        known = {
            "telemetry": parts.telemetry(template),
            "property": parts.shapes[template].properties,
            "reported": parts.shapes[template].properties,
            "cloud": parts.cloud[template],
        }.get(source)
        if known is not None:
            yield from _unknown("field", [name], known)


def _job(_template: shipped.ApplicationTemplate, parts: Parts, job: Job) -> Iterator[str]:
    if job.group not in parts.groups:
        yield f"group: expected one of {sorted(parts.groups)}, got {job.group}"
        return
    device_template = parts.groups[job.group]
    if device_template not in parts.shapes:
        return  # a fault of the group, which is reported there
    known = {
        "set-property": parts.shapes[device_template].writable,
        "set-cloud-property": parts.cloud[device_template],
        "command": [name.replace(".", "*") for name in parts.shapes[device_template].commands],
    }[job.action.kind]
    yield from _unknown("action", [job.action.command] if job.action.command else job.action.properties, known)


# Kind of a document -> its parser and the check of what it parses to.
_KINDS: Final[tuple[tuple[str, Callable[[Any], Any], Callable[..., Iterator[str]]], ...]] = (
    ("dashboard", dashboards.parse, _dashboard),
    ("rule", rule_from_json, _rule),
    ("group", _valid_group, _group),
    ("job", parse_job, _job),
)


# Pictures -----------------------------------------------------------------------------------------------------------


def _images(template: shipped.ApplicationTemplate, _parts: Parts) -> Iterator[str]:
    text = json.dumps([body for _, body in _of_kind(template, "dashboard")])
    for name, data in template.images.items():
        where = f"images/{name}"
        if not name.endswith(".svg"):
            yield f"{where}: expected a picture of our own drawing (.svg)"
            continue
        if len(data) > MAX_IMAGE_BYTES:
            yield f"{where}: expected at most {MAX_IMAGE_BYTES} bytes, got {len(data)}"
        if LICENCE.encode() not in data:
            yield f"{where}: expected a comment {LICENCE}"
        if _ACTIVE.search(data):
            yield f"{where}: expected no script, handler or link to anything outside"
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            yield f"{where}: expected no entities"
            continue
        try:
            root = ET.fromstring(data)  # noqa: S314 - shipped by us, and without entities
        except ET.ParseError as error:
            yield f"{where}: expected XML, got {error}"
            continue
        titles = [each for each in itertools.islice(root, 1) if each.tag.endswith("}title")]
        if not root.tag.endswith("}svg") or not titles:
            yield f"{where}: expected an svg that begins with its title"
        if f'"{template.name}/{name}"' not in text:
            yield f"{where}: expected a dashboard that shows it"
