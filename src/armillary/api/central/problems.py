# SPDX-License-Identifier: Apache-2.0
"""Errors in IoT Central's form."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from typing import Final
from uuid import uuid4

from fastapi.responses import JSONResponse
from starlette.responses import Response

from armillary.api.azure.problems import word_of
from armillary.api.http.problems import Problem, sentences

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
