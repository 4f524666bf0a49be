# SPDX-License-Identifier: Apache-2.0
"""Native routes of the bridge for fleets of hawkBit: what a catalog admits, bridged devices, artifacts and actions."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, operator_of, service_of
from armillary.api.native.parameters import CATALOG, After, CatalogPath, Limit, NewestPage, StrictBody
from armillary.api.views import bridge as views
from armillary.engines.records.schema.rows import DEFAULT_PRODUCT, UNASSIGNED_GROUP
from armillary.errors import InvalidArgumentError
from armillary.service.bridge.admissions import AdmissionChange
from armillary.service.bridge.artifacts import MAX_PART_BYTES, ArtifactForm
from armillary.wire.hawkbit import artifact as artifact_names
from armillary.wire.hawkbit.controller import CONTROLLER_PATTERN

ControllerPath = Annotated[
    str, Path(max_length=128, description="Controller id", json_schema_extra={"pattern": CONTROLLER_PATTERN})
]
FingerprintPath = Annotated[str, Path(pattern="^[0-9A-Fa-f]{64}$", description="SHA-256 of the certificate, hex")]
ActionPath = Annotated[int, Path(ge=1, lt=10**18, description="Number of an action")]
Prefix = Annotated[str, Query(max_length=128, description="Only controllers whose id begins so")]
Offset = Annotated[int, Query(ge=0, le=artifact_names.MAX_BYTES, description="Bytes received so far")]
_Token = Annotated[str, Field(max_length=256)]
_Pem = Annotated[str, Field(min_length=1, max_length=16 << 10)]
_Name = Annotated[str, Field(max_length=64)]


class AdmissionBody(StrictBody):
    """How controllers of a catalog may authenticate; absent fields stay as they are.

    `gateway_token` is one that the fleet has, `new` for a new one (shown this once) or `off`; `registers_into` is
    `PRODUCT/GROUP` or `off`.
    """

    tenant: Annotated[str, Field(max_length=50)] | None = None
    target_tokens: bool | None = None
    certificates: bool | None = None
    gateway_token: _Token | None = None
    registers_into: Annotated[str, Field(max_length=130)] | None = None
    polling_s: Annotated[int, Field(ge=1, le=86_399)] | None = None


class AuthorityBody(StrictBody):
    """An authority that signs client certificates of controllers."""

    certificate: _Pem


class DeviceBody(StrictBody):
    """A bridged device. Without `token` one is made and shown this once; an empty one stands for none."""

    controller: Annotated[str, Field(max_length=128)]
    product: _Name = DEFAULT_PRODUCT
    group: _Name = UNASSIGNED_GROUP
    token: _Token | None = None


class MoveBody(StrictBody):
    """The device group that a bridged device is to be in."""

    product: _Name
    group: _Name


class TokenBody(StrictBody):
    """The token of a bridged device; null makes one, shown this once; an empty one stands for none."""

    token: _Token | None = None


class ArtifactBody(StrictBody):
    """An artifact that is to be uploaded: its names, and the size (bytes) and SHA-256 (hex) of the whole file."""

    name: _Name
    version: _Name
    filename: Annotated[str, Field(max_length=128)]
    size: Annotated[int, Field(ge=1, le=artifact_names.MAX_BYTES)]
    sha256: Annotated[str, Field(min_length=64, max_length=64)]
    part: Annotated[str, Field(max_length=32)] = artifact_names.DEFAULT_PART


def show_bridge_admission(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """How controllers of a catalog may authenticate: not at all unless its administrator said so."""
    service = service_of(request)
    return views.admission(service, service.bridge.admissions.get(catalog))


def change_bridge_admission(request: Request, catalog: CatalogPath, body: AdmissionBody) -> dict[str, Any]:
    """Let controllers with tokens or client certificates in, or not any more."""
    service, change = service_of(request), AdmissionChange(**body.model_dump())
    made, token = service.bridge.admissions.change(actor_of(request), catalog, change)
    return views.with_token(views.admission(service, made), token)


def list_bridge_authorities(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """The authorities of controllers' client certificates."""
    found = service_of(request).bridge.admissions.authorities(catalog)
    return {"items": [views.authority(each) for each in found], "next": None}


def add_bridge_authority(request: Request, catalog: CatalogPath, body: AuthorityBody) -> dict[str, Any]:
    """Admit client certificates that an authority signed directly; their common name is the controller id."""
    return views.authority(
        service_of(request).bridge.admissions.add_authority(actor_of(request), catalog, body.certificate)
    )


def remove_bridge_authority(request: Request, catalog: CatalogPath, fingerprint: FingerprintPath) -> dict[str, Any]:
    """Admit an authority's certificates no more; the next request with one is refused."""
    service_of(request).bridge.admissions.remove_authority(actor_of(request), catalog, fingerprint)
    return {"fingerprint": fingerprint.lower()}


def list_bridge_devices(
    request: Request, catalog: CatalogPath, limit: Limit = 100, after: After = None, prefix: Prefix = ""
) -> dict[str, Any]:
    """A catalog's bridged devices by controller id."""
    found = service_of(request).bridge.devices.list(catalog, prefix=prefix, limit=limit, after=after)
    return {"items": [views.device(each) for each in found.items], "next": found.next_cursor}


def make_bridge_device(request: Request, catalog: CatalogPath, body: DeviceBody) -> dict[str, Any]:
    """Make a bridged device; a token that is made for it is in the answer and nowhere else."""
    made, token = service_of(request).bridge.devices.create(
        catalog,
        body.controller,
        actor=operator_of(request).name,
        product=body.product,
        group=body.group,
        token=body.token,
    )
    return views.with_token(views.device(made), token)


def show_bridge_device(request: Request, catalog: CatalogPath, controller: ControllerPath) -> dict[str, Any]:
    """A bridged device."""
    return views.device(service_of(request).bridge.devices.get(catalog, controller))


def move_bridge_device(
    request: Request, catalog: CatalogPath, controller: ControllerPath, body: MoveBody
) -> dict[str, Any]:
    """Put a bridged device into another device group; its deployments decide from the next poll on."""
    service = service_of(request)
    found = service.bridge.devices.get(catalog, controller)
    actor = operator_of(request).name
    service.registry.devices.move(catalog, found.device_id, product=body.product, group=body.group, actor=actor)
    return views.device(service.bridge.devices.get(catalog, controller))


def delete_bridge_device(request: Request, catalog: CatalogPath, controller: ControllerPath) -> dict[str, Any]:
    """Take a bridged device out of service; its controller id is free afterwards."""
    found = service_of(request).bridge.devices.remove(catalog, controller, actor=operator_of(request).name)
    return views.device(found)


def set_bridge_token(
    request: Request, catalog: CatalogPath, controller: ControllerPath, body: TokenBody
) -> dict[str, Any]:
    """Give a bridged device another token; the one before is refused from the next request on."""
    made, token = service_of(request).bridge.devices.set_token(
        catalog, controller, body.token, actor=operator_of(request).name
    )
    return views.with_token(views.device(made), token)


def list_bridge_actions(
    request: Request, catalog: CatalogPath, controller: ControllerPath, page: NewestPage
) -> dict[str, Any]:
    """What a controller was told to install, newest first."""
    operations = service_of(request).bridge.operations
    found = operations.list(catalog, controller, limit=page.limit, after=page.after)
    return {"items": [views.action(each) for each in found.items], "next": found.next_cursor}


def show_bridge_action(
    request: Request, catalog: CatalogPath, controller: ControllerPath, action: ActionPath
) -> dict[str, Any]:
    """An action, and what the controller said of it, oldest first."""
    return views.history(*service_of(request).bridge.operations.show(catalog, controller, action))


def cancel_bridge_action(
    request: Request, catalog: CatalogPath, controller: ControllerPath, action: ActionPath
) -> dict[str, Any]:
    """Ask a controller to cancel its open action; that deployment is not offered to it again."""
    actor = operator_of(request).name
    return views.action(service_of(request).bridge.operations.cancel(catalog, controller, action, actor=actor))


def retry_bridge_device(request: Request, catalog: CatalogPath, controller: ControllerPath) -> dict[str, Any]:
    """Offer a controller its group's deployment again, although it failed there or was canceled."""
    return views.device(
        service_of(request).bridge.operations.retry(catalog, controller, actor=operator_of(request).name)
    )


def list_bridge_artifacts(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """A catalog's artifacts for bridged devices, newest first."""
    found = service_of(request).bridge.artifacts.list(catalog)
    return {"items": [views.artifact(each) for each in found], "next": None}


def begin_bridge_upload(request: Request, catalog: CatalogPath, body: ArtifactBody) -> dict[str, Any]:
    """Begin to upload an artifact; its bytes come in parts of at most 4 MiB, in order."""
    try:
        digest = bytes.fromhex(body.sha256)
    except ValueError as error:
        raise InvalidArgumentError("sha256: expected 64 hex digits", remedy="Give that of the whole file.") from error
    form = ArtifactForm(
        name=body.name,
        version=body.version,
        filename=body.filename,
        size=body.size,
        sha256=digest,
        part=body.part,
    )
    return views.upload(service_of(request).bridge.artifacts.begin(catalog, form))


async def put_bridge_part(request: Request, catalog: CatalogPath, upload: UUID, offset: Offset) -> dict[str, Any]:
    """Take the next part of an artifact; with the last one the artifact is there, and in the answer."""
    part, actor = await request.body(), operator_of(request).name
    take = partial(service_of(request).bridge.artifacts.take, catalog, upload, offset, part, actor=actor)
    found = await run_in_threadpool(take)
    received, made = (found, None) if isinstance(found, int) else (found.size, views.artifact(found))
    return {"upload_id": str(upload), "received": received, "artifact": made}


def end_bridge_upload(request: Request, catalog: CatalogPath, upload: UUID) -> dict[str, Any]:
    """Give an upload up; nothing of it stays."""
    service_of(request).bridge.artifacts.give_up(catalog, upload)
    return {"upload_id": str(upload)}


def show_bridge_artifact(request: Request, catalog: CatalogPath, image_id: UUID) -> dict[str, Any]:
    """An artifact."""
    return views.artifact(service_of(request).bridge.artifacts.get(catalog, image_id))


def delete_bridge_artifact(request: Request, catalog: CatalogPath, image_id: UUID) -> dict[str, Any]:
    """Delete an artifact that no deployment names."""
    service_of(request).bridge.artifacts.delete(catalog, image_id, actor=operator_of(request).name)
    return {"image_id": str(image_id)}


_row = partial(Route, tag="bridge")
_ADMISSION, _AUTHORITIES = CATALOG + "/bridge-admission", CATALOG + "/bridge-authorities"
_DEVICES, _ARTIFACTS = CATALOG + "/bridge-devices", CATALOG + "/bridge-artifacts"
_DEVICE, _UPLOAD = _DEVICES + "/{controller}", CATALOG + "/bridge-uploads/{upload}"
ROUTES = (
    _row("GET", _ADMISSION, show_bridge_admission, READER),
    _row("PATCH", _ADMISSION, change_bridge_admission, ADMINISTRATOR),  # what does not attest is let in
    _row("GET", _AUTHORITIES, list_bridge_authorities, READER),
    _row("POST", _AUTHORITIES, add_bridge_authority, ADMINISTRATOR),
    _row("DELETE", _AUTHORITIES + "/{fingerprint}", remove_bridge_authority, ADMINISTRATOR),
    _row("GET", _DEVICES, list_bridge_devices, READER),
    _row("POST", _DEVICES, make_bridge_device, CONTRIBUTOR),
    _row("GET", _DEVICE, show_bridge_device, READER),
    _row("PATCH", _DEVICE, move_bridge_device, CONTRIBUTOR),
    _row("DELETE", _DEVICE, delete_bridge_device, CONTRIBUTOR),
    _row("PUT", _DEVICE + "/token", set_bridge_token, CONTRIBUTOR),
    _row("POST", _DEVICE + "/retry", retry_bridge_device, CONTRIBUTOR),
    _row("GET", _DEVICE + "/actions", list_bridge_actions, READER),
    _row("GET", _DEVICE + "/actions/{action}", show_bridge_action, READER),
    _row("POST", _DEVICE + "/actions/{action}/cancel", cancel_bridge_action, CONTRIBUTOR),
    _row("GET", _ARTIFACTS, list_bridge_artifacts, READER),
    _row("POST", _ARTIFACTS, begin_bridge_upload, CONTRIBUTOR),
    _row("GET", _ARTIFACTS + "/{image_id}", show_bridge_artifact, READER),
    _row("DELETE", _ARTIFACTS + "/{image_id}", delete_bridge_artifact, CONTRIBUTOR),
    _row(
        "PUT",
        _UPLOAD,
        put_bridge_part,
        CONTRIBUTOR,
        body_limit=MAX_PART_BYTES,
        body_media_type="application/octet-stream",
    ),
    _row("DELETE", _UPLOAD, end_bridge_upload, CONTRIBUTOR),
)
