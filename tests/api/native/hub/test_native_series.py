# SPDX-License-Identifier: Apache-2.0
"""Values over time over the API: import, raw pages, groups added up, export, retention, who may."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pyarrow.parquet
import pytest
from tests.api.running_service import RunningService, fresh

from armillary.engines.series.export import COLUMNS, ParquetMissingError, time_text
from armillary.engines.series.values.chunks import HOUR_MS

START = 1_795_532_400_000
HEADING = ",".join(COLUMNS) + "\r\n"


@dataclass(frozen=True)
class Given:
    """Two devices in a catalog, a group of both, and six points of each an hour apart."""

    catalog: str
    group: str
    devices: tuple[str, ...]

    @property
    def csv(self) -> str:
        lines = [
            f"{device},t,{time_text(START + n * HOUR_MS)},number,{float(n + 10 * place)},\r\n"
            for place, device in enumerate(self.devices)
            for n in range(6)
        ]
        return HEADING + "".join(lines)


@pytest.fixture
def given(service: RunningService) -> Given:
    name = service.make_catalog(fresh("S"), product="Coffee")
    devices = tuple(sorted(service.claimed(name).device_id for _ in range(2)))
    group = name.lower()
    body = {"name": name, "catalog": name, "filters": []}
    assert service.call("PUT", f"/api/v1/groups/{group}?catalog={name}", body).status == 200
    made = Given(name, group, devices)
    imported = service.call("POST", "/api/v1/telemetry/import", made.csv.encode(), headers={"Content-Type": "text/csv"})
    assert (imported.status, imported.body) == (200, {"points": 12, "devices": 2})
    return made


def group_path(given: Given, what: str) -> str:
    span = "" if what == "latest" else f"&start_ms={START}&end_ms={START + 6 * HOUR_MS}"
    return f"/api/v1/groups/{given.group}/telemetry/{what}?catalog={given.catalog}&metric=t{span}"


def test_raw_values_come_in_pages(service: RunningService, given: Given) -> None:
    path = f"/api/v1/devices/{given.devices[0]}/telemetry/raw?metric=t&end_ms={START + 99 * HOUR_MS}&limit=4"
    first = service.call("GET", f"{path}&start_ms=0").body
    assert first["items"] == [[START + n * HOUR_MS, float(n)] for n in range(4)]
    rest = service.call("GET", f"{path}&start_ms={first['next_start_ms']}").body
    assert rest["items"] == [[START + n * HOUR_MS, float(n)] for n in (4, 5)]
    assert rest["next_start_ms"] is None
    missing = service.call("GET", path.replace("metric=t", "metric=no") + "&start_ms=0")
    assert (missing.status, missing.body["code"]) == (404, "request.not-found")


def test_a_group_is_added_up(service: RunningService, given: Given) -> None:
    found = service.call("GET", group_path(given, "aggregate") + "&max_points=6").body
    assert (found["devices"], found["bucket_ms"]) == (2, HOUR_MS)
    assert found["points"] == [[START + n * HOUR_MS, 2, float(n), n + 10.0, 2 * n + 10.0, n + 5.0] for n in range(6)]
    latest = service.call("GET", group_path(given, "latest")).body["items"]
    assert latest == [
        {"device_id": device, "at_ms": START + 5 * HOUR_MS, "value": 5.0 + 10 * place}
        for place, device in enumerate(given.devices)
    ]


def test_a_token_of_a_catalog_sees_its_groups_and_devices_only(service: RunningService, given: Given) -> None:
    mine, other = (service.token_for(name, "Reader") for name in (given.catalog, service.make_catalog(fresh("Other"))))
    for what in ("aggregate", "latest", "export"):
        assert service.call("GET", group_path(given, what), token=mine).status == 200
        assert service.call("GET", group_path(given, what), token=other).status == 404
    own = f"/api/v1/devices/{given.devices[0]}/telemetry/export"
    assert service.call("GET", own, token=mine).status == 200
    assert service.call("GET", own, token=other).status == 404
    assert service.call("GET", "/api/v1/telemetry/retention", token=mine).status == 403


def test_export_gives_back_what_was_imported(service: RunningService, given: Given) -> None:
    exported = service.call("GET", group_path(given, "export").partition("&metric")[0])
    assert exported.raw.decode() == given.csv
    one = service.call("GET", f"/api/v1/devices/{given.devices[1]}/telemetry/export?metric=t&metric=u&format=parquet")
    rows = pyarrow.parquet.read_table(io.BytesIO(one.raw)).to_pylist()
    assert [row["number"] for row in rows] == [float(n + 10) for n in range(6)]
    empty = service.call("GET", f"/api/v1/devices/{given.devices[1]}/telemetry/export?metric=u")
    assert empty.raw.decode() == HEADING
    for bad in ("format=xls", "start_ms=5&end_ms=5"):
        assert service.call("GET", f"/api/v1/devices/{given.devices[1]}/telemetry/export?{bad}").status == 400


def test_parquet_without_its_library_is_refused_before_the_file_begins(
    service: RunningService, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ParquetMissingError("pyarrow is not installed: Parquet cannot be written")

    monkeypatch.setattr("armillary.engines.series.export._pyarrow", missing)
    refused = service.call("GET", f"/api/v1/devices/{given.devices[0]}/telemetry/export?format=parquet")
    assert (refused.status, refused.body["code"]) == (503, "host.parquet-missing")
    assert "pip install" in refused.body["remedy"]


def test_only_so_many_exports_at_a_time(service: RunningService, given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/api/v1/devices/{given.devices[0]}/telemetry/export"
    monkeypatch.setattr(service.app.state.budgets.exports, "total", 0)
    assert service.call("GET", path).status == 429
    monkeypatch.setattr(service.app.state.budgets.exports, "total", 1)
    for _ in range(3):  # each gives its place back
        assert service.call("GET", path).status == 200


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"\xff", 400, "UTF-8"),
        (b"a,b\r\n", 400, "line 1: expected 6 columns"),
        (f"{'0' * 128},t,{time_text(START)},number,1,\r\n".encode(), 404, "never manufactured"),
        (f"x,t,{time_text(START)},number,1,\r\n".encode(), 404, "device"),
        (b"x" * (5 << 20), 413, "larger than"),
    ],
)
def test_a_file_that_is_refused_leaves_nothing(service: RunningService, body: bytes, status: int, message: str) -> None:
    before = service.hub.series.read(lambda c: c.execute("SELECT count(*) FROM device").fetchone()[0])
    refused = service.call("POST", "/api/v1/telemetry/import", body, headers={"Content-Type": "text/csv"})
    assert refused.status == status
    assert message in str(refused.body)
    assert service.hub.series.read(lambda c: c.execute("SELECT count(*) FROM device").fetchone()[0]) == before


def test_retention_is_set_shown_and_audited(service: RunningService) -> None:
    path = "/api/v1/telemetry/retention"
    default = {"raw_days": 365, "rollup_days": 1825, "message_days": 7}
    assert service.call("GET", path).body == {"default": default, "rules": []}
    rules = [{"template": "*", "metric": "air.*", "raw_days": 30, "rollup_days": None}]
    assert service.call("PUT", path, {"rules": rules}).body == {"default": default, "rules": rules}
    assert service.call("GET", path).body["rules"] == rules
    for bad in ({"raw_days": 5, "rollup_days": 4}, {"raw_days": 0, "rollup_days": 4}, {"raw_days": 5}, {"metric": ""}):
        assert service.call("PUT", path, {"rules": [bad]}).status == 400
    assert service.call("GET", path).body["rules"] == rules
    assert service.call("PUT", path, {"rules": []}).body["rules"] == []
