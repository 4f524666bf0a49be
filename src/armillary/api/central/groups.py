# SPDX-License-Identifier: Apache-2.0
"""Device groups in IoT Central's shape: a group's query as a text (``twin/central/query.py``), and its devices."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from armillary.api.central.call import Call, body_object, check_fields, check_id, cursor, field, paged, quoted
from armillary.api.central.devices import document as device_document
from armillary.api.central.documents import documents, keep, narrowed, no_organisations, present, visible
from armillary.api.central.template_id import Resolved, check_reach, resolve, template_id_of
from armillary.api.iot_hub import call as iot_hub_call
from armillary.engines.documents.document import Document
from armillary.errors import ArmillaryError
from armillary.twin.author.group import Group, parse_group
from armillary.twin.central.id import central_id, document_id

KIND: Final = "group"
FIELDS: Final = ("description", "displayName", "etag", "filter", "id", "organizations")


def list_groups(call: Call) -> dict[str, Any]:
    """Device groups by id."""
    found = documents(call, KIND, cursor(call))
    return paged(call, found, lambda each: each.id, lambda each: document(call, each))


def get_group(call: Call) -> dict[str, Any]:
    """A device group."""
    return document(call, visible(call, KIND, call.parameters["group"]))


def put_group(call: Call) -> dict[str, Any]:
    """Make or change a device group."""
    return _put(call, _checked(body_object(call)), present(call, KIND, call.parameters["group"]))


def patch_group(call: Call) -> dict[str, Any]:
    """Change what the body says of a device group."""
    before = visible(call, KIND, call.parameters["group"])
    patch = _checked(body_object(call))
    return _put(call, {**document(call, before), **patch}, before)


def delete_group(call: Call) -> None:
    """Delete a device group, also one that something uses: this API has no way to ask. No device changes."""
    found = visible(call, KIND, call.parameters["group"])
    call.platform.authored.delete(call.actor, KIND, found.id, narrowed(call), call.if_match, force=True)


def group_devices(call: Call) -> dict[str, Any]:
    """Devices that are in a device group now, by id."""
    group = parse_group(visible(call, KIND, call.parameters["group"]).content)
    found = call.platform.groups.scan(group, catalog=call.catalog.name, after=cursor(call))
    names: dict[tuple[str, int], str] = {}
    return paged(
        call,
        found,
        lambda each: each.device_id,
        lambda each: device_document(call, iot_hub_call.find(call.request, each.device_id), names),
    )


def document(call: Call, found: Document) -> dict[str, Any]:
    """A device group in IoT Central's form."""
    from armillary.twin.central.query import query_text  # noqa: PLC0415 - read when it is needed

    group = parse_group(found.content)
    template = None if group.template is None else group_template_id(call, group)
    return {
        "id": central_id(found.id),
        "displayName": group.name,
        "description": group.description,
        "filter": query_text(group, template, _clouds(call, group.template)),
        "organizations": [],
        "etag": quoted(found.etag),
    }


def group_template_id(call: Call, group: Group) -> str:
    """The identifier of a group's template, in its newest version; its name where none is published."""
    name = group.template or ""
    versions = call.platform.templates.names().get(name, [])
    return template_id_of(call.platform, name, versions[-1]) if versions else name


def group_of(call: Call, given: str) -> tuple[str, Group]:
    """Document id and content of a group that a job names. Raises NotFoundError if the caller sees none."""
    found = visible(call, KIND, given)
    return document_id(given), parse_group(found.content)


def _checked(body: Mapping[str, Any]) -> dict[str, Any]:
    check_fields("group", body, FIELDS)
    no_organisations(dict(body))
    return dict(body)


def _put(call: Call, body: Mapping[str, Any], before: Document | None) -> dict[str, Any]:
    from armillary.twin.central.query import parse_query, with_clouds  # noqa: PLC0415 - as above

    check_id(body, call.parameters["group"])
    query = parse_query(field(body, "filter", str, needed=True) or "")
    template: Resolved | None = None
    if query.template is not None:
        template = resolve(call, query.template)
        check_reach(call, template, query.template)
    name = None if template is None else template.name
    filters = with_clouds(query, _clouds(call, name))
    made: dict[str, Any] = {
        "name": field(body, "displayName", str, needed=True),
        "description": field(body, "description", str, default="") or "",
        "template": name,
        "match": "all" if query.match_all else "any",
        "filters": [{"field": str(each.field), "operator": each.operator, "value": each.value} for each in filters],
    }
    return document(call, keep(call, KIND, call.parameters["group"], made, before))


def _clouds(call: Call, template: str | None) -> Collection[str]:
    """Names of a template's cloud properties; none where it has no published version that can be read."""
    versions = [] if template is None else call.platform.templates.names().get(template, [])
    if template is None or not versions:
        return ()
    try:
        return tuple(call.platform.templates.get(template, versions[-1]).template.cloud)
    except ArmillaryError:
        return ()
