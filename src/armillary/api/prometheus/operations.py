# SPDX-License-Identifier: Apache-2.0
"""What the routes answer. Each takes the request and its parameters, and returns the ``data`` of the answer."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from armillary import __version__
from armillary.api.http.routes import hub_of, platform_of
from armillary.api.prometheus import answers
from armillary.api.prometheus.found import Found, find
from armillary.api.prometheus.source import HubSource
from armillary.promql.evaluation import Evaluation, Steps
from armillary.promql.expression import parse_expression
from armillary.promql.samples import NAME

if TYPE_CHECKING:
    from starlette.requests import Request

    from armillary.api.prometheus.parameters import Parameters

Data = Any


def query(request: Request, given: Parameters) -> Data:
    """An expression at one moment, now where none is named."""
    at_ms = given.moment_ms("time", int(time.time() * 1000))
    steps = Steps(at_ms, at_ms, 1)
    expression = parse_expression(given.text("query"))
    return answers.instant(Evaluation(_source(request), steps).value(expression), steps)


def query_range(request: Request, given: Parameters) -> Data:
    """An expression at each step of a range."""
    steps = given.steps()
    expression = parse_expression(given.text("query"))
    return answers.over_time(Evaluation(_source(request), steps).value(expression), steps)


def series(request: Request, given: Parameters) -> Data:
    """Labels of the series that selectors choose, whenever they have values."""
    return [each.labels for each in find(request, given.selectors(needed=True))][: given.count("limit")]


def labels(request: Request, given: Parameters) -> Data:
    """Names of labels."""
    found = find(request, given.selectors(needed=False))
    return sorted({name for each in found for name in each.labels})[: given.count("limit")]


def label_values(request: Request, given: Parameters) -> Data:
    """Values of the label that the path names."""
    label = request.path_params["label"]
    found = find(request, given.selectors(needed=False))
    return sorted({each.labels[label] for each in found if label in each.labels})[: given.count("limit")]


def metadata(request: Request, given: Parameters) -> Data:
    """Display name and unit of each metric, once for each way in which templates have them."""
    wanted, limit = given.optional("metric"), given.count("limit")
    found: dict[str, list[dict[str, str]]] = {}
    for value, template, metric in sorted(_values(find(request, ()))):
        if wanted and metric != wanted:
            continue
        name = platform_of(request).naming.of_template(template).of(value)
        entry = {"type": "gauge", "help": name.display_name, "unit": name.symbol}
        entries = found.setdefault(metric, [])
        if entry not in entries:
            entries.append(entry)
    return dict(sorted(found.items())[:limit])


def build_information(request: Request, given: Parameters) -> Data:  # noqa: ARG001 - as all
    """What Grafana asks to know what the server can: Prometheus' language as of 2.45, as our parser reads it."""
    return {
        "version": "2.45.0",
        "revision": f"armillary {__version__}",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }


def rules(request: Request, given: Parameters) -> Data:  # noqa: ARG001 - as all
    """No rules of Prometheus': Armillary's are at ``/api/v1/rules``."""
    return {"groups": []}


def alerts(request: Request, given: Parameters) -> Data:  # noqa: ARG001 - as all
    """No alerts of Prometheus': Armillary's are at ``/api/v1/alerts``."""
    return {"alerts": []}


def exemplars(request: Request, given: Parameters) -> Data:  # noqa: ARG001 - as all
    """None: values have no traces of programs."""
    return []


def _source(request: Request) -> HubSource:
    return HubSource(hub_of(request).series.fleet, lambda selectors: find(request, selectors))


def _values(found: Iterable[Found]) -> set[tuple[str, str, str]]:
    return {(each.value, each.template, each.labels[NAME]) for each in found}
