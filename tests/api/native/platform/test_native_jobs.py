# SPDX-License-Identifier: Apache-2.0
"""Native routes of jobs with a real MQTT device: made, run, watched, results as pages and CSV, run again, cancelled."""

from __future__ import annotations

import csv
import io
import json
import uuid
from typing import Any

import pytest
from tests.api.mqtt_device import Connected
from tests.api.running_service import RunningService, wait_until

JOBS, GROUPS = "/api/v1/jobs", "/api/v1/groups"


def a_job(service: RunningService, catalog: str, action: dict[str, Any], **more: Any) -> str:
    name = f"job-{uuid.uuid4().hex[:8]}"
    assert service.call("PUT", f"{GROUPS}/{name}", {"name": name, "catalog": catalog}).status == 200
    made = service.call("PUT", f"{JOBS}/{name}", {"name": name, "group": name, "action": action, **more})
    assert made.status == 200, made.raw
    return f"{JOBS}/{name}"


def finished(service: RunningService, path: str, run: int) -> dict[str, Any]:
    place = f"{path}/runs/{run}"
    wait_until(lambda: service.call("GET", place).body["state"] != "running", "the end of the run")
    return service.call("GET", place).body


def test_a_job_from_begin_to_results(service: RunningService, catalog: str) -> None:
    made = [service.claimed(catalog) for _ in range(3)]
    ids = sorted(each.device_id for each in made)
    device = Connected(service, made[0])
    path = a_job(service, catalog, {"kind": "command", "command": "clean", "payload": {"=": 1}})
    assert service.call("GET", path).body["run"] is None
    begun = service.call("POST", f"{path}/runs", {})
    assert (begun.status, begun.body["total"]) == (200, 3), begun.raw
    run = finished(service, path, begun.body["number"])
    assert (run["state"], run["done"], run["counts"]["succeeded"], run["counts"]["failed"]) == ("completed", 3, 1, 2)
    place = f"{path}/runs/{run['number']}/results"
    page = service.call("GET", f"{place}?limit=2").body
    rest = service.call("GET", f"{place}?limit=2&after={page['next']}").body
    assert [each["device_id"] for each in page["items"] + rest["items"]] == ids
    assert rest["next"] is None
    (good,) = service.call("GET", f"{place}?state=succeeded").body["items"]
    assert (good["device_id"], good["status"], good["answer"]) == (device.device_id, 200, '{"got": {"=": 1}}')
    reply = service.call("GET", f"{place}.csv")
    rows = list(csv.DictReader(io.StringIO(reply.raw.decode())))
    assert reply.headers["Content-Type"].startswith("text/csv")
    assert sorted(row["device_id"] for row in rows) == ids
    assert {row["state"] for row in rows} == {"succeeded", "failed"}
    again = service.call("POST", f"{path}/runs", {"only": "failed"}).body
    assert again["total"] == 2
    finished(service, path, again["number"])
    assert [each["number"] for each in service.call("GET", f"{path}/runs").body["items"]] == [
        again["number"], run["number"],
    ]  # fmt: skip
    assert service.call("GET", path).body["run"]["number"] == again["number"]
    listed = {each["id"]: each for each in service.call("GET", f"{JOBS}?limit=1000").body["items"]}
    assert listed[path.rpartition("/")[2]]["run"]["number"] == again["number"]
    operations = [line["operation"] for line in service.call("GET", "/api/v1/audit?limit=20").body["items"]]
    assert {"job.put", "job.run"} <= set(operations)
    device.close()


def test_a_run_is_cancelled_and_a_job_deleted(service: RunningService, catalog: str) -> None:
    for _ in range(2):
        service.claimed(catalog)
    waits = {"batch": {"size": 1, "pause_s": 3600}}
    path = a_job(service, catalog, {"kind": "set-property", "properties": {"a": 1}}, **waits)
    run = service.call("POST", f"{path}/runs", {}).body
    place = f"{path}/runs/{run['number']}"
    wait_until(lambda: service.call("GET", place).body["counts"]["succeeded"] == 1, "the first batch")
    assert service.call("POST", f"{path}/runs", {}).status == 409
    assert service.call("DELETE", path).status == 409
    over = service.call("POST", f"{place}/cancel")
    assert (over.status, over.body["state"], over.body["counts"]["skipped"]) == (200, "cancelled", 1)
    assert service.call("POST", f"{place}/cancel").status == 409
    assert service.call("POST", f"{path}/runs", {"only": "failed"}).status == 400
    assert service.call("DELETE", path).status == 200
    assert service.call("GET", place).status == 404


def test_a_deletion_that_is_refused_leaves_the_runs_and_one_by_an_import_leaves_none(
    service: RunningService, catalog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = {"kind": "set-property", "properties": {"a": 1}}
    path = a_job(service, catalog, action)
    name, run = path.rpartition("/")[2], service.call("POST", f"{path}/runs", {}).body["number"]
    finished(service, path, run)
    assert service.call("DELETE", path, headers={"If-Match": '"another"'}).status == 412
    assert [each["number"] for each in service.call("GET", f"{path}/runs").body["items"]] == [run]
    exported = service.call("GET", "/api/v1/application").body
    document = exported["files"].pop(f"job/{name}.json")

    def remade() -> list[Any]:
        """The runs of the next job of this id."""
        body = {**exported, "replace": ["job"]}
        assert service.call("POST", "/api/v1/application/import", body).body["counts"]["deleted"] == 1
        assert service.call("PUT", path, json.loads(document)).status == 200
        return list(service.call("GET", f"{path}/runs").body["items"])

    assert remade() == []
    finished(service, path, service.call("POST", f"{path}/runs", {}).body["number"])
    monkeypatch.setattr(service.platform.application_operations, "_forget_document", lambda *_: None)
    assert len(remade()) == 1  # the control: another owner would read them


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x", "group": "nowhere-at-all", "action": {"kind": "command", "command": "x"}},
        {"name": "x", "group": "g", "action": {"kind": "command", "command": "a/b"}},
    ],
)
def test_what_makes_no_sense_is_refused(service: RunningService, body: dict[str, Any]) -> None:
    assert service.call("PUT", f"{JOBS}/x", body).status in (400, 404)
