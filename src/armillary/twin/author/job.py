# SPDX-License-Identifier: Apache-2.0
"""Jobs: one action on every device of a segment, once or repeatedly.

::

    {"name": "Lower the limit", "group": "cold-chain", "action": {"kind": "set-property", "properties": {"limit": 5}},
     "start": null, "repeat": null, "concurrency": 10, "batch": {"percent": 10, "pause_s": 600},
     "abort": {"percent": 5}, "retries": 2, "retry_after_s": 60}

A run waits for an ``update``: ``{"kind": "update", "device_group": "Kettle/Production"}`` moves a device to that group,
whose deployment it takes; ``{"kind": "update", "package": {"url", "version", "sha256"}}`` sets the desired property
``update``, which the device acknowledges as a writable property.

A *run* acts on the devices that were in the group when it began. Its states and those of its devices are two tables
(:data:`RUN_STATES`, :data:`DEVICE_STATES`); :func:`plan_run` decides what to do next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from armillary.errors import ConflictError
from armillary.twin.document.section import check_patch
from armillary.twin.rule.action import MAX_URL_CHARACTERS
from armillary.wire.encoding.json_fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, JsonFields, is_value
from armillary.wire.hub.topics import method_topic

# Devices of one run that are acted on at once: each holds an open call and a row.
MAX_CONCURRENCY: Final = 200
MAX_RETRIES: Final = 20
# Shorter ones would be a loop, not a schedule (seconds).
MIN_REPEAT_S: Final = 60
MAX_SECONDS: Final = 366 * 86_400
MAX_TIME: Final = 2**40
MAX_TIMEOUT_S: Final = 300
MAX_CLOUD_PROPERTIES: Final = 100
# How long a device may take for an update: from one check-in to the next, to one that is switched on once a month.
MIN_UPDATE_S: Final = 60
MAX_UPDATE_S: Final = 90 * 86_400
DEFAULT_UPDATE_S: Final = 7 * 86_400
MAX_VERSION_CHARACTERS: Final = 64
# The desired property of an update by package.
UPDATE_PROPERTY: Final = "update"

REMEDY: Final = "docs/concepts/jobs.md lists every field; nothing was kept."


class ActionKind(StrEnum):
    """Kind of action."""

    SET_PROPERTY = "set-property"
    SET_CLOUD_PROPERTY = "set-cloud-property"
    COMMAND = "command"
    UPDATE = "update"


class RunState(StrEnum):
    """State of a run."""

    RUNNING = "running"
    COMPLETED = "completed"
    ABORTED = "aborted"
    CANCELLED = "cancelled"


class DeviceState(StrEnum):
    """State of a device in a run."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


# (state, event) -> state. A run ends once; what was under way then still gets its result.
RUN_STATES: Final[Mapping[tuple[RunState, str], RunState]] = {
    (RunState.RUNNING, "all-done"): RunState.COMPLETED,
    (RunState.RUNNING, "too-many-failed"): RunState.ABORTED,
    (RunState.RUNNING, "cancelled"): RunState.CANCELLED,
}
# ``wait``: the device has the request and works on it: it takes no place of the concurrency, and the request is not
# repeated when the service restarts.
# ``lost``: the service stopped during the action; whether it reached the device is not known, so it is repeated.
DEVICE_STATES: Final[Mapping[tuple[DeviceState, str], DeviceState]] = {
    (DeviceState.PENDING, "start"): DeviceState.RUNNING,
    (DeviceState.PENDING, "run-ended"): DeviceState.SKIPPED,
    (DeviceState.PENDING, "gone"): DeviceState.SKIPPED,
    (DeviceState.RUNNING, "done"): DeviceState.SUCCEEDED,
    (DeviceState.RUNNING, "failed"): DeviceState.FAILED,
    (DeviceState.RUNNING, "retry"): DeviceState.PENDING,
    (DeviceState.RUNNING, "gone"): DeviceState.SKIPPED,
    (DeviceState.RUNNING, "lost"): DeviceState.PENDING,
    (DeviceState.RUNNING, "wait"): DeviceState.WAITING,
    (DeviceState.WAITING, "done"): DeviceState.SUCCEEDED,
    (DeviceState.WAITING, "failed"): DeviceState.FAILED,
    (DeviceState.WAITING, "gone"): DeviceState.SKIPPED,
    (DeviceState.WAITING, "run-ended"): DeviceState.SKIPPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAction:
    """What a job does with each device."""

    kind: ActionKind
    properties: Mapping[str, Any]  # merge patch of the desired properties, or cloud properties (null deletes)
    command: str = ""  # direct method, ``component*name`` in a component
    payload: Any = None  # of the command
    timeout_s: int = 30  # to wait for the answer, or for the report of a device that updates itself
    device_group: str = ""  # ``PRODUCT/GROUP`` that an update moves the device to
    package: Mapping[str, str] = field(default_factory=dict)  # ``url``, ``version`` and ``sha256`` of an update


@dataclass(frozen=True, slots=True)
class Batch:
    """Size of a batch as a number or a percentage of the devices, and the pause between batches in seconds."""

    size: int | None
    percent: int | None
    pause_s: int

    def devices(self, total: int) -> int:
        """Number of devices of one batch, of a run with ``total`` devices; at least 1."""
        return max(1, self.size if self.size is not None else -(-total * (self.percent or 100) // 100))


@dataclass(frozen=True, slots=True)
class AbortThreshold:
    """Failed devices that abort a run: a number, or a percentage of all."""

    count: int | None
    percent: int | None

    def reached(self, failed: int, total: int) -> bool:
        """Whether ``failed`` of ``total`` devices abort the run."""
        if self.count is not None:
            return failed >= self.count
        return failed > 0 and failed * 100 >= (self.percent or 0) * total


@dataclass(frozen=True, slots=True)
class Repeat:
    """Repetition every ``every_s`` seconds until ``until`` (Unix seconds); None for ever."""

    every_s: int
    until: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job."""

    name: str  # for people, as is ``description``
    description: str = ""
    catalog: str | None = None  # only devices of this catalog; None for all
    group: str  # id of the device group
    action: JobAction
    start: int | None = None  # time of the first run, Unix seconds; None: an operator starts it
    repeat: Repeat | None = None  # None for one run
    concurrency: int = 10  # most devices that are acted on at once
    batch: Batch | None = None  # None for one batch of all devices
    abort: AbortThreshold | None = None  # failures that end a run early
    retries: int = 0  # attempts after the first that fails, each ``retry_after_s`` after the one before
    retry_after_s: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """The progress of a run at one moment."""

    state: RunState
    counts: Mapping[DeviceState, int]  # devices by state; an absent state counts none
    batch: int | None  # number of the first batch that is not done; None when all are
    batch_opened_ms: int = 0  # when the batch before it was done, Unix milliseconds; 0 for the first
    due_ms: int | None = None  # when the next pending device of that batch may begin; None if none is

    @property
    def total(self) -> int:
        """Devices of the run."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """Status of an update that a run waits for: an event of DEVICE_STATES, None while open; and words for people."""

    event: str | None
    said: str = ""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What to do next in a run."""

    event: str | None = None  # of the run, in a key of RUN_STATES
    start: int = 0  # number of devices of the present batch to begin with
    wake_ms: int | None = None  # when to plan again, Unix milliseconds; None: at the next result of a device


def plan_run(job: Job, progress: RunProgress, now_ms: int) -> RunPlan:
    """Decide what to do next in a run; ``now_ms`` in Unix milliseconds.

    It never starts more than the concurrency allows, begins no batch before the one ahead is done and its pause is
    over, and ends the run as soon as too many devices have failed.
    """
    if progress.state is not RunState.RUNNING:
        return RunPlan()
    if job.abort is not None and job.abort.reached(progress.counts.get(DeviceState.FAILED, 0), progress.total):
        return RunPlan("too-many-failed")
    if progress.batch is None:
        return RunPlan("all-done")
    if progress.due_ms is None:
        return RunPlan()
    pause_ms = job.batch.pause_s * 1000 if job.batch is not None and progress.batch_opened_ms else 0
    begin_ms = max(progress.due_ms, progress.batch_opened_ms + pause_ms)
    if now_ms < begin_ms:
        return RunPlan(wake_ms=begin_ms)
    return RunPlan(start=max(0, job.concurrency - progress.counts.get(DeviceState.RUNNING, 0)))


def after_failure(job: Job, attempts: int) -> str:
    """The event, ``retry`` or ``failed``, of a device whose action failed for the ``attempts``-th time."""
    return "retry" if attempts <= job.retries else "failed"


def next_run(state: RunState, event: str) -> RunState:
    """The state of a run after an event; raises ConflictError if the run has ended."""
    try:
        return RUN_STATES[state, event]
    except KeyError:
        raise ConflictError(
            f"the run is {state}; {event} is nothing that can happen to it", remedy="Start another run of the job."
        ) from None


def next_due(job: Job, last_due: int | None, now: int) -> int | None:
    """When a job is due next, Unix seconds, after its scheduled run of ``last_due``; None for no further one.

    Of several runs that were due before ``now`` only the last one counts: a service that was off for a week does not
    make up for all of them.
    """
    if job.start is None:
        return None
    if last_due is None:
        first = job.start
    elif job.repeat is None:
        return None
    else:
        first = last_due + job.repeat.every_s
    if job.repeat is not None:
        if first < now:
            first += (now - first) // job.repeat.every_s * job.repeat.every_s
        if job.repeat.until is not None and first > job.repeat.until:
            return None
    return first


def parse_job(document: object) -> Job:
    """The body of a ``job`` document; raises InvalidArgumentError with the field and what was expected."""
    fields = JsonFields(document, "job", REMEDY)
    job = Job(
        name=fields.text("name", most=MAX_NAME_CHARACTERS),
        description=fields.text("description", most=MAX_DESCRIPTION_CHARACTERS, default="", lines=True),
        catalog=fields.optional_text("catalog", most=MAX_NAME_CHARACTERS),
        group=fields.text("group", most=MAX_NAME_CHARACTERS),
        action=_action(fields),
        start=fields.optional_integer("start", 0, MAX_TIME),
        repeat=_repeat(fields),
        concurrency=fields.integer("concurrency", 1, MAX_CONCURRENCY, default=10),
        batch=_batch(fields),
        abort=_threshold(fields),
        retries=fields.integer("retries", 0, MAX_RETRIES, default=0),
        retry_after_s=fields.integer("retry_after_s", 0, MAX_SECONDS, default=60),
    )
    fields.finish()
    if job.repeat is not None and job.start is None:
        raise fields.refused("start", "a time, as it repeats", None)
    return job


def _action(fields: JsonFields) -> JobAction:
    inner = fields.inner("action")
    if inner is None:
        raise fields.refused("action", "an object", None)
    kind = ActionKind(inner.choice("kind", tuple(ActionKind)))
    if kind is ActionKind.COMMAND:
        action = JobAction(
            kind=kind,
            properties={},
            command=inner.text("command", most=128),
            payload=inner.take("payload", None),
            timeout_s=inner.integer("timeout_s", 1, MAX_TIMEOUT_S, default=30),
        )
        method_topic(action.command, "1")  # raises for a name that no topic can have
    elif kind is ActionKind.UPDATE:
        action = _update(inner)
    else:
        action = JobAction(kind=kind, properties=inner.mapping("properties"))
        _check_properties(inner, action)
    inner.finish()
    return action


def _update(fields: JsonFields) -> JobAction:
    group, package = fields.optional_text("device_group", most=2 * MAX_NAME_CHARACTERS), fields.inner("package")
    if (group is None) == (package is None):
        raise fields.refused("device_group", "either device_group or package", "both or none")
    if group is not None and not re.fullmatch(r"[^/]+/[^/]+", group):
        raise fields.refused("device_group", "PRODUCT/GROUP", group)
    return JobAction(
        kind=ActionKind.UPDATE,
        properties={},
        timeout_s=fields.integer("timeout_s", MIN_UPDATE_S, MAX_UPDATE_S, default=DEFAULT_UPDATE_S),
        device_group=group or "",
        package={} if package is None else _package(package),
    )


def _package(fields: JsonFields) -> dict[str, str]:
    url, digest = fields.http_address("url", most=MAX_URL_CHARACTERS), fields.text("sha256", most=64)
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise fields.refused("sha256", "64 hexadecimal digits in lower case", digest)
    found = {"url": url, "version": fields.text("version", most=MAX_VERSION_CHARACTERS), "sha256": digest}
    fields.finish()
    return found


def _check_properties(fields: JsonFields, action: JobAction) -> None:
    if not action.properties:
        raise fields.refused("properties", "at least one property", "none")
    if action.kind is ActionKind.SET_PROPERTY:
        check_patch(action.properties, "job.action.properties")
        return
    if len(action.properties) > MAX_CLOUD_PROPERTIES:
        raise fields.refused("properties", f"at most {MAX_CLOUD_PROPERTIES}", len(action.properties))
    for name, value in action.properties.items():
        if not name or len(name) > MAX_NAME_CHARACTERS or not (value is None or is_value(value)):
            raise fields.refused(f"properties.{name}", "a name with a number, true, false, text or null", value)


def _repeat(fields: JsonFields) -> Repeat | None:
    inner = fields.inner("repeat")
    if inner is None:
        return None
    found = Repeat(inner.integer("every_s", MIN_REPEAT_S, MAX_SECONDS), inner.optional_integer("until", 0, MAX_TIME))
    inner.finish()
    return found


def _batch(fields: JsonFields) -> Batch | None:
    inner = fields.inner("batch")
    if inner is None:
        return None
    size, percent = inner.optional_integer("size", 1, 10**6), inner.optional_integer("percent", 1, 100)
    found = Batch(size, percent, inner.integer("pause_s", 0, MAX_SECONDS, default=0))
    inner.finish()
    _either(inner, size, percent, "size")
    return found


def _threshold(fields: JsonFields) -> AbortThreshold | None:
    inner = fields.inner("abort")
    if inner is None:
        return None
    found = AbortThreshold(inner.optional_integer("count", 1, 10**6), inner.optional_integer("percent", 1, 100))
    inner.finish()
    _either(inner, found.count, found.percent, "count")
    return found


def _either(fields: JsonFields, one: int | None, other: int | None, name: str) -> None:
    if (one is None) == (other is None):
        raise fields.refused(name, f"either {name} or percent", "both or none")
