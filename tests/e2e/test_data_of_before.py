# SPDX-License-Identifier: Apache-2.0
"""Data folder, settings, tokens and exported application of the version before: all of it goes on (fixtures/before)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, running_service

from armillary.settings import load_settings

BEFORE = Path(__file__).parents[1] / "fixtures" / "before"
OPERATOR = "arm_0DPEWZ5lykpaXGOCYo0H25xcXdpi3Mo0CbBilLOAscI"
OF_CONTOSO = "arm_10VZHl8_RhVphGNnUGfNXNlSXEjrrVUcefCWdkGaCzU"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(BEFORE / "data.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    with running_service(folder) as running:
        running.token = OPERATOR
        yield running


def get(service: RunningService, path: str, token: str = OPERATOR) -> Any:
    answer = service.call("GET", path, token=token)
    assert answer.status == 200, answer.body
    return answer.body


def test_tokens_open_what_they_opened(service: RunningService) -> None:
    assert get(service, "/api/v1/me")["role"] == "Administrator"
    assert get(service, "/api/v1/me", OF_CONTOSO)["name"] == "contoso"
    assert service.call("GET", "/api/v1/audit", token=OF_CONTOSO).status == 403


def test_the_audit_log_is_whole_and_goes_on(service: RunningService) -> None:
    before = get(service, "/api/v1/audit/verification")
    assert (before["broken_at"], before["lines"] > 20) == (None, True)
    path = "/api/v1/groups/another"
    assert service.call("PUT", path, {"name": "Another"}, token=OPERATOR).status == 200
    assert service.call("DELETE", path, token=OPERATOR).status == 200
    after = get(service, "/api/v1/audit/verification")
    assert (after["broken_at"], after["lines"]) == (None, before["lines"] + 2)


def test_values_twins_and_messages_are_there(service: RunningService) -> None:
    values = {each["metric"]: each["value"] for each in get(service, "/api/v1/devices/pump-2/telemetry")["items"]}
    assert values == {"temperature": 36, "noise": 3.6}
    twin = get(service, "/api/v1/devices/pump-1/twin")
    assert (twin["properties"]["desired"]["limit"], twin["tags"]) == (7, {"site": "north"})
    waiting = get(service, "/api/v1/devices/pump-1/messages")["items"]
    assert [(each["size"], each["state"]) for each in waiting] == [(5, "waiting")] * 2
    assert get(service, "/api/v1/telemetry/retention")["rules"][0]["metric"] == "noise*"


def test_what_authors_made_is_there_and_goes_on(service: RunningService) -> None:
    assert len(get(service, "/api/v1/alerts")["items"]) == 2
    run = get(service, "/api/v1/jobs/limit")["run"]
    assert (run["state"], run["done"]) == ("completed", run["total"])
    status = get(service, "/api/v1/exports/files")["status"]
    assert (status["cursor"]["exported"], status["cursor"]["dead"]) == (4, 0)
    assert {each["device_id"] for each in get(service, "/api/v1/groups/north/members")["items"]} == {"pump-1", "pump-2"}
    assert get(service, "/api/v1/hub-devices/pump-1")["name"] == "Hall pump"
    assert [each["device_id"] for each in get(service, "/api/v1/organisations/plant/devices")["items"]] == ["pump-1"]
    again = service.call("POST", "/api/v1/jobs/limit/runs", {}, token=OPERATOR)
    assert (again.status, again.body["number"]) == (200, run["number"] + 1)


def test_an_exported_application_is_the_same_here(service: RunningService) -> None:
    exported = json.loads((BEFORE / "application.json").read_text("utf-8"))
    answer = service.call("POST", "/api/v1/application/import", {**exported, "dry_run": True}, token=OPERATOR)
    assert answer.status == 200
    assert {name: count for name, count in answer.body["counts"].items() if count} == {"same": len(exported["files"])}


def test_its_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "DATA", "PUBLIC_HOST", "HUB_PORT"):
        monkeypatch.delenv(f"ARMILLARY_{name}", raising=False)
    settings = load_settings(BEFORE / "armillary.toml", {})
    assert (settings.public_host, settings.hub_port, settings.webhook_hosts) == ("localhost", 18883, "127.0.0.1")
