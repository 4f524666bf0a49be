# SPDX-License-Identifier: Apache-2.0
"""Answers requests to the device's API: who asks by which name, what for, whether that is allowed now, with what body.

Every request passes these steps, in this order:

(1) The Host is a name of this device.           prevents: a web page that points its own name here (DNS rebinding)
(2) No web page asks (no Origin).                prevents: pages that a person has open beside it
(3) It shows the token, where there is one.      prevents: everybody else on a network
(4) The path is one of the table, spelled plain. prevents: names that lead elsewhere (no character is escaped)
(5) The device's state allows it.                prevents: development on a finished device
(6) The body is of the kind and size it takes.   prevents: bodies that fill memory or disk
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import re
import urllib.parse
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Any, Final

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response

from armillary.device.rest.attached import AttachedDevice
from armillary.device.rest.authority import DOMAIN
from armillary.device.rest.call import Body, Call, Need, Route
from armillary.device.state.permission import AllowedState
from armillary.device.state.request_refused import RequestRefusedError
from armillary.errors import ArmillaryError
from armillary.identity.manufacturing import ManufacturingState
from armillary.wire.device import azure_error

API_VERSION: Final = "4.6.0"  # the newest that the public client asks for
HEADERS: Final = {"REST-API-Version": API_VERSION, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
MESSAGE_HEADER: Final = "Armillary-Message"  # why, for people; the body is Azure Sphere's, a number alone
REMEDY_HEADER: Final = "Armillary-Remedy"
MAX_JSON_BYTES: Final = 64 * 1024  # two certificates of 8 KiB as JSON text, several times over
# At a time; a request is small work but for reading the log or a package.
MAX_REQUESTS: Final = 8
WAIT_S: Final = 10.0

_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9._~$@:+=,;/-]*")
_HOST_NAME: Final = re.compile(rf"(?:\*|[a-z0-9-]{{1,63}})\.{re.escape(DOMAIN)}")
# Azure Sphere's number -> HTTP status, where it is not 400.
_STATUSES: Final = {
    azure_error.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    azure_error.APPLICATION_CONTROL_DENIED: HTTPStatus.FORBIDDEN,
    azure_error.UPDATE_DENIED: HTTPStatus.FORBIDDEN,
    azure_error.IMAGE_NOT_TRUSTED: HTTPStatus.FORBIDDEN,
    azure_error.INTERFACE_NOT_PERMITTED: HTTPStatus.FORBIDDEN,
    azure_error.INVALID_URI: HTTPStatus.NOT_FOUND,
    azure_error.CERTIFICATE_UNKNOWN: HTTPStatus.NOT_FOUND,
    azure_error.NETWORK_UNKNOWN: HTTPStatus.NOT_FOUND,
    azure_error.INVALID_INTERFACE: HTTPStatus.NOT_FOUND,
    azure_error.APPLICATION_NOT_PRESENT: HTTPStatus.CONFLICT,
    azure_error.UPDATE_UNDER_WAY: HTTPStatus.CONFLICT,
    azure_error.DEPLOYED_ALREADY: HTTPStatus.CONFLICT,
    azure_error.BUSY: HTTPStatus.CONFLICT,
    azure_error.WIFI_DISABLED: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Answering:
    """The handler of one device's API."""

    def __init__(self, device: AttachedDevice, routes: Sequence[Route]) -> None:
        self._device = device
        self._token = device.settings.token
        self._routes = {(route.method, route.path): route for route in routes}
        self._paths = {route.path for route in routes}
        self._room = asyncio.Semaphore(MAX_REQUESTS)

    async def answer(self, request: BaseRequest) -> Response:
        """Answer a request, whatever it is."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._room.acquire()
        except TimeoutError:
            return _refused(
                RequestRefusedError(azure_error.BUSY, "the device answers other requests", remedy="Try again.")
            )
        try:
            return _answered(await self._answer(request))
        except RequestRefusedError as error:
            return _refused(error)
        except ArmillaryError as error:  # flash that fails, a host that does not do it
            self._device.journal.write("rest-failed", path=request.raw_path[:200], reason=error.message)
            number = azure_error.INVALID_PARAMETER
            return _refused(
                RequestRefusedError(number, error.message, remedy=error.remedy), HTTPStatus.INTERNAL_SERVER_ERROR
            )
        finally:
            self._room.release()

    async def _answer(self, request: BaseRequest) -> object:
        check_host(request)  # (1)
        _check_no_page(request)  # (2)
        if self._token is not None:
            check_token(request, self._token)  # (3)
        route, name = self._route(request)  # (4)
        allowed = self._device.allowed()
        if not is_allowed(route.needs, allowed):  # (5)
            raise _denied(route, allowed)
        if request.method != "GET":
            self._device.journal.write("rest", method=request.method, path=request.raw_path)
        body = await _json(request) if route.body is Body.JSON else None  # (6)
        chunks = _package(request, route.body, self._device.store.flash_limit_bytes)
        return await route.answer(Call(device=self._device, name=name, body=body, chunks=chunks))

    def _route(self, request: BaseRequest) -> tuple[Route, str]:
        path = request.raw_path
        if _PLAIN_PATH.fullmatch(path) is None:
            raise RequestRefusedError(azure_error.INVALID_URI, "the path has characters that no path of this API has")
        whole, named = path.strip("/"), ""
        if whole not in self._paths:
            parent, _, named = whole.rpartition("/")
            whole = f"{parent}/{{}}"
        found = self._routes.get((request.method, whole)) if named not in (".", "..") else None
        if found is None:
            raise RequestRefusedError(azure_error.INVALID_URI, f"this API does not have {request.method} {path[:200]}")
        return found, named


def is_allowed(need: Need, allowed: AllowedState) -> bool:
    """Whether the state and the capability file allow what a request needs."""
    permissions = allowed.permissions
    return {
        Need.NOTHING: True,
        Need.OPEN: allowed.state is not ManufacturingState.DEVICE_COMPLETE or permissions.loads_by_hand,
        Need.LOADING: permissions.loads_by_hand,
        Need.DEVELOPMENT: permissions.accepts_test_key,
    }[need]


def check_host(request: BaseRequest) -> None:
    """RequestRefusedError unless the request's Host is a name of a device's API, or an address.

    A web page can only point a name of its own here, so no address is harmful.
    """
    host = request.headers.get("Host", "").lower()
    try:
        parts = urllib.parse.urlsplit(f"//{host}")
        name, _ = parts.hostname or "", parts.port
        is_address = _is_address(name) or name == "localhost"
    except ValueError:
        is_address, name = False, ""
    if "@" in host or not (is_address or _HOST_NAME.fullmatch(name)):
        raise _stranger(f"Host: expected a name such as any.{DOMAIN}, or the address; got {host[:80]!r}")


def _is_address(name: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


def check_token(request: BaseRequest, token: bytes) -> None:
    """RequestRefusedError unless the request shows the token."""
    given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, b"Bearer " + token):
        raise _stranger("this address asks for a token: Authorization: Bearer TOKEN")


def _check_no_page(request: BaseRequest) -> None:
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
        raise _stranger("web pages may not ask a device")


def _stranger(message: str) -> RequestRefusedError:
    return RequestRefusedError(azure_error.PERMISSION_DENIED, message)


def _denied(route: Route, allowed: AllowedState) -> RequestRefusedError:
    number = azure_error.PERMISSION_DENIED if route.denied is None else route.denied
    why = f" ({allowed.refused})" if allowed.refused else ""
    return RequestRefusedError(
        number,
        f"the device is {allowed.state.value} and its capabilities do not allow this{why}",
        remedy="Put a capability file in force: armillary device capability download, then apply.",
    )


async def _json(request: BaseRequest) -> Any:
    data = bytearray()
    async for chunk in _limited(request, MAX_JSON_BYTES):
        data += chunk
    try:
        found = json.loads(data.decode(), parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()  # half a character, which JSON can escape, is no text
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError(azure_error.INVALID_PARAMETER, "the body is no JSON in UTF-8") from error
    return found


def _no_number(_: str) -> None:
    raise ValueError("no number")


async def _package(request: BaseRequest, kind: Body, limit: int) -> AsyncIterator[bytes]:
    """The pieces of a package; none where the request takes no package."""
    if kind is not Body.PACKAGE:
        return
    if request.content_type != "application/octet-stream":
        raise RequestRefusedError(
            azure_error.INVALID_PARAMETER, f"expected application/octet-stream, got {request.content_type[:80]!r}"
        )
    async for chunk in _limited(request, limit):
        yield chunk


async def _limited(request: BaseRequest, limit: int) -> AsyncIterator[bytes]:
    """The pieces of a body; RequestRefusedError as soon as it is longer than the limit, or encoded."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise RequestRefusedError(
            azure_error.INVALID_PARAMETER, "bodies are taken as they are, without Content-Encoding"
        )
    size = request.content_length or 0
    if size <= limit:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > limit:
                break
            yield chunk
    if size > limit:
        raise RequestRefusedError(azure_error.CONTENT_TOO_LARGE, f"the body has more than {limit} bytes")


def _answered(found: object) -> Response:
    if isinstance(found, bytes):
        return Response(body=found, content_type="application/octet-stream", headers=HEADERS)
    text = json.dumps(found, separators=(",", ":"))
    return Response(body=text.encode(), content_type="application/json", headers=HEADERS)


def _refused(error: RequestRefusedError, status: HTTPStatus | None = None) -> Response:
    texts = {MESSAGE_HEADER: error.message, REMEDY_HEADER: error.remedy}
    told = {name: urllib.parse.quote(text[:500]) for name, text in texts.items() if text}
    response = Response(
        status=status or _STATUSES.get(error.number, HTTPStatus.BAD_REQUEST),
        body=json.dumps({"error": error.number}).encode(),
        content_type="application/json",
        headers={**HEADERS, **told},
    )
    response.force_close()  # a body that was not read must not be taken for the next request
    return response
