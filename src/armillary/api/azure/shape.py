# SPDX-License-Identifier: Apache-2.0
"""The shape of Azure Sphere's management API, api-version 2024-04-01: all its routes, and those of operations.

What it follows: the public azure-mgmt-sphere 1.0.0 client (paths, bodies, accepted status codes) and the public
service's observed replies. What differs, on purpose: changes are complete when they are answered, so a first poll of
any operation says Succeeded; subscriptions and resource groups own nothing; errors carry our code and remedy too.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi.responses import JSONResponse
from starlette.responses import Response

from armillary.api.azure import catalogs, certificates, devices, images, names, operations
from armillary.api.azure.bodies import Body
from armillary.api.azure.call import Call, base_url
from armillary.api.azure.problems import azure_problem
from armillary.api.http.route import READER, Reach, Route
from armillary.api.http.routes import unknown
from armillary.api.http.shape import Shape
from armillary.errors import NotFoundError

# Where the names stand in a resource id that an operation may have as its result.
_DEVICE_WORDS = ["subscriptions", "resourceGroups", "providers", "catalogs", "products", "deviceGroups", "devices"]
_IMAGE_WORDS = ["subscriptions", "resourceGroups", "providers", "catalogs", "images"]
# Routes of resources: all but those of operations.
RESOURCES = (*catalogs.ROUTES, *devices.ROUTES, *images.ROUTES, *certificates.ROUTES)


def list_operations(_call: Call) -> Body:
    """What this provider can do, one entry per route."""
    found = {}
    for row in RESOURCES:
        kind = row.path.split(f"/{names.PROVIDER}/", 1)[-1]
        words = [word for word in kind.split("/") if not word.startswith("{")]
        verb = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}[row.method]
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
    operation = operations.decode(call.parts["operation"])
    return JSONResponse(operations.status_body(operation, call.request.url.path), headers={"Retry-After": "0"})


def operation_result(call: Call) -> Response:
    """The result of a long-running operation: the resource it worked on, as it is now."""
    operation = operations.decode(call.parts["operation"])
    if not operation.has_result:
        return Response(status_code=204)
    parts = operation.resource.strip("/").split("/")
    words, values = parts[0::2], parts[1::2]
    if words == _DEVICE_WORDS and len(values) == len(words):
        place = dict(zip(("subscription", "resource_group", "_", "catalog"), values, strict=False))
        return JSONResponse(devices.device_resource(call.service, names.checked("device", values[-1]), place))
    if words == _IMAGE_WORDS and len(values) == len(words):
        place = dict(zip(("subscription", "resource_group", "_", "catalog"), values, strict=False))
        row = call.service.updates.images.get(place["catalog"], names.checked_uuid("image", values[-1]))
        return JSONResponse(images.image_resource(row, place, base_url(call.request)))
    raise NotFoundError("the operation has no such result", remedy="Use the address that the service sent.")


ROUTES = (
    *RESOURCES,
    Route("GET", names.OPERATIONS, list_operations, READER),
    # The state of an operation is made of its id, which the caller has.
    Route("GET", names.OPERATION_STATUS, operation_status, READER, reach=Reach.CALLER),
    Route("GET", names.OPERATION_RESULT, operation_result, READER, catalogs=operations.catalogs_of),
)
ROOTS: Final = ("/subscriptions/", "/providers/")


# The fixed words of paths by their lower case; those that a name follows.
_WORDS: Final = {word.lower(): word for row in ROUTES for word in row.path.split("/") if word[:1] not in ("", "{")}
_COLLECTIONS: Final = {word.lower() for row in ROUTES for word in re.findall(r"(\w+)/\{", row.path.lower())}


def is_azure(path: str) -> bool:
    """Whether a path is one of this shape."""
    return path.lower().startswith(ROOTS)


def canonical(path: str, _query: str) -> str:
    """A path of this shape with its fixed words in the case of the rows; names are left alone."""
    if not is_azure(path):
        return path
    parts = list[str]()
    name_follows = False
    for part in path.split("/"):
        parts.append(part if name_follows else _WORDS.get(part.lower(), part))
        name_follows = not name_follows and part.lower() in _COLLECTIONS
    return "/".join(parts)


SHAPE: Final = Shape(
    routes=ROUTES,
    has=is_azure,
    form=azure_problem,
    canonical=canonical,
    unknown=tuple(map(unknown, ROOTS)),
)
