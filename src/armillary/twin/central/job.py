# SPDX-License-Identifier: Apache-2.0
"""Converts jobs and scheduled jobs from and to IoT Central's form (REST API 2022-07-31).

::

    {"displayName": "Lower it", "group": "cold-chain",
     "data": [{"type": "property", "target": "dtmi:..", "path": "settings.limit", "value": 5}],
     "batch": {"type": "percentage", "value": 10}, "cancellationThreshold": {"type": "number", "value": 3},
     "schedule": {"start": "2026-12-01T06:00:00Z", "recurrence": "daily",
                  "end": {"type": "occurrences", "occurrences": 5}}}

What a job of Armillary cannot express is refused: a repetition by months, a threshold for each batch, and ``data``
with more than one action (properties together, or one command).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from armillary.errors import InvalidArgumentError
from armillary.twin.author.job import ActionKind, DeviceState, Job, RunState
from armillary.twin.template.property_state import COMPONENT, MARKER

# recurrence -> seconds.
RECURRENCES: Final[Mapping[str, int]] = {"daily": 86_400, "weekly": 7 * 86_400}
MAX_OCCURRENCES: Final = 999
_KINDS: Final[Mapping[str, ActionKind]] = {
    "property": ActionKind.SET_PROPERTY,
    "cloudProperty": ActionKind.SET_CLOUD_PROPERTY,
    "command": ActionKind.COMMAND,
}
# State of a run -> IoT Central's word.
STATUS: Final[Mapping[RunState, str]] = {
    RunState.RUNNING: "running",
    RunState.COMPLETED: "complete",
    RunState.ABORTED: "cancelled",
    RunState.CANCELLED: "stopped",
}
DEVICE_STATUS: Final[Mapping[DeviceState, str]] = {
    DeviceState.PENDING: "pending",
    DeviceState.RUNNING: "running",
    DeviceState.SUCCEEDED: "completed",
    DeviceState.FAILED: "failed",
    DeviceState.SKIPPED: "stopped",
}
# Unix seconds of the first moment that has no four digits for its year.
_YEAR_10000: Final = 253_402_300_800
_REMEDY: Final = "docs/reference/iot-central.md says what a job can be; nothing was kept."


def targets_of(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Identifiers of the device templates in the entries of ``data``, each once.

    Raises InvalidArgumentError if ``data`` is no list of entries with type, target and path.
    """
    entries = body.get("data")
    if not isinstance(entries, list) or not entries:
        raise _refused("data", "a list of at least one entry", entries)
    found = []
    for index, each in enumerate(entries):
        for name in ("type", "target", "path"):
            value = each.get(name) if isinstance(each, Mapping) else None
            if name == "type" and value not in tuple(_KINDS):
                raise _refused(f"data[{index}].type", f"one of {', '.join(_KINDS)}", value)
            if not isinstance(value, str) or not value:
                raise _refused(f"data[{index}].{name}", "text", value)
        found.append(str(each["target"]))
    return tuple(dict.fromkeys(found))


def job_body(body: Mapping[str, Any], *, name: str, group: str, components: Collection[str]) -> dict[str, Any]:
    """The body of a job document from one in IoT Central's form, at whose ``data`` :func:`targets_of` has looked.

    ``name`` is used where the body has none; ``group`` is the id of the group's document, ``components`` are the names
    of the template's components. Raises InvalidArgumentError with the field that a job cannot express.
    """
    made: dict[str, Any] = {
        "name": _text(body, "displayName") or name,
        "description": _text(body, "description"),
        "group": group,
        "action": _action(body["data"], components),
    }
    batch = _measure(body, "batch", ("type", "value"))
    if batch is not None:
        made["batch"] = {"size" if batch[0] == "number" else "percent": batch[1], "pause_s": 0}
    threshold = _measure(body, "cancellationThreshold", ("type", "value", "batch"))
    if threshold is not None:
        if body["cancellationThreshold"].get("batch"):
            raise _refused("cancellationThreshold.batch", "false: it is counted over the whole run", True)
        made["abort"] = {"count" if threshold[0] == "number" else "percent": threshold[1]}
    return made


def schedule_body(schedule: object) -> dict[str, Any]:
    """The fields ``start`` and ``repeat`` of a job document; raises InvalidArgumentError for another schedule."""
    if not isinstance(schedule, Mapping):
        raise _refused("schedule", "an object with start", schedule)
    _only(schedule, ("start", "recurrence", "end"), "schedule")
    start = _moment(schedule.get("start"), "schedule.start")
    recurrence, end = schedule.get("recurrence"), schedule.get("end")
    if recurrence is None:
        if end is not None:
            raise _refused("schedule.end", "a recurrence as well", end)
        return {"start": start, "repeat": None}
    if not isinstance(recurrence, str) or recurrence not in RECURRENCES:
        raise _refused("schedule.recurrence", f"{' or '.join(RECURRENCES)} (months differ in length)", recurrence)
    every = RECURRENCES[recurrence]
    return {"start": start, "repeat": {"every_s": every, "until": None if end is None else _until(end, start, every)}}


def central_data(job: Job, target: str) -> list[dict[str, Any]]:
    """``data`` of a job."""
    action = job.action
    if action.kind is ActionKind.COMMAND:
        path = action.command.replace("*", ".")
        return [_entry("command", target, path, action.payload)]
    if action.kind is ActionKind.SET_CLOUD_PROPERTY:
        return [_entry("cloudProperty", target, name, value) for name, value in action.properties.items()]
    found = []
    for name, value in action.properties.items():
        if isinstance(value, Mapping) and value.get(MARKER) == COMPONENT:
            inside = ((each, inner) for each, inner in value.items() if each != MARKER)
            found += [_entry("property", target, f"{name}.{each}", inner) for each, inner in inside]
        else:
            found.append(_entry("property", target, name, value))
    return found


def central_limits(job: Job) -> dict[str, Any]:
    """``batch`` and ``cancellationThreshold`` of a job, where it has them."""
    shown: dict[str, Any] = {}
    if job.batch is not None:
        shown["batch"] = _measured(job.batch.size, job.batch.percent)
    if job.abort is not None:
        shown["cancellationThreshold"] = {**_measured(job.abort.count, job.abort.percent), "batch": False}
    return shown


def central_schedule(job: Job) -> dict[str, Any]:
    """``schedule`` of a job that has a start; a recurrence that IoT Central has no word for is an ISO 8601 duration."""
    shown: dict[str, Any] = {"start": iso(job.start or 0)}
    if job.repeat is None:
        return shown
    words = {seconds: word for word, seconds in RECURRENCES.items()}
    shown["recurrence"] = words.get(job.repeat.every_s, f"PT{job.repeat.every_s}S")
    until = job.repeat.until
    if until is not None:
        occurrences = (until - (job.start or 0)) // job.repeat.every_s + 1
        if 1 <= occurrences <= MAX_OCCURRENCES and until == (job.start or 0) + (occurrences - 1) * job.repeat.every_s:
            shown["end"] = {"type": "occurrences", "occurrences": occurrences}
        else:
            shown["end"] = {"type": "date", "date": iso(until)[:10]}
    return shown


def progress_of(counts: Mapping[DeviceState, int]) -> dict[str, int]:
    """``progress`` of a run; devices that were skipped count as pending."""
    waiting = (DeviceState.PENDING, DeviceState.RUNNING, DeviceState.SKIPPED)
    return {
        "total": sum(counts.values()),
        "pending": sum(counts.get(each, 0) for each in waiting),
        "completed": counts.get(DeviceState.SUCCEEDED, 0),
        "failed": counts.get(DeviceState.FAILED, 0),
    }


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 text with milliseconds; the end of the year 9999 for everything later."""
    return datetime.fromtimestamp(min(seconds, _YEAR_10000 - 1), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def moment(text: str) -> int:
    """Unix seconds of an ISO 8601 text, UTC where it has no offset; raises ValueError unless in 1970 to 9999 (UTC)."""
    found = datetime.fromisoformat(text)
    seconds = int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    if not 0 <= seconds < _YEAR_10000:
        raise ValueError(text)
    return seconds


def _action(entries: Sequence[Mapping[str, Any]], components: Collection[str]) -> dict[str, Any]:
    kinds = {each["type"] for each in entries}
    if len(kinds) > 1:
        raise _refused("data", "entries of one type", ", ".join(sorted(kinds)))
    kind = _KINDS[kinds.pop()]
    if kind is ActionKind.COMMAND:
        if len(entries) > 1:
            raise _refused("data", "one command", f"{len(entries)}")
        component, _, rest = entries[0]["path"].partition(".")
        name = f"{component}*{rest}" if rest and component in components else entries[0]["path"]
        return {"kind": kind.value, "command": name, "payload": entries[0].get("value")}
    properties: dict[str, Any] = {}
    for index, each in enumerate(entries):
        component, _, rest = each["path"].partition(".")
        inside = bool(rest) and component in components and kind is ActionKind.SET_PROPERTY
        place = properties.setdefault(component, {MARKER: COMPONENT}) if inside else properties
        name = rest if inside else each["path"]
        if name in place:
            raise _refused(f"data[{index}].path", "each path once", each["path"])
        place[name] = each.get("value")
    return {"kind": kind.value, "properties": properties}


def _measure(body: Mapping[str, Any], name: str, known: Sequence[str]) -> tuple[str, int] | None:
    given = body.get(name)
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise _refused(name, "an object with type and value", given)
    _only(given, known, name)
    kind, value = given.get("type"), given.get("value")
    if kind not in ("number", "percentage"):
        raise _refused(f"{name}.type", "number or percentage", kind)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _refused(f"{name}.value", "a whole number", value)
    return kind, value


def _measured(number: int | None, percent: int | None) -> dict[str, Any]:
    return {"type": "percentage", "value": percent} if number is None else {"type": "number", "value": number}


def _until(end: object, start: int, every: int) -> int:
    kind = end.get("type") if isinstance(end, Mapping) else None
    if not isinstance(end, Mapping) or kind not in ("date", "occurrences"):
        raise _refused("schedule.end.type", "date or occurrences", kind)
    _only(end, ("type", kind), "schedule.end")
    given = end.get(kind)
    if kind == "occurrences":
        if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= MAX_OCCURRENCES:
            raise _refused("schedule.end.occurrences", f"1 to {MAX_OCCURRENCES}", given)
        return start + (given - 1) * every
    try:
        until = moment(str(given)[:10]) + 86_400 - 1  # that day as well
    except ValueError:
        raise _refused("schedule.end.date", "a date such as 2026-12-31", given) from None
    if until < start:
        raise _refused("schedule.end.date", "a day not before the start", given)
    return until


def _moment(given: object, name: str) -> int:
    try:
        return moment(given if isinstance(given, str) else "")
    except ValueError:
        raise _refused(name, "a time such as 2026-12-01T06:00:00Z", given) from None


def _entry(kind: str, target: str, path: str, value: Any) -> dict[str, Any]:
    entry = {"type": kind, "target": target, "path": path}
    return entry if value is None else {**entry, "value": value}


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise _refused(name, "text", value)
    return value or ""


def _only(given: Mapping[str, Any], known: Sequence[str], name: str) -> None:
    unknown = sorted(str(each) for each in given if each not in known)
    if unknown:
        raise _refused(name, f"only {', '.join(known)}", ", ".join(unknown))


def _refused(name: str, expected: str, got: object) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name}: expected {expected}, got {got!a:.80}", remedy=_REMEDY)
