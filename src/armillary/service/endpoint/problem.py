# SPDX-License-Identifier: Apache-2.0
"""The one table from error to HTTP status at the device endpoint, and the answers that carry errors."""

from __future__ import annotations

from typing import Final

from armillary.errors import (
    AppraisalError,
    ArmillaryError,
    ChallengeError,
    DeviceFault,
    HostError,
    NotFoundError,
    RateLimitedError,
    SignatureError,
    WireError,
)
from armillary.wire.device.problem import Problem, encode_problem

# The first row whose class the error is decides.
STATUS: Final[tuple[tuple[type[ArmillaryError], int], ...]] = (
    (ChallengeError, 401),
    (RateLimitedError, 429),
    (AppraisalError, 403),
    (SignatureError, 403),
    (DeviceFault, 403),  # unknown, unclaimed, revoked, wrong catalog, state
    (WireError, 400),
    (NotFoundError, 404),
    (HostError, 503),
    (ArmillaryError, 500),
)

REASONS: Final = {
    200: b"OK",
    206: b"Partial Content",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    416: b"Range Not Satisfiable",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


class RequestRefusedError(ArmillaryError):
    """An HTTP request that is refused for its form, method, size or range, or that the endpoint cannot serve now."""

    code = "request.refused"
    remedy = "See docs/reference/device-protocol.md."

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: ArmillaryError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, RequestRefusedError):
        return error.status
    return next(status for kind, status in STATUS if isinstance(error, kind))


def problem_of(error: ArmillaryError) -> tuple[int, bytes, int | None]:
    """(status, CBOR body, seconds for Retry-After or None) of an error."""
    retry = error.retry_after_s if isinstance(error, RateLimitedError) else None
    body = encode_problem(Problem(error.code, error.message, error.remedy, retry))
    return status_of(error), body, retry
