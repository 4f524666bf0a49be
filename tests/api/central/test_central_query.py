# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608 - queries of IoT Central, which no database sees
"""IoT Central's query (preview) over the real API, with a real device."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.central.test_central_devices import connect
from tests.api.central_client import Central, make_template
from tests.api.running_service import RunningService, fresh, wait_until

from armillary.api.central import query as central_query

PREVIEW = "2022-10-31-preview"


@pytest.fixture(scope="module")
def central(service: RunningService) -> Central:
    return Central.new(service, "Query", symmetric_keys=True)


@pytest.fixture(scope="module")
def fleet(central: Central) -> dict[str, Any]:
    """Two devices of a template; the first has sent three temperatures, a second apart."""
    template, names = make_template(central), sorted((fresh("fan"), fresh("fan")))
    for n, each in enumerate(names):
        central.good("PUT", f"/devices/{each}", {"template": template})
        central.good("PATCH", f"/devices/{each}/properties", {"fanSpeed": n + 0.5, "Customer": f"C{n}"}, status=202)
    with connect(central, names[0]) as device:
        for n in range(3):
            device.send({"temperature": 20 + n, "place": {"x": n, "y": 0}},
                        f"iothub-creation-time-utc=2026-11-26T12:00:0{n}.000Z")  # fmt: skip
        wait_until(
            lambda: central.good("GET", f"/devices/{names[0]}/telemetry/temperature").get("value") == 22, "decoded"
        )
    return {"template": template, "names": names}


def run(central: Central, text: str, **options: Any) -> Any:
    return central.good("POST", "/query", {"query": text}, version=PREVIEW, **options)["results"]


WINDOW = "WITHIN_WINDOW('2026-11-26T11:00:00Z/2026-11-26T13:00:00Z')"


def test_telemetry_over_time(central: Central, fleet: dict[str, Any]) -> None:
    place = f" FROM {fleet['template']} WHERE {WINDOW}"
    name = fleet["names"][0]
    rows = run(central, "SELECT $id, $ts, temperature AS t, place.x" + place + " AND t > 20")
    assert rows == [
        {"$id": name, "$ts": f"2026-11-26T12:00:0{n}.000Z", "t": 20 + n, "place.x": n} for n in (1, 2)
    ]  # fmt: skip
    assert run(central, "SELECT TOP 1 temperature" + place + " ORDER BY $ts DESC") == [{"temperature": 22}]
    found = run(central, "SELECT AVG(temperature), COUNT(temperature) AS n" + place + f" AND $id = '{name}'")
    assert found == [{"avg_temperature": 21, "n": 3}]
    found = run(central, "SELECT MAX(temperature)" + place + " GROUP BY WINDOW(PT2S)")
    assert found == [
        {"$ts": "2026-11-26T12:00:02.000Z", "max_temperature": 22}, {"$ts": "2026-11-26T12:00:00.000Z", "max_temperature": 21},
    ]  # fmt: skip


def test_properties_as_they_are(central: Central, fleet: dict[str, Any]) -> None:
    text = f"SELECT $id, fanSpeed, Customer, $provisioned FROM {fleet['template']}"
    expected = [
        {"$id": each, "fanSpeed": n + 0.5, "Customer": f"C{n}", "$provisioned": n == 0}
        for n, each in enumerate(fleet["names"])
    ]
    assert run(central, text) == expected
    assert run(central, text + " WHERE Customer = 'C1' OR fanSpeed > 3") == expected[1:]
    assert run(central, f"SELECT $id FROM {fleet['template']} ORDER BY $id DESC") == [
        {"$id": each} for each in reversed(fleet["names"])
    ]


def test_what_is_no_query_and_what_is_too_much(
    central: Central, fleet: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f" FROM {fleet['template']}"
    for text in (
        "SELECT *" + place, "SELECT temperature, fanSpeed" + place, "SELECT nothing" + place, "SELECT place" + place,
        "SELECT fanSpeed" + place + " WHERE WITHIN_WINDOW(P1D)", "SELECT AVG(fanSpeed)" + place, "SELECT $ts" + place,
    ):  # fmt: skip
        central.refused("POST", "/query", {"query": text}, status=400, version=PREVIEW)
    central.refused("POST", "/query", {"query": "SELECT $id FROM dtmi:no:such;1"}, status=404, version=PREVIEW)
    central.refused("POST", "/query", {}, status=400, version=PREVIEW)
    assert "preview" in central.refused("POST", "/query", {"query": "SELECT $id" + place}, status=400)
    stranger = Central.new(central.service, "Other")
    stranger.refused("POST", "/query", {"query": "SELECT $id" + place}, status=404, version=PREVIEW)
    monkeypatch.setattr(central_query, "MAX_POINTS", 2)
    text = "SELECT temperature" + place + " WHERE " + WINDOW
    assert "values" in central.refused("POST", "/query", {"query": text}, status=400, version=PREVIEW)
