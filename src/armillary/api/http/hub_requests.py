# SPDX-License-Identifier: Apache-2.0
"""Requests on a connection to the hub's port: IoT Hub's service API goes to the operator API, the rest to the hub.

A client that is device and service in one process uses one connection for both, so devices' requests are answered here
too, by the hub. Nothing else of the operator API can be reached.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from armillary.api.http.callers import CLIENT_CERTIFICATE
from armillary.hub.link.https import MAX_BODY_BYTES, HttpRequest
from armillary.wire.hub.iot_hub_paths import is_service_target

if TYPE_CHECKING:
    from armillary.hub.hub import Hub


class HubRequests:
    """ASGI application: ``app`` for IoT Hub's service API, the hub for what devices ask."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self._app = app
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the target decides as it came, before anything of it is decoded."""
        target = f"{scope['raw_path'].decode('latin-1')}?{scope['query_string'].decode('latin-1')}"
        if is_service_target(target):
            await self._app(scope, receive, send)
            return
        answer = await self._of_device(Request(scope, receive), target)
        await answer(scope, receive, send)

    async def _of_device(self, request: Request, target: str) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                message = f"ErrorCode:RequestTooLarge;more than {MAX_BODY_BYTES} bytes"
                return JSONResponse({"Message": message}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        https = self._hub.front.https
        assert https is not None  # noqa: S101 - every hub that listens has it
        certificate = request.scope["state"][CLIENT_CERTIFICATE]
        authorization = request.headers.get("authorization")
        reply = await https.answer(HttpRequest(request.method, target, authorization, body, certificate))
        headers = dict(reply.headers)
        if reply.body is None:
            return Response(status_code=reply.status, headers=headers)
        return JSONResponse(reply.body, reply.status, headers=headers)
