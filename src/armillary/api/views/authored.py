# SPDX-License-Identifier: Apache-2.0
"""Authors' documents as JSON-able dicts, for the native routes and the console: members, uses, runs, dead letters.

``catalog`` is who the caller speaks for: None for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from armillary.api.http.documents import as_document
from armillary.platform.authored.documents import document_of
from armillary.service.context.paging import number_after
from armillary.twin.author.group import Group, value_at
from armillary.twin.author.job import DeviceState
from armillary.twin.author.uses import Use

if TYPE_CHECKING:
    from armillary.engines.jobs.store import JobRun
    from armillary.platform.platform import Platform

Document = dict[str, Any]


def uses(found: Sequence[Use]) -> Document:
    """What uses something, as a page."""
    return {"items": [{**as_document(each), "words": each.words()} for each in found], "next": None}


def uses_of(platform: Platform, kind: str, document_id: str, catalog: str | None) -> Document:
    """What uses a document that the caller may see."""
    platform.authored.visible(kind, document_id, catalog)
    return uses(platform.authored.uses(kind, document_id, catalog))


def members(platform: Platform, group: Group, catalog: str | None, limit: int, after: str | None) -> Document:
    """Devices that are in a segment now, by id, each with the values that the segment's filters look at."""
    page = platform.groups.members(group, catalog=catalog, after=after, limit=limit)
    items = [
        {
            "device_id": facts.device_id,
            **facts.fields,
            "values": {str(each.field): value_at(each.field, facts) for each in group.filters},
        }
        for facts in page.items
    ]
    return {"items": items, "next": page.next_after}


def dead_letters(platform: Platform, export_id: str, catalog: str | None, limit: int, after: str | None) -> Document:
    """Batches that an export's destination refused for good, oldest first."""
    operations = platform.export_operations
    found = operations.dead_letters(export_id, catalog, after=number_after(after) or 0, limit=limit + 1)
    items = [as_document(each) for each in found[:limit]]
    return {"items": items, "next": str(found[limit - 1].number) if len(found) > limit else None}


def jobs(platform: Platform, catalog: str | None, limit: int, after: str | None, search: str | None = None) -> Document:
    """Jobs by id, each with its newest run as ``run`` (None before the first); with ``search`` those named so."""
    page = platform.authored.listed("job", catalog, limit, after, search)
    return {**page, "items": [_with_run(platform, each, catalog) for each in page["items"]]}


def job(platform: Platform, job_id: str, catalog: str | None) -> Document:
    """A job, with its newest run as ``run``."""
    return _with_run(platform, document_of(platform.authored.visible("job", job_id, catalog)), catalog)


def runs(platform: Platform, job_id: str, catalog: str | None, limit: int, after: int | None) -> Document:
    """Runs of a job, newest first."""
    found = platform.job_operations.runs(job_id, catalog, before=after, limit=limit + 1)
    return {
        "items": [run(each) for each in found[:limit]],
        "next": found[limit - 1].number if len(found) > limit else None,
    }


def results(
    platform: Platform,
    job_id: str,
    number: int,
    catalog: str | None,
    *,
    limit: int,
    state: DeviceState | None = None,
    after: str | None = None,
) -> Document:
    """Devices of a run by id, with the last attempt's status and answer."""
    one = platform.job_operations.run(job_id, number, catalog)
    found = platform.jobs.store.devices.results(one.number, state=state, after=after or "", limit=limit + 1)
    items = [as_document(each) for each in found[:limit]]
    return {"items": items, "next": found[limit - 1].device_id if len(found) > limit else None}


def run(found: JobRun) -> Document:
    """A run: ``total``, ``counts`` of every state, ``done`` of ``total``."""
    counts = {each.value: found.counts.get(each, 0) for each in DeviceState}
    total = sum(counts.values())
    return {
        "number": found.number,
        "job_id": found.job_id,
        "state": found.state.value,
        "begun_by": found.begun_by,
        "due_at": found.due,
        "started_ms": found.started_ms,
        "ended_ms": found.ended_ms,
        "total": total,
        "done": total - counts["pending"] - counts["running"] - counts["waiting"],
        "counts": counts,
        "definition": dict(found.definition),
    }


def _with_run(platform: Platform, document: Document, catalog: str | None) -> Document:
    newest = platform.job_operations.newest(document["id"], document["body"].get("catalog"), catalog)
    return {**document, "run": None if newest is None else run(newest)}
