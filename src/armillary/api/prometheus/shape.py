# SPDX-License-Identifier: Apache-2.0
"""The shape of Prometheus' HTTP API: its paths below ``/prometheus``, and errors in its form."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.callers import caller_of
from armillary.api.http.problems import Problem
from armillary.api.http.route import READER, OfOrganisation, Reach, Route
from armillary.api.http.routes import Answer, unknown
from armillary.api.http.shape import Shape

ROOT: Final = "/prometheus"
V1: Final = ROOT + "/api/v1"
# A form with a query: clients send long ones by POST.
FORM_BYTES: Final = 64 << 10
FORM: Final = "application/x-www-form-urlencoded"


def prometheus_problem(problem: Problem) -> Response:
    """The answer to a problem in Prometheus' form."""
    from armillary.api.prometheus import answers  # noqa: PLC0415 - memory: few services have such clients

    return answers.prometheus_problem(problem)


class Answering:
    """The endpoint of one operation, for GET, and for POST with a form."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def get(self, request: Request) -> Response:
        """Answer with the parameters of the query."""
        return self._answer(request, None)

    async def post(self, request: Request) -> Response:
        """Answer with the parameters of the form and of the query."""
        body = await request.body()
        async with caller_of(request).turn():
            return await run_in_threadpool(self._answer, request, body)

    def _answer(self, request: Request, body: bytes | None) -> Response:
        # Memory: few services have such clients.
        from armillary.api.prometheus import answers, operations  # noqa: PLC0415
        from armillary.api.prometheus.parameters import Parameters  # noqa: PLC0415

        pairs: list[tuple[str, Any]] = request.query_params.multi_items()
        given = Parameters.of(pairs) if body is None else Parameters.of_form(body, pairs)
        return Answer(answers.success(getattr(operations, self._operation)(request, given)))


_LISTS: Final = frozenset(("match[]",))
_row = partial(
    Route, role=READER, reach=Reach.TOKEN, organisation=OfOrganisation.LIST, lists=_LISTS, answer=JSONResponse
)


def _get(path: str, operation: str) -> Route:
    return _row("GET", V1 + path, Answering(operation).get)


def _both(path: str, operation: str) -> tuple[Route, Route]:
    post = _row("POST", V1 + path, Answering(operation).post, body_limit=FORM_BYTES, body_media_type=FORM)
    return _get(path, operation), post


SHAPE: Final = Shape(
    routes=(
        *_both("/query", "query"),
        *_both("/query_range", "query_range"),
        *_both("/series", "series"),
        *_both("/labels", "labels"),
        _get("/label/{label}/values", "label_values"),
        _get("/metadata", "metadata"),
        _get("/status/buildinfo", "build_information"),
        _get("/rules", "rules"),
        _get("/alerts", "alerts"),
        *_both("/query_exemplars", "exemplars"),
    ),
    has=lambda path: path.startswith(ROOT + "/"),
    form=prometheus_problem,
    unknown=(unknown(ROOT + "/"),),
)
