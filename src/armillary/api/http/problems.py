# SPDX-License-Identifier: Apache-2.0
"""Errors to HTTP: the only place where a status code is chosen for an error.

An error becomes a :class:`Problem`, and the route's shape makes the answer of it: problem details (RFC 9457,
``application/problem+json``), or what that shape's clients read. All carry the same code and remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from armillary import errors
from armillary.api.http.validation_words import worded

# Error class -> HTTP status. The nearest ancestor of an error decides.
STATUS: Mapping[type[errors.ArmillaryError], int] = {
    errors.ArmillaryError: 500,
    errors.WireError: 400,
    errors.SignatureError: 400,
    errors.ManifestError: 400,
    errors.ModelError: 400,
    errors.DeviceFault: 409,
    errors.UnknownDeviceError: 404,
    errors.RateLimitedError: 429,
    errors.QuotaExceededError: 429,
    errors.OperatorError: 400,
    errors.InvalidArgumentError: 400,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.DeviceOfflineError: 409,
    errors.DeviceTimeoutError: 504,
    errors.UnauthenticatedError: 401,
    errors.PermissionDeniedError: 403,
    errors.HostError: 503,
}
# Codes that say more than their class does.
STATUS_OF_CODE: Mapping[str, int] = {
    "bridge.action-closed": 410,  # what hawkBit answers, and its clients read
    "request.precondition": 412,  # RFC 9110 §13.1.1: an If-Match that does not hold
}
# Statuses that the web framework decides itself -> (our code, what to do).
FRAMEWORK: Mapping[int, tuple[str, str]] = {
    400: ("request.invalid", "Correct it: GET /api/v1/openapi.json says what each route takes."),
    404: ("request.no-route", "Check the path: GET /api/v1/openapi.json lists every route."),
    405: ("request.method", "Use a method that the route allows; see the Allow header."),
    413: ("request.too-large", "Send less: docs/reference/api.md lists the limits."),
    415: ("request.media-type", "Send application/json."),
}
# Statuses that connections answer themselves, without a route (connection.py) -> code.
OF_CONNECTIONS: Mapping[int, str] = {
    400: "request.http",
    429: errors.QuotaExceededError.code,
    431: "request.head-too-large",
    503: "service.busy",
}
CHALLENGE = 'Bearer realm="armillary"'  # RFC 6750 §3
# Seconds after which a caller may try again when too many requests are under way.
BUSY_RETRY_S = 2
# A validation error names at most this many wrong values: enough to mend a body, bounded for hostile ones.
MAX_DETAILS = 20
# Longest value quoted back from a request, characters.
MAX_QUOTED = 100

_log = structlog.get_logger("armillary.api")


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """What was wrong with a request: HTTP status, the error's stable code, message and remedy, headers of the answer.

    ``invalid`` has ``name`` and ``reason`` of each wrong value of a body; ``error`` is None where the web framework or
    the server refuses.
    """

    path: str
    status: int
    code: str
    message: str
    remedy: str
    headers: Mapping[str, str] = field(default_factory=dict)
    invalid: Sequence[Mapping[str, str]] = ()
    error: errors.ArmillaryError | None = None


Form = Callable[[Problem], Response]


def status_of(error: errors.ArmillaryError) -> int:
    """HTTP status for ``error``: of its code in :data:`STATUS_OF_CODE`, else of its nearest ancestor."""
    return STATUS_OF_CODE.get(error.code) or nearest(STATUS, error)


def nearest(table: Mapping[type[errors.ArmillaryError], T], error: errors.ArmillaryError) -> T:
    """The entry for the nearest ancestor of ``error``, in a table that has the root of all errors."""
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def problem_details(problem: Problem) -> Response:
    """The answer for a problem as RFC 9457 has it."""
    body = problem_body(problem)
    return JSONResponse(body, problem.status, headers=dict(problem.headers), media_type="application/problem+json")


def problem_body(problem: Problem) -> dict[str, Any]:
    """Problem details (RFC 9457 §3), with our ``code``, ``remedy`` and, for bad bodies, ``invalid_params``."""
    body: dict[str, Any] = {
        "type": f"urn:armillary:error:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.message,
        "instance": problem.path,
        "code": problem.code,
        "remedy": problem.remedy,
    }
    if problem.invalid:
        body["invalid_params"] = [dict(item) for item in problem.invalid]
    return body


def sentences(message: str, remedy: str) -> str:
    """A message and its remedy as one text, in shapes that have one field for both."""
    ended = message if not message or message.endswith((".", "!", "?")) else f"{message}."
    return f"{ended} {remedy}".strip()


def explained(path: str, error: errors.ArmillaryError) -> Problem:
    """The problem of an error of ours; logs those that are the service's fault."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, errors.UnauthenticatedError):
        headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, errors.RateLimitedError):
        headers["Retry-After"] = str(error.retry_after_s)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("request-failed", path=path, code=error.code, message=error.message)
    invalid = _faults(error) if isinstance(error, errors.ModelError) else ()
    return Problem(path, status, error.code, error.message, error.remedy, headers, invalid, error)


def busy(path: str, most: int) -> Problem:
    """The problem of a request beyond the limit of the server."""
    message = f"the service answers {most} requests at a time and has them all"
    remedy = f"Try again in {BUSY_RETRY_S} seconds."
    headers = {"Retry-After": str(BUSY_RETRY_S), "Cache-Control": "no-store"}
    return Problem(path, 503, OF_CONNECTIONS[503], message, remedy, headers)


def install(app: FastAPI, form: Callable[[str], Form]) -> None:
    """Give ``app`` the handlers that answer every error, in the form of the request's path."""

    def answers(problem_of: Callable[[Request, Any], Problem]) -> Callable[[Request, Exception], Response]:
        return lambda request, error: form(request.url.path)(problem_of(request, error))

    app.add_exception_handler(errors.ArmillaryError, answers(lambda request, error: explained(request.url.path, error)))
    app.add_exception_handler(RequestValidationError, answers(_invalid))
    app.add_exception_handler(HTTPException, answers(framework_problem))
    app.add_exception_handler(ClientDisconnect, caller_left)
    app.add_exception_handler(Exception, answers(_unexpected))


async def caller_left(request: Request, error: Exception) -> Response:  # noqa: ARG001 - an exception handler's
    """The answer to a caller that disconnected before its body was complete: nobody receives it, nothing is logged."""
    return Response(status_code=400)


def _faults(error: errors.ModelError) -> Sequence[Mapping[str, str]]:
    """Every fault of a model, so that its author corrects them all at once."""
    return [{"name": where, "reason": what} for where, what in error.faults]


def _invalid(request: Request, error: RequestValidationError) -> Problem:
    found = error.errors()
    invalid = [{"name": _short(name), "reason": _short(reason)} for name, reason in map(worded, found[:MAX_DETAILS])]
    first = invalid[0] if invalid else {"name": "body", "reason": "is not what the route expects"}
    code, remedy = FRAMEWORK[400]
    return Problem(request.url.path, 400, code, f"{first['name']}: {first['reason']}", remedy, invalid=invalid)


def framework_problem(request: Request, error: HTTPException) -> Problem:
    """The problem of what the web framework refuses itself: no such route, a method that a route does not have."""
    code, remedy = FRAMEWORK.get(error.status_code, ("request", "Read the API's description."))
    detail = f"{request.method} {_short(request.url.path)}: {error.detail}"
    headers = dict(error.headers or {})
    allowed = set(filter(None, headers.get("Allow", "").split(", ")))
    if "GET" in allowed:  # what answers GET answers HEAD
        headers["Allow"] = ", ".join(sorted(allowed | {"HEAD"}))
    return Problem(request.url.path, error.status_code, code, detail, remedy, headers)


def _unexpected(request: Request, error: Exception) -> Problem:
    # What went wrong is in the log, with its traceback; a caller learns nothing of our insides.
    _log.error("request-crashed", path=request.url.path, error=type(error).__name__)
    message = "The service failed on this request; its log holds the reason."
    remedy = "Try again; if it repeats, report the log lines of this time."
    return Problem(request.url.path, 500, "service.bug", message, remedy)


def _short(text: str) -> str:
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"
