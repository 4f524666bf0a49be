# SPDX-License-Identifier: Apache-2.0
"""How routes are mounted: each one guarded by the role table, each one with a limit on its body."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.auth import ACCESS, admit
from armillary.engines.records.rows import Token

if TYPE_CHECKING:
    from armillary.hub.assemble import Hub
    from armillary.service.assemble import SecurityService

# Bodies are names, ids and small documents: a claim of a thousand devices is 135 KiB.
BODY_LIMIT_BYTES = 256 << 10
# An image package of 32 MiB in base64, and its JSON: the largest application a Linux-class chip profile allows.
IMAGE_BODY_LIMIT_BYTES = 44 << 20


class GuardedRoute(APIRoute):
    """A route that admits its caller before it reads a body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that FastAPI builds, behind :func:`armillary.api.auth.admit`."""
        handler = super().get_route_handler()
        # KeyError at start: a route without a role must not exist.
        needed = {method: ACCESS[f"{method} {self.path}"] for method in self.methods}

        async def guarded(request: Request) -> Response:
            request.state.operator = await admit(request, needed[request.method], service_of(request))
            return await handler(request)

        return guarded


def add_route(  # noqa: D417 - the rest is FastAPI's
    app: FastAPI,
    method: str,
    path: str,
    endpoint: Callable[..., Any],
    *,
    body_limit: int = BODY_LIMIT_BYTES,
    **options: Any,
) -> None:
    """Mount ``endpoint``.

    Args:
        app: Application to mount on.
        method: HTTP method.
        path: Path template; ``"METHOD path"`` must be a key of :data:`armillary.api.auth.ACCESS`.
        endpoint: Plain function (runs in the thread pool) or coroutine function.
        body_limit: Largest body in bytes; more is answered with 413 before it is read.
    """
    app.router.add_api_route(
        path,
        endpoint,
        methods=[method],
        route_class_override=GuardedRoute,
        max_body_size=body_limit,
        operation_id=f"{endpoint.__name__}_{method.lower()}",
        **options,
    )


def service_of(request: Request) -> SecurityService:
    """The security service of the application that got ``request``."""
    return cast("SecurityService", request.app.state.service)


def hub_of(request: Request) -> Hub:
    """The hub of the application that got ``request``."""
    return cast("Hub", request.app.state.hub)


def operator_of(request: Request) -> Token:
    """The operator who was admitted; only for routes that need a token."""
    return cast("Token", request.state.operator)
