# SPDX-License-Identifier: Apache-2.0
"""Native routes of crash groups, and of the symbols that give their places names."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.callers import caller_of
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import CATALOG, CatalogPath, NewestPage

# A list of 100,000 functions is about 5 MB: what the service reads of one request. 32 MiB would be a browser.
SYMBOLS_BYTES = 16 << 20
MEDIA_TYPE = "text/plain"

GroupPath = Annotated[str, Path(description="Fingerprint of a group", json_schema_extra={"pattern": "^[0-9a-f]{32}$"})]
BuildPath = Annotated[str, Path(description="GNU build id, hex", json_schema_extra={"pattern": "^[0-9A-Fa-f]{2,128}$"})]
ImageFilter = Annotated[UUID | None, Query(description="Only groups that were seen on this image")]


def list_crash_groups(
    request: Request, catalog: CatalogPath, page: NewestPage, image: ImageFilter = None
) -> dict[str, Any]:
    """Crash groups of a catalog, newest first: one for each bug, over images and devices."""
    from armillary.api.views import crashes as views  # noqa: PLC0415 - memory: where nothing crashes it is not used

    return views.crash_groups(service_of(request), catalog, image_id=image, limit=page.limit, after=page.after)


def show_crash_group(request: Request, catalog: CatalogPath, crash_group: GroupPath) -> dict[str, Any]:
    """A crash group and the images it was seen on."""
    from armillary.api.views import crashes as views  # noqa: PLC0415 - memory, as above

    return views.crash_group(service_of(request), catalog, crash_group)


def crash_reports(request: Request, catalog: CatalogPath, crash_group: GroupPath, page: NewestPage) -> dict[str, Any]:
    """The error reports that count in a crash group, newest first, as far as they are kept."""
    from armillary.api.views import crashes as views  # noqa: PLC0415 - memory, as above

    found = views.crash_reports(service_of(request), catalog, crash_group, limit=page.limit, after=page.after)
    return with_names(request, found)


def list_symbols(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """Builds of which a catalog has symbols, newest first."""
    from armillary.api.views import crashes as views  # noqa: PLC0415 - memory, as above

    return views.symbols(service_of(request), catalog)


async def put_symbols(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """Keep the symbols of a build (a list as `armillary crash symbols add` makes it), and group its crashes anew."""
    from armillary.api.views import crashes as views  # noqa: PLC0415 - memory, as above

    data, service, actor = await request.body(), service_of(request), operator_of(request).name
    async with caller_of(request).turn():
        return await run_in_threadpool(views.put_symbols, service, catalog, data, actor=actor)


def delete_symbols(request: Request, catalog: CatalogPath, build_id: BuildPath) -> Response:
    """Remove the symbols of a build; groups that were made with them stay."""
    service_of(request).watch.symbols.remove(catalog, build_id, actor=operator_of(request).name)
    return Response(status_code=204)


_row = partial(Route, tag="crashes")
_GROUPS, _SYMBOLS = CATALOG + "/crash-groups", CATALOG + "/symbols"
ROUTES = (
    _row("GET", _GROUPS, list_crash_groups, READER),
    _row("GET", _GROUPS + "/{crash_group}", show_crash_group, READER),
    _row("GET", _GROUPS + "/{crash_group}/reports", crash_reports, READER),
    _row("GET", _SYMBOLS, list_symbols, READER),
    _row("POST", _SYMBOLS, put_symbols, CONTRIBUTOR, body_limit=SYMBOLS_BYTES, body_media_type=MEDIA_TYPE),
    _row("DELETE", _SYMBOLS + "/{build_id}", delete_symbols, CONTRIBUTOR, status=204, answer=Response),
)
