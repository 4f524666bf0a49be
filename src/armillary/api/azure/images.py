# SPDX-License-Identifier: Apache-2.0
"""Management routes of images and deployments.

Images never change: PUT of an image that exists is a conflict. A deployment named ``.default`` is the one in force,
and creating under that name gives it an id of its own.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode
from uuid import UUID

from starlette.responses import Response

from armillary.api.azure import bodies, names
from armillary.api.azure.call import AzureCall, Call, accepted, base_url, created, deleted, paged
from armillary.api.azure.requests import DeployedImage, DeploymentBody, ImageBody
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.native.parameters import V1
from armillary.engines.records.schema.rows import Deployment, DeviceGroup, Image, Page
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.wire.image import package as image_package

Body = bodies.Body


def list_images(call: Call) -> Body:
    """Images of a catalog, newest first; ``sort``, which Azure Sphere does not have, is another order."""
    catalog, images, order = call.catalog, call.service.updates.images, call.request.query_params.get("sort", "")

    def read(limit: int, after: str | None) -> Page[Image]:
        if not order:
            return images.list(catalog, limit=limit, after=after)
        found = images.list(catalog, limit=limit, after=_of_hex(after), order=order)
        cursor = found.next_cursor
        return replace(found, next_cursor=None if cursor is None else cursor.encode().hex())

    return paged(
        call,
        read,
        lambda row: image_resource(row, call.parts, base_url(call.request)),
        carried={"sort": order} if order else None,
    )


def _of_hex(cursor: str | None) -> str | None:
    """The engine's cursor, which has characters that a skip token has not."""
    try:
        return None if cursor is None else bytes.fromhex(cursor).decode()
    except ValueError as error:
        raise InvalidArgumentError(
            "$skiptoken: not a cursor of this order", remedy="Follow nextLink unchanged."
        ) from error


def get_image(call: Call) -> Body:
    """An image; ``image`` holds its name, ``uri`` its package (a token is needed there)."""
    row = call.service.updates.images.get(call.catalog, names.checked_uuid("image", call.parts["image"]))
    return image_resource(row, call.parts, base_url(call.request))


def put_image(call: Call, body: ImageBody) -> Response:
    """Upload an image package under its image id; ``.default`` stands for whichever that is."""
    name = call.parts["image"]
    wanted = None if name == names.DEFAULT else names.checked_uuid("image", name)
    package = _package(body)
    found = image_package.parse(package).image_id
    if wanted not in (None, found):
        raise InvalidArgumentError(
            f"image: expected the package's image id {found} in the path, got {wanted}",
            remedy=f"PUT it to images/{found}, or POST it to uploadImage.",
        )
    row = _upload(call, body, package)
    return created(call, bodies.as_put(image_resource(row, call.parts, base_url(call.request))), at=row.uploaded_at)


def upload_image(call: Call, body: ImageBody) -> Response:
    """Upload an image package whose image id the caller does not know."""
    row = _upload(call, body, _package(body))
    place = image_resource(row, call.parts, base_url(call.request))["id"]
    return accepted(call, place, at=row.uploaded_at, has_result=True)


def delete_image(call: Call) -> Response:
    """Delete an image that no deployment names."""
    image_id = names.checked_uuid("image", call.parts["image"])
    call.service.registry.catalogs.get(call.catalog)
    return deleted(lambda: call.service.updates.images.delete(call.catalog, image_id, actor=call.actor))


def list_group_deployments(call: Call) -> Body:
    """Deployments of a device group, newest first."""
    deployments = call.service.updates.deployments
    return paged(
        call,
        lambda limit, after: deployments.list(*call.group, limit=limit, after=after),
        lambda row: bodies.deployment(row, call.parts),
    )


def list_catalog_deployments(call: Call) -> Body:
    """Deployments of a catalog, newest first."""
    catalog, deployments = call.catalog, call.service.updates.deployments
    groups = {row.group_id: row for row in call.service.registry.groups.list(catalog, hidden=True)}
    return paged(
        call,
        lambda limit, after: deployments.list(catalog, limit=limit, after=after),
        lambda row: bodies.deployment(row, _group_parts(call, groups.get(row.group_id))),
    )


def get_deployment(call: Call) -> Body:
    """A deployment of a device group; ``.default`` is the one in force."""
    return bodies.deployment(_deployment(call), call.parts)


def put_deployment(call: Call, body: DeploymentBody) -> Response:
    """Put a set of images in force for a device group."""
    properties = body.properties
    listed = properties.deployedImages if properties is not None else None
    if listed is None:
        raise InvalidArgumentError(
            "properties.deployedImages: expected a list of images, got nothing: no list is not an empty one, which "
            "would take every application from the group's devices",
            remedy="Name the images to deploy.",
        )
    stated = properties.deploymentId if properties is not None else None
    name = call.parts["deployment"]
    given = stated if name == names.DEFAULT else name
    row = call.service.updates.deployments.create(
        *call.group,
        [_image_id(image) for image in listed],
        actor=call.actor,
        deployment_id=names.checked_uuid("deployment", given) if given is not None else None,
    )
    return created(call, bodies.as_put(bodies.deployment(row, call.parts)), at=row.created_at)


def delete_deployment(call: Call) -> Response:
    """Delete a deployment; the one before it is in force again."""
    try:
        row = _deployment(call)
    except NotFoundError:
        return Response(status_code=204)
    return deleted(lambda: call.service.updates.deployments.delete(call.catalog, row.deployment_id, actor=call.actor))


def image_resource(row: Image, parts: Mapping[str, str], base: str) -> Body:
    """An image as a resource."""
    query = urlencode({"catalog": parts["catalog"]})
    return bodies.image(row, parts, uri=f"{base}{V1}/images/{row.image_id}/package?{query}")


def _package(body: ImageBody) -> bytes:
    encoded = body.properties.image if body.properties is not None else None
    if not encoded:
        raise InvalidArgumentError(
            "properties.image: expected an image package in base64, got nothing", remedy="Send the package."
        )
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(
            f"properties.image: expected base64 ({error})", remedy="Encode the package with standard base64."
        ) from error


def _upload(call: AzureCall, body: ImageBody, package: bytes) -> Image:
    given = body.properties
    boundary = (given.regionalDataBoundary if given is not None else None) or "None"
    version = (given.version if given is not None else None) or ""
    return call.service.updates.images.upload(
        call.catalog, package, actor=call.actor, version=version, regional_data_boundary=boundary
    )


def _image_id(image: DeployedImage) -> UUID:
    stated = image.properties.imageId if image.properties is not None else None
    text = stated or image.name or (image.id or "").rstrip("/").rsplit("/", 1)[-1]
    return names.checked_uuid("deployedImages", text)


def _deployment(call: AzureCall) -> Deployment:
    name = call.parts["deployment"]
    if name == names.DEFAULT:
        current = call.service.updates.deployments.current(*call.group)
        if current is None:
            raise NotFoundError(
                f"device group {call.group[2]!r} has no deployment", remedy="Make one: armillary deployment create."
            )
        return current
    group = call.service.registry.groups.get(*call.group)
    row = call.service.updates.deployments.get(call.catalog, names.checked_uuid("deployment", name))
    if row.group_id != group.group_id:
        raise NotFoundError(
            f"device group {group.name!r} has no deployment {name[:40]}", remedy="List them: deployment list."
        )
    return row


def _group_parts(call: AzureCall, group: DeviceGroup | None) -> Mapping[str, str]:
    if group is None:  # deleted between the two reads
        return {**call.parts, "product": names.DEFAULT, "device_group": names.UNASSIGNED}
    return {**call.parts, "product": group.product, "device_group": group.name}


# An image package of 32 MiB in base64, and its JSON: the largest application a Linux-class chip profile allows.
IMAGE_BODY_LIMIT_BYTES = 44 << 20
# An image is one long text.
IMAGE_VALUES = 1000
_upload_row = partial(Route, body_limit=IMAGE_BODY_LIMIT_BYTES, values=IMAGE_VALUES)
ROUTES = (
    _upload_row("POST", names.CATALOG + "/uploadImage", upload_image, CONTRIBUTOR),
    Route("GET", names.CATALOG + "/images", list_images, READER),
    Route("GET", names.IMAGE, get_image, READER),
    _upload_row("PUT", names.IMAGE, put_image, CONTRIBUTOR),
    Route("DELETE", names.IMAGE, delete_image, CONTRIBUTOR),
    Route("POST", names.CATALOG + "/listDeployments", list_catalog_deployments, READER),
    Route("GET", names.CATALOG + "/listDeployments", list_catalog_deployments, READER),
    Route("GET", names.DEVICE_GROUP + "/deployments", list_group_deployments, READER),
    Route("GET", names.DEPLOYMENT, get_deployment, READER),
    Route("PUT", names.DEPLOYMENT, put_deployment, CONTRIBUTOR),
    Route("DELETE", names.DEPLOYMENT, delete_deployment, CONTRIBUTOR),
)
