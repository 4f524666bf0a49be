# SPDX-License-Identifier: Apache-2.0
"""Native routes of VEX statements that operators make: what is so of an image, a product or a release, and why."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, CatalogFilter, Limit, NumberAfter, StrictBody
from armillary.api.views import advisories as views

# OpenVEX's words; wire/advisory/vex.py and own_statement.py have them, which are loaded with the first statement.
STATUSES: Final = ("not_affected", "affected", "fixed", "under_investigation")

AdvisoryFilter = Annotated[str | None, Query(max_length=128, description="Only of an advisory, as it was named")]
# In descriptions: words on one line, as the rules ask for.
ReasonQuery = Annotated[
    str,
    Query(
        min_length=1,
        max_length=500,
        description="Why it holds no more, on one line",
        json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"},
    ),
]


class StatementBody(StrictBody):
    """What somebody says of an advisory: of exactly one image, product or release.

    Attributes:
        advisory: Id or alias of an advisory that a feed has.
        image: Id of an image of the catalog.
        product: Name of a product of the catalog: all of its devices.
        release: Id of an OS release; then no catalog is named.
        component: Package URL of the part that is meant, as the bill of materials has it; left out: all of it.
        status: `not_affected`, `affected`, `fixed` or `under_investigation`.
        justification: With `not_affected`: why, in one of OpenVEX's words.
        reason: In words: impact, or what to do.
        author: Who says so: a person, or a team that can be asked.
    """

    advisory: Annotated[str, Field(min_length=1, max_length=128)]
    image: UUID | None = None
    product: Annotated[str | None, Field(min_length=1, max_length=50)] = None
    release: UUID | None = None
    component: Annotated[str, Field(max_length=1024)] = ""
    status: Annotated[str, Field(json_schema_extra={"enum": list(STATUSES)}, max_length=32)]
    justification: Annotated[str, Field(max_length=64)] = ""
    reason: Annotated[str, Field(max_length=2000)] = ""
    author: Annotated[str, Field(min_length=1, max_length=200)]


def list_statements(
    request: Request,
    catalog: CatalogFilter = None,
    advisory: AdvisoryFilter = None,
    limit: Limit = 50,
    after: NumberAfter = None,
) -> dict[str, Any]:
    """Statements that operators made, newest first, with those that were taken back."""
    made = service_of(request).advisories.statements
    return views.statements(made.page(catalog, advisory=advisory, limit=limit, after=after), made.public_key())


def make_statement(request: Request, body: StatementBody, catalog: CatalogFilter = None) -> dict[str, Any]:
    """State how something stands to an advisory; it is signed by the service, and counts from now on."""
    from armillary.service.advisories.own_statements import Said, Subject  # noqa: PLC0415 - memory: few services have statements

    subject = Subject(image=body.image, product=body.product, release=body.release)
    said = Said(
        status=body.status,
        justification=body.justification,
        reason=body.reason,
        author=body.author,
        component=body.component,
    )
    statements = service_of(request).advisories.statements
    return views.statement(
        statements.make(body.advisory, subject, said, catalog=catalog, actor=operator_of(request).name)
    )


def take_back_statement(
    request: Request, advisory_statement: UUID, reason: ReasonQuery, catalog: CatalogFilter = None
) -> dict[str, Any]:
    """Say that a statement holds no more; it stays in the list, and in answers about earlier days."""
    statements, actor = service_of(request).advisories.statements, operator_of(request).name
    return views.statement(statements.take_back(advisory_statement, catalog=catalog, reason=reason, actor=actor))


_row = partial(Route, tag="advisories", narrowed=True)
_STATEMENTS = V1 + "/advisory-statements"
ROUTES = (
    _row("GET", _STATEMENTS, list_statements, READER),
    _row("POST", _STATEMENTS, make_statement, CONTRIBUTOR, status=201),
    _row("DELETE", _STATEMENTS + "/{advisory_statement}", take_back_statement, CONTRIBUTOR),
)
