# SPDX-License-Identifier: Apache-2.0
"""Jobs: what a body may say, and what is done next."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.errors import InvalidArgumentError, WireError
from armillary.twin.author.job import DeviceState, RunProgress, RunState, next_due, parse_job, plan_run

PACKAGE = {"url": "https://example.com/f.bin", "version": "2.1", "sha256": "0" * 64}
COMMAND = {"kind": "command", "command": "valve*open", "payload": {"by": 3}}


def job(**more: Any) -> dict[str, Any]:
    return {"name": "Open", "group": "valves", "action": COMMAND, **more}


def progress(*, failed: int = 0, running: int = 0, pending: int = 0, done: int = 0, **more: Any) -> RunProgress:
    counts = {
        DeviceState.FAILED: failed,
        DeviceState.RUNNING: running,
        DeviceState.PENDING: pending,
        DeviceState.SUCCEEDED: done,
    }
    given = {"state": RunState.RUNNING, "batch": 0, "due_ms": 0 if pending else None, **more}
    return RunProgress(counts=counts, **given)


def test_a_job_says_what_is_done() -> None:
    parsed = parse_job(
        job(start=100, repeat={"every_s": 3600, "until": 9000}, batch={"percent": 30}, abort={"count": 2})
    )
    assert (parsed.action.command, parsed.action.payload, parsed.action.timeout_s) == ("valve*open", {"by": 3}, 30)
    assert parsed.batch is not None
    assert [parsed.batch.devices(total) for total in (0, 1, 10, 11)] == [1, 1, 3, 4]
    assert parse_job(job(action={"kind": "set-property", "properties": {"a": None}})).action.properties == {"a": None}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "x"}, "job.group"),
        (job(action=None), "action"),
        (job(action={"kind": "deploy"}), "set-property, set-cloud-property, command, update"),
        (job(action={"kind": "command", "command": "x", "properties": {}}), "no other fields"),
        (job(action={"kind": "set-property", "properties": {}}), "at least one"),
        (job(action={"kind": "set-property", "properties": {"$a": 1}}), "key"),
        (job(action={"kind": "set-cloud-property", "properties": {"a": [1]}}), "a number"),
        (job(action={"kind": "update"}), "either device_group or package"),
        (job(action={"kind": "update", "device_group": "a/b", "package": PACKAGE}), "either device_group or package"),
        (job(action={"kind": "update", "device_group": "a"}), "PRODUCT/GROUP"),
        (job(action={"kind": "update", "device_group": "a/b/c"}), "PRODUCT/GROUP"),
        (job(action={"kind": "update", "device_group": "a/b", "timeout_s": 5}), "timeout_s"),
        (job(action={"kind": "update", "package": {**PACKAGE, "sha256": "A" * 64}}), "lower case"),
        (job(action={"kind": "update", "package": {**PACKAGE, "url": "file:///etc/passwd"}}), "http or https"),
        (job(action={"kind": "update", "package": {**PACKAGE, "run": "rm"}}), "no other fields"),
        (job(concurrency=0), "1 to 200"),
        (job(concurrency=True), "1 to 200"),
        (job(batch={}), "either size or percent"),
        (job(batch={"size": 1, "percent": 1}), "either size or percent"),
        (job(abort={"percent": 0}), "1 to 100"),
        (job(repeat={"every_s": 60}), "start"),
        (job(start=1, repeat={"every_s": 59}), "60 to"),
        (job(retries=21), "0 to 20"),
        (job(colour=1), "no other fields"),
    ],
)
def test_a_body_is_refused_with_its_place(body: Any, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        parse_job(body)


def test_a_command_that_no_topic_can_carry_is_refused() -> None:
    with pytest.raises(WireError, match="method name"):
        parse_job(job(action={"kind": "command", "command": "a/b"}))


def test_the_concurrency_bounds_what_begins() -> None:
    parsed = parse_job(job(concurrency=3))
    assert plan_run(parsed, progress(pending=9), 0).start == 3
    assert plan_run(parsed, progress(pending=9, running=2), 0).start == 1
    assert plan_run(parsed, progress(pending=9, running=3), 0).start == 0


def test_the_next_batch_waits_for_its_pause_and_a_retry_for_its_time() -> None:
    parsed = parse_job(job(batch={"size": 2, "pause_s": 10}))
    waiting = progress(pending=2, done=2, batch=1, batch_opened_ms=5000)
    assert plan_run(parsed, waiting, 6000).wake_ms == 15_000
    assert plan_run(parsed, waiting, 15_000).start == 10
    retry = progress(pending=1, done=1, due_ms=90_000)
    assert plan_run(parsed, retry, 0).wake_ms == 90_000


@pytest.mark.parametrize(
    ("abort", "failed", "total", "ends"),
    [
        ({"count": 2}, 1, 10, False),
        ({"count": 2}, 2, 10, True),
        ({"percent": 20}, 1, 10, False),
        ({"percent": 20}, 2, 10, True),
        ({"percent": 100}, 9, 10, False),
        ({"percent": 100}, 10, 10, True),
        ({"percent": 1}, 0, 10, False),
        (None, 10, 10, False),
    ],
)
def test_too_many_failures_end_a_run(abort: Any, failed: int, total: int, ends: bool) -> None:
    found = plan_run(parse_job(job(abort=abort)), progress(failed=failed, pending=total - failed), 0)
    assert (found.event == "too-many-failed") is ends


def test_a_run_ends_when_all_is_done_and_then_does_nothing() -> None:
    assert plan_run(parse_job(job()), progress(done=3, batch=None), 0).event == "all-done"
    assert plan_run(parse_job(job()), progress(batch=None), 0).event == "all-done"  # nobody was in the group
    over = progress(pending=1, state=RunState.CANCELLED)
    assert plan_run(parse_job(job()), over, 0) == plan_run(parse_job(job()), over, 10**9)
    assert plan_run(parse_job(job()), over, 0).start == 0


def test_a_schedule() -> None:
    once = parse_job(job(start=100))
    assert [next_due(once, None, 0), next_due(once, None, 500), next_due(once, 100, 500)] == [100, 100, None]
    daily = parse_job(job(start=100, repeat={"every_s": 60, "until": 400}))
    assert [next_due(daily, None, 0), next_due(daily, 100, 110), next_due(daily, 100, 345)] == [100, 160, 340]
    assert next_due(daily, 400, 410) is None
    assert next_due(parse_job(job()), None, 0) is None
