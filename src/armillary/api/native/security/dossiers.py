# SPDX-License-Identifier: Apache-2.0
"""Native routes of dossiers: make one, list those that were made, read its statements, get its file; VEX documents."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.callers import caller_of
from armillary.api.http.route import CONTRIBUTOR, READER, Reach, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, CatalogFilter, Limit, NumberAfter, StrictBody

MEDIA_TYPE: Final = "application/zip"
VEX_FORMATS: Final = ("openvex", "cyclonedx", "csaf")


class DossierBody(StrictBody):
    """What a dossier is about: a product of the catalog; left out: all of it."""

    product: Annotated[str | None, Field(min_length=1, max_length=50)] = None


FormatQuery = Annotated[str, Query(alias="format", max_length=16, json_schema_extra={"enum": list(VEX_FORMATS)})]
AdvisoryQuery = Annotated[str | None, Query(max_length=128, description="Only about this advisory")]


def list_dossiers(
    request: Request, catalog: CatalogFilter = None, limit: Limit = 50, after: NumberAfter = None
) -> dict[str, Any]:
    """Dossiers that were made, newest first, each with how many statements have each state."""
    from armillary.api.views.security import dossiers as views  # noqa: PLC0415 - memory: few services make dossiers

    service = service_of(request)
    return views.dossiers(service, service.dossiers.list(catalog, limit=limit, after=after))


async def create_dossier(request: Request, body: DossierBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """Gather what the service holds of a catalog, or of all, and sign it: a file that is verified offline."""
    from armillary.api.views.security import dossiers as views  # noqa: PLC0415 - memory, as above

    service, actor = service_of(request), operator_of(request).name

    def make() -> dict[str, Any]:
        return views.dossier(service, service.dossiers.create(catalog, body.product, actor=actor))

    async with caller_of(request).turn():
        return await run_in_threadpool(make)


def show_dossier(request: Request, dossier_id: UUID, catalog: CatalogFilter = None) -> dict[str, Any]:
    """A dossier: its statements by standard, its facts, and the gaps."""
    from armillary.api.views.security import dossiers as views  # noqa: PLC0415 - memory, as above

    service = service_of(request)
    return views.content(service, service.dossiers.get(dossier_id, catalog))


def get_dossier_file(request: Request, dossier_id: UUID, catalog: CatalogFilter = None) -> Response:
    """The file of a dossier, a ZIP archive: `armillary dossier verify` verifies it."""
    return Response(service_of(request).dossiers.file(dossier_id, catalog), media_type=MEDIA_TYPE)


def show_dossier_key(request: Request) -> dict[str, Any]:
    """The verifier key of dossiers: keep it elsewhere, as who verifies one needs it."""
    return {"verifier_key": service_of(request).dossiers.key.text}


def export_vex(
    request: Request, form: FormatQuery, catalog: CatalogFilter = None, advisory: AdvisoryQuery = None
) -> dict[str, Any]:
    """What is known of vulnerabilities in images and releases, for customers: OpenVEX, CycloneDX or CSAF."""
    from armillary.service.dossier.vex_export import export  # noqa: PLC0415 - memory, as above

    service = service_of(request)
    return export(service.context, service.advisories, form, catalog, advisory)


_row = partial(Route, tag="dossiers", narrowed=True)
_DOSSIER = V1 + "/dossiers/{dossier_id}"
ROUTES = (
    _row("GET", V1 + "/dossiers", list_dossiers, READER),
    _row("POST", V1 + "/dossiers", create_dossier, CONTRIBUTOR, status=201),
    _row("GET", _DOSSIER, show_dossier, READER),
    _row("GET", _DOSSIER + "/file", get_dossier_file, READER, answer=Response),
    _row("GET", V1 + "/vex", export_vex, READER),
    Route("GET", V1 + "/dossier-key", show_dossier_key, READER, tag="dossiers", reach=Reach.CALLER),
)
