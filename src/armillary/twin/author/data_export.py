# SPDX-License-Identifier: Apache-2.0
"""Data exports: which records leave the hub continuously, of which devices, with which additions, and to where.

::

    {"name": "Warm ones to the lake", "source": "telemetry", "group": "cold-chain", "match": "all",
     "filters": [{"field": "telemetry:temperature", "operator": "gt", "value": 8}],
     "enrichments": {"site": "cloud:site", "chip": "device:chip"}, "names": true,
     "transform": "{id, device: .device_id, t: .values.temperature}",
     "destination": {"kind": "webhook", "url": "https://lake.example.com/in", "secret": "..."}}

In a filter of an export, ``telemetry:NAME`` is the value in the message itself; everything else is as in a segment
(``group.py``). :func:`split_secret` removes a secret before a document is stored, which then has ``"signed": true``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.author.export_destination import Destination, parse_destination
from armillary.twin.author.group import (
    DeviceFacts,
    Field,
    Filter,
    Needs,
    meets,
    needs_of,
    parse_field,
    parse_filters,
    value_at,
)
from armillary.twin.rule.action import SECRET_WORDS, is_secret
from armillary.wire.encoding.json_fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, JsonFields

MAX_ENRICHMENTS: Final = 50
MAX_TRANSFORM_CHARACTERS: Final = 8192

REMEDY: Final = "docs/concepts/data-export.md lists every field; nothing was kept."
# jq programs that would read files or the environment, or wait for input.
_FORBIDDEN_JQ: Final = re.compile(r"\b(import|include|input|inputs|env|debug|stderr|input_filename|halt)\b|\$ENV|\$__")


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """An event in the life of a device, from the audit log: a record of the source ``lifecycle``."""

    number: int  # of its place in the log, rising
    at_ms: int  # Unix milliseconds
    name: str  # of the event in the audit log
    device_id: str


class ExportSource(StrEnum):
    """The kind of records that are exported.

    Telemetry: messages of devices. Alerts: firings of rules. Lifecycle: entries of the audit log about devices (made,
    claimed, revoked, ...). Properties: changes of twins. Connectivity: connects and disconnects.
    """

    TELEMETRY = "telemetry"
    PROPERTIES = "properties"
    LIFECYCLE = "lifecycle"
    ALERTS = "alerts"
    CONNECTIVITY = "connectivity"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataExport:
    """A data export."""

    name: str  # for people, as is ``description``
    description: str = ""
    catalog: str | None = None  # only devices of this catalog; None for all
    enabled: bool = True
    from_beginning: bool = False  # begins with the oldest stored record, not with the next one
    source: ExportSource
    group: str | None = None  # only members of this device group
    match_all: bool = True  # every filter has to be met, not just one
    filters: tuple[Filter, ...] = ()  # as of device groups
    enrichments: Mapping[str, Field]  # name -> field of the device whose value is added under it
    names: bool = False  # adds what the device template calls the values, and their units
    transform: str | None = None  # jq program that each record is passed through
    destination: Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecord:
    """A record to export."""

    id: str  # the same whenever the same record is sent again
    source: ExportSource
    device_id: str
    at_ms: int  # time of measurement, of the change or of the firing, Unix milliseconds
    accepted_ms: int  # when the hub accepted it; it belongs to the owner that the device had then
    content: Mapping[str, Any]  # fields of this kind of record
    values: Mapping[str, Any]  # what filters read as telemetry


def needs_of_export(export: DataExport) -> Needs:
    """Facts of a device that an export reads; telemetry in filters is the message's own."""
    fields = [
        *(each.field for each in export.filters if each.field.source != "telemetry"),
        *export.enrichments.values(),
    ]
    return needs_of(fields) | Needs(template=True)  # each record says it


def is_of_owner(export: DataExport, record: ExportRecord, facts: DeviceFacts) -> bool:
    """Whether a record belongs to the catalog that an export is for; always, where it is for all catalogs.

    What a device sent before its present catalog claimed it does not belong to that catalog. Where the time of the
    claim is not known, nothing is exported.
    """
    if export.catalog is None:
        return True
    owner, since = facts.fields.get("catalog"), facts.fields.get("claimed_at")
    if not isinstance(owner, str) or owner.lower() != export.catalog.lower():
        return False
    return isinstance(since, int) and record.accepted_ms >= since * 1000


def is_wanted(export: DataExport, record: ExportRecord, facts: DeviceFacts) -> bool:
    """Whether a record of a device is exported: of the owner, and filters met."""
    if not is_of_owner(export, record, facts):
        return False
    seen = replace(facts, telemetry=record.values)
    return meets(export.filters, seen, match_all=export.match_all)


def document_of(
    export: DataExport, record: ExportRecord, facts: DeviceFacts, named: Mapping[str, Any]
) -> dict[str, Any]:
    """The JSON object that is sent for a record; ``named`` is what an export with ``names`` adds to it."""
    return {
        "id": record.id,
        "source": record.source.value,
        "device_id": record.device_id,
        "catalog": facts.fields.get("catalog"),
        "template": facts.fields.get("template"),
        "at_ms": record.at_ms,
        **record.content,
        **named,
        "enrichments": {name: value_at(place, facts) for name, place in export.enrichments.items()},
    }


def split_secret(document: object) -> tuple[object, str | None]:
    """A document without its destination's secret, and the secret; None for none.

    Raises InvalidArgumentError for a secret of the wrong length or characters; the message does not repeat it.
    """
    place = document.get("destination") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(place, Mapping) or "secret" not in place:
        return document, None
    secret = place["secret"]
    if not is_secret(secret):
        raise InvalidArgumentError(
            f"export.destination.secret: expected {SECRET_WORDS}", remedy="Choose a random one: openssl rand -hex 32."
        )
    kept = {name: value for name, value in place.items() if name != "secret"}
    return {**document, "destination": {**kept, "signed": True}}, secret


def parse_export(document: object) -> DataExport:
    """The body of an ``export`` document; raises InvalidArgumentError with the field and what was expected."""
    fields = JsonFields(document, "export", REMEDY)
    export = DataExport(
        name=fields.text("name", most=MAX_NAME_CHARACTERS),
        description=fields.text("description", most=MAX_DESCRIPTION_CHARACTERS, default="", lines=True),
        catalog=fields.optional_text("catalog", most=MAX_NAME_CHARACTERS),
        enabled=fields.boolean("enabled", default=True),
        from_beginning=fields.choice("from", ("now", "beginning"), "now") == "beginning",
        source=ExportSource(fields.choice("source", tuple(ExportSource))),
        group=fields.optional_text("group", most=MAX_NAME_CHARACTERS),
        match_all=fields.choice("match", ("all", "any"), "all") == "all",
        filters=parse_filters(fields),
        enrichments=dict(_enrichments(fields)),
        names=fields.boolean("names", default=False),
        transform=_transform(fields),
        destination=parse_destination(fields),
    )
    fields.finish()
    return export


def _enrichments(fields: JsonFields) -> Iterator[tuple[str, Field]]:
    given = fields.take("enrichments", {})
    if not isinstance(given, Mapping) or len(given) > MAX_ENRICHMENTS:
        raise fields.refused("enrichments", f"an object of at most {MAX_ENRICHMENTS}", given)
    for name, place in given.items():
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME_CHARACTERS:
            raise fields.refused("enrichments", f"names of 1 to {MAX_NAME_CHARACTERS} characters", name)
        yield name, parse_field(place, f"export.enrichments.{name[:40]}")


def _transform(fields: JsonFields) -> str | None:
    program = fields.take("transform", None)
    if program is None:
        return None
    if not isinstance(program, str) or not 1 <= len(program) <= MAX_TRANSFORM_CHARACTERS or "\0" in program:
        raise fields.refused("transform", f"a jq program of at most {MAX_TRANSFORM_CHARACTERS} characters", program)
    found = _FORBIDDEN_JQ.search(program)
    if found is not None:
        raise fields.refused("transform", "a program without files, environment and input", found[0])
    return program


def batches(sizes: Sequence[int], most_items: int, most_bytes: int) -> list[int]:
    """Number of records of each batch, in order, from the bytes of each record.

    A batch has at most ``most_items`` records and ``most_bytes``; a larger record is a batch of its own.
    """
    found: list[int] = []
    items = total = 0
    for size in sizes:
        if items and (items == most_items or total + size > most_bytes):
            found.append(items)
            items = total = 0
        items += 1
        total += size
    return [*found, items] if items else found
