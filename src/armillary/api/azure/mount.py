# SPDX-License-Identifier: Apache-2.0
"""The management API in Azure Sphere's shape, api-version 2024-04-01: mounts its parts, answers for operations.

What it follows: the public azure-mgmt-sphere 1.0.0 client (paths, bodies, accepted status codes) and the public
service's observed replies. What differs, on purpose: changes are complete when they are answered, so a first poll of
any operation says Succeeded; subscriptions and resource groups own nothing; errors carry our code and remedy too.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse
from starlette.responses import Response

from armillary.api.azure import (
    catalogs as azure_catalogs,
    certificates as azure_certificates,
    devices as azure_devices,
    images as azure_images,
    names,
    operations,
)
from armillary.api.azure.bodies import Body
from armillary.api.azure.call import AzureCall, azure_call, base_url
from armillary.api.http.auth import ACCESS
from armillary.api.http.routes import add_route
from armillary.errors import NotFoundError

Call = Annotated[AzureCall, Depends(azure_call)]

# Where the names stand in a resource id that an operation may have as its result.
_DEVICE_WORDS = ["subscriptions", "resourceGroups", "providers", "catalogs", "products", "deviceGroups", "devices"]
_IMAGE_WORDS = ["subscriptions", "resourceGroups", "providers", "catalogs", "images"]


def list_operations(_call: Call) -> Body:
    """What this provider can do, one entry per route."""
    found = {}
    for key in ACCESS:
        method, path = key.split(" ", 1)
        kind = path.split(f"/{names.PROVIDER}/", 1)[-1] if names.PROVIDER in path else None
        if kind is None or "operation" in kind.lower():
            continue
        words = [word for word in kind.split("/") if not word.startswith("{")]
        verb = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}[method]
        name = f"{names.PROVIDER}/{'/'.join(words)}/{verb}"
        found[name] = {
            "name": name,
            "isDataAction": False,
            "display": {"provider": names.PROVIDER, "resource": words[-1], "operation": verb, "description": name},
            "origin": "user,system",
            "actionType": None,
        }
    return {"value": [found[name] for name in sorted(found)], "nextLink": None}


def operation_status(call: Call) -> Response:
    """The state of a long-running operation."""
    operation = operations.decode(call.part("operation"))
    return JSONResponse(operations.status_body(operation, call.request.url.path), headers={"Retry-After": "0"})


def operation_result(call: Call) -> Response:
    """The result of a long-running operation: the resource it worked on, as it is now."""
    operation = operations.decode(call.part("operation"))
    if not operation.has_result:
        return Response(status_code=204)
    parts = operation.resource.strip("/").split("/")
    words, values = parts[0::2], parts[1::2]
    if words == _DEVICE_WORDS and len(values) == len(words):
        place = dict(zip(("subscription", "resource_group", "_", "catalog"), values, strict=False))
        return JSONResponse(azure_devices.device_resource(call.service, names.checked("device", values[-1]), place))
    if words == _IMAGE_WORDS and len(values) == len(words):
        place = dict(zip(("subscription", "resource_group", "_", "catalog"), values, strict=False))
        row = call.service.images.get(place["catalog"], names.checked_uuid("image", values[-1]))
        return JSONResponse(azure_images.image_resource(row, place, base_url(call.request)))
    raise NotFoundError("the operation has no such result", remedy="Use the address that the service sent.")


def mount(app: FastAPI) -> None:
    """Mount the management API."""
    azure_catalogs.mount(app)
    azure_devices.mount(app)
    azure_images.mount(app)
    azure_certificates.mount(app)
    for path, endpoint in (
        (names.OPERATIONS, list_operations),
        (names.OPERATION_STATUS, operation_status),
        (names.OPERATION_RESULT, operation_result),
    ):
        add_route(app, "GET", path, endpoint, include_in_schema=False)
