# SPDX-License-Identifier: Apache-2.0
"""Jobs in IoT Central's shape: a PUT makes a job and begins its run, and what is shown of a job is its newest run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from armillary.api.central.call import Call, body_object, check_fields, check_id, cursor, paged, wrong
from armillary.api.central.documents import documents, keep, narrowed, no_organisations, present, visible
from armillary.api.central.groups import group_of, group_template_id
from armillary.api.central.template_id import check_reach, resolve
from armillary.engines.documents.document import Document, not_found
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, PermissionDeniedError
from armillary.twin.author.job import DeviceState, Job, RunState, parse_job
from armillary.twin.central.id import central_id

if TYPE_CHECKING:
    from armillary.engines.jobs.devices import DeviceResult
    from armillary.engines.jobs.store import JobRun, JobStore

KIND: Final = "job"
FIELDS: Final = (
    "id", "displayName", "description", "group", "batch", "cancellationThreshold", "data", "organizations",
)  # fmt: skip
# What an answer has and nobody sets.
SHOWN: Final = ("scheduledJobId", "start", "end", "progress", "status")
RESULTS_PAGE: Final = 200

_RUN: Final = re.compile(r"(.+)-run-([1-9][0-9]{0,17})")


def list_jobs(call: Call) -> dict[str, Any]:
    """Jobs without a schedule, by id."""
    found = (each for each in documents(call, KIND, cursor(call)) if each.content.get("start") is None)
    return paged(call, found, lambda each: each.id, lambda each: document(call, each, newest(call, each)))


def get_job(call: Call) -> dict[str, Any]:
    """A job and its newest run, or one run of a scheduled job."""
    found, run = _job(call)
    return document(call, found, run)


def create_job(call: Call) -> dict[str, Any]:
    """Make a job and begin its run."""
    given, body = call.parameters["job"], body_object(call)
    if present(call, KIND, given) is not None:
        raise ConflictError(f"job {given!a:.80} exists already", remedy="Run it again, or choose another id.")
    made = made_of(call, body, FIELDS)
    kept = keep(call, KIND, given, made, None)
    try:
        run = _begin(call, kept)
    except ArmillaryError:  # nothing half made stays
        call.platform.documents.delete(KIND, kept.id, by=call.operator.name)
        raise
    return document(call, kept, run)


def job_devices(call: Call) -> dict[str, Any]:
    """Devices of a job's newest run by id, and how each is getting on."""
    from armillary.twin.central.job import DEVICE_STATUS  # noqa: PLC0415 - read when it is needed

    found, run = _job(call)
    _check_shown(call, found)
    rows: Iterator[DeviceResult] = iter(()) if run is None else _results(call, run, cursor(call))
    return paged(
        call,
        rows,
        lambda each: each.device_id,
        lambda each: {"id": each.device_id, "status": DEVICE_STATUS[each.state]},
    )


def rerun_job(call: Call) -> dict[str, Any]:
    """Begin a run over the devices that failed in the newest one."""
    found, run = _changeable(call)
    if run is None or not run.counts.get(DeviceState.FAILED):
        raise ConflictError(f"job {found.id[:64]!a}: no device failed in its newest run", remedy="Make a new job.")
    return document(call, found, _begin(call, found, only_failed_of=run.number))


def resume_job(call: Call) -> None:
    """Begin a run over the devices that a stopped one did not reach."""
    found, run = _changeable(call)
    if (
        run is None
        or run.state not in (RunState.CANCELLED, RunState.ABORTED)
        or not run.counts.get(DeviceState.SKIPPED)
    ):
        raise ConflictError(f"job {found.id[:64]!a} was not stopped with devices left", remedy="Make a new job.")
    _begin(call, found, only_skipped_of=run.number)


def stop_job(call: Call) -> None:
    """End the newest run: no other device begins."""
    found, run = _changeable(call)
    if run is None:
        raise ConflictError(f"job {found.id[:64]!a} never ran", remedy="There is nothing to stop.")
    call.platform.job_operations.cancel(call.actor, found.id, run.number, narrowed(call))


def document(call: Call, found: Document, run: JobRun | None, name: str = "") -> dict[str, Any]:
    """A job in IoT Central's form; ``name`` is its id where it is a run of a scheduled job."""
    from armillary.twin.central import job as form  # noqa: PLC0415 - as above

    job = parse_job(found.content if run is None else run.definition)
    scheduled = job.start is not None
    shown: dict[str, Any] = {
        "id": name or (run_id(found, run) if scheduled and run is not None else central_id(found.id)),
        "displayName": job.name,
        "description": job.description,
        "group": central_id(job.group),
        "data": form.central_data(job, target_of(call, job)),
        **form.central_limits(job),
        "organizations": [],
        "status": "pending" if run is None else form.STATUS[run.state],
    }
    if run is not None:
        shown["start"] = form.iso(run.started_ms / 1000)
        shown["progress"] = form.progress_of(run.counts)
        if run.ended_ms is not None:
            shown["end"] = form.iso(run.ended_ms / 1000)
    if scheduled:
        shown["scheduledJobId"] = central_id(found.id)
    return shown


def made_of(call: Call, body: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """The body of our job document for a body in this shape.

    Raises:
        InvalidArgumentError: a job cannot say this.
        NotFoundError: no such group or template.
    """
    from armillary.twin.central import job as form  # noqa: PLC0415 - as above

    check_fields("job", body, fields, (*SHOWN, "etag"))
    check_id(body, call.parameters["job"])
    no_organisations(dict(body))
    if not isinstance(body.get("group"), str):
        raise wrong("group", "the id of a device group", body.get("group"))
    group_id, group = group_of(call, body["group"])
    components: tuple[str, ...] = ()
    for target in form.targets_of(body):
        template = resolve(call, target)
        check_reach(call, template, target)
        if group.template != template.name:
            raise InvalidArgumentError(
                f"data.target: expected the template of the group ({group.template or 'none'}), got {target!a:.80}",
                remedy='Let the group choose the template: $template = "..." AND ...',
            )
        components = tuple(call.platform.templates.get(*template).template.components)
    made = form.job_body(body, name=call.parameters["job"], group=group_id, components=components)
    parse_job({**made, "catalog": None})
    return made


def target_of(call: Call, job: Job) -> str:
    """The template that ``data`` names: the group's; empty where it has none any more."""
    try:
        group = call.platform.groups.get(job.group)
    except ArmillaryError:
        return ""
    return "" if group.template is None else group_template_id(call, group)


def newest(call: Call, found: Document) -> JobRun | None:
    """The newest run that the caller may see; a token of one catalog sees none of a job of all catalogs."""
    return call.platform.job_operations.newest(found.id, found.content.get("catalog"), narrowed(call))


def run_id(found: Document, run: JobRun) -> str:
    """The id of a run of a scheduled job."""
    return f"{central_id(found.id)}-run-{run.number}"


def store(call: Call) -> JobStore:
    """The file of runs."""
    return call.platform.jobs.store


def _job(call: Call) -> tuple[Document, JobRun | None]:
    given = call.parameters["job"]
    found = present(call, KIND, given)
    if found is not None and found.content.get("start") is None:
        return found, newest(call, found)
    of_schedule = _RUN.fullmatch(given)
    if of_schedule is None:
        raise not_found(KIND, given)
    found = visible(call, KIND, of_schedule[1])
    _check_shown(call, found)
    if found.content.get("start") is None:
        raise not_found(KIND, given)
    return found, store(call).run(found.id, int(of_schedule[2]))


def _changeable(call: Call) -> tuple[Document, JobRun | None]:
    found, run = _job(call)
    if call.operator.catalog_id is not None and found.content.get("catalog") is None:
        raise _of_all(found)
    return found, run


def _begin(
    call: Call, found: Document, *, only_failed_of: int | None = None, only_skipped_of: int | None = None
) -> JobRun:
    return call.platform.job_operations.begin_checked(
        call.actor, found.id, only_failed_of=only_failed_of, only_skipped_of=only_skipped_of
    )


def _check_shown(call: Call, found: Document) -> None:
    if call.operator.catalog_id is not None and found.content.get("catalog") is None:
        raise _of_all(found)


def _of_all(found: Document) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"job {found.id[:64]!a} is of all catalogs", remedy="Use a token that is not for one catalog."
    )


def _results(call: Call, run: JobRun, after: str) -> Iterator[DeviceResult]:
    while page := store(call).devices.results(run.number, after=after, limit=RESULTS_PAGE):
        yield from page
        after = page[-1].device_id
