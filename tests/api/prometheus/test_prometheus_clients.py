# SPDX-License-Identifier: Apache-2.0
"""Prometheus' HTTP API with real clients: promtool, and the package prometheus-api-client."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from tests.api.running_service import RunningService, fresh

from armillary.engines.series.export import COLUMNS, time_text

START_S = 1_795_532_400
HEADING = ",".join(COLUMNS) + "\r\n"
API = "/prometheus/api/v1"
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool; to enable: scripts/install-test-tools"
)


@dataclass(frozen=True)
class Given:
    """Two devices of a catalog; each has sent a counter every 15 s for an hour, and one a value with a dot."""

    catalog: str
    token: str
    devices: tuple[str, ...]


def imported(service: RunningService, rows: list[tuple[str, str, int, float]]) -> None:
    lines = [f"{device},{name},{time_text(at_s * 1000)},number,{value},\r\n" for device, name, at_s, value in rows]
    text = HEADING + "".join(lines)
    reply = service.call("POST", "/api/v1/telemetry/import", text.encode(), headers={"Content-Type": "text/csv"})
    assert reply.status == 200, reply.raw


@pytest.fixture(scope="module")
def given(service: RunningService) -> Given:
    name = service.make_catalog(fresh("P"), product="Coffee")
    devices = tuple(sorted(service.claimed(name).device_id for _ in range(2)))
    rows = [
        (device, "cups", START_S + 15 * n, float(n * (place + 1)))
        for place, device in enumerate(devices)
        for n in range(241)
    ]
    rows += [(devices[0], "water.temp", START_S + 15 * n, 20.0 + n % 4) for n in range(241)]
    imported(service, rows)
    return Given(name, service.token_for(name, "Reader"), devices)


def asked(service: RunningService, given: Given, path: str, *pairs: tuple[str, Any]) -> Any:
    reply = service.call("GET", f"{API}{path}?{urlencode(pairs)}", token=given.token)
    assert reply.status == 200, reply.raw
    assert reply.body["status"] == "success"
    return reply.body["data"]


def instant(service: RunningService, given: Given, query: str, at_s: float = START_S + 3600) -> dict[str, float]:
    """Values by device, "" for none."""
    found = asked(service, given, "/query", ("query", query), ("time", at_s))
    if found["resultType"] == "scalar":
        return {"": float(found["result"][1])}
    return {each["metric"].get("device", ""): float(each["value"][1]) for each in found["result"]}


def promtool(service: RunningService, given: Given, folder: Path, *command: str) -> str:
    config = folder / "http.yml"
    config.write_text(f"authorization:\n  credentials: {given.token}\ntls_config:\n  ca_file: {service.root}\n")
    url = f"https://localhost:{service.port}/prometheus"
    words = ["promtool", "query", command[0], f"--http.config.file={config}", "--format=json", url, *command[1:]]
    if command[0] in ("series", "labels"):
        words.remove("--format=json")
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_promtool
def test_promtool_asks_for_a_moment_a_range_series_and_labels(
    service: RunningService, given: Given, tmp_path: Path
) -> None:
    at = f"--time={START_S + 3600}"
    found = json.loads(promtool(service, given, tmp_path, "instant", "cups", at))
    assert {each["metric"]["device"]: each["value"] for each in found} == {
        given.devices[0]: [START_S + 3600, "240"], given.devices[1]: [START_S + 3600, "480"],
    }  # fmt: skip
    assert {each["metric"]["catalog"] for each in found} == {given.catalog}
    span = (f"--start={START_S}", f"--end={START_S + 3600}", "--step=5m")
    (row,) = json.loads(promtool(service, given, tmp_path, "range", "sum(rate(cups[5m]))", *span))
    assert row["metric"] == {}
    assert [float(value) for _, value in row["values"]] == pytest.approx([3 / 15] * 12)
    series = promtool(service, given, tmp_path, "series", '--match={__name__=~"cups|water_temp"}')
    assert series.count("cups") == 2
    assert 'value_name="water.temp"' in series
    assert promtool(service, given, tmp_path, "labels", "__name__").split() == ["cups", "water_temp"]


def test_the_package_prometheus_api_client_asks(service: RunningService, given: Given) -> None:
    client = pytest.importorskip(
        "prometheus_api_client", reason="no prometheus-api-client; to enable: scripts/install-test-tools"
    )
    session = client.PrometheusConnect(
        url=f"{service.address}/prometheus", headers={"Authorization": f"Bearer {given.token}"}
    )
    session._session.verify = str(service.root)
    assert session.all_metrics() == ["cups", "water_temp"]
    assert session.get_label_values("device") == list(given.devices)
    (found,) = session.custom_query("max(cups) - min(cups)", params={"time": START_S + 3600})
    assert found["value"][1] == "240"
    rows = session.custom_query_range(
        'water_temp{value_name="water.temp"}',
        datetime.fromtimestamp(START_S, UTC), datetime.fromtimestamp(START_S + 60, UTC), "15",
    )  # fmt: skip
    assert [value for _, value in rows[0]["values"]] == ["20", "21", "22", "23", "20"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cups", (240, 480)),
        ('cups{device=~".+"}', (240, 480)),
        ('cups{catalog!="x",module=""}', (240, 480)),
        ('cups{device!~".*"}', ()),
        ("cups offset 15s", (239, 478)),
        ("cups / 2", (120, 240)),
        ("cups > 300", (None, 480)),
        ("cups > bool 300", (0, 1)),
        ("2 - cups", (-238, -478)),
        ("cups - cups", (0, 0)),
        ("delta(cups[1m])", (4, 8)),
        ("increase(cups[5m])", (20, 40)),
        ("avg_over_time(cups[1m])", (238.5, 477)),
        ("count_over_time(cups[1m])", (4, 4)),
        ("max_over_time(cups[1m]) - min_over_time(cups[1m])", (3, 6)),
        ("sum by (device) (cups)", (240, 480)),
        ("sum without (name, catalog, template) (cups)", (240, 480)),
    ],
)
def test_expressions(service: RunningService, given: Given, query: str, expected: tuple[float | None, ...]) -> None:
    pairs = zip(given.devices, expected, strict=bool(expected) and len(expected) == 2)
    wanted = {device: pytest.approx(value) for device, value in pairs if value is not None}
    assert instant(service, given, query) == wanted


def test_scalars_and_aggregations(service: RunningService, given: Given) -> None:
    for query, value in (
        ("1 + 2 * 3", 7),
        ("sum(cups)", 720),
        ("avg(cups)", 360),
        ("count(cups)", 2),
        ("-max(cups)", -480),
    ):
        assert instant(service, given, query) == {"": value}


def test_a_value_is_shown_for_five_minutes(service: RunningService, given: Given) -> None:
    assert instant(service, given, "cups", START_S + 3600 + 299)
    assert instant(service, given, "cups", START_S + 3600 + 301) == {}


@pytest.mark.parametrize(
    "query",
    ["cups[5m]", "topk(1, cups)", "cups @ 5", "cups and cups", "rate(cups[5m:1m])", "cups + on(device) group_left cups", "sum(", "histogram_quantile(0.5, cups)",
     'cups{a=~"("}', "1 > 2", '"text"', "(" * 60 + "1" + ")" * 60, "x" * 5000, 'cups{a=~"(?=x)"}'],
)  # fmt: skip
def test_what_is_not_evaluated_is_one_error_in_prometheus_form(
    service: RunningService, given: Given, query: str
) -> None:
    reply = service.call("GET", f"{API}/query?query={quote(query)}", token=given.token)
    assert reply.status == 400
    assert reply.body["status"] == "error"
    assert reply.body["errorType"] == "bad_data"
    assert reply.body["error"].startswith("query: ")


def test_a_form_is_taken_and_bad_parameters_are_named(service: RunningService, given: Given) -> None:
    body = urlencode({"query": "cups", "time": START_S}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = service.call("POST", f"{API}/query", body, token=given.token, headers=headers)
    assert len(reply.body["data"]["result"]) == 2
    for path, word in (
        ("/query", "query"), ("/query?query=cups&time=x", "time"), ("/query_range?query=cups&start=5&end=1&step=1", "start"),
        ("/query_range?query=cups&start=0&end=99999&step=1", "11,000"), ("/query_range?query=cups&start=0&end=9&step=0", "step"),
        ("/series", "match[]"), ("/labels?limit=-1", "limit"),
    ):  # fmt: skip
        refused = service.call("GET", API + path, token=given.token)
        assert (refused.status, word in refused.body["error"]) == (400, True), path
    twice = service.call("POST", f"{API}/query", b"query=a&query=b", token=given.token, headers=headers)
    assert twice.status == 400
    assert service.call("GET", f"{API}/query?query=cups", token=None).body["errorType"] == "unauthorized"


def test_what_grafana_asks_besides(service: RunningService, given: Given) -> None:
    assert asked(service, given, "/status/buildinfo")["version"]
    assert asked(service, given, "/rules") == {"groups": []}
    assert asked(service, given, "/alerts") == {"alerts": []}
    assert asked(service, given, "/query_exemplars", ("query", "cups")) == []
    assert asked(service, given, "/metadata")["cups"] == [{"type": "gauge", "help": "cups", "unit": ""}]
    assert asked(service, given, "/labels") == ["__name__", "catalog", "device", "name", "value_name"]
    assert asked(service, given, "/label/device/values", ("match[]", "water_temp")) == [given.devices[0]]
    assert asked(service, given, "/query", ("query", "1+1"), ("time", 5))["result"] == [5, "2"]


def test_a_token_of_one_catalog_sees_its_devices_only(service: RunningService, given: Given) -> None:
    other = service.token_for(service.make_catalog(fresh("Other")), "Reader")
    stranger = Given("", other, ())
    assert instant(service, stranger, "cups") == {}
    assert instant(service, stranger, f'cups{{device="{given.devices[0]}"}}') == {}
    assert asked(service, stranger, "/labels") == []
    assert asked(service, stranger, "/metadata") == {}
    everything = Given("", service.token, ())
    assert set(given.devices) <= set(instant(service, everything, "cups"))
