# SPDX-License-Identifier: Apache-2.0
"""Catalogs and products, read: asked of the sources, laid out as sheets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

from armillary.console.catalogs import pages_catalogs as pages
from armillary.console.frame.asking import ask, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.form import Wrong
from armillary.errors import NotFoundError


def catalog(visit: Visit) -> Response:
    """One catalog."""
    return catalog_page(visit)


def catalog_page(visit: Visit, sent: Mapping[str, str] = MappingProxyType({}), wrong: Wrong | None = None) -> Response:
    """The page of a catalog; ``wrong`` is what was wrong with the form of its policy."""
    made = pages.catalog_sheet(
        found_catalog(visit),
        ask(visit, "known_chips")["items"],
        may_delete=may(visit, "drop_catalog") and visit.operator.catalog is None,
        may_change_policy=may(visit, "change_attestation_policy"),
        sent=sent,
        wrong=wrong,
        now=visit.now,
    )
    return show(visit, made, 400 if wrong else 200)


def product(visit: Visit) -> Response:
    """One product."""
    return product_page(visit)


def product_page(visit: Visit, sent: Mapping[str, str] = MappingProxyType({}), wrong: Wrong | None = None) -> Response:
    """The page of a product; ``wrong`` is what was wrong with its form."""
    catalog_name, found, groups = found_product(visit)
    made = pages.product_sheet(
        catalog_name,
        found,
        groups,
        may_change=may(visit, "change_product"),
        may_delete=may(visit, "drop_product"),
        sent=sent,
        wrong=wrong,
        now=visit.now,
    )
    return show(visit, made, 400 if wrong else 200)


def found_catalog(visit: Visit) -> dict[str, Any]:
    """The catalog that an address names."""
    return ask(visit, "show_catalog", catalog=visit.params["catalog"])


def found_product(visit: Visit) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """The catalog's name, the product and the device groups that an address names. Raises NotFoundError."""
    found, name = found_catalog(visit), visit.params["product"]
    for each in found["products"]:
        if each["name"].lower() == name.lower():
            groups = [group for group in found["groups"] if group["product"] == each["name"]]
            return str(found["name"]), each, groups
    raise NotFoundError(f"there is no product {name[:60]!r}", remedy="Choose one of the catalog's page.")
