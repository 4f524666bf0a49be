# SPDX-License-Identifier: Apache-2.0
"""Device templates as JSON-able dicts, for the native routes and the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from armillary.api.http.documents import as_document
from armillary.engines.documents.document import folded
from armillary.errors import ArmillaryError, InvalidArgumentError, ModelError, NotFoundError
from armillary.platform.templates.device_templates import DeviceTemplate, MigrationSummary
from armillary.platform.templates.templates import Ready
from armillary.twin.template.name import made_identifier, published_id, split_id
from armillary.twin.template.value_names import Naming, as_fields
from armillary.wire.dtdl.unit_symbols import unit_symbol

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.twin.template.change import Difference, Migration
    from armillary.twin.template.payload import PayloadTable
    from armillary.twin.template.template import Capability, CloudProperty, Template
    from armillary.wire.dtdl.model import Schema

Document = dict[str, Any]


def summary(platform: Platform, name: str, versions: list[int]) -> Document:
    """A template as one row of a list; one that cannot be read says why, and stops no other."""
    return _counted(platform, *_row(platform, name, versions))


def _row(platform: Platform, name: str, versions: list[int]) -> tuple[Document, int]:
    """A row without what its model has, and which version it shows; 0 for the draft."""
    only = versions[-1] if versions and platform.documents.find("template", name) is None else 0
    document = platform.documents.get("template", published_id(name, only) if only else name)
    row = {
        "name": name,
        "display_name": str(document.content.get("display_name", name)),
        "catalog": document.content.get("catalog"),
        "root": document.content.get("root"),
        "versions": versions,
        "capabilities": 0,
        "cloud_properties": 0,
        "changed_ms": document.changed_ms,
        "changed_by": document.changed_by,
        "fault": None,
    }
    return row, only


def _counted(platform: Platform, row: Document, only: int) -> Document:
    try:
        template = platform.templates.get(row["name"], only).template
    except ArmillaryError as error:
        return {**row, "fault": error.message}
    return {**row, "capabilities": len(template.capabilities), "cloud_properties": len(template.cloud)}


def listed(
    platform: Platform, catalog: str | None, limit: int, after: str | None, search: str | None = None
) -> Document:
    """Device templates by name, each with its published versions, that who speaks for a catalog sees.

    With ``search`` those that have the text in their name or display name.
    """
    rows, wanted = [], folded(search or "")
    for name, versions in platform.templates.names().items():
        if after is not None and name <= after:
            continue
        row, only = _row(platform, name, versions)
        is_seen = catalog is None or row["catalog"] is None or row["catalog"].lower() == catalog.lower()
        if is_seen and (wanted in folded(name) or wanted in folded(row["display_name"])):
            rows.append(_counted(platform, row, only))
        if len(rows) > limit:
            break
    return {"items": rows[:limit], "next": rows[limit - 1]["name"] if len(rows) > limit else None}


def shown(platform: Platform, name: str, version: int, catalog: str | None) -> Document:
    """A published version, or the draft (version 0). Raises NotFoundError for another catalog's."""
    ready = platform.template_operations.visible(name, version, catalog)
    template, document = ready.template, ready.document
    return {
        "name": name,
        "version": template.version,
        "etag": document.etag,
        "changed_ms": document.changed_ms,
        "changed_by": document.changed_by,
        "display_name": template.display_name,
        "description": template.description,
        "catalog": template.catalog,
        "root": template.root,
        "published_versions": sorted(split_id(each.id)[1] for each in platform.templates.versions(name)),
        "capabilities": [capability(each) for each in template.capabilities.values()],
        "cloud_properties": [cloud_property(each) for each in template.cloud.values()],
        "views": [{"name": each.name, "form": each.form, "tiles": list(each.tiles)} for each in template.views],
        "components": dict(template.components),
        "warnings": [{"name": where, "reason": what} for where, what in template.model.warnings],
        "unknown_contexts": sorted(template.model.unknown_contexts),
        "body": dict(document.content),
    }


def central_document(ready: Ready, name: str) -> Document:
    """A published template in IoT Central's form."""
    from armillary.twin.central.template import central_of_body  # noqa: PLC0415 - few hubs are asked for it

    identifier = made_identifier(name, ready.template.version)
    return central_of_body(ready.document.content, etag=ready.document.etag, identifier=identifier)


def capability(found: Capability) -> Document:
    """A capability: name, kind, schema and unit where it has them."""
    content = found.content
    schema = getattr(content, "schema", None)
    return {
        "name": found.name,
        "component": found.component,
        "kind": found.kind,
        "display_name": found.display_name,
        "types": list(content.types),
        "schema": None if schema is None else schema_document(schema),
        "unit": getattr(content, "unit", None),
        "symbol": unit_symbol(getattr(content, "unit", None)),
        "writable": getattr(content, "writable", None) if found.kind == "property" else None,
        "limits": _limits(found),
        "request": _payload(content, "request"),
        "response": _payload(content, "response"),
    }


def _limits(found: Capability) -> Document:
    """Smallest and largest value and length, those that the model gives."""
    from armillary.twin.template.template import limits_of  # noqa: PLC0415 - as in schema_document

    limits = as_document(limits_of(found.content))
    return {name: value for name, value in limits.items() if value is not None}


def cloud_property(found: CloudProperty) -> Document:
    """A cloud property with its limits."""
    return {
        "name": found.name,
        "display_name": found.display_name or found.name,
        "schema": schema_document(found.schema),
        "unit": found.unit,
        "symbol": unit_symbol(found.unit),
        "minimum": found.minimum,
        "maximum": found.maximum,
        "minimum_length": found.minimum_length,
        "maximum_length": found.maximum_length,
        "trim": found.trim,
        "initial": found.initial,
    }


def schema_document(schema: Schema) -> Any:
    """A schema: a word, or an object with one member that says which kind it is."""
    from armillary.wire.dtdl import model as dtdl  # noqa: PLC0415 - a megabyte that a hub without templates does not need

    if isinstance(schema, dtdl.Standard):
        return schema.word
    if isinstance(schema, dtdl.ArraySchema):
        return {"array": schema_document(schema.element)}
    if isinstance(schema, dtdl.MapSchema):
        return {"map": schema_document(schema.value)}
    if isinstance(schema, dtdl.EnumSchema):
        return {
            "enum": [
                {"value": each.value, "name": each.name, "display_name": dtdl.label(each.display_name, each.name)}
                for each in schema.values
            ]
        }
    return {"object": {each.name: schema_document(each.schema) for each in schema.fields}}


def difference_to(platform: Platform, name: str, version: int, newer: Template) -> Document:
    """What differs between a published version and another template."""
    from armillary.twin.template.change import differences  # noqa: PLC0415 - as in schema_document

    return difference(differences(platform.templates.get(name, version).template, newer))


def upcoming(platform: Platform, name: str) -> Document:
    """What publishing a draft would do: the version, what differs, what devices would lose if they had it."""
    version = platform.templates.next_version(name)
    found = difference_to(platform, name, version - 1, platform.templates.get(name).template) if version > 1 else None
    return {
        "version": version,
        "dry_run": True,
        "difference": found,
        **migrated(platform.device_templates.would_lose(name)),
    }


def check(files: Sequence[tuple[str, bytes]], *, root: str | None, display_name: str | None) -> Document:
    """What models would make, or every rule that they break; nothing is kept."""
    from armillary.twin.template import json_form as template_json  # noqa: PLC0415 - a megabyte that a hub without templates does not need

    try:
        made = template_json.body_of_documents(files, root=root, display_name=display_name)
        return checked(template_json.parse_template(made))
    except (ModelError, InvalidArgumentError) as error:
        return refused(error)


def checked(template: Template) -> Document:
    """What models that break no rule would make."""
    return {
        "ok": True,
        "root": template.root,
        "display_name": template.display_name,
        "capabilities": [capability(each) for each in template.capabilities.values()],
        "cloud_properties": [cloud_property(each) for each in template.cloud.values()],
        "warnings": [{"name": where, "reason": what} for where, what in template.model.warnings],
        "faults": [],
        "count": 0,
    }


def refused(error: ModelError | InvalidArgumentError) -> Document:
    """Every rule that models break: document, line (0: not known), element, rule, what it wants, what is there."""
    if isinstance(error, ModelError):
        faults = [{**detail, "reason": reason} for detail, (_, reason) in zip(error.details, error.faults, strict=True)]
        return {"ok": False, "faults": faults, "count": error.count}
    nowhere = {"document": "", "line": 0, "path": "", "rule": "", "version": 0, "expected": "", "got": ""}
    return {"ok": False, "faults": [{**nowhere, "reason": error.message, "remedy": error.remedy}], "count": 1}


def difference(found: Difference) -> Document:
    """What differs between two versions."""
    return {
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": dict(found.changed),
        "compatible": found.is_compatible,
    }


def migration(found: Migration) -> Document:
    """What becomes of a device that gets a template."""
    return {
        "loses_nothing": found.loses_nothing,
        "lost_cloud_properties": dict(found.lost_cloud),
        "unmodelled_telemetry": list(found.unmodelled_telemetry),
        "unmodelled_properties": list(found.unmodelled_properties),
        "broken_properties": [
            {"name": each.name, "expected": each.expected, "got": each.got} for each in found.broken_properties
        ],
    }


def assigned(device_id: str, name: str, version: int, found: Migration, *, dry_run: bool) -> Document:
    """What became, or would become, of a device that gets a template."""
    return {
        "device_id": device_id,
        "template": name,
        "version": version,
        "dry_run": dry_run,
        **migration(found),
        "cloud_properties": dict(found.cloud),
    }


def migrated(found: MigrationSummary) -> Document:
    """What became of all devices of a template."""
    named = [{"device_id": device_id, **migration(each)} for device_id, each in found.named]
    return {"devices": found.devices, "losing": found.losing, "named": named}


def device(hub: Hub, platform: Platform, device_id: str, since_ms: int = 0) -> Document:
    """A device as its template sees it: properties with their states, last values, and what is not modelled.

    Everything is there also without a template: then all of it is unmodelled.
    """
    kept, misfit = platform.device_templates.get(device_id), platform.models.last_misfit(device_id)
    naming = Naming(() if kept.ready is None else (kept.ready.names,))
    document: Document = {
        "device_id": device_id,
        "name": platform.directory.names((device_id,)).get(device_id),
        "template": kept.name or None,
        "version": kept.version or None,
        "by": kept.by or None,
        "announced_model": hub.model_id(device_id),
        "etag": kept.etag,
        "is_missing": bool(kept.name) and kept.ready is None,
        "last_misfit": as_document(None if misfit is None or misfit.at_ms < since_ms else misfit),
        "cloud_properties": dict(kept.cloud),
        "cloud_labels": {name: as_fields(naming.of(f"cloud.{name}")) for name in kept.cloud},
        **_telemetry(hub, device_id, kept, naming, since_ms),
        **_properties(hub, device_id, kept, naming),
    }
    return document


def _telemetry(hub: Hub, device_id: str, kept: DeviceTemplate, naming: Naming, since_ms: int) -> Document:
    table: PayloadTable | None = None if kept.ready is None else kept.ready.table
    modelled, unmodelled = [], []
    for last in _last_values(hub, device_id):
        if last.at_ms < since_ms:
            continue
        leaf = None if table is None else table.leaf(last.metric)
        label = as_fields(naming.of(last.metric))
        row = {"name": last.metric, "label": label, "value": last.value, "at_ms": last.at_ms}
        if leaf is None:
            unmodelled.append(row)
        else:
            fault = None if leaf.fits(last.value) else f"expected {leaf.expected}"
            modelled.append({**row, "capability": leaf.capability, "fault": fault})
    return {"telemetry": modelled, "unmodelled_telemetry": unmodelled}


def _last_values(hub: Hub, device_id: str) -> list[Any]:
    try:
        return list(hub.series.last_values(device_id))
    except NotFoundError:  # it was never connected
        return []


def _properties(hub: Hub, device_id: str, kept: DeviceTemplate, naming: Naming) -> Document:
    twin = hub.twins.get(device_id)
    if kept.ready is None:
        return {"properties": [], "unmodelled_properties": dict(twin.reported.properties), "unmarked_components": []}
    from armillary.twin.template.property_state import judge_twin  # noqa: PLC0415 - as in schema_document

    judged = judge_twin(kept.ready.template, twin)
    rows = [
        {
            "name": view.name,
            "display_name": view.display_name,
            "label": as_fields(naming.of(view.name)),
            "writable": view.is_writable,
            "state": view.state.value,
            "desired": view.desired,
            "reported": view.reported,
            "code": view.code,
            "description": view.description,
            "fault": None if view.fault is None else f"{view.fault.name}: expected {view.fault.expected}",
        }
        for view in judged.properties
    ]
    return {
        "properties": rows,
        "unmodelled_properties": dict(judged.unmodelled),
        "unmarked_components": list(judged.unmarked),
    }


def _payload(content: object, member: str) -> Document | None:
    payload = getattr(content, member, None)
    return None if payload is None else {"name": payload.name, "schema": schema_document(payload.schema)}
