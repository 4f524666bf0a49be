# SPDX-License-Identifier: Apache-2.0
"""Native routes of jobs: what they do, their runs, and what became of each device."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from fastapi.responses import StreamingResponse
from starlette.requests import Request

from armillary.api.http.documents import as_document
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import actor_of, platform_of
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import (
    V1,
    CatalogPage,
    CatalogQuery,
    Change,
    DocumentBody,
    DocumentPath,
    Force,
    Limit,
    Search,
    StrictBody,
)
from armillary.api.views import authored as views_authored, service as views
from armillary.engines.jobs.devices import RunDevices
from armillary.platform.jobs.operations import KIND, JobOperations
from armillary.twin.author.job import DeviceState
from armillary.wire.export.csv_table import csv_head, csv_rows

CSV_COLUMNS = ("device_id", "state", "attempts", "repeated", "status", "answer", "changed_ms")
CSV_PAGE = 1000

NumberPath = Annotated[int, Path(ge=1, le=2**62, description="Number of the run")]
StateQuery = Annotated[DeviceState | None, Query(description="Only devices in this state")]


class RunBody(StrictBody):
    """Which devices a run acts on.

    Attributes:
        only: Everybody in the group, or those that failed in the run before.
    """

    only: Literal["all", "failed"] = "all"


def list_jobs(request: Request, page: CatalogPage, search: Search = None) -> dict[str, Any]:
    """Jobs by id, each with its newest run as `run` (null before the first)."""
    return views_authored.jobs(platform_of(request), *page, search)


def show_job(request: Request, job_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """A job, with its newest run as `run` (null before the first)."""
    return views_authored.job(platform_of(request), job_id, catalog)


def put_job(request: Request, job_id: DocumentPath, body: DocumentBody, change: Change) -> dict[str, Any]:
    """Make or change a job; runs under way go on as they began. With `If-Match` only the version that was seen."""
    return _jobs(request).put(actor_of(request), job_id, body, *change)


def delete_job(request: Request, job_id: DocumentPath, change: Change, *, force: Force = False) -> dict[str, Any]:
    """Delete a job with its runs, when none is under way. One that a rule begins is refused, unless `force`."""
    return _jobs(request).delete(actor_of(request), job_id, *change, force=force)


def job_uses(request: Request, job_id: DocumentPath, catalog: CatalogQuery = None) -> dict[str, Any]:
    """What uses a job: rules, with the actions that begin it."""
    return views_authored.uses_of(platform_of(request), KIND, job_id, catalog)


def list_runs(
    request: Request,
    job_id: DocumentPath,
    catalog: CatalogQuery = None,
    limit: Limit = views.PAGE_ROWS,
    after: Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the page before")] = None,
) -> dict[str, Any]:
    """Runs of a job, newest first; the newest 50 are kept."""
    return views_authored.runs(platform_of(request), job_id, catalog, limit, after)


def begin_run(request: Request, job_id: DocumentPath, body: RunBody, catalog: CatalogQuery = None) -> dict[str, Any]:
    """Begin a run now."""
    return views_authored.run(
        _jobs(request).begin(actor_of(request), job_id, catalog, only_failed=body.only == "failed")
    )


def show_run(
    request: Request, job_id: DocumentPath, number: NumberPath, catalog: CatalogQuery = None
) -> dict[str, Any]:
    """A run: its state, and how many devices are in which."""
    return views_authored.run(_jobs(request).run(job_id, number, catalog))


def cancel_run(
    request: Request, job_id: DocumentPath, number: NumberPath, catalog: CatalogQuery = None
) -> dict[str, Any]:
    """End a run: no other device begins; those under way still get their result."""
    return views_authored.run(_jobs(request).cancel(actor_of(request), job_id, number, catalog))


def list_results(
    request: Request, job_id: DocumentPath, number: NumberPath, page: CatalogPage, state: StateQuery = None
) -> dict[str, Any]:
    """Devices of a run by id, with the last attempt's status and answer.

    `repeated` says that the device may have been reached twice: the service stopped while an attempt was under way.
    """
    catalog, limit, after = page
    platform = platform_of(request)
    found = views_authored.results(platform, job_id, number, catalog, limit=limit, state=state, after=after)
    return with_names(request, found)


def results_csv(
    request: Request, job_id: DocumentPath, number: NumberPath, catalog: CatalogQuery = None, state: StateQuery = None
) -> StreamingResponse:
    """All devices of a run as CSV (RFC 4180); a cell that a spreadsheet would compute begins with an apostrophe."""
    run = _jobs(request).run(job_id, number, catalog)
    return StreamingResponse(
        _csv(platform_of(request).jobs.store.devices, run.number, state),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{job_id}-{number}.csv"'},
    )


def _csv(devices: RunDevices, number: int, state: DeviceState | None) -> Iterator[str]:
    after = ""
    yield csv_head(CSV_COLUMNS)
    while page := devices.results(number, state=state, after=after, limit=CSV_PAGE):
        yield csv_rows([as_document(each) for each in page], CSV_COLUMNS)
        after = page[-1].device_id


def _jobs(request: Request) -> JobOperations:
    return platform_of(request).job_operations


_row = partial(Route, tag="jobs", narrowed=True)
_ONE = V1 + "/jobs/{job_id}"
_RUN = _ONE + "/runs/{number}"
ROUTES = (
    _row("GET", V1 + "/jobs", list_jobs, READER),
    _row("GET", _ONE, show_job, READER),
    _row("PUT", _ONE, put_job, CONTRIBUTOR),
    _row("DELETE", _ONE, delete_job, CONTRIBUTOR),
    _row("GET", _ONE + "/uses", job_uses, READER),
    _row("GET", _ONE + "/runs", list_runs, READER),
    _row("POST", _ONE + "/runs", begin_run, CONTRIBUTOR),
    _row("GET", _RUN, show_run, READER),
    _row("POST", _RUN + "/cancel", cancel_run, CONTRIBUTOR),
    _row("GET", _RUN + "/results", list_results, READER),
    _row("GET", _RUN + "/results.csv", results_csv, READER, answer=StreamingResponse, media_type="text/csv"),
)
