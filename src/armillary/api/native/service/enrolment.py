# SPDX-License-Identifier: Apache-2.0
"""Native routes of enrolment tokens: make, list, revoke. What a token opens are the factory's routes."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.documents import as_document
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import CATALOG, Name, StrictBody
from armillary.api.views import service as views
from armillary.engines.records.schema.rows import DEFAULT_PRODUCT, UNASSIGNED_GROUP
from armillary.service.factory.enrolments import DEFAULT_LIFETIME_S, MAX_LIFETIME_S, MAX_USES

CatalogPath = Annotated[str, Path(min_length=1, max_length=64, description="Catalog name")]


class EnrolmentTokenBody(StrictBody):
    """A token to make.

    Attributes:
        product: Product name; its devices go into no group where none is named.
        group: Device group name.
        chip: The only chip it is good for; any where none is named.
        uses: How many devices it may enrol.
        lifetime_s: Seconds until it expires.
    """

    product: Name = DEFAULT_PRODUCT
    group: Name = UNASSIGNED_GROUP
    chip: Annotated[str, Field(max_length=32)] = ""
    uses: Annotated[int, Field(ge=1, le=MAX_USES)] = 1
    lifetime_s: Annotated[int, Field(ge=1, le=MAX_LIFETIME_S)] = DEFAULT_LIFETIME_S


def make_enrolment_token(request: Request, catalog: CatalogPath, body: EnrolmentTokenBody) -> dict[str, Any]:
    """Make an enrolment token; its secret is in this answer and nowhere else."""
    made = service_of(request).enrolments.create(
        catalog,
        actor=operator_of(request).name,
        product=body.product,
        group=body.group,
        chip=body.chip,
        uses=body.uses,
        lifetime_s=body.lifetime_s,
    )
    return {**as_document(made.token), "secret": made.secret}


def list_enrolment_tokens(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """A catalog's enrolment tokens, oldest first, without their secrets; spent and expired ones too."""
    return views.enrolment_tokens(service_of(request), catalog)


def revoke_enrolment_token(request: Request, catalog: CatalogPath, token_id: UUID) -> Response:
    """Make an enrolment token useless at once; the devices it enrolled stay."""
    service_of(request).enrolments.revoke(catalog, token_id, actor=operator_of(request).name)
    return Response(status_code=204)


_row = partial(Route, tag="factory")
_TOKENS = CATALOG + "/enrolment-tokens"
ROUTES = (
    _row("GET", _TOKENS, list_enrolment_tokens, READER),
    _row("POST", _TOKENS, make_enrolment_token, CONTRIBUTOR, status=201),
    _row("DELETE", _TOKENS + "/{token_id}", revoke_enrolment_token, CONTRIBUTOR, status=204),
)
