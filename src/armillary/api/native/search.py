# SPDX-License-Identifier: Apache-2.0
"""The native route of the search over everything."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request

from armillary.api.http.route import READER, OfOrganisation, Route
from armillary.api.http.routes import actor_of, platform_of, service_of
from armillary.api.native.parameters import V1, CatalogQuery
from armillary.api.views import search as views
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS

# Hits of each kind: enough to choose from, unless somebody asks for one kind.
HITS = 8


def search(
    request: Request,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=MAX_NAME_CHARACTERS,
            description="A name, an id, or the beginning of one",
            json_schema_extra={"pattern": r"\S"},
        ),
    ],
    catalog: CatalogQuery = None,
    kind: Annotated[str | None, Query(max_length=64, json_schema_extra={"enum": list(views.KINDS)})] = None,
    limit: Annotated[int, Query(ge=1, le=views.MAX_COUNTED, description="Hits of each kind, at most")] = HITS,
) -> dict[str, Any]:
    """Everything with a name or id that the text means, by kind: of each the first hits, and how many there are.

    A name of a device is found by the beginning of any of its words, another name by any part of it. `is_cut`: there
    are more than were counted.
    """
    kinds = () if kind is None else (kind,)
    return views.search(
        service_of(request), platform_of(request), actor_of(request), q, catalog=catalog, kinds=kinds, limit=limit
    )


ROUTES = (
    Route(
        "GET",
        V1 + "/search",
        search,
        READER,
        tag="devices",
        narrowed=True,
        organisation=OfOrganisation.LIST,
    ),
)
