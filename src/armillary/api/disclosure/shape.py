# SPDX-License-Identifier: Apache-2.0
"""The shape of disclosure: a file, a page and its form, for everybody. It is loaded when somebody asks for it."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.route import PUBLIC, Route
from armillary.api.http.routes import service_of
from armillary.api.http.shape import Shape

FILE: Final = "/.well-known/security.txt"
PAGE: Final = "/vulnerability-report"
# As ``wire/disclosure/submission.py`` has it, which is not loaded at rest.
MAX_FORM_BYTES: Final = 96 << 10


def address_of(request: Request) -> str:
    """``https://host[:port]`` of this service, by its settings and the port that the request came to.

    Not by the request's Host: that is whatever the caller wrote.
    """
    host, port = service_of(request).settings.public_host, request.scope["server"][1]
    return f"https://{host}" if port == 443 else f"https://{host}:{port}"


def security_txt(request: Request) -> Response:
    """Where to report a vulnerability (RFC 9116)."""
    content = service_of(request).disclosure.policies.file(address_of(request))
    return Response(content, media_type="text/plain; charset=utf-8")


def report_page(request: Request) -> Response:
    """The form on which a vulnerability is reported."""
    from armillary.api.disclosure import page  # noqa: PLC0415 - memory: few services take reports

    return page.form(service_of(request))


async def hand_in(request: Request) -> Response:
    """Take what the form brings; the answer has the reference number."""
    from armillary.api.disclosure import page  # noqa: PLC0415 - memory, as above

    page.check_origin(request)
    content = await request.body()
    address = "" if request.client is None else request.client.host
    return await run_in_threadpool(page.take, service_of(request), content, address)


_row = partial(Route, role=PUBLIC, answer=Response)
SHAPE: Final = Shape(
    routes=(
        _row("GET", FILE, security_txt),
        _row("GET", PAGE, report_page),
        _row("POST", PAGE, hand_in, body_limit=MAX_FORM_BYTES),
    ),
    has=lambda path: path in (FILE, PAGE),
)
