# SPDX-License-Identifier: Apache-2.0
"""The shape of IoT Hub's service API: its paths, its service keys, and errors in its form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.azure.problems import word_of
from armillary.api.http.problems import Problem, sentences
from armillary.api.http.route import Route, allows
from armillary.api.http.routes import unknown
from armillary.api.http.shape import Shape
from armillary.api.iot_hub import fleet, registry
from armillary.api.iot_hub.call import ROOT
from armillary.errors import DeviceOfflineError, PermissionDeniedError
from armillary.wire.hub.iot_hub_paths import is_service_path

if TYPE_CHECKING:
    from armillary.engines.records.schema.rows import Token
    from armillary.service.assemble import SecurityService


# HTTP status -> word; others are Azure Resource Manager's.
WORDS: Final[Mapping[int, str]] = {
    400: "ArgumentInvalid",
    401: "IotHubUnauthorizedAccess",
    403: "IotHubUnauthorizedAccess",
    404: "DeviceNotFound",
    409: "DeviceAlreadyExists",
    412: "PreconditionFailed",
    429: "ThrottlingException",
    504: "GatewayTimeout",
}


def iot_hub_problem(problem: Problem) -> Response:
    """The answer; IoT Hub's clients show ``Message``, and tools look for the word in it."""
    status, word = problem.status, word_of(problem)
    if isinstance(problem.error, DeviceOfflineError):  # IoT Hub says that it does not find who is away
        status = 404
    else:
        word = WORDS.get(status, word)
    message = f"ErrorCode:{word};{sentences(problem.message, problem.remedy)}"
    body = {"Message": message, "ExceptionMessage": problem.code}
    return JSONResponse(body, status, headers={**problem.headers, "iothub-errorcode": word})


def is_iot_hub(path: str) -> bool:
    """Whether a path is one of this shape."""
    return path == ROOT or path.startswith(ROOT + "/")


def canonical(path: str, query: str) -> str:
    """The path of a request of a client of IoT Hub, below :data:`ROOT`."""
    return ROOT + path.removesuffix("/") if is_service_path(path, query) else path


async def by_service_key(request: Request, row: Route, service: SecurityService) -> Token | None:
    """Who signed a request with a service key; None for a request that is not signed.

    Raises:
        UnauthenticatedError: no such key, a wrong signature, or one that has ended.
        PermissionDeniedError: the key's role is too low.
    """
    signed = request.headers.get("authorization", "")
    if not signed.startswith("SharedAccessSignature "):
        return None
    token = await run_in_threadpool(service.hub_access.service_keys.authenticate, signed)
    if not allows(token.role, row.role):
        raise PermissionDeniedError(
            f"{request.method} {request.url.path} needs the role {row.role}; {token.name} has {token.role}",
            remedy=f"Make a key with the role {row.role}: armillary hub-service-key create.",
        )
    return token


SHAPE: Final = Shape(
    routes=(*fleet.ROUTES, *registry.ROUTES),
    has=is_iot_hub,
    form=iot_hub_problem,
    canonical=canonical,
    unknown=(unknown(ROOT + "/"),),
    authenticate=by_service_key,
)
