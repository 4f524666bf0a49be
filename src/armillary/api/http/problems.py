# SPDX-License-Identifier: Apache-2.0
"""Errors to HTTP: the only place where a status code is chosen for an error.

Native routes answer with problem details (RFC 9457, ``application/problem+json``); routes in Azure Sphere's
shape answer with Azure Resource Manager's ``{"error": {...}}`` body, those in IoT Hub's and IoT Central's shape with
theirs. All carry the same code and remedy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from armillary import errors
from armillary.api.central.table import is_central
from armillary.api.http.validation_words import worded

# Error class -> (HTTP status, Azure Resource Manager's word for it). The nearest ancestor of an error decides.
STATUS: Mapping[type[errors.ArmillaryError], tuple[int, str]] = {
    errors.ArmillaryError: (500, "InternalServerError"),
    errors.WireError: (400, "InvalidImage"),
    errors.SignatureError: (400, "InvalidSignature"),
    errors.ManifestError: (400, "InvalidManifest"),
    errors.ModelError: (400, "InvalidModel"),
    errors.DeviceFault: (409, "DeviceConflict"),
    errors.UnknownDeviceError: (404, "ResourceNotFound"),
    errors.RateLimitedError: (429, "TooManyRequests"),
    errors.NoPlaceError: (429, "TooManyRequests"),
    errors.OperatorError: (400, "BadRequest"),
    errors.InvalidArgumentError: (400, "InvalidRequestContent"),
    errors.NotFoundError: (404, "ResourceNotFound"),
    errors.ConflictError: (409, "Conflict"),
    errors.DeviceOfflineError: (409, "DeviceNotOnline"),
    errors.DeviceTimeoutError: (504, "GatewayTimeout"),
    errors.UnauthenticatedError: (401, "AuthenticationFailed"),
    errors.PermissionDeniedError: (403, "AuthorizationFailed"),
    errors.HostError: (503, "ServiceUnavailable"),
}
# Codes that say more than their class does.
STATUS_OF_CODE: Mapping[str, tuple[int, str]] = {
    "request.precondition": (412, "PreconditionFailed"),  # RFC 9110 §13.1.1: an If-Match that does not hold
}
# Statuses that the web framework decides itself -> (our code, Azure's word, what to do).
FRAMEWORK: Mapping[int, tuple[str, str, str]] = {
    400: (
        "request.invalid",
        "InvalidRequestContent",
        "Correct it: GET /api/v1/openapi.json says what each route takes.",
    ),
    404: ("request.no-route", "ResourceNotFound", "Check the path: GET /api/v1/openapi.json lists every route."),
    405: ("request.method", "HttpMethodNotAllowed", "Use a method that the route allows; see the Allow header."),
    413: ("request.too-large", "RequestContentTooLarge", "Send less: docs/reference/api.md lists the limits."),
    415: ("request.media-type", "UnsupportedMediaType", "Send application/json."),
}
# IoT Hub's words for a status.
IOT_HUB_WORDS: Mapping[int, str] = {
    400: "ArgumentInvalid",
    401: "IotHubUnauthorizedAccess",
    403: "IotHubUnauthorizedAccess",
    404: "DeviceNotFound",
    409: "DeviceAlreadyExists",
    412: "PreconditionFailed",
    429: "ThrottlingException",
    504: "GatewayTimeout",
}
# IoT Central's words for a status; others are Azure Resource Manager's.
IOT_CENTRAL_WORDS: Mapping[int, str] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "PayloadTooLarge",
}
# Statuses that connections answer themselves, without a route (connection.py) -> code.
OF_CONNECTIONS: Mapping[int, str] = {
    400: "request.http",
    429: errors.NoPlaceError.code,
    431: "request.head-too-large",
    503: "service.busy",
}
CHALLENGE = 'Bearer realm="armillary"'  # RFC 6750 §3
# Routes in IoT Hub's shape: app.py brings its clients' requests below this.
IOT_HUB_PREFIX = "/iothub"
AZURE_PREFIXES = ("/subscriptions/", "/providers/")
# Seconds after which a caller may try again when too many requests are under way.
BUSY_RETRY_S = 2
# A validation error names at most this many wrong values: enough to mend a body, bounded for hostile ones.
MAX_DETAILS = 20
# Longest value quoted back from a request, characters.
MAX_QUOTED = 100

_log = structlog.get_logger("armillary.api")


def status_of(error: errors.ArmillaryError) -> tuple[int, str]:
    """HTTP status and Azure's error word for ``error``.

    Its code decides where :data:`STATUS_OF_CODE` names it, else its nearest ancestor in :data:`STATUS`.
    """
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    raise AssertionError("STATUS names the root of the tree")


def problem_body(
    *, status: int, code: str, detail: str, remedy: str, instance: str, invalid: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """Problem details (RFC 9457 §3), with our ``code``, ``remedy`` and, for bad bodies, ``invalid_params``."""
    body: dict[str, Any] = {
        "type": f"urn:armillary:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "remedy": remedy,
    }
    if invalid:
        body["invalid_params"] = [dict(item) for item in invalid]
    return body


def azure_body(
    *, word: str, code: str, message: str, remedy: str, target: str | None, invalid: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    """Azure Resource Manager's error body; our code and remedy ride in ``additionalInfo``."""
    details = [
        {"code": word, "message": item["reason"], "target": item["name"], "details": [], "additionalInfo": []}
        for item in invalid
    ]
    return {
        "error": {
            "code": word,
            "message": message,
            "target": target,
            "details": details,
            "additionalInfo": [{"type": "ArmillaryError", "info": {"code": code, "remedy": remedy}}],
        }
    }


def central_body(*, word: str, code: str, message: str, remedy: str) -> dict[str, Any]:
    """IoT Central's error body; our code and remedy ride in ``innererror``."""
    return {
        "error": {
            "code": word,
            "message": sentences(message, remedy),
            "requestId": str(uuid4()),
            "time": formatdate(usegmt=True),  # RFC 1123
            "innererror": {"code": code, "remedy": remedy},
        }
    }


def sentences(message: str, remedy: str) -> str:
    """A message and its remedy as one text, in shapes that have one field for both."""
    ended = message if not message or message.endswith((".", "!", "?")) else f"{message}."
    return f"{ended} {remedy}".strip()


def is_azure(path: str) -> bool:
    """Whether a path belongs to the Azure Sphere shaped part of the API."""
    return path.lower().startswith(AZURE_PREFIXES)


def is_iot_hub(path: str) -> bool:
    """Whether a path belongs to the IoT Hub shaped part of the API."""
    return path == IOT_HUB_PREFIX or path.startswith(IOT_HUB_PREFIX + "/")


def error_response(request: Request, error: errors.ArmillaryError) -> Response:
    """The answer for an error of our tree, in the shape that the route's clients read."""
    status, word = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, errors.UnauthenticatedError):
        headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, errors.RateLimitedError):
        headers["Retry-After"] = str(error.retry_after_s)
    message, remedy = error.message, error.remedy
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request-failed", path=request.url.path, code=error.code, message=error.message)
    invalid = _faults(error) if isinstance(error, errors.ModelError) else ()
    return _answer(request, status, word, error.code, message, remedy, headers, invalid)


def busy_response(request: Request, most: int) -> Response:
    """The answer to a request for which there is no room now."""
    message = f"the service answers {most} requests at a time and has them all"
    remedy = f"Try again in {BUSY_RETRY_S} seconds."
    headers = {"Retry-After": str(BUSY_RETRY_S), "Cache-Control": "no-store"}
    return _answer(request, 503, "ServiceUnavailable", OF_CONNECTIONS[503], message, remedy, headers)


def install(app: FastAPI) -> None:
    """Give ``app`` the handlers that turn every error into a problem or an Azure error body."""
    app.add_exception_handler(errors.ArmillaryError, _explained)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(ClientDisconnect, caller_left)
    app.add_exception_handler(Exception, _unexpected)


async def caller_left(request: Request, error: Exception) -> Response:  # noqa: ARG001 - an exception handler's
    """The answer to somebody who left in the middle of a body: it goes to nobody, costs nothing, is in no log."""
    return Response(status_code=400)


def _answer(  # the fields of one error, and where it goes
    request: Request,
    status: int,
    word: str,
    code: str,
    message: str,
    remedy: str,
    headers: Mapping[str, str],
    invalid: Sequence[Mapping[str, str]] = (),
) -> Response:
    path = request.url.path
    if is_azure(path):
        body = azure_body(word=word, code=code, message=message, remedy=remedy, target=path, invalid=invalid)
        headers = {**headers, "x-ms-error-code": word}
        return JSONResponse(body, status, headers=headers)
    if is_iot_hub(path):  # its clients show Message, and tools look for the word in it
        if word == "DeviceNotOnline":  # IoT Hub says that it does not find who is away
            status = 404
        else:
            word = IOT_HUB_WORDS.get(status, word)
        body = {"Message": f"ErrorCode:{word};{sentences(message, remedy)}", "ExceptionMessage": code}
        return JSONResponse(body, status, headers={**headers, "iothub-errorcode": word})
    if is_central(path):
        word = IOT_CENTRAL_WORDS.get(status, word)
        body = central_body(word=word, code=code, message=message, remedy=remedy)
        return JSONResponse(body, status, headers={**headers, "x-ms-error-code": word})
    body = problem_body(status=status, code=code, detail=message, remedy=remedy, instance=path, invalid=invalid)
    return JSONResponse(body, status, headers=dict(headers), media_type="application/problem+json")


def _faults(error: errors.ModelError) -> Sequence[Mapping[str, str]]:
    """Every fault of a model that is kept: a person mends a whole document at once."""
    return [{"name": where, "reason": what} for where, what in error.faults]


def _explained(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.ArmillaryError)  # noqa: S101 - registered for this class only
    return error_response(request, error)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    found = error.errors()
    invalid = [{"name": _short(name), "reason": _short(reason)} for name, reason in map(worded, found[:MAX_DETAILS])]
    first = invalid[0] if invalid else {"name": "body", "reason": "is not what the route expects"}
    code, word, remedy = FRAMEWORK[400]
    message = f"{first['name']}: {first['reason']}"
    return _answer(request, 400, word, code, message, remedy, {}, invalid)


def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    return framework_response(request, error)


def framework_response(request: Request, error: HTTPException) -> Response:
    """The answer for what the web framework refuses itself: no such route, a method that a route does not have."""
    code, word, remedy = FRAMEWORK.get(error.status_code, ("request", "BadRequest", "Read the API's description."))
    headers = dict(error.headers or {})
    detail = f"{request.method} {_short(request.url.path)}: {error.detail}"
    return _answer(request, error.status_code, word, code, detail, remedy, headers)


def _unexpected(request: Request, error: Exception) -> Response:
    # What went wrong is in the log, with its traceback; a caller learns nothing of our insides.
    _log.error("request-crashed", path=request.url.path, error=type(error).__name__)
    message = "The service failed on this request; its log holds the reason."
    remedy = "Try again; if it repeats, report the log lines of this time."
    return _answer(request, 500, "InternalServerError", "service.bug", message, remedy, {})


def _short(text: str) -> str:
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"
