# SPDX-License-Identifier: Apache-2.0
"""Builds one FastAPI application of several shapes: their routes, errors and headers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from armillary import __version__
from armillary.api.http import problems
from armillary.api.http.callers import Budgets, CallerScope
from armillary.api.http.openapi import document_of
from armillary.api.http.routes import GuardedRoute, mount
from armillary.api.http.shape import Shapes

if TYPE_CHECKING:
    from armillary.hub.hub import Hub
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService
    from armillary.settings import Settings

# No page of this API is for a browser frame, cache or guess; the console sets its own.
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class HeadAnswer:
    """Sends the answer to HEAD, made of that to GET: its status and headers, and none of its body (RFC 9110 §9.3.2).

    It is out with its headers: what goes on answering, as a stream of events does, hears that the caller has left.
    """

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        """Pass on the beginning of the answer, and that nothing follows."""
        if message["type"] == "http.response.start":
            await self._send(message)
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class CanonicalPaths:
    """ASGI wrapper that rewrites paths as the rows spell them, and adds headers that forbid caching."""

    def __init__(self, app: ASGIApp, shapes: Shapes) -> None:
        self._app = app
        self._shapes = shapes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its path in canonical form."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = self._shapes.canonical(scope["path"], scope["query_string"].decode("latin-1"))
        scope = {**scope, "path": path}
        if not self._shapes.has(path):
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD" and not self._shapes.answers_head(path):
            scope, send = {**scope, "method": "GET"}, HeadAnswer(send)

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in present)]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def application(
    shapes: Shapes, description: str, service: SecurityService, hub: Hub, platform: Platform, settings: Settings
) -> FastAPI:
    """The API over a service, a hub and its platform.

    Applications that are mounted later (the console) guard their own routes. ``app.get`` and the like raise TypeError,
    as such a route has no row.
    """
    app = FastAPI(
        title="Armillary",
        version=__version__,
        description=description,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to where the caller's Host header says, before anybody was admitted
    )
    app.router.route_class = GuardedRoute
    app.state.shapes = shapes
    app.state.service = service
    app.state.hub = hub
    app.state.platform = platform
    app.state.settings = settings
    app.state.started_at = time.time()
    app.state.closing = asyncio.Event()
    app.state.budgets = Budgets()
    app.state.applications = None  # until a service that plays simulated devices has them
    problems.install(app, shapes.form)
    mount(app, shapes)
    app.add_middleware(CanonicalPaths, shapes=shapes)
    app.add_middleware(CallerScope, budgets=app.state.budgets)
    app.openapi = lambda: document_of(app, shapes)  # type: ignore[method-assign]  # FastAPI's documented way
    return app
