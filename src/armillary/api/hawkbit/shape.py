# SPDX-License-Identifier: Apache-2.0
"""The shape of hawkBit's DDI: its paths, how controllers authenticate, and errors in hawkBit's form."""

from __future__ import annotations

from typing import Final

from fastapi.responses import JSONResponse
from starlette.responses import Response

from armillary.api.hawkbit import controller, downloads
from armillary.api.hawkbit.call import by_controller, is_ddi
from armillary.api.http.problems import Problem, sentences
from armillary.api.http.shape import Shape


def ddi_problem(problem: Problem) -> Response:
    """The answer to a problem: hawkBit's ExceptionInfo, with our code."""
    body = {"errorCode": problem.code, "message": sentences(problem.message, problem.remedy)}
    headers = dict(problem.headers)
    if "WWW-Authenticate" in headers:
        headers["WWW-Authenticate"] = 'TargetToken realm="armillary"'
    return JSONResponse(body, problem.status, headers=headers)


SHAPE: Final = Shape(
    routes=(*controller.ROUTES, *downloads.ROUTES),
    has=is_ddi,
    form=ddi_problem,
    authenticate=by_controller,
    # Clients send hawkBit's own parameters (``actionHistory``, ``c``); none changes an answer here.
    query_names=lambda _: None,
)
