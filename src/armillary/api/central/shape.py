# SPDX-License-Identifier: Apache-2.0
"""The shape of IoT Central's REST API."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from armillary.api.central.problems import central_problem
from armillary.api.central.route import CentralRoute
from armillary.api.central.table import OPERATIONS, is_central
from armillary.api.http.auth import MAX_HEADER_CHARS
from armillary.api.http.shape import Shape
from armillary.errors import UnauthenticatedError
from armillary.wire.hub.api_token import secret_of_header


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
