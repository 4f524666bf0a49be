# SPDX-License-Identifier: Apache-2.0
"""A run of a job under any answers, crashes and calls: never too many at once, batches in order, every device once done."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies as st

from armillary.engines.jobs.devices import DeviceOutcome
from armillary.engines.jobs.store import JobStore
from armillary.twin.author.job import (
    DEVICE_STATES,
    RUN_STATES,
    DeviceState,
    RunState,
    after_failure,
    next_due,
    parse_job,
    plan_run,
)

ENDED = {DeviceState.SUCCEEDED, DeviceState.FAILED, DeviceState.SKIPPED}
amounts = (
    st.none()
    | st.fixed_dictionaries({"count": st.integers(1, 6)})
    | st.fixed_dictionaries({"percent": st.integers(1, 100)})
)
batches = (
    st.none()
    | st.fixed_dictionaries({"size": st.integers(1, 5)}, optional={"pause_s": st.integers(0, 20)})
    | st.fixed_dictionaries({"percent": st.integers(1, 100)}, optional={"pause_s": st.integers(0, 20)})
)
jobs = st.fixed_dictionaries(
    {
        "name": st.just("j"),
        "group": st.just("g"),
        "action": st.just({"kind": "command", "command": "blink"}),
        "concurrency": st.integers(1, 5),
        "batch": batches,
        "abort": amounts,
        "retries": st.integers(0, 2),
        "retry_after_s": st.integers(0, 30),
    }
)


@settings(max_examples=40, deadline=None)
@given(body=jobs, devices=st.integers(0, 12), data=st.data())
def test_any_run_ends_well(body: dict[str, Any], devices: int, data: st.DataObject) -> None:
    job = parse_job(body)
    names = [f"d{number:02}" for number in range(devices)]
    with tempfile.TemporaryDirectory() as folder:
        store, now = JobStore(Path(folder)), 0
        size = job.batch.devices(devices) if job.batch else 1000
        number = store.begin("j", body, names, catalog=None, batch_size=size, by="t", due=None, now_ms=now)
        attempts = dict.fromkeys(names, 0)
        crashes, told = 0, set[str]()
        for _ in range(600):
            progress = store.progress(number)
            assert progress.total == devices
            plan = plan_run(job, progress, now)
            running = progress.counts.get(DeviceState.RUNNING, 0)
            assert running + plan.start <= max(job.concurrency, running)
            if plan.event is not None:
                store.end(number, plan.event, now)
                told.clear()
            started = store.devices.start(number, plan.start, now) if plan.start else []
            states = {each.device_id: each for each in store.devices.results(number)}
            for each in started:
                attempts[each.device_id] += 1
                # nobody of a batch ahead is left
                assert all(other.state in ENDED for other in states.values() if other.batch < each.batch)
            active = [each for each in states.values() if each.state is DeviceState.RUNNING]
            waiting = [each for each in states.values() if each.state is DeviceState.WAITING]
            assert progress.state is RunState.RUNNING or not waiting  # nobody waits for a run that has ended
            assert {each.device_id for each in waiting} == told
            assert len(active) <= job.concurrency
            if progress.state is not RunState.RUNNING and not active:
                break
            move = data.draw(
                st.sampled_from(
                    [
                        "done",
                        "failed",
                        "gone",
                        "time",
                        "crash",
                        "cancel",
                        "done",
                        "done",
                        "wait",
                        "wait",
                        "came",
                        "came",
                        "never",
                    ]
                )
            )
            if move == "crash" and crashes < 3:
                crashes += 1
                store.close()
                store = JobStore(Path(folder))
                assert store.devices.recover(now) == len(active)
            elif move == "cancel" and progress.state is RunState.RUNNING and data.draw(st.booleans()):
                if plan.event is None:
                    store.end(number, "cancelled", now)
                    told.clear()
            elif active and move in ("done", "failed", "gone"):
                event = after_failure(job, active[0].attempts) if move == "failed" else move
                store.devices.finish(
                    number, [DeviceOutcome(active[0].device_id, event, due_ms=now + job.retry_after_s * 1000)], now
                )
            elif active and move == "wait":  # it was told; what it does then no crash has done again
                store.devices.finish(number, [DeviceOutcome(active[0].device_id, "wait")], now)
                if plan.event is None and progress.state is RunState.RUNNING:
                    told.add(active[0].device_id)
            elif waiting and move in ("came", "never") and plan.event is None:
                event = "done" if move == "came" else "failed"
                store.devices.finish(number, [DeviceOutcome(waiting[0].device_id, event)], now, was=DeviceState.WAITING)
                told.discard(waiting[0].device_id)
            else:
                now = max(now + 1000, plan.wake_ms or 0)
        else:
            raise AssertionError("the run did not end")
        results = store.devices.results(number)
        store.close()
        assert [each.device_id for each in results] == names
        assert all(each.state in ENDED for each in results)
        for each in results:
            assert each.attempts == attempts[each.device_id] <= job.retries + 1 + crashes
            assert each.repeated <= bool(crashes)


@given(
    start=st.integers(0, 10**6),
    every=st.integers(60, 10**5),
    now=st.integers(0, 10**6),
    last=st.none() | st.integers(0, 10**6),
)
def test_a_schedule_goes_on_and_makes_up_for_nothing(start: int, every: int, now: int, last: int | None) -> None:
    body = {
        "name": "j",
        "group": "g",
        "action": {"kind": "command", "command": "x"},
        "start": start,
        "repeat": {"every_s": every},
    }
    due = next_due(parse_job(body), last, now)
    assert due is not None
    assert due > now - every  # of many that went by, the last one
    assert last is None or due >= last + every
    base = start if last is None else last
    assert (due - base) % every == 0
    if due <= now:
        following = next_due(parse_job(body), due, now)
        assert following is not None
        assert following > now  # once


def test_what_the_tables_do_not_have_cannot_happen() -> None:
    assert {state for state, _ in RUN_STATES} == {RunState.RUNNING}
    assert {state for state, _ in DEVICE_STATES} == {DeviceState.PENDING, DeviceState.RUNNING, DeviceState.WAITING}
    assert set(DEVICE_STATES.values()) == set(DeviceState)
    assert set(RUN_STATES.values()) | {RunState.RUNNING} == set(RunState)
