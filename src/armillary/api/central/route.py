# SPDX-License-Identifier: Apache-2.0
"""All operations of IoT Central's public REST API (2022-07-31) as one route.

Endpoints' modules are imported at their first request, and there is no route object for each: a service that nobody
uses in this shape keeps neither in memory. IoT Central's application is a catalog here; a token of one catalog says
which (``iot_hub/call.py``). docs/reference/iot-central.md is generated from the table.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from armillary.api.central.table import DEVICES, OPERATIONS, Operation, is_central, loaded
from armillary.api.http.auth import admit
from armillary.api.http.callers import caller_of, catalog_of, owner_of
from armillary.api.http.routes import Answer, read_body, strict_request
from armillary.api.http.shape import Shape

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

# What a request that is nothing of the table is admitted as: it shows nothing.
NOTHING: Final = DEVICES[0]
JSON_METHODS: Final = ("PUT", "PATCH", "POST")


@dataclass(frozen=True, slots=True)
class Found:
    """A path of the table: its operations by method, and the values of its parameters."""

    operations: Mapping[str, Operation]
    parameters: Mapping[str, str]


_NOTHING: Final = Found({}, {})


def find(path: str) -> Found | None:
    """The entry of the table for a request's path; one without operations where the path is only of this shape."""
    if not is_central(path):
        return None
    given = path.rstrip("/").split("/")
    for parts, operations in _PATHS:
        if len(parts) == len(given) and all(
            part[:1] == "{" or part == has for part, has in zip(parts, given, strict=True)
        ):
            named = {part[1:-1]: has for part, has in zip(parts, given, strict=True) if part[:1] == "{"}
            return Found(operations, named) if all(named.values()) else _NOTHING
    return _NOTHING


def _by_path(operations: Sequence[Operation]) -> list[tuple[list[str], dict[str, Operation]]]:
    found: dict[str, dict[str, Operation]] = {}
    for each in operations:
        found.setdefault(each.path, {})[each.method] = each
    return [(path.split("/"), methods) for path, methods in found.items()]


_PATHS: Final = _by_path(OPERATIONS)


class CentralRoute(BaseRoute):
    """All of the table as one route. Guards as :class:`armillary.api.http.routes.GuardedRoute` does."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the path is of this shape; path and method are checked after the caller was admitted."""
        found = find(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            return Match.NONE, {}
        return Match.FULL, {"path_params": dict(found.parameters), "central": found}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit, read, answer."""
        found: Found = scope["central"]
        operation = found.operations.get(scope["method"])
        request = Request(scope, receive)
        request.state.operator = await admit(request, operation or NOTHING, self._shape)
        caller_of(request).admit(owner_of(request.state.operator), catalog_of(request.state.operator))
        if operation is None:
            if not found.operations:
                raise HTTPException(404, "Not Found")
            allowed = ", ".join(sorted(found.operations))
            raise HTTPException(405, "Method Not Allowed", headers={"Allow": allowed})
        response = await _answered(operation, request, found.parameters)
        await response(scope, receive, send)


async def _answered(operation: Operation, request: Request, parameters: Mapping[str, str]) -> Response:
    from armillary.api.central.call import Call, check_version  # noqa: PLC0415 - see the head of this file

    version = check_version(request.query_params.get("api-version"), preview=operation.preview)
    body: Any = None
    if operation.method in JSON_METHODS:
        sent = strict_request(request, operation)
        await read_body(sent, caller_of(request))
        body = await sent.json() if await sent.body() else None
    endpoint = await run_in_threadpool(loaded, operation.endpoint)
    call = Call(request, parameters, body, version)
    if inspect.iscoroutinefunction(endpoint):
        return _answer(await endpoint(call), operation)
    async with caller_of(request).turn():
        return await run_in_threadpool(lambda: _answer(endpoint(call), operation))


def _answer(result: Any, operation: Operation) -> Response:
    return Response(status_code=204) if result is None else Answer(result, operation.status or 200)
