# SPDX-License-Identifier: Apache-2.0
"""docs/guides/grafana.md as it stands: its data source asks as Grafana's does. Its commands are run by tests/e2e/test_guides.py.

Grafana itself is in no registry that these tests may use; what it sends for the data source of the page is written down
here from its documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from tests.api.prometheus.test_prometheus_clients import START_S, imported
from tests.api.running_service import RunningService, fresh
from tests.e2e.guides.blocks import ROOT, block_of

PAGE = ROOT / "docs" / "guides" / "grafana.md"


@dataclass(frozen=True)
class Reader:
    """Somebody who has a catalog with a device, and a token of the page's first command."""

    catalog: str
    token: str


@pytest.fixture(scope="module")
def reader(service: RunningService) -> Reader:
    catalog = service.make_catalog(fresh("G"), product="Coffee")
    imported(service, [(service.claimed(catalog).device_id, "temperature", START_S, 21.5)])
    return Reader(catalog, service.token_for(catalog, "Reader"))


def test_the_data_source_of_the_page_asks_and_is_answered(service: RunningService, reader: Reader) -> None:
    (source,) = yaml.safe_load(block_of("docs/guides/grafana.md", "armillary.yml"))["datasources"]
    plain, secret = source["jsonData"], source["secureJsonData"]
    assert source["type"] == "prometheus"
    root = re.sub(r"^https://[^/]+", "", source["url"])
    header = {plain["httpHeaderName1"]: secret["httpHeaderValue1"].replace("arm_…", reader.token)}
    form = {**header, "Content-Type": "application/x-www-form-urlencoded"}

    def asked(method: str, path: str, body: bytes | None = None) -> Any:
        reply = service.call(method, root + path, body, token=None, headers=form)
        assert reply.status == 200, reply.raw
        return reply.body["data"]

    assert asked(plain["httpMethod"], "/api/v1/query", b"query=1%2B1&time=4")["result"] == [4, "2"]  # its health check
    assert asked("GET", "/api/v1/status/buildinfo")["version"]
    assert asked("GET", "/api/v1/label/__name__/values?start=1&end=2") == ["temperature"]
    panel = f"query=temperature&start={START_S}&end={START_S + 60}&step={plain['timeInterval']}".encode()
    (row,) = asked(plain["httpMethod"], "/api/v1/query_range", panel)["result"]
    assert (row["metric"]["catalog"], row["values"][0]) == (reader.catalog, [START_S, "21.5"])
    refused = service.call("GET", f"{root}/api/v1/labels", token=None, headers={})
    assert refused.status == 401


def test_the_page_names_every_function_and_limit() -> None:
    from armillary.api.prometheus import found, parameters, source  # noqa: PLC0415 - only here
    from armillary.promql import evaluation, expression  # noqa: PLC0415
    from armillary.promql.over_time import FUNCTIONS  # noqa: PLC0415
    from armillary.promql.vectors import AGGREGATIONS, OF_VALUES  # noqa: PLC0415

    text = PAGE.read_text("utf-8")
    for name in (*FUNCTIONS, *AGGREGATIONS, *OF_VALUES):
        assert f"`{name}`" in text, name
    for limit in (
        parameters.MAX_STEPS, source.MAX_SELECTED, source.MAX_SAMPLES, source.FEW_POINTS, evaluation.MAX_WINDOW_VALUES,
        evaluation.MAX_RESULT_VALUES, expression.MAX_SELECTORS, found.MAX_DEVICES, found.MAX_SERIES,
        expression.MAX_CHARACTERS, expression.MAX_DEPTH,
    ):  # fmt: skip
        assert re.search(rf"\b{limit:,}\b", text), limit
