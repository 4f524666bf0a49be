# SPDX-License-Identifier: Apache-2.0
"""How routes are mounted: each one guarded by the role table, with a limit on its body and the budget of its caller."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from fastapi.dependencies.utils import get_flat_params
from fastapi.encoders import jsonable_encoder
from fastapi.params import Query
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive

from armillary.api.azure import names
from armillary.api.http.auth import ACCESS, METHODS, PUBLIC, V1, admit
from armillary.api.http.callers import LARGE_BYTES, Caller, caller_of, catalog_of, owner_of
from armillary.api.http.json_body import MAX_VALUES, StrictRequest
from armillary.api.http.query import check_names
from armillary.api.http.scope import UNKNOWN_PATHS
from armillary.engines.records.queries.enrolments import EnrolmentToken
from armillary.engines.records.schema.rows import Token

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService

# Bodies are names, ids and small documents: a claim of a thousand devices is 135 KiB.
BODY_LIMIT_BYTES = 256 << 10
# An image package of 32 MiB in base64, and its JSON: the largest application a Linux-class chip profile allows.
IMAGE_BODY_LIMIT_BYTES = 44 << 20
IMAGE_BODIES = frozenset({f"PUT {names.IMAGE}", f"POST {names.CATALOG}/uploadImage"})
# A device's file, or a block of it: what the blob client sends at once.
FILE_BODY_LIMIT_BYTES = 64 << 20
# A device template of 300 capabilities in several languages, and its components' models.
TEMPLATE_BODY_LIMIT_BYTES = 1 << 20
TEMPLATE_BODIES = frozenset(
    {
        "PUT /api/v1/templates/{template_name}",
        "POST /api/v1/templates/{template_name}/import",
        "PUT /api/deviceTemplates/{template_id}",
        "PATCH /api/deviceTemplates/{template_id}",
    }
)
# A whole application as JSON texts in JSON (wire/export/application_archive.py): every quotation mark is two
# characters.
APPLICATION_BODY_LIMIT_BYTES = 48 << 20
# Some thirty thousand points as CSV: what is put back in one commit, a few tenths of a second.
TELEMETRY_BODY_LIMIT_BYTES = 4 << 20
LIMITS: Mapping[str, int] = {
    "POST /api/v1/telemetry/import": TELEMETRY_BODY_LIMIT_BYTES,
    **dict.fromkeys(IMAGE_BODIES, IMAGE_BODY_LIMIT_BYTES),
    **dict.fromkeys(TEMPLATE_BODIES, TEMPLATE_BODY_LIMIT_BYTES),
    "POST /api/v1/application/import": APPLICATION_BODY_LIMIT_BYTES,
    "PUT /device-files/{path:path}": FILE_BODY_LIMIT_BYTES,
}
# JSON values of one body, where a route needs more or fewer than json_body.MAX_VALUES: an image is one long text; a
# model in DTDL says a short thing a value; an application is a text for each of its documents.
VALUES: Mapping[str, int] = {
    **dict.fromkeys(IMAGE_BODIES, 1000),
    **dict.fromkeys(TEMPLATE_BODIES, 60_000),
    "POST /api/v1/application/import": 60_000,
}
# Routes that may mean a module of the device, by ``module=`` (device_ids.known_identity).
_OF_DEVICE = f"{V1}/devices/{{device_id}}/"


class GuardedRoute(APIRoute):
    """A route that admits its caller before it reads a body, and works in a thread when it is the caller's turn."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that FastAPI builds, behind :func:`armillary.api.http.auth.admit`."""
        handler = super().get_route_handler()
        keys = {method: f"{method} {self.path}" for method in self.methods or ()}
        # KeyError at start: a route without a role must not exist.
        needed = {method: ACCESS[key] for method, key in keys.items()}
        known = self._query_names()
        works_in_thread = not inspect.iscoroutinefunction(self.endpoint)

        async def guarded(request: Request) -> Response:
            key = keys[request.method]
            operator = await admit(request, needed[request.method], service_of(request), key)
            request.state.operator = operator
            if known is not None:
                check_names(request.query_params, known)
            sent = strict_request(request, key)
            if operator is None:  # a public route: whoever calls it stays a stranger
                return await handler(sent)
            caller = caller_of(request)
            caller.admit(owner_of(operator), catalog_of(operator))
            await read_body(sent, caller)
            if not works_in_thread:
                return await handler(sent)
            async with caller.turn():
                return await handler(sent)

        return guarded

    def _query_names(self) -> frozenset[str] | None:
        """What a native route's query may name; None in the shapes of public APIs, which ignore other names."""
        if not self.path.startswith("/api/v1/") or self.path in UNKNOWN_PATHS or PUBLIC in self._roles():
            return None
        fields = get_flat_params(self.dependant)
        declared = {field.alias for field in fields if isinstance(field.field_info, Query)}
        return frozenset(declared | {"module"} if self.path.startswith(_OF_DEVICE) else declared)

    def _roles(self) -> set[str]:
        return {ACCESS[f"{method} {self.path}"] for method in self.methods or ()}


def strict_request(request: Request, key: str) -> StrictRequest:
    """A request whose body is bounded as its route says, in bytes and in JSON values.

    Raises:
        HTTPException: 413, a larger body is announced.
    """
    limit = LIMITS.get(key, BODY_LIMIT_BYTES)
    return StrictRequest(request.scope, limited(request, limit), VALUES.get(key, MAX_VALUES))


async def read_body(sent: StrictRequest, caller: Caller) -> None:
    """Read the whole body, before a turn is waited for: a slow one holds up nobody, and a large one has its place.

    Raises:
        NoPlaceError: it is large, and there is no place for another large one.
        HTTPException: 413, it is longer than its route allows.
        ClientDisconnect: the caller left in the middle.
    """
    announced = sent.headers.get("content-length", "0")
    if "transfer-encoding" in sent.headers or len(announced) > len(str(LARGE_BYTES)) or int(announced) > LARGE_BYTES:
        caller.hold(caller.budgets.large_bodies)
    await sent.body()


def limited(request: Request, limit: int) -> Receive:
    """The request's body channel, which ends with 413 after ``limit`` bytes, or at once when more are announced."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or len(announced) > 12 or int(announced) > limit:
        raise HTTPException(413, f"the body is larger than {limit} bytes")
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413, f"the body is larger than {limit} bytes")
        return message

    return receive


def add_route(  # noqa: D417 - the rest is FastAPI's
    app: FastAPI,
    method: str,
    path: str,
    endpoint: Callable[..., Any],
    **options: Any,
) -> None:
    """Mount ``endpoint``.

    Args:
        app: Application to mount on.
        method: HTTP method.
        path: Path template; ``"METHOD path"`` must be a key of :data:`armillary.api.http.auth.ACCESS`.
        endpoint: Plain function (runs in the thread pool) or coroutine function.
    """
    app.router.add_api_route(
        path,
        endpoint if inspect.iscoroutinefunction(endpoint) else answering(endpoint, options.get("status_code") or 200),
        methods=[method],
        route_class_override=GuardedRoute,
        operation_id=f"{endpoint.__name__}_{method.lower()}",
        # Answers are documents already (documents.py): a model of "any object" a route would only cost memory.
        response_model=None,
        **options,
    )


def answering(endpoint: Callable[..., Any], status: int) -> Callable[..., Response]:
    """An endpoint whose answer is JSON already when it comes out of its thread: the event loop does not encode it."""

    @functools.wraps(endpoint)
    def answered(*args: Any, **named: Any) -> Response:
        found = endpoint(*args, **named)
        return found if isinstance(found, Response) else Answer(found, status)

    return answered


class Answer(JSONResponse):
    """JSON of documents, and of the values in them that JSON does not know."""

    def render(self, content: Any) -> bytes:
        """The bytes."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=jsonable_encoder)
        return text.encode("utf-8")


def add_unknown(app: FastAPI) -> None:
    """Mount the answer to paths and methods that the API does not have; after every other route."""
    for path in UNKNOWN_PATHS:
        app.router.add_api_route(
            path, no_such_route, methods=list(METHODS), route_class_override=GuardedRoute, include_in_schema=False
        )


def no_such_route(request: Request) -> None:
    """404, or 405 with the methods that the path allows."""
    allowed: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, APIRoute) and route.path not in UNKNOWN_PATHS and _is_meant(route, request.url.path):
            allowed |= route.methods or set()
    if allowed:
        raise HTTPException(405, "Method Not Allowed", headers={"Allow": ", ".join(sorted(allowed))})
    raise HTTPException(404, "Not Found")


def _is_meant(route: APIRoute, path: str) -> bool:
    """Whether a path is one of this route: ``corim`` fits the shape of ``{release_id}`` and is none."""
    found = route.path_regex.match(path)
    if found is None:
        return False
    fields = [field for field in route.dependant.path_params if field.alias in found.groupdict()]
    return not any(field.validate(found[field.alias], {}, loc=("path", field.alias))[1] for field in fields)


def service_of(request: Request) -> SecurityService:
    """The security service of the application that got ``request``."""
    return cast("SecurityService", request.app.state.service)


def hub_of(request: Request) -> Hub:
    """The hub of the application that got ``request``."""
    return cast("Hub", request.app.state.hub)


def platform_of(request: Request) -> Platform:
    """The application platform of the application that got ``request``."""
    return cast("Platform", request.app.state.platform)


def operator_of(request: Request) -> Token:
    """The operator who was admitted; only for routes that need a token."""
    return cast("Token", request.state.operator)


def enrolment_of(request: Request) -> EnrolmentToken | None:
    """The enrolment token that was admitted on a route of the factory; None where an operator's was."""
    admitted = request.state.operator
    return admitted if isinstance(admitted, EnrolmentToken) else None
