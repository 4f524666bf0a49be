# SPDX-License-Identifier: Apache-2.0
"""Errors in IoT Hub's form: its clients show ``Message``, and tools look for the word in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi.responses import JSONResponse
from starlette.responses import Response

from armillary.api.azure.problems import word_of
from armillary.api.http.problems import Problem, sentences
from armillary.errors import DeviceOfflineError

# HTTP status -> word; others are Azure Resource Manager's.
WORDS: Final[Mapping[int, str]] = {
    400: "ArgumentInvalid",
    401: "IotHubUnauthorizedAccess",
    403: "IotHubUnauthorizedAccess",
    404: "DeviceNotFound",
    409: "DeviceAlreadyExists",
    412: "PreconditionFailed",
    429: "ThrottlingException",
    504: "GatewayTimeout",
}


def iot_hub_problem(problem: Problem) -> Response:
    """The answer."""
    status, word = problem.status, word_of(problem)
    if isinstance(problem.error, DeviceOfflineError):  # IoT Hub says that it does not find who is away
        status = 404
    else:
        word = WORDS.get(status, word)
    message = f"ErrorCode:{word};{sentences(problem.message, problem.remedy)}"
    body = {"Message": message, "ExceptionMessage": problem.code}
    return JSONResponse(body, status, headers={**problem.headers, "iothub-errorcode": word})
