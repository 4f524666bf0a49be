# SPDX-License-Identifier: Apache-2.0
"""Scheduled jobs in IoT Central's shape: jobs that have a start, and their runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from armillary.api.central.call import Call, body_object, cursor, field, page_size, paged, quoted, wrong
from armillary.api.central.documents import documents, keep, narrowed, present, visible
from armillary.api.central.jobs import FIELDS, KIND, document, made_of, run_id, store, target_of
from armillary.engines.documents.document import Document, check_match, not_found
from armillary.errors import ConflictError
from armillary.twin.author.job import next_due, parse_job
from armillary.twin.central.id import central_id

if TYPE_CHECKING:
    from armillary.engines.jobs.store import JobRun

SCHEDULED_FIELDS: Final = (*FIELDS, "schedule", "enabled", "completed")


def list_scheduled(call: Call) -> dict[str, Any]:
    """Scheduled jobs by id."""
    found = (each for each in documents(call, KIND, cursor(call)) if each.content.get("start") is not None)
    return paged(call, found, lambda each: each.id, lambda each: scheduled(call, each))


def get_scheduled(call: Call) -> dict[str, Any]:
    """A scheduled job."""
    return scheduled(call, _visible(call))


def put_scheduled(call: Call) -> dict[str, Any]:
    """Make or change a scheduled job; a run that is under way goes on as it began."""
    before = present(call, KIND, call.parameters["job"])
    if before is not None and before.content.get("start") is None:
        raise ConflictError(f"job {before.id[:64]!a} has no schedule", remedy="Choose another id.")
    return _put(call, body_object(call), before)


def patch_scheduled(call: Call) -> dict[str, Any]:
    """Change what the body says of a scheduled job."""
    before = _visible(call)
    return _put(call, {**scheduled(call, before), **body_object(call)}, before)


def delete_scheduled(call: Call) -> None:
    """Delete a scheduled job with its runs, when none is under way."""
    found = _visible(call)
    call.platform.authored.check_owned(KIND, found.id, narrowed(call))
    check_match(KIND, found.id, call.if_match, found.etag)  # before its runs are gone
    call.platform.jobs.forget(found.id)
    call.platform.authored.delete(call.actor, KIND, found.id, narrowed(call), call.if_match)


def scheduled_runs(call: Call) -> dict[str, Any]:
    """Runs of a scheduled job, newest first; the newest 50 are kept."""
    found = _visible(call)
    if narrowed(call) is not None and found.content.get("catalog") is None:
        return {"value": []}
    return paged(call, _runs(call, found), lambda each: str(each.number), lambda each: _run(call, found, each))


def scheduled(call: Call, found: Document) -> dict[str, Any]:
    """A scheduled job in IoT Central's form."""
    from armillary.twin.central import job as form  # noqa: PLC0415 - read when it is needed

    job = parse_job(found.content)
    now = call.hub.now_ms() // 1000
    return {
        "id": central_id(found.id),
        "displayName": job.name,
        "description": job.description,
        "group": central_id(job.group),
        "data": form.central_data(job, target_of(call, job)),
        **form.central_limits(job),
        "organizations": [],
        "schedule": form.central_schedule(job),
        "enabled": True,
        "completed": next_due(job, store(call).last_due(found.id), now) is None,
        "etag": quoted(found.etag),
    }


def _visible(call: Call) -> Document:
    found = visible(call, KIND, call.parameters["job"])
    if found.content.get("start") is None:
        raise not_found(KIND, call.parameters["job"])
    return found


def _put(call: Call, body: Mapping[str, Any], before: Document | None) -> dict[str, Any]:
    from armillary.twin.central.job import schedule_body  # noqa: PLC0415 - as above

    if field(body, "enabled", bool, default=True) is False:
        raise wrong("enabled", "true: a scheduled job is enabled until it is deleted", False)
    made = made_of(call, body, SCHEDULED_FIELDS) | schedule_body(body.get("schedule"))
    if before is not None:  # what this form has no words for stays
        kept = ("concurrency", "retries", "retry_after_s")
        made |= {name: before.content[name] for name in kept if name in before.content}
    return scheduled(call, keep(call, KIND, call.parameters["job"], made, before))


def _runs(call: Call, found: Document) -> Iterator[JobRun]:
    after = cursor(call)
    before = int(after) if after.isdecimal() and len(after) < 19 else None
    yield from store(call).runs(found.id, before=before, limit=page_size(call) + 1)


def _run(call: Call, found: Document, run: JobRun) -> dict[str, Any]:
    return document(call, found, run, run_id(found, run))
