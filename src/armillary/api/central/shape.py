# SPDX-License-Identifier: Apache-2.0
"""The shape of IoT Central's REST API: its routes, its tokens, and errors in its form."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from typing import Final
from uuid import uuid4

from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.azure.problems import word_of
from armillary.api.central.route import CentralRoute
from armillary.api.central.table import OPERATIONS, is_central
from armillary.api.http.auth import MAX_HEADER_CHARS
from armillary.api.http.problems import Problem, sentences
from armillary.api.http.shape import Shape
from armillary.errors import UnauthenticatedError
from armillary.wire.hub.api_token import secret_of_header

# HTTP status -> word; others are Azure Resource Manager's.
WORDS: Final[Mapping[int, str]] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "PayloadTooLarge",
}


def central_problem(problem: Problem) -> Response:
    """The answer; our code and remedy ride in ``innererror``."""
    word = WORDS.get(problem.status) or word_of(problem)
    body = {
        "error": {
            "code": word,
            "message": sentences(problem.message, problem.remedy),
            "requestId": str(uuid4()),
            "time": formatdate(usegmt=True),  # RFC 1123
            "innererror": {"code": problem.code, "remedy": problem.remedy},
        }
    }
    return JSONResponse(body, problem.status, headers={**problem.headers, "x-ms-error-code": word})


def api_token(request: Request) -> str:
    """The token in the Authorization header, in any form that scripts of IoT Central send it in.

    Raises:
        UnauthenticatedError: there is none.
    """
    header = request.headers.get("authorization", "")
    secret = secret_of_header(header) if len(header) <= MAX_HEADER_CHARS else ""
    if not secret:
        raise UnauthenticatedError("the request carries no API token")
    return secret


SHAPE: Final = Shape(routes=OPERATIONS, has=is_central, form=central_problem, secret_of=api_token, mounted=CentralRoute)
