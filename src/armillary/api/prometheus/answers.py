# SPDX-License-Identifier: Apache-2.0
"""Answers in Prometheus' form: envelopes, results with their values as text, and errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from fastapi.responses import JSONResponse
from starlette.responses import Response

from armillary.api.http.problems import Problem, sentences
from armillary.promql.evaluation import Steps
from armillary.promql.samples import Row
from armillary.promql.vectors import Value

# HTTP status -> Prometheus' word; what is not here is the service's fault.
WORDS: Final = {400: "bad_data", 401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "too_many_requests"}


def prometheus_problem(problem: Problem) -> Response:
    """The answer to a problem; ``code`` is ours and beside what Prometheus has."""
    word = WORDS.get(problem.status, "bad_data" if problem.status < 500 else "internal")
    text = sentences(problem.message, problem.remedy)
    body = {"status": "error", "errorType": word, "error": text, "code": problem.code}
    return JSONResponse(body, problem.status, headers=dict(problem.headers))


def success(data: Any) -> dict[str, Any]:
    """A good answer."""
    return {"status": "success", "data": data}


def instant(value: Value, steps: Steps) -> dict[str, Any]:
    """The result of a query of one moment: a vector, or a scalar."""
    at = _seconds(steps.first_ms)
    if value and not isinstance(value[0], Row):
        return {"resultType": "scalar", "result": [at, number_text(_number(value))]}
    result = [
        {"metric": dict(each.labels), "value": [at, number_text(each.values[0])]}
        for each in value
        if isinstance(each, Row) and each.values[0] is not None
    ]
    return {"resultType": "vector", "result": result}


def over_time(value: Value, steps: Steps) -> dict[str, Any]:
    """The result of a query over a range: a matrix; a number is a series without labels, as with Prometheus."""
    moments = [_seconds(each) for each in steps.times()]
    rows: Sequence[Row]
    rows = [Row({}, list(value))] if value and not isinstance(value[0], Row) else value  # type: ignore[assignment]
    result = [
        {
            "metric": dict(row.labels),
            "values": [
                [at, number_text(each)] for at, each in zip(moments, row.values, strict=True) if each is not None
            ],
        }
        for row in rows
    ]
    return {"resultType": "matrix", "result": result}


def number_text(value: float) -> str:
    """A number as Prometheus writes it: ``3``, ``3.25``, ``NaN``, ``+Inf``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def _number(value: Value) -> float:
    (found,) = value
    if isinstance(found, Row):
        raise TypeError("a series is not a number")
    return found


def _seconds(at_ms: int) -> float | int:
    return at_ms // 1000 if at_ms % 1000 == 0 else at_ms / 1000
