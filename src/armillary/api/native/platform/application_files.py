# SPDX-License-Identifier: Apache-2.0
"""Native routes of the whole application as files: export it, look at what an import would do, import."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from armillary import __version__
from armillary.api.http.route import ADMINISTRATOR, READER, Route
from armillary.api.http.routes import actor_of, platform_of
from armillary.api.native.parameters import V1, StrictBody
from armillary.engines.documents.files import APPLICATION_KINDS, export_files
from armillary.wire.export.application_archive import KIND_VERSION, MAX_FILES, make_manifest

Kind = Literal["dashboard", "device", "export", "group", "job", "organisation", "picture", "rule", "template"]


class ImportBody(StrictBody):
    """An application to import.

    Attributes:
        manifest: `application.json` of the export.
        files: Path -> content.
        dry_run: Only say what would be done.
        replace: Kinds whose other documents are deleted.
    """

    manifest: dict[str, Any]
    files: Annotated[dict[str, str], Field(max_length=MAX_FILES)]
    dry_run: bool = False
    replace: Annotated[list[Kind], Field(max_length=9)] = Field(default_factory=list)


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
    files = {path: content.encode("utf-8") for path, content in body.files.items()}
    return platform_of(request).application_operations.bring(
        actor_of(request), body.manifest, files, replace=body.replace, dry_run=body.dry_run
    )


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
