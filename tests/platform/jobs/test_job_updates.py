# SPDX-License-Identifier: Apache-2.0
"""Updates by package: real clients acknowledge, refuse, stay silent; deadlines, cancel, kill -9."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.fixtures.effort import effort
from tests.hub.running_hub import DEVICE, Client, RunningHub, wait_until
from tests.platform.jobs.test_jobs import RUNNER, begun_over_kills, ended, kept, make, names

from armillary.engines.jobs.devices import NOT_WAITED_FOR, DeviceOutcome
from armillary.engines.jobs.store import JobStore
from armillary.platform.jobs import jobs
from armillary.platform.jobs.updates import JobUpdates, acknowledged
from armillary.twin.author.job import DeviceState, RunState, UpdateStatus

PACKAGE = {"url": "https://example.com/f.bin", "version": "2.1", "sha256": "0" * 64}
UPDATE = {"kind": "update", "package": PACKAGE, "timeout_s": 60}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "WAITING_LOOK_S", 0.02)


def waiting(running: RunningHub, job: str) -> Any:
    """The newest run, when every device of it is waited for."""
    store = running.platform.jobs.store

    def asked() -> Any:
        (run,) = store.runs(job)
        return run if run.counts.get(DeviceState.WAITING) == sum(run.counts.values()) else None

    return wait_until(asked, "all devices to be asked")


def report(client: Client, said: dict[str, Any]) -> None:
    client.paho.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", json.dumps({"update": said}), qos=1)


@pytest.mark.parametrize(
    ("said", "event"),
    [
        (None, None), ("2.1", None), ({}, None), ({"ac": 200}, None), ({"ac": 200, "av": 4}, None),
        ({"ac": True, "av": 5}, None), ({"ac": "200", "av": 5}, None), ({"ac": 200, "av": 5}, "done"),
        ({"ac": 200, "av": 9}, "done"), ({"ac": 201, "av": 5}, None), ({"ac": 202, "av": 5}, None),
        ({"ac": 203, "av": 5}, None), ({"ac": 204, "av": 5}, "done"), ({"ac": 0, "av": 5}, None),
        ({"ac": 400, "av": 5}, "failed"), ({"ac": 500, "av": 5, "ad": "no space"}, "failed"),
    ],
)  # fmt: skip
def test_what_a_device_says_of_an_update(said: Any, event: str | None) -> None:
    found = acknowledged(PACKAGE, 5, dict(PACKAGE), said)
    assert found.event == event
    assert ("no space" in found.said) == (isinstance(said, dict) and "ad" in said)
    other = acknowledged(PACKAGE, 5, {**PACKAGE, "version": "3"}, {"ac": 200, "av": 9})
    assert (other.event, "meanwhile" in other.said) == ("failed", True)


def test_a_device_gets_the_package_and_says_how_it_went(running: RunningHub, client: Client) -> None:
    for code, state in ((200, DeviceState.SUCCEEDED), (500, DeviceState.FAILED)):
        job = make(running, UPDATE, [DEVICE], retries=3)
        running.platform.jobs.begin(job, by="ann")
        run = waiting(running, job)
        assert running.platform.jobs.counts()["job_devices_now"] == 0  # it holds no place
        desired = running.hub.twins.get(DEVICE).desired
        assert desired.properties["update"] == PACKAGE
        report(client, {"value": PACKAGE, "ac": 202, "av": desired.version})
        wait_until(
            lambda: running.hub.twins.get(DEVICE).reported.properties.get("update", {}).get("ac") == 202, "the report"
        )
        assert running.platform.jobs.store.devices.results(run.number)[0].state is DeviceState.WAITING
        report(client, {"value": PACKAGE, "ac": code, "av": desired.version, "ad": "so it went"})
        found = ended(running, job, run.number)[DEVICE]
        assert (found.state, "so it went" in found.answer, found.attempts) == (state, True, 1)


def test_one_that_says_nothing_in_time_has_failed_and_the_batch_behind_waits_for_it(running: RunningHub) -> None:
    devices = names(2)
    job = make(running, UPDATE, devices, batch={"size": 1})
    run = running.platform.jobs.begin(job, by="ann")
    store = running.platform.jobs.store
    wait_until(lambda: store.run(job, run.number).counts.get(DeviceState.WAITING), "the first to be asked")
    assert store.run(job, run.number).counts[DeviceState.PENDING] == 1
    running.clock_ahead_s += 61
    wait_until(lambda: store.run(job, run.number).counts.get(DeviceState.FAILED) == 1, "its time to be over")
    wait_until(lambda: store.run(job, run.number).counts.get(DeviceState.WAITING) == 1, "the second to be asked")
    running.clock_ahead_s += 61
    results = ended(running, job, run.number)
    assert {each.state for each in results.values()} == {DeviceState.FAILED}
    assert "within 60 s" in results[devices[0]].answer


def test_a_device_that_goes_away_while_it_is_looked_at_has_not_failed() -> None:
    """The catalog gives it away between the two questions: how it stands, and whose it is."""
    owners = {"d": {"catalog": "Contoso"}}

    class Moving:
        def standings(self, _: str, moved: Mapping[str, tuple[str, int]]) -> Mapping[str, UpdateStatus]:
            owners.clear()
            return {name: UpdateStatus("failed", "somebody moved it") for name in moved}

    directory = SimpleNamespace(of=lambda _: owners)
    job = SimpleNamespace(action=SimpleNamespace(device_group="Cable/Test", timeout_s=60))
    asked = SimpleNamespace(device_id="d", answer=json.dumps({"catalog": "Contoso"}), due_ms=1)
    looking = JobUpdates(None, directory, Moving(), lambda: 0)  # type: ignore[arg-type]
    (outcome,) = looking.look(job, [asked])  # type: ignore[arg-type]
    assert (outcome.event, outcome.answer) == ("gone", "the device is no longer the catalog's")


def test_more_devices_are_waited_for_than_are_asked_at_once_and_cancelling_waits_for_none(running: RunningHub) -> None:
    devices = names(30)
    job = make(running, UPDATE, devices, concurrency=2)
    running.platform.jobs.begin(job, by="ann")
    run = waiting(running, job)
    assert running.platform.jobs.cancel(job, run.number).state is RunState.CANCELLED
    results = ended(running, job, run.number)
    assert {(each.state, each.answer) for each in results.values()} == {(DeviceState.SKIPPED, NOT_WAITED_FOR)}


@pytest.mark.e2e
def test_an_update_goes_on_after_kill_9_and_no_device_is_asked_twice_unsaid(tmp_path: Path) -> None:
    devices = effort(40, 60)
    command = [sys.executable, str(RUNNER), str(tmp_path / "hub"), str(devices), "update"]
    begun = begun_over_kills(command, random.Random(3), (10, 30))  # noqa: S311 - the same moments in every run
    run, results = kept(tmp_path / "hub")
    assert run.counts == {DeviceState.SUCCEEDED: devices}
    assert len(begun) > devices  # the kills met some under way
    assert {each for each in begun if begun.count(each) > 1} <= {each.device_id for each in results if each.repeated}


def test_a_schedule_sleeps_while_its_run_waits_and_begins_the_next_at_its_end(running: RunningHub) -> None:
    """A run may be waited for for weeks: the schedule looks as seldom as ever, and is woken by the end."""
    now = running.hub.now_ms() // 1000
    job = make(running, {**UPDATE, "timeout_s": 3600}, names(1), start=now - 30, repeat={"every_s": 60})
    wait_until(lambda: running.platform.jobs.store.runs(job), "the first run")
    first = waiting(running, job)
    running.clock_ahead_s += 61
    document = running.platform.documents.get("job", job)
    assert running.platform.jobs._begin_if_due(document, running.hub.now_ms() // 1000) == jobs.LOOK_EVERY_S
    assert [each.number for each in running.platform.jobs.store.runs(job)] == [first.number]
    running.platform.jobs.cancel(job, first.number)
    wait_until(lambda: len(running.platform.jobs.store.runs(job)) == 2, "the next run", jobs.LOOK_EVERY_S / 2)


@pytest.mark.parametrize("state", [DeviceState.PENDING, DeviceState.WAITING])
def test_a_result_costs_the_same_however_many_devices_are_not_done(tmp_path: Path, state: DeviceState) -> None:
    """Counted in steps of SQLite's machine: a look at each device for each result is a million times a million."""
    steps = {}
    for devices in (10, 5000):
        (tmp_path / str(devices)).mkdir()
        store = JobStore(tmp_path / str(devices))
        ids = [f"d{number:04}" for number in range(devices)]
        run = store.begin("j", {}, ids, catalog=None, batch_size=devices, by="a", due=None, now_ms=1)
        started = store.devices.start(run, devices if state is DeviceState.WAITING else 1, 1)
        store.devices.finish(run, [DeviceOutcome(each.device_id, "wait", answer="{}") for each in started], 2)
        counted: list[int] = []
        writer: Any = store._database._storage.writer
        writer.set_progress_handler(lambda counted=counted: counted.append(1), 100)
        store.devices.finish(run, [DeviceOutcome(ids[0], "done")], 3, was=DeviceState.WAITING)
        writer.set_progress_handler(None, 0)
        assert store.run("j", run).counts[DeviceState.SUCCEEDED] == 1
        store.close()
        steps[devices] = len(counted)
    assert steps[5000] <= steps[10] + 5
