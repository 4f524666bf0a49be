# SPDX-License-Identifier: Apache-2.0
"""Jobs and scheduled jobs in IoT Central's shape over the real API, with a real device."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.api.central.test_central_devices import connect
from tests.api.central_client import Central, make_template
from tests.api.running_service import RunningService, fresh, wait_until

WHERE = "SELECT * FROM devices WHERE "


@pytest.fixture(scope="module")
def central(service: RunningService) -> Central:
    return Central.new(service, "Jobs", symmetric_keys=True)


@pytest.fixture(scope="module")
def fleet(central: Central) -> dict[str, Any]:
    """A template, a group of it and three devices."""
    template, group = make_template(central), fresh("Group")
    devices = sorted(fresh("fan") for _ in range(3))
    for each in devices:
        central.good("PUT", f"/devices/{each}", {"template": template})
    text = WHERE + f'$template = "{template}"'
    central.good("PUT", f"/deviceGroups/{group}", {"displayName": "Fans", "filter": text})
    return {"template": template, "group": group, "devices": devices}


def body(fleet: dict[str, Any], kind: str, path: str, value: Any, **more: Any) -> dict[str, Any]:
    data = [{"type": kind, "target": fleet["template"], "path": path, "value": value}]
    return {"displayName": "A job", "group": fleet["group"], "data": data, **more}


def ended(central: Central, name: str) -> dict[str, Any]:
    wait_until(lambda: central.good("GET", f"/jobs/{name}")["status"] != "running", "its end")
    return dict(central.good("GET", f"/jobs/{name}"))


def test_a_job_sets_a_property_of_every_device(central: Central, fleet: dict[str, Any]) -> None:
    name = fresh("setVoltage")
    given = body(
        fleet, "property", "settings.voltage", 12, batch={"type": "percentage", "value": 50},
        cancellationThreshold={"type": "number", "value": 3, "batch": False}, description="all",
    )  # fmt: skip
    given["data"].insert(0, {**given["data"][0], "path": "fanSpeed", "value": 3.5})  # they come back by name
    made = central.good("PUT", f"/jobs/{name}", given)
    assert {each: made[each] for each in given} == given
    assert (made["id"], made["progress"]["total"], made["organizations"]) == (name, 3, [])
    job = ended(central, name)
    assert (job["status"], job["progress"]) == ("complete", {"total": 3, "pending": 0, "completed": 3, "failed": 0})
    assert job["start"] <= job["end"]
    page = central.good("GET", f"/jobs/{name}/devices?maxpagesize=2")
    assert page["value"] == [{"id": each, "status": "completed"} for each in fleet["devices"][:2]]
    rest = central.good("GET", page["nextLink"].partition("/api")[2].replace("api-version=2022-07-31&", ""))
    assert [each["id"] for each in rest["value"]] == fleet["devices"][2:]
    for each in fleet["devices"]:
        shown = central.good("GET", f"/devices/{each}/properties")
        assert shown["settings"]["$metadata"]["voltage"]["desiredValue"] == 12
        assert shown["$metadata"]["fanSpeed"]["desiredValue"] == 3.5
    assert name in [each["id"] for each in central.good("GET", "/jobs")["value"]]
    central.refused("PUT", f"/jobs/{name}", given, status=409)
    central.refused("PUT", f"/jobs/{name}/rerun/again", status=409)  # nobody failed
    for verb in ("stop", "resume"):
        central.refused("POST", f"/jobs/{name}/{verb}", status=409)


def test_a_command_fails_where_nobody_answers_and_is_run_again_there(central: Central, fleet: dict[str, Any]) -> None:
    name = fresh("reboot")
    central.good("PUT", f"/jobs/{name}", body(fleet, "command", "reboot", {"delay": 1}))
    assert ended(central, name)["progress"]["failed"] == 3
    with connect(central, fleet["devices"][0]):
        again = central.good("PUT", f"/jobs/{name}/rerun/second")
        assert (again["id"], again["progress"]["total"]) == (name, 3)
        assert ended(central, name)["progress"] == {"total": 3, "pending": 0, "completed": 1, "failed": 2}
    found = central.good("GET", f"/jobs/{name}/devices")["value"]
    assert [each["status"] for each in found] == ["completed", "failed", "failed"]


def test_a_job_is_stopped_and_resumed(central: Central, fleet: dict[str, Any]) -> None:
    name = fresh("stop")
    central.good("PUT", f"/jobs/{name}", body(fleet, "cloudProperty", "Customer", "Contoso"))
    ended(central, name)
    platform = central.service.platform
    stored = platform.documents.get("job", name)
    slow = {**stored.content, "batch": {"size": 1, "pause_s": 3600}}  # a pause that this shape has no word for
    platform.documents.put("job", name, slow, by="test")
    run = platform.jobs.begin(name, by="test")
    wait_until(lambda: central.good("GET", f"/jobs/{name}")["progress"]["completed"] == 1, "the first batch")
    assert central.good("POST", f"/jobs/{name}/stop", status=204) is None
    job = ended(central, name)
    assert (job["status"], job["progress"]) == ("stopped", {"total": 3, "pending": 2, "completed": 1, "failed": 0})
    assert {each["status"] for each in central.good("GET", f"/jobs/{name}/devices")["value"]} == {
        "completed",
        "stopped",
    }
    platform.documents.put("job", name, dict(stored.content), by="test")
    central.good("POST", f"/jobs/{name}/resume", status=204)
    job = ended(central, name)
    assert (job["status"], job["progress"]["total"], job["progress"]["completed"]) == ("complete", 2, 2)
    assert platform.jobs.store.runs(name, limit=1)[0].number > run.number


def test_what_a_job_cannot_be_is_refused_and_nothing_is_kept(central: Central, fleet: dict[str, Any]) -> None:
    name = fresh("never")
    good = body(fleet, "property", "fanSpeed", 1)
    entry = good["data"][0]
    other = make_template(central)
    for change, word in (
        ({"data": []}, "data"), ({"data": [{**entry, "type": "deviceTemplateMigration"}]}, "type"), ({"group": "none"}, "segment 'none'"),
        ({"data": [entry, {**entry, "type": "command"}]}, "one type"), ({"data": [entry, entry]}, "once"),
        ({"data": [{**entry, "target": other}]}, "target"), ({"data": [{**entry, "target": "dtmi:no:one;1"}]}, "template"),
        ({"batch": {"type": "number", "value": 0}}, "batch"), ({"batch": {"type": "x", "value": 1}}, "batch.type"),
        ({"cancellationThreshold": {"type": "number", "value": 1, "batch": True}}, "batch"), ({"colour": 1}, "colour"),
        ({"organizations": ["a"]}, "organizations"), ({"id": "other"}, "id"), ({"group": None}, "group"),
        ({"data": [{**entry, "type": "command"}, {**entry, "type": "command"}]}, "one command"),
    ):  # fmt: skip
        reply = central.call("PUT", f"/jobs/{name}", {**good, **change})
        assert reply.status in (400, 404), (change, reply.raw)
        assert word in reply.body["error"]["message"], (change, reply.raw)
        central.refused("GET", f"/jobs/{name}", status=404)
    central.refused("GET", f"/jobs/{name}/devices", status=404)


def test_a_scheduled_job_is_made_changed_runs_and_is_deleted(central: Central, fleet: dict[str, Any]) -> None:
    name = fresh("Nightly")
    later = {
        "start": "2099-01-02T03:04:05.000Z",
        "recurrence": "daily",
        "end": {"type": "occurrences", "occurrences": 5},
    }
    given = body(fleet, "property", "fanSpeed", 2.5, schedule=later)
    made = central.good("PUT", f"/scheduledJobs/{name}", given)
    assert {each: made[each] for each in given} == given
    assert (made["enabled"], made["completed"]) == (True, False)
    assert central.good("GET", f"/scheduledJobs/{name}") == made
    assert central.good("GET", f"/scheduledJobs/{name}/jobs") == {"value": []}
    assert made in central.good("GET", "/scheduledJobs")["value"]
    assert name not in [each["id"] for each in central.good("GET", "/jobs?maxpagesize=100")["value"]]
    central.refused("GET", f"/jobs/{name}", status=404)
    for schedule in (
        {"start": "2099-01-02T03:04:05.000Z", "recurrence": "weekly"}, {"start": "2099-01-02T03:04:05.000Z"},
        {"start": "2099-01-02T03:04:05.000Z", "recurrence": "daily", "end": {"type": "date", "date": "2099-02-03"}},
    ):  # fmt: skip
        assert central.good("PATCH", f"/scheduledJobs/{name}", {"schedule": schedule})["schedule"] == schedule
    for wrong in (
        {"start": "soon"}, {"start": "2099-01-02", "recurrence": "monthly"}, {"start": "2099-01-02", "end": {"type": "date"}}, {},
        {"start": "2099-01-02", "recurrence": "daily", "end": {"type": "date", "date": "2098-01-01"}},
        {"start": "2099-01-02", "recurrence": "daily", "end": {"type": "occurrences", "occurrences": 0}},
    ):  # fmt: skip
        central.refused("PATCH", f"/scheduledJobs/{name}", {"schedule": wrong}, status=400)
    central.refused("PATCH", f"/scheduledJobs/{name}", {"enabled": False}, status=400)
    central.refused("PATCH", f"/scheduledJobs/{name}", {}, status=412, headers={"If-Match": made["etag"]})
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    central.good("PATCH", f"/scheduledJobs/{name}", {"schedule": {"start": now}})
    runs = wait_until(lambda: central.good("GET", f"/scheduledJobs/{name}/jobs")["value"], "its run")
    assert runs[0]["scheduledJobId"] == name
    one = ended(central, runs[0]["id"])
    assert (one["id"], one["status"], one["progress"]["completed"]) == (runs[0]["id"], "complete", 3)
    assert len(central.good("GET", f"/jobs/{one['id']}/devices")["value"]) == 3
    assert central.good("GET", f"/scheduledJobs/{name}")["completed"] is True
    central.good("DELETE", f"/scheduledJobs/{name}", status=204)
    central.refused("GET", f"/scheduledJobs/{name}", status=404)
    central.refused("GET", f"/jobs/{one['id']}", status=404)


def test_jobs_of_others_are_out_of_reach(central: Central, fleet: dict[str, Any]) -> None:
    service = central.service
    stranger = Central.new(service, "Other")
    name = fresh("mine")
    central.good("PUT", f"/jobs/{name}", body(fleet, "property", "fanSpeed", 1.5))
    ended(central, name)
    scheduled = fresh("mine-too")
    later = body(fleet, "property", "fanSpeed", 1.5, schedule={"start": "2099-01-01"})
    central.good("PUT", f"/scheduledJobs/{scheduled}", later)
    for method, path in (
        ("GET", f"/jobs/{name}"), ("GET", f"/jobs/{name}/devices"), ("POST", f"/jobs/{name}/stop"),
        ("PUT", f"/jobs/{name}/rerun/x"), ("POST", f"/jobs/{name}/resume"), ("GET", f"/scheduledJobs/{scheduled}"),
        ("DELETE", f"/scheduledJobs/{scheduled}"), ("GET", f"/scheduledJobs/{scheduled}/jobs"),
    ):  # fmt: skip
        stranger.refused(method, path, status=404)
    stranger.refused("PUT", f"/jobs/{fresh('x')}", body(fleet, "property", "fanSpeed", 1), status=404)  # their group
    stranger.refused("PUT", f"/scheduledJobs/{scheduled}", later, status=404)  # their group
    seen = {each["id"] for path in ("/jobs", "/scheduledJobs") for each in stranger.good("GET", path)["value"]}
    assert not seen & {name, scheduled}
    own = {each["id"] for path in ("/jobs", "/scheduledJobs") for each in central.good("GET", path)["value"]}
    assert own >= {name, scheduled}  # the control
    shared = fresh("of-all")
    job = {"name": "all", "group": shared, "action": {"kind": "command", "command": "x"}}
    service.call("PUT", f"/api/v1/groups/{shared}", {"name": "all"})
    assert service.call("PUT", f"/api/v1/jobs/{shared}", job).status == 200
    assert central.good("GET", f"/jobs/{shared}")["status"] == "pending"
    for method, path in (("GET", "devices"), ("POST", "stop"), ("PUT", "rerun/x"), ("POST", "resume")):
        central.refused(method, f"/jobs/{shared}/{path}", status=403)
