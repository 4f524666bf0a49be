# SPDX-License-Identifier: Apache-2.0
"""Native routes of the whole application as files: export it, look at what an import would do, import."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from armillary import __version__
from armillary.api.http.route import ADMINISTRATOR, READER, Route
from armillary.api.http.routes import operator_of, platform_of, service_of
from armillary.api.native.application_checks import body_check, check_organisations, warnings
from armillary.api.native.parameters import V1
from armillary.api.native.platform import jobs as native_jobs, rules as native_rules
from armillary.api.native.platform.exports import check_places_for, check_same_target
from armillary.engines.documents.files import APPLICATION_KINDS, export_files, keep_files, plan_import, read_files
from armillary.twin.author.data_export import parse_export
from armillary.wire.export.application_archive import KIND_VERSION, MAX_FILES, check_manifest, make_manifest

Kind = Literal["dashboard", "device", "export", "group", "job", "organisation", "rule", "template"]


class ImportBody(BaseModel):
    """An application to import.

    Attributes:
        manifest: `application.json` of the export.
        files: Path -> content.
        dry_run: Only say what would be done.
        replace: Kinds whose other documents are deleted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    manifest: dict[str, Any]
    files: Annotated[dict[str, str], Field(max_length=MAX_FILES)]
    dry_run: bool = False
    replace: Annotated[list[Kind], Field(max_length=8)] = Field(default_factory=list)


def export_application(
    request: Request,
    devices: Annotated[bool, Query(description="With templates and cloud properties of devices")] = False,  # noqa: FBT002
) -> dict[str, Any]:
    """Everything that the application's author has made, as files; the same application gives the same files."""
    kinds = (*APPLICATION_KINDS, "device") if devices else APPLICATION_KINDS
    files = export_files(platform_of(request).documents, kinds)
    present = {path.partition("/")[0]: KIND_VERSION for path in files}
    return {
        "manifest": make_manifest(present, made_by=f"armillary {__version__}"),
        "files": {path: content.decode("utf-8") for path, content in files.items()},
    }


def import_application(request: Request, body: ImportBody) -> dict[str, Any]:
    """Check every file, then keep all of them in one transaction; `steps` says what is new, changed, same or deleted.

    What an import does not name stays, but for the kinds in `replace`.
    """
    check_manifest(body.manifest)
    store, actor = platform_of(request).documents, operator_of(request).name
    files = {path: content.encode("utf-8") for path, content in body.files.items()}
    puts = read_files(files, body_check(store))
    check_organisations(store, puts, body.replace)
    exports = {put.id: put.body for put in puts if put.kind == "export"}
    check_places_for(store, exports, replace="export" in body.replace)
    for put in puts:
        if put.kind == "export" and platform_of(request).exports.store.secret(put.id) is not None:
            export = parse_export(put.body)
            if export.destination.options.get("signed"):
                check_same_target(store, put.id, export)
    steps = plan_import(store, puts, body.replace)
    counts = Counter(step.change for step in steps)
    if not body.dry_run:
        gone = [step for step in steps if step.change == "deleted"]
        for step in gone:
            if step.kind == native_jobs.KIND:
                platform_of(request).jobs.check_idle(step.id)
        keep_files(store, puts, by=actor, replace=body.replace)
        for step in gone:
            platform_of(request).forget_document(step.kind, step.id)
            if step.kind == native_rules.KIND:
                native_rules.forget_secrets(request, step.id)
        service_of(request).audit.append(actor, "application.import", "application", dict(counts))
    return {
        "dry_run": body.dry_run,
        "counts": {each: counts[each] for each in ("new", "changed", "same", "deleted")},
        "steps": [{"kind": step.kind, "id": step.id, "change": step.change} for step in steps],
        "warnings": warnings(store, puts),
    }


# A whole application as JSON texts in JSON (wire/export/application_archive.py): every quotation mark is two
# characters.
BODY_LIMIT_BYTES = 48 << 20
# A text for each of its documents, and their models.
VALUES = 60_000
_row = partial(Route, tag="application")
_import = partial(_row, body_limit=BODY_LIMIT_BYTES, values=VALUES)
ROUTES = (
    _row("GET", V1 + "/application", export_application, READER),
    _import("POST", V1 + "/application/import", import_application, ADMINISTRATOR),
)
