# SPDX-License-Identifier: Apache-2.0
"""Jobs at work in a hub: properties, cloud properties, commands to real clients, schedules, cancel, kill -9."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.effort import effort
from tests.fixtures.processes import killed_process
from tests.hub.running_hub import DEVICE, OTHER, Client, RunningHub, wait_until

from armillary.engines.jobs.devices import DeviceResult, RunDevices
from armillary.engines.jobs.store import JobRun, JobStore
from armillary.errors import ConflictError, DataFolderError, NotFoundError
from armillary.hub.hub import Hub
from armillary.platform.ports import NoDirectory
from armillary.twin.author.job import DeviceState, RunState

RUNNER = Path(__file__).with_name("job_runner.py")


def make(running: RunningHub, action: dict[str, Any], devices: list[str], **more: Any) -> str:
    """A job over some devices; returns its id."""
    hub, platform, name = running.hub, running.platform, f"j-{uuid.uuid4().hex[:8]}"
    hub.series.commits.submit(hub.series.restoring.devices(devices)).result(10)
    for each in devices:
        hub.twins.change(each, tags={"job": name})
    filters = [{"field": "tag:job", "operator": "eq", "value": name}]
    platform.documents.put("group", name, {"name": name, "filters": filters}, by="t")
    platform.documents.put("job", name, {"name": name, "group": name, "action": action, **more}, by="t")
    return name


def ended(running: RunningHub, job: str, number: int) -> dict[str, Any]:
    """Waits for the end of a run; its results by device."""
    store = running.platform.jobs.store

    def over() -> bool:
        run = store.run(job, number)
        return run.state is not RunState.RUNNING and not run.counts.get(DeviceState.RUNNING)

    wait_until(over, "the run to end", 20)
    return {each.device_id: each for each in store.devices.results(number)}


def names(count: int) -> list[str]:
    base = uuid.uuid4().hex[:8]
    return [f"00{base}{number:04}" for number in range(count)]


def test_a_property_is_set_on_every_member(running: RunningHub) -> None:
    devices = names(30)
    job = make(running, {"kind": "set-property", "properties": {"limit": 5}}, devices)
    run = running.platform.jobs.begin(job, by="ann")
    results = ended(running, job, run.number)
    assert sorted(results) == devices
    assert {each.state for each in results.values()} == {DeviceState.SUCCEEDED}
    assert all(running.hub.twins.get(each).desired.properties == {"limit": 5} for each in devices)
    found = running.platform.jobs.store.run(job, run.number)
    assert (found.state, found.begun_by, found.counts) == (RunState.COMPLETED, "ann", {DeviceState.SUCCEEDED: 30})


def test_cloud_properties_are_merged(running: RunningHub) -> None:
    devices = names(3)
    running.platform.documents.put("device", devices[0], {"by": "operator", "cloud": {"a": 1, "b": 2}}, by="t")
    job = make(running, {"kind": "set-cloud-property", "properties": {"b": None, "site": "north"}}, devices)
    ended(running, job, running.platform.jobs.begin(job, by="ann").number)
    bodies = [running.platform.documents.get("device", each).body for each in devices]
    assert bodies == [
        {"by": "operator", "cloud": {"a": 1, "site": "north"}}, {"cloud": {"site": "north"}}, {"cloud": {"site": "north"}},
    ]  # fmt: skip


def answering(client: Client, statuses: dict[str, int]) -> list[str]:
    """Let a client answer methods; the names it was called by."""
    called: list[str] = []

    def answer(_client: Any, _data: Any, message: Any) -> None:
        name = message.topic.split("/")[3]
        called.append(name)
        if name in statuses:
            rid = message.topic.rpartition("$rid=")[2]
            client.paho.publish(f"$iothub/methods/res/{statuses[name]}/?$rid={rid}", json.dumps({"was": name}))

    client.paho.on_message = answer
    return called


def test_a_command_reaches_connected_devices_and_says_what_they_answered(running: RunningHub, client: Client) -> None:
    called = answering(client, {"good": 200, "bad": 501})
    client.subscribe("$iothub/methods/POST/#")
    for command, state, status in (("good", DeviceState.SUCCEEDED, 200), ("bad", DeviceState.FAILED, 501)):
        job = make(running, {"kind": "command", "command": command}, [DEVICE, OTHER])
        results = ended(running, job, running.platform.jobs.begin(job, by="ann").number)
        assert (results[DEVICE].state, results[DEVICE].status) == (state, status)
        assert json.loads(results[DEVICE].answer) == {"was": command}
        assert results[OTHER].state is DeviceState.FAILED
        assert "request.device-offline" in results[OTHER].answer
    assert called == ["good", "bad"]
    silent = make(running, {"kind": "command", "command": "silent", "timeout_s": 1}, [DEVICE])
    found = ended(running, silent, running.platform.jobs.begin(silent, by="ann").number)[DEVICE]
    assert (found.state, "request.device-timeout" in found.answer) == (DeviceState.FAILED, True)


def test_an_offline_device_is_tried_again_and_reached_when_it_comes(running: RunningHub) -> None:
    job = make(running, {"kind": "command", "command": "good"}, [DEVICE], retries=20, retry_after_s=1)
    run = running.platform.jobs.begin(job, by="ann")
    store = running.platform.jobs.store
    wait_until(lambda: store.devices.results(run.number)[0].attempts, "the first attempt")
    client = running.client(DEVICE).ready()
    called = answering(client, {"good": 200})
    client.subscribe("$iothub/methods/POST/#")
    found = ended(running, job, run.number)[DEVICE]
    assert (found.state, found.status, found.repeated) == (DeviceState.SUCCEEDED, 200, False)
    assert found.attempts > 1
    assert called == ["good"]


def test_a_run_ends_when_too_many_fail_and_failed_ones_can_be_done_again(running: RunningHub) -> None:
    devices = names(10)
    job = make(running, {"kind": "command", "command": "x"}, devices, concurrency=1, abort={"count": 3})
    run = running.platform.jobs.begin(job, by="ann")
    results = ended(running, job, run.number)
    assert running.platform.jobs.store.run(job, run.number).state is RunState.ABORTED
    states = [each.state for each in results.values()]
    assert (states.count(DeviceState.FAILED), states.count(DeviceState.SKIPPED)) == (3, 7)
    again = running.platform.jobs.begin(job, by="ann", only_failed_of=run.number)
    assert sorted(ended(running, job, again.number)) == devices[:3]


def test_a_cancelled_run_begins_no_other_device(running: RunningHub) -> None:
    devices = names(50)
    job = make(running, {"kind": "command", "command": "x"}, devices, concurrency=1, batch={"size": 1, "pause_s": 3600})
    run = running.platform.jobs.begin(job, by="ann")
    store = running.platform.jobs.store
    wait_until(lambda: store.run(job, run.number).counts.get(DeviceState.FAILED), "the first batch")
    with pytest.raises(ConflictError, match="under way"):
        running.platform.jobs.begin(job, by="ann")
    with pytest.raises(ConflictError, match="under way"):
        running.platform.jobs.forget(job)
    assert running.platform.jobs.cancel(job, run.number).state is RunState.CANCELLED
    results = ended(running, job, run.number)
    assert [each.state for each in results.values()].count(DeviceState.SKIPPED) == 49
    with pytest.raises(ConflictError, match="cancelled"):
        running.platform.jobs.cancel(job, run.number)
    wait_until(lambda: running.platform.jobs.counts()["job_runs_now"] == 0, "the run to be let go")
    running.platform.jobs.forget(job)
    with pytest.raises(NotFoundError):
        store.run(job, run.number)


def test_a_scheduled_job_begins_by_itself_and_repeats(running: RunningHub) -> None:
    now = int(time.time())
    action = {"kind": "set-property", "properties": {"a": 1}}
    job = make(running, action, names(2), start=now - 30, repeat={"every_s": 60})
    store = running.platform.jobs.store
    wait_until(lambda: store.runs(job), "the first run")
    first = store.runs(job)[0]
    assert (first.due, first.begun_by) == (now - 30, "schedule")
    ended(running, job, first.number)
    running.clock_ahead_s = 60.0
    running.platform.jobs.wake()
    wait_until(lambda: len(store.runs(job)) == 2, "the second run")
    assert store.runs(job)[0].due == now + 30


def test_a_device_that_changed_hands_is_skipped(running: RunningHub) -> None:
    devices = names(3)
    owners = {devices[0]: "North", devices[1]: "North", devices[2]: "North"}

    class Directory(NoDirectory):
        def page(self, *, catalog: str | None, after: str, limit: int) -> Any:
            assert catalog == "North"
            return [(each, {"catalog": owners[each]}) for each in sorted(owners) if each > after][:limit]

        def of(self, device_ids: Any) -> Any:
            owners[devices[1]] = "South"  # meanwhile
            return {each: {"catalog": owners[each]} for each in device_ids if each in owners}

    running.directory.now = Directory()
    job = make(running, {"kind": "set-property", "properties": {"a": 1}}, devices, catalog="North")
    results = ended(running, job, running.platform.jobs.begin(job, by="ann").number)
    assert [results[each].state for each in devices] == [
        DeviceState.SUCCEEDED, DeviceState.SKIPPED, DeviceState.SUCCEEDED,
    ]  # fmt: skip
    assert running.hub.twins.get(devices[1]).desired.properties == {}


def test_a_retry_waits_for_as_long_as_the_job_says(running: RunningHub) -> None:
    (device,) = devices = names(1)
    job = make(running, {"kind": "command", "command": "good"}, devices, retries=1, retry_after_s=600)
    begun_ms = running.hub.now_ms()
    number = running.platform.jobs.begin(job, by="ann").number
    store = running.platform.jobs.store

    def attempts() -> int:
        return next((each.attempts for each in store.devices.results(number)), 0)

    wait_until(lambda: attempts() == 1, "the first attempt")
    other = make(running, {"kind": "set-property", "properties": {"a": 1}}, names(1))
    ended(running, other, running.platform.jobs.begin(other, by="ann").number)  # the loop has been round since
    assert attempts() == 1
    assert store.run(job, number).state is RunState.RUNNING
    running.clock_ahead_s += 601 + (running.hub.now_ms() - begun_ms) / 1000
    running.platform.jobs.wake()
    (found,) = ended(running, job, number).values()
    assert (found.device_id, found.attempts, found.state) == (device, 2, DeviceState.FAILED)


def test_a_run_that_met_a_full_disk_or_a_fault_goes_on_and_says_what_was_done_twice(
    running: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("armillary.platform.jobs.jobs.TROUBLE_S", 0.05)
    troubles: list[Exception] = [DataFolderError("the disk is full"), RuntimeError("a fault")]
    finish = RunDevices.finish

    def troubled(self: RunDevices, *arguments: Any) -> None:
        if troubles:
            raise troubles.pop()
        finish(self, *arguments)

    monkeypatch.setattr(RunDevices, "finish", troubled)
    devices = names(6)
    job = make(running, {"kind": "set-property", "properties": {"a": 1}}, devices, concurrency=2)
    results = ended(running, job, running.platform.jobs.begin(job, by="ann").number)
    assert not troubles
    assert {each.state for each in results.values()} == {DeviceState.SUCCEEDED}
    assert 1 <= sum(each.repeated for each in results.values()) <= 4


def begun_over_kills(command: list[str], chance: random.Random, span: tuple[int, int]) -> list[str]:
    """Run a job to its end, killed whenever a number of actions of the span has begun; devices of all actions."""
    begun: list[str] = []
    for _ in range(20):
        with killed_process(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            wanted = chance.randint(*span)
            for line in process.stdout:
                word, _, name = line.strip().partition(" ")
                if word == "over":
                    process.wait(30)
                    return begun
                if word == "begins":  # other lines are of the log
                    begun.append(name)
                    wanted -= 1
                    if wanted == 0:
                        process.kill()
            process.wait(30)
    raise AssertionError("it never ended")


def kept(folder: Path) -> tuple[JobRun, Sequence[DeviceResult]]:
    """The one run of the job, and its results."""
    store = JobStore(folder)
    (run,) = store.runs("limit")
    results = store.devices.results(run.number)
    store.close()
    return run, results


@pytest.mark.e2e
def test_a_run_goes_on_after_kill_9_and_says_what_was_done_twice(tmp_path: Path) -> None:
    devices = effort(60, 120)
    command = [sys.executable, str(RUNNER), str(tmp_path / "hub"), str(devices)]
    begun = begun_over_kills(command, random.Random(11), (10, 40))  # noqa: S311 - the same moments in every run
    run, results = kept(tmp_path / "hub")
    assert run.counts == {DeviceState.SUCCEEDED: devices}
    twice = {each for each in begun if begun.count(each) > 1}
    assert twice  # the kills met some under way
    assert twice <= {each.device_id for each in results if each.repeated}  # none is done twice without saying so
    assert all(each.attempts >= begun.count(each.device_id) for each in results)
    hub = Hub(tmp_path / "hub", authenticate=lambda _: "nobody")
    assert all(hub.twins.get(f"d{number:04}").desired.properties == {"limit": 5} for number in range(devices))
    hub._close_stores()
