# SPDX-License-Identifier: Apache-2.0
"""Answers about what authors make: rules, groups, jobs with their runs, data exports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.api.http.documents import as_document
from armillary.api.views import authored as views, device_labels as views_labels
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import Document
from armillary.twin.author.group import parse_group

# Rules -------------------------------------------------------------------------------------------------------------


def list_rules(by: RequestContext, limit: int, after: str | None = None, search: str = "") -> Document:
    """Rules by id."""
    return by.platform.rule_operations.listed(by.catalog, limit, after, search)


def show_rule(by: RequestContext, rule_id: str) -> Document:
    """A rule, without its secrets."""
    return by.platform.rule_operations.show(rule_id, by.catalog)


def switch_rule(by: RequestContext, rule_id: str, *, enabled: bool) -> Document:
    """Have a rule evaluated, or not any more."""
    return by.platform.rule_operations.switch(by.operator, rule_id, by.catalog, enabled=enabled)


def rule_trace(by: RequestContext, rule_id: str, device_id: str) -> Document:
    """Why a rule fired or did not for a device."""
    known = by.service.hub_access.known(device_id)
    return by.platform.rule_operations.trace(rule_id, known, by.since_ms(known))


def try_kept_rule(by: RequestContext, rule_id: str, start_ms: int, end_ms: int) -> Document:
    """When a rule would have fired on stored values of all its devices."""
    found = by.platform.rule_operations.try_kept(rule_id, tuple, start_ms, end_ms, by.catalog)
    return {**found, "devices": _named(by, {"items": found["devices"]})["items"]}


def try_new_rule(by: RequestContext, rule: Mapping[str, Any], start_ms: int, end_ms: int) -> Document:
    """When a rule that is not kept would have fired on stored values of all its devices; nothing is kept or done."""
    found = by.platform.rule_operations.try_new(rule, tuple, start_ms, end_ms, by.catalog)
    return {**found, "devices": _named(by, {"items": found["devices"]})["items"]}


# Pictures ----------------------------------------------------------------------------------------------------------


def list_pictures(by: RequestContext, limit: int, after: str | None = None) -> Document:
    """Uploaded pictures by id, without their contents."""
    return by.platform.picture_operations.listed(by.catalog, limit, after)


def show_picture(by: RequestContext, picture_id: str) -> Document:
    """A picture without its content."""
    return by.platform.picture_operations.show(picture_id, by.catalog)


def picture_content(by: RequestContext, picture_id: str) -> Document:
    """The bytes of a picture (``content``) and its ``media_type``."""
    content, media_type = by.platform.picture_operations.content(picture_id, by.catalog)
    return {"content": content, "media_type": media_type}


def picture_uses(by: RequestContext, picture_id: str) -> Document:
    """Which dashboards show a picture."""
    return views.uses_of(by.platform, "picture", picture_id, by.catalog)


def put_picture(by: RequestContext, picture_id: str, name: str, owner: str | None, data: bytes) -> Document:
    """Keep a picture under an id that is free."""
    owner = by.catalog or owner
    return by.platform.picture_operations.put(by.operator, picture_id, name, owner, data, by.catalog, "")


def delete_picture(by: RequestContext, picture_id: str) -> Document:
    """Delete a picture that no dashboard shows."""
    return by.platform.picture_operations.delete(by.operator, picture_id, by.catalog, None)


# Groups, jobs, exports ---------------------------------------------------------------------------------------------


def list_groups(by: RequestContext, limit: int, after: str | None = None, search: str = "") -> Document:
    """Segments by id."""
    return by.platform.authored.listed("group", by.catalog, limit, after, search)


def group_members(by: RequestContext, group_id: str, limit: int, catalog: str | None = None) -> Document:
    """Devices that are in a segment now, of one catalog or of all."""
    only = by.catalog or catalog
    group = parse_group(by.platform.authored.visible("group", group_id, only).content)
    return _named(by, views.members(by.platform, group, only, limit, None))


def preview_group(by: RequestContext, body: Document, limit: int) -> Document:
    """Devices that would be in a segment; nothing is kept."""
    return _named(by, views.members(by.platform, parse_group(body), by.catalog, limit, None))


def group_uses(by: RequestContext, group_id: str) -> Document:
    """What uses a segment."""
    return views.uses_of(by.platform, "group", group_id, by.catalog)


def list_jobs(by: RequestContext, limit: int, after: str | None = None, search: str = "") -> Document:
    """Jobs by id, each with its newest run."""
    return views.jobs(by.platform, by.catalog, limit, after, search)


def show_job(by: RequestContext, job_id: str) -> Document:
    """A job with its newest run."""
    return views.job(by.platform, job_id, by.catalog)


def job_uses(by: RequestContext, job_id: str) -> Document:
    """What uses a job."""
    return views.uses_of(by.platform, "job", job_id, by.catalog)


def list_runs(by: RequestContext, job_id: str, limit: int) -> Document:
    """Runs of a job, newest first."""
    return views.runs(by.platform, job_id, by.catalog, limit, None)


def list_results(by: RequestContext, job_id: str, number: int, limit: int) -> Document:
    """Devices of a run, with what became of each."""
    return _named(by, views.results(by.platform, job_id, number, by.catalog, limit=limit))


def begin_run(by: RequestContext, job_id: str, *, only_failed: bool) -> Document:
    """Begin a run of a job."""
    return views.run(by.platform.job_operations.begin(by.operator, job_id, by.catalog, only_failed=only_failed))


def cancel_run(by: RequestContext, job_id: str, number: int) -> Document:
    """End a run of a job."""
    return views.run(by.platform.job_operations.cancel(by.operator, job_id, number, by.catalog))


def list_exports(by: RequestContext, limit: int, after: str | None = None, search: str = "") -> Document:
    """Data exports by id, each with how it is doing."""
    return dict(as_document(by.platform.export_operations.listed(by.catalog, limit, after, search)))


def show_export(by: RequestContext, export_id: str) -> Document:
    """A data export with how it is doing, without its secret."""
    return dict(as_document(by.platform.export_operations.show(export_id, by.catalog)))


def list_dead_letters(by: RequestContext, export_id: str, limit: int) -> Document:
    """Batches that the destination refused for good, oldest first."""
    return views.dead_letters(by.platform, export_id, by.catalog, limit, None)


def _named(by: RequestContext, page: Document) -> Document:
    return views_labels.with_names(by.service, page, by.operator.catalog)
