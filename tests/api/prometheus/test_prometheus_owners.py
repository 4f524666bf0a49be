# SPDX-License-Identifier: Apache-2.0
"""Prometheus' HTTP API shows each caller its own: catalogs, organisations, new owners; modules, hub devices, templates."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from tests.api.prometheus.test_prometheus_clients import API, START_S, imported
from tests.api.running_service import RunningService, fresh
from tests.twin.template.test_template import BODY

from armillary.api.prometheus import found, source

HEAT = "thermostat1.temperature"  # as tests/twin/template/test_template.py's template has it


def asked(service: RunningService, token: str, path: str, *pairs: tuple[str, Any]) -> Any:
    reply = service.call("GET", f"{API}{path}?{urlencode(pairs)}", token=token)
    assert reply.status == 200, reply.raw
    return reply.body["data"]


def seen(service: RunningService, token: str, query: str) -> set[str]:
    """Devices, with their modules, that a query shows."""
    rows = asked(service, token, "/query", ("query", query), ("time", START_S))["result"]
    return {"/".join(filter(None, (each["metric"]["device"], each["metric"].get("module")))) for each in rows}


def done(service: RunningService, method: str, path: str, body: object = None) -> Any:
    reply = service.call(method, path, body)
    assert reply.status in (200, 201), reply.raw
    return reply.body


@pytest.fixture
def metric() -> str:
    return fresh("m").replace("-", "_")


def test_modules_have_their_own_series_names_and_units(service: RunningService, metric: str) -> None:
    catalog, template = service.make_catalog(fresh("M"), product="Coffee"), fresh("machine")
    device = service.claimed(catalog).device_id
    done(service, "POST", f"/api/v1/hub-devices/{device}/modules", {"module_id": "espresso1"})
    done(service, "PUT", f"/api/v1/templates/{template}", BODY)
    done(service, "POST", f"/api/v1/templates/{template}/publish")
    module = f"{device}/espresso1"
    done(service, "PUT", f"/api/v1/devices/{device}/template?module=espresso1", {"template": template})
    done(service, "PUT", f"/api/v1/devices/{device}/name", {"name": "Bar"})
    service.hub.series.commits.commit(service.hub.series.restoring.devices([device, module]))
    imported(
        service,
        [(device, metric, START_S, 1.0), (module, metric, START_S, 2.0), (module, HEAT, START_S, 93.0)],
    )
    token = service.token_for(catalog, "Reader")
    assert seen(service, token, metric) == {device, module}
    assert seen(service, token, f'{metric}{{module="espresso1"}}') == {module}
    assert seen(service, token, f'{metric}{{device="{device}"}}') == {device, module}
    assert seen(service, token, f'{metric}{{module=""}}') == {device}
    (row,) = asked(service, token, "/series", ("match[]", f'thermostat1_temperature{{template="{template}"}}'))
    assert (row["module"], row["catalog"], row["name"]) == ("espresso1", catalog, "Bar")
    described = asked(service, token, "/metadata", ("metric", row["__name__"]))[row["__name__"]]
    assert described == [{"type": "gauge", "help": "Inside", "unit": "°C"}]
    assert row["value_name"] == HEAT


def test_an_organisation_sees_its_devices_and_their_modules(service: RunningService, metric: str) -> None:
    catalog = service.make_catalog(fresh("O"), product="Coffee")
    mine, other = (service.claimed(catalog).device_id for _ in range(2))
    ids = {}
    for device in (mine, other):
        organisation = ids[device] = fresh("org")
        body = {"name": organisation, "catalog": catalog}
        done(service, "PUT", f"/api/v1/organisations/{organisation}?catalog={catalog}", body)
        done(service, "PUT", f"/api/v1/devices/{device}/organisation", {"organisation": organisation})
    imported(service, [(device, metric, START_S, 1.0) for device in (mine, other)])
    asker = {"name": fresh("t"), "role": "Reader", "catalog": catalog, "organisation": ids[mine]}
    token = done(service, "POST", "/api/v1/tokens", asker)["secret"]
    assert seen(service, token, metric) == {mine}
    assert seen(service, token, f'{metric}{{device="{other}"}}') == set()
    assert asked(service, token, "/label/device/values") == [mine]
    assert seen(service, service.token_for(catalog, "Reader"), metric) == {mine, other}


def test_a_hub_device_is_there_as_well(service: RunningService, metric: str) -> None:
    catalog, device = service.make_catalog(fresh("H"), product="Coffee"), fresh("pump")
    body = {"device_id": device, "authentication": "sas"}
    done(service, "POST", f"/api/v1/catalogs/{catalog}/hub-devices", body)
    imported(service, [(device, metric, START_S, 1.0)])
    assert seen(service, service.token_for(catalog, "Reader"), metric) == {device}


@pytest.mark.parametrize(
    ("module", "limit", "words"),
    [(found, "MAX_DEVICES", "at most 1 devices"), (found, "MAX_SERIES", "at most 1 series"),
     (source, "MAX_SELECTED", "at most 1 series"), (source, "MAX_SAMPLES", "at most 1 samples")],
)  # fmt: skip
def test_what_a_query_looks_at_is_bounded(
    service: RunningService, metric: str, module: Any, limit: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = service.make_catalog(fresh("L"), product="Coffee")
    imported(service, [(service.claimed(catalog).device_id, metric, START_S, 1.0) for _ in range(2)])
    token = service.token_for(catalog, "Reader")
    assert len(seen(service, token, metric)) == 2
    monkeypatch.setattr(module, limit, 1)
    reply = service.call("GET", f"{API}/query?{urlencode({'query': metric, 'time': START_S})}", token=token)
    assert (reply.status, words in reply.body["error"]) == (400, True), reply.body


def test_a_new_owner_sees_nothing_from_before(
    service: RunningService, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = service.make_catalog(fresh("N"), product="Coffee")
    device = service.claimed(catalog).device_id
    imported(service, [(device, metric, START_S - 60, 1.0), (device, metric, START_S, 2.0)])
    token = service.token_for(catalog, "Reader")
    counted = ("/query", ("query", f"count_over_time({metric}[5m])"), ("time", START_S))
    assert asked(service, token, *counted)["result"][0]["value"][1] == "2"
    monkeypatch.setattr(found, "tenures", lambda _request: {device: START_S * 1000})
    assert asked(service, token, *counted)["result"][0]["value"][1] == "1"


def test_without_the_catalogs_check_the_attack_gets_through(
    service: RunningService, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = service.make_catalog(fresh("A"), product="Coffee")
    device = service.claimed(catalog).device_id
    imported(service, [(device, metric, START_S, 1.0)])
    stranger = service.token_for(service.make_catalog(fresh("B")), "Reader")
    for query in (metric, f'{metric}{{device="{device}"}}'):
        assert seen(service, stranger, query) == set()
    monkeypatch.setattr(found, "_catalog", lambda _request: None)
    assert seen(service, stranger, metric) == {device}
