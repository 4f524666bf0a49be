# SPDX-License-Identifier: Apache-2.0
"""Native routes of what is declared of products: support period, maker, contact, purpose; and whose support ends."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.documents import row_document
from armillary.api.http.route import CONTRIBUTOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import CATALOG, V1, CatalogFilter, CatalogPath, StrictBody
from armillary.api.views.security import products as views
from armillary.service.registry.product_facts import MAX_TIME

ProductPath = Annotated[str, Path(min_length=1, max_length=64, description="Product name")]
SupportQuery = Annotated[
    Literal["undeclared", "supported", "ending", "ended"] | None,
    Query(description="Only products whose support stands so; `ending`: within 180 days"),
]
Moment = Annotated[int, Field(ge=1, le=MAX_TIME)]


class FactsBody(StrictBody):
    """Facts of a product; those that are not named stay as they are.

    Attributes:
        support_ends: Until when it gets security updates; null: not declared.
        placed_on_market: Since when it is sold; null: not said.
        manufacturer: Who makes it; empty: not said, as with what follows.
        contact: Where its maker is reached about its security.
        intended_use: What it is made for.
    """

    support_ends: Moment | None = None
    placed_on_market: Moment | None = None
    manufacturer: Annotated[str, Field(max_length=200)] = ""
    contact: Annotated[str, Field(max_length=200)] = ""
    intended_use: Annotated[str, Field(max_length=1000)] = ""


def list_products(request: Request, catalog: CatalogFilter = None, support: SupportQuery = None) -> dict[str, Any]:
    """Products with what is declared of them, how many devices each has, and where its support stands."""
    return views.listed(service_of(request), catalog, support)


def show_product(request: Request, catalog: CatalogPath, product: ProductPath) -> dict[str, Any]:
    """A product with what is declared of it; null and empty: nothing is."""
    return row_document(service_of(request).registry.products.get(catalog, product))


def declare_facts(request: Request, catalog: CatalogPath, product: ProductPath, body: FactsBody) -> dict[str, Any]:
    """Declare facts of a product: reports to authorities, dossiers and alerts before its support ends rest on them."""
    products, facts = service_of(request).registry.products, body.model_dump(exclude_unset=True)
    return row_document(products.declare(catalog, product, facts, actor=operator_of(request).name))


_row = partial(Route, tag="products")
_PRODUCT = CATALOG + "/products/{product}"
ROUTES = (
    _row("GET", V1 + "/products", list_products, READER, narrowed=True),
    _row("GET", _PRODUCT, show_product, READER),
    _row("PATCH", _PRODUCT, declare_facts, CONTRIBUTOR),
)
