# SPDX-License-Identifier: Apache-2.0
"""Native routes of device templates: import, show, publish, delete; which a device has; cloud properties.

A template is of one catalog or of all, as every author's document (``platform/authored/documents.py``).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import Body, Path, Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Reach, Route
from armillary.api.http.routes import actor_of, hub_of, platform_of
from armillary.api.http.scope import CheckedCatalog
from armillary.api.http.tenure import since_ms
from armillary.api.native.bodies import ImportBody
from armillary.api.native.device_ids import DevicePath, known_identity
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import (
    DEVICE,
    TEMPLATE_BODY_LIMIT_BYTES,
    TEMPLATE_VALUES,
    V1,
    CatalogPage,
    CatalogQuery,
    Change,
    DocumentBody,
    IfMatch,
    Search,
    StrictBody,
)
from armillary.api.views import authored as views_authored, template as views_template
from armillary.twin.template.name import NAME_PATTERN

NamePath = Annotated[
    str,
    Path(min_length=1, max_length=100, description="Name: a-z 0-9 _ -", json_schema_extra={"pattern": NAME_PATTERN}),
]
VersionPath = Annotated[int, Path(ge=1, le=999_999)]
Dry = Annotated[bool, Query(description="Change nothing: only say what would become of it")]
Values = Annotated[dict[str, Any], Body(max_length=300)]


class AssignBody(StrictBody):
    """Which template a device gets.

    Attributes:
        template: Its name.
        version: Published version; the newest by default.
        dry_run: Only say what the device would lose.
    """

    template: Annotated[str, Field(min_length=1, max_length=100)]
    version: Annotated[int, Field(ge=1, le=999_999)] | None = None
    dry_run: bool = False


class MigrateBody(StrictBody):
    """Which version all devices of a template get; the newest by default."""

    version: Annotated[int, Field(ge=1, le=999_999)] | None = None
    dry_run: bool = False


# Templates ---------------------------------------------------------------------------------------------------


def list_templates(request: Request, page: CatalogPage, search: Search = None) -> dict[str, Any]:
    """Device templates by name, each with its published versions."""
    return views_template.listed(platform_of(request), *page, search)


def show_template(request: Request, template_name: NamePath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A template's draft: what devices of it say and do, cloud properties, views, and the models."""
    return _shown(request, template_name, 0, catalog)


def show_template_version(
    request: Request, template_name: NamePath, version: VersionPath, catalog: CatalogQuery = None
) -> dict[str, Any]:
    """A published version of a template."""
    return _shown(request, template_name, version, catalog)


def put_template(request: Request, template_name: NamePath, body: DocumentBody, change: Change) -> dict[str, Any]:
    """Make or change a template's draft; with `If-Match` only the version that the caller has seen."""
    platform_of(request).template_operations.put(actor_of(request), template_name, body, *change)
    return _shown(request, template_name, 0, change.catalog)


def import_template(request: Request, template_name: NamePath, body: ImportBody, change: Change) -> dict[str, Any]:
    """Make a template's draft of models in DTDL, of IoT Central's form, or of a whole template document.

    Cloud properties, views and labels of a draft that is there stay, where the files say nothing of them, as far as
    the new models have what they name; `dropped` lists what had to go.
    """
    dropped = platform_of(request).template_operations.bring(
        actor_of(request),
        template_name,
        body.files(),
        *change,
        root=body.root,
        display_name=body.display_name,
    )
    return {**_shown(request, template_name, 0, change.catalog), "dropped": list(dropped)}


def check_template(request: Request, body: ImportBody) -> dict[str, Any]:  # noqa: ARG001 - routes take it
    """Say what models would make, or every rule that they break with line, element and remedy; nothing is kept."""
    return views_template.check(body.files(), root=body.root, display_name=body.display_name)


def publish_template(
    request: Request, template_name: NamePath, catalog: CatalogQuery = None, *, dry_run: Dry = False
) -> dict[str, Any]:
    """Make the draft the next published version; it never changes, and devices can have it.

    With `dry_run` nothing is published: the answer says what differs from the version before, and what the template's
    devices would lose if they had it.
    """
    platform = platform_of(request)
    if dry_run:
        platform.template_operations.check_owned(template_name, catalog)
        return views_template.upcoming(platform, template_name)
    version = platform.template_operations.publish(actor_of(request), template_name, catalog)
    answer = _shown(request, template_name, version, catalog)
    if version > 1:
        newer = platform.templates.get(template_name, version).template
        answer["difference"] = views_template.difference_to(platform, template_name, version - 1, newer)
    return answer


def delete_template(request: Request, template_name: NamePath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Delete a template with all its versions; not while a device has it."""
    return _deleted(request, template_name, 0, catalog)


def delete_template_version(
    request: Request, template_name: NamePath, version: VersionPath, catalog: CatalogQuery = None
) -> dict[str, Any]:
    """Delete a published version; not while a device has it."""
    return _deleted(request, template_name, version, catalog)


def export_template(
    request: Request, template_name: NamePath, version: VersionPath, catalog: CatalogQuery = None
) -> dict[str, Any]:
    """A published version in IoT Central's form."""
    ready = platform_of(request).template_operations.visible(template_name, version, catalog)
    return views_template.central_document(ready, template_name)


def template_uses(
    request: Request,
    template_name: NamePath,
    catalog: CatalogQuery = None,
    value: Annotated[str | None, Query(max_length=512, description="Only what uses this value of it")] = None,
) -> dict[str, Any]:
    """What uses a template, or one of its values: dashboards with their tiles, rules, segments."""
    return views_authored.uses(platform_of(request).template_operations.uses(template_name, catalog, value))


def template_devices(request: Request, template_name: NamePath, page: CatalogPage) -> dict[str, Any]:
    """Devices that have a template, by id."""
    return with_names(request, platform_of(request).template_operations.devices(template_name, *page))


def migrate_template(
    request: Request, template_name: NamePath, body: MigrateBody, catalog: CatalogQuery = None
) -> dict[str, Any]:
    """Give every device of a template one published version of it; says what devices lose."""
    found = platform_of(request).template_operations.migrate(
        actor_of(request), template_name, body.version, catalog, dry_run=body.dry_run
    )
    return {**views_template.migrated(found), "dry_run": body.dry_run}


# Devices -----------------------------------------------------------------------------------------------------


def show_device_template(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """A device as its template sees it: properties with their states, last values, cloud properties, and the rest."""
    known = known_identity(request, device_id)
    return views_template.device(hub_of(request), platform_of(request), known, since_ms(request, known))


def set_device_template(request: Request, device_id: DevicePath, body: AssignBody) -> dict[str, Any]:
    """Give a device a template, or another version; says what the device loses."""
    known = known_identity(request, device_id)
    given = platform_of(request).device_template_operations.assign(
        actor_of(request), known, body.template, body.version, dry_run=body.dry_run
    )
    return views_template.assigned(known, body.template, *given, dry_run=body.dry_run)


def unset_device_template(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Take a device's template away; its data stays, unmodelled."""
    known = known_identity(request, device_id)
    platform_of(request).device_template_operations.unassign(actor_of(request), known)
    return {"device_id": known, "template": None}


def show_cloud_properties(request: Request, device_id: DevicePath) -> dict[str, Any]:
    """Cloud properties of a device: what operators keep of it and it never sees."""
    return _cloud(request, known_identity(request, device_id))


def set_cloud_properties(
    request: Request, device_id: DevicePath, body: Values, if_match: IfMatch = None
) -> dict[str, Any]:
    """Change cloud properties of a device, as its template allows; null takes one away."""
    known = known_identity(request, device_id)
    platform_of(request).device_template_operations.set_cloud(actor_of(request), known, body, if_match)
    return _cloud(request, known)


def set_device_properties(
    request: Request, device_id: DevicePath, body: Values, if_match: IfMatch = None, *, dry_run: Dry = False
) -> dict[str, Any]:
    """Want values of writable properties, by `[component.]name`, as the device's template allows; null wants none.

    With `dry_run` nothing is changed: the answer is the `patch` of desired properties that would be merged.
    """
    operations, hub = platform_of(request).device_template_operations, hub_of(request)
    known = known_identity(request, device_id)
    if dry_run:
        patch = operations.patch_of(known, body)
        return {"device_id": known, "dry_run": True, "patch": patch, "etag": hub.twins.get(known).etag}
    operations.want(actor_of(request), known, body, if_match)
    return views_template.device(hub, platform_of(request), known, since_ms(request, known))


def _shown(request: Request, name: str, version: int, catalog: CheckedCatalog | None) -> dict[str, Any]:
    return views_template.shown(platform_of(request), name, version, catalog)


def _deleted(request: Request, name: str, version: int, catalog: CheckedCatalog | None) -> dict[str, Any]:
    count = platform_of(request).template_operations.delete(actor_of(request), name, version, catalog)
    return {"deleted": name, "documents": count}


def _cloud(request: Request, device_id: str) -> dict[str, Any]:
    kept = platform_of(request).device_templates.get(device_id)
    return {
        "device_id": device_id,
        "template": kept.name or None,
        "version": kept.version or None,
        "etag": kept.etag,
        "values": dict(kept.cloud),
    }


_row = partial(Route, tag="device templates", narrowed=True)
_of_device = partial(Route, tag="device templates")
_large = partial(_row, body_limit=TEMPLATE_BODY_LIMIT_BYTES, values=TEMPLATE_VALUES)
_ONE = V1 + "/templates/{template_name}"
_VERSION = _ONE + "/versions/{version}"
ROUTES = (
    _row("GET", V1 + "/templates", list_templates, READER),
    _row("GET", _ONE, show_template, READER),
    _large("PUT", _ONE, put_template, CONTRIBUTOR),
    _row("DELETE", _ONE, delete_template, CONTRIBUTOR),
    _large("POST", _ONE + "/import", import_template, CONTRIBUTOR),
    _row("POST", _ONE + "/publish", publish_template, CONTRIBUTOR),
    # A check is of what the caller sends, and of nothing that is kept.
    Route("POST", V1 + "/template-check", check_template, CONTRIBUTOR, tag="device templates", reach=Reach.CALLER),
    _row("POST", _ONE + "/migrate", migrate_template, CONTRIBUTOR),
    _row("GET", _ONE + "/uses", template_uses, READER),
    _row("GET", _ONE + "/devices", template_devices, READER),
    _row("GET", _VERSION, show_template_version, READER),
    _row("DELETE", _VERSION, delete_template_version, CONTRIBUTOR),
    _row("GET", _VERSION + "/export", export_template, READER),
    _of_device("GET", DEVICE + "/template", show_device_template, READER),
    _of_device("PUT", DEVICE + "/template", set_device_template, CONTRIBUTOR),
    _of_device("DELETE", DEVICE + "/template", unset_device_template, CONTRIBUTOR),
    _of_device("GET", DEVICE + "/cloud-properties", show_cloud_properties, READER),
    _of_device("PATCH", DEVICE + "/cloud-properties", set_cloud_properties, CONTRIBUTOR),
    _of_device("PATCH", DEVICE + "/properties", set_device_properties, CONTRIBUTOR),
)
