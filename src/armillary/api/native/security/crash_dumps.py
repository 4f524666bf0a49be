# SPDX-License-Identifier: Apache-2.0
"""Native routes of crash dumps: lists, contents, deletion; what a device group collects, and erasing all of it."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.device_labels import with_names
from armillary.api.native.parameters import (
    CATALOG,
    V1,
    CatalogFilter,
    CatalogPath,
    Limit,
    SortedNumberAfter,
    StrictBody,
    sort_query,
)
from armillary.api.native.service.schedules import GroupPath, ProductPath
from armillary.api.views.service import PAGE_ROWS
from armillary.engines.records.order_words import CRASH_DUMPS
from armillary.wire.hub.credentials import DEVICE_ID_PATTERN

MEDIA_TYPE = "application/cbor"
MAX_DAYS = 366

DumpPath = Annotated[UUID, Path(description="Id of a crash dump")]
DeviceFilter = Annotated[
    str | None,
    Query(max_length=128, description="Only of this device", json_schema_extra={"pattern": DEVICE_ID_PATTERN}),
]
ImageFilter = Annotated[UUID | None, Query(description="Only of this image")]


class CollectionBody(StrictBody):
    """What a device group collects; what is not named stays as it is.

    Attributes:
        is_on: Whether its devices may make and send crash dumps.
        stacks: `scrubbed` leaves pointers alone on stacks, `full` what the application worked on.
        days: How long dumps are kept.
    """

    is_on: bool | None = None
    stacks: Annotated[str, Field(json_schema_extra={"enum": ["scrubbed", "full"]})] | None = None
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = None


def list_crash_dumps(
    request: Request,
    catalog: CatalogFilter = None,
    device: DeviceFilter = None,
    image: ImageFilter = None,
    limit: Limit = PAGE_ROWS,
    after: SortedNumberAfter = None,
    sort: Annotated[str | None, sort_query(CRASH_DUMPS)] = None,
) -> dict[str, Any]:
    """Crash dumps, newest first or sorted, without their contents."""
    from armillary.api.views import crashes as views  # noqa: PLC0415 - memory: most services have none

    found = views.crash_dumps(
        service_of(request), catalog, device_id=device, image_id=image, limit=limit, after=after, order=sort or ""
    )
    return with_names(request, found)


def show_crash_dump(request: Request, dump_id: DumpPath, catalog: CatalogFilter = None) -> dict[str, Any]:
    """A crash dump with names for its addresses, by the symbols that were uploaded; who reads it is audited."""
    from armillary.api.views import crashes as views  # noqa: PLC0415 - memory, as above

    return views.crash_dump(service_of(request), dump_id, catalog, actor=operator_of(request).name)


def get_crash_dump(request: Request, dump_id: DumpPath, catalog: CatalogFilter = None) -> Response:
    """A crash dump as the device sent it, CBOR; who reads it is audited."""
    _, data = service_of(request).crash_dumps.read(dump_id, catalog=catalog, actor=operator_of(request).name)
    return Response(data, media_type=MEDIA_TYPE)


def delete_crash_dump(request: Request, dump_id: DumpPath, catalog: CatalogFilter = None) -> Response:
    """Delete a crash dump."""
    service_of(request).crash_dumps.delete(dump_id, catalog=catalog, actor=operator_of(request).name)
    return Response(status_code=204)


def show_collection(
    request: Request, catalog: CatalogPath, product: ProductPath, device_group: GroupPath
) -> dict[str, Any]:
    """What crash dumps a device group collects, how long they are kept, and how many there are."""
    from armillary.api.views import crashes as views  # noqa: PLC0415 - memory, as above

    return views.collection(service_of(request), catalog, product, device_group)


def put_collection(
    request: Request, catalog: CatalogPath, product: ProductPath, device_group: GroupPath, body: CollectionBody
) -> dict[str, Any]:
    """Set what crash dumps a device group collects; each device hears of it at its next check-in."""
    from armillary.api.views import crashes as views  # noqa: PLC0415 - memory, as above

    service, actor = service_of(request), operator_of(request).name
    place = (catalog, product, device_group)
    service.crash_dumps.collect(*place, actor=actor, is_on=body.is_on, stacks=body.stacks, days=body.days)
    return views.collection(service, *place)


def erase_collection(
    request: Request, catalog: CatalogPath, product: ProductPath, device_group: GroupPath
) -> dict[str, Any]:
    """Delete all crash dumps of a device group and the key that opens them, also in copies of the database."""
    erased = service_of(request).crash_dumps.erase(catalog, product, device_group, actor=operator_of(request).name)
    return {"erased": erased}


_row = partial(Route, tag="crashes")
_DUMP = V1 + "/crash-dumps/{dump_id}"
_COLLECTION = CATALOG + "/products/{product}/device-groups/{device_group}/crash-dumps"
ROUTES = (
    _row("GET", V1 + "/crash-dumps", list_crash_dumps, READER, narrowed=True),
    # What was in memory of a device is more than Readers see elsewhere.
    _row("GET", _DUMP, show_crash_dump, CONTRIBUTOR, narrowed=True),
    _row("GET", _DUMP + "/content", get_crash_dump, CONTRIBUTOR, narrowed=True, answer=Response),
    _row("DELETE", _DUMP, delete_crash_dump, CONTRIBUTOR, narrowed=True, status=204, answer=Response),
    _row("GET", _COLLECTION, show_collection, READER),
    _row("PUT", _COLLECTION, put_collection, CONTRIBUTOR),
    _row("DELETE", _COLLECTION, erase_collection, CONTRIBUTOR),
)
