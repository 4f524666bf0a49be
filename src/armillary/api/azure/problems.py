# SPDX-License-Identifier: Apache-2.0
"""Errors in Azure Resource Manager's form: its error codes, and its ``{"error": {...}}`` body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi.responses import JSONResponse
from starlette.responses import Response

from armillary import errors
from armillary.api.http.problems import Problem, nearest

# Error class -> word. The nearest ancestor of an error decides.
WORDS: Final[Mapping[type[errors.ArmillaryError], str]] = {
    errors.ArmillaryError: "InternalServerError",
    errors.WireError: "InvalidImage",
    errors.SignatureError: "InvalidSignature",
    errors.ManifestError: "InvalidManifest",
    errors.ModelError: "InvalidModel",
    errors.DeviceFault: "DeviceConflict",
    errors.UnknownDeviceError: "ResourceNotFound",
    errors.RateLimitedError: "TooManyRequests",
    errors.QuotaExceededError: "TooManyRequests",
    errors.OperatorError: "BadRequest",
    errors.InvalidArgumentError: "InvalidRequestContent",
    errors.NotFoundError: "ResourceNotFound",
    errors.ConflictError: "Conflict",
    errors.DeviceOfflineError: "DeviceNotOnline",
    errors.DeviceTimeoutError: "GatewayTimeout",
    errors.UnauthenticatedError: "AuthenticationFailed",
    errors.PermissionDeniedError: "AuthorizationFailed",
    errors.HostError: "ServiceUnavailable",
}
# Codes that say more than their class does.
WORDS_OF_CODES: Final[Mapping[str, str]] = {"request.precondition": "PreconditionFailed"}
# What is refused without an error of our tree: HTTP status -> word.
WORDS_OF_STATUSES: Final[Mapping[int, str]] = {
    400: "InvalidRequestContent",
    404: "ResourceNotFound",
    405: "HttpMethodNotAllowed",
    413: "RequestContentTooLarge",
    415: "UnsupportedMediaType",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}


def word_of(problem: Problem) -> str:
    """Azure Resource Manager's word for a problem."""
    if problem.error is None:
        return WORDS_OF_STATUSES.get(problem.status, "BadRequest")
    return WORDS_OF_CODES.get(problem.error.code) or nearest(WORDS, problem.error)


def azure_problem(problem: Problem) -> Response:
    """The answer; our code and remedy ride in ``additionalInfo``."""
    word = word_of(problem)
    details = [
        {"code": word, "message": item["reason"], "target": item["name"], "details": [], "additionalInfo": []}
        for item in problem.invalid
    ]
    info = {"code": problem.code, "remedy": problem.remedy}
    body = {
        "error": {
            "code": word,
            "message": problem.message,
            "target": problem.path,
            "details": details,
            "additionalInfo": [{"type": "ArmillaryError", "info": info}],
        }
    }
    return JSONResponse(body, problem.status, headers={**problem.headers, "x-ms-error-code": word})
