# SPDX-License-Identifier: Apache-2.0
"""Catalogs, products and device groups changed and deleted, by operations that write their audit lines."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from armillary.console.catalogs import pages_catalogs as pages, policy_form, read
from armillary.console.frame.action_checks import Form, confirmed
from armillary.console.frame.asking import ask, confirm
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import wrong_of
from armillary.console.language.say import say
from armillary.console.operations.change import deleted
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError

_CHANGED: Final = (
    say("The policy was changed since this page was opened."),
    say("It stands here as it is now: look again."),
)
_REFUSED = (InvalidArgumentError, ConflictError, NotFoundError)


def change_policy(visit: Visit, form: Form) -> Response:
    """Ask what a change of the policy touches; sent from that page, do it."""
    try:
        wished, found = policy_form.change_of(form), read.found_catalog(visit)
        version = found["attestation_policy"]["version"]
        if form.get("version", "") != str(version):
            return read.catalog_page(visit, {}, _CHANGED)
        asked = pages.policy_confirmation(found, wished, form, version)
        if "seen" not in form:
            return confirm(visit, asked)
        confirmed(asked, form)
        ask(visit, "change_attestation_policy", catalog=visit.params["catalog"], change=wished, if_version=version)
    except ConflictError as error:
        return read.catalog_page(visit, {}, wrong_of(error))
    except _REFUSED as error:
        return read.catalog_page(visit, form, wrong_of(error))
    return done(pages.place(visit.params["catalog"]), "policy-changed")


def catalog_question(visit: Visit) -> Confirmation:
    """What deleting a catalog takes away."""
    return pages.catalog_deletion(read.found_catalog(visit))


def delete_catalog(visit: Visit, form: Form) -> Response:
    """Delete a catalog."""
    asked = catalog_question(visit)
    catalog = visit.params["catalog"]
    return deleted(visit, form, asked, "/settings", lambda: ask(visit, "drop_catalog", catalog=catalog))


def change_product(visit: Visit, form: Form) -> Response:
    """Change a product's description."""
    catalog, product = visit.params["catalog"], visit.params["product"]
    try:
        description = form.get("description", "").strip()
        ask(visit, "change_product", catalog=catalog, product=product, description=description)
    except _REFUSED as error:
        return read.product_page(visit, form, wrong_of(error))
    return done(pages.product_place(catalog, product), "place-changed")


def product_question(visit: Visit) -> Confirmation:
    """What deleting a product takes away."""
    catalog, product, groups = read.found_product(visit)
    return pages.product_deletion(catalog, product["name"], groups)


def delete_product(visit: Visit, form: Form) -> Response:
    """Delete a product with its device groups."""
    asked, catalog = product_question(visit), visit.params["catalog"]
    product = visit.params["product"]
    return deleted(
        visit, form, asked, pages.place(catalog), lambda: ask(visit, "drop_product", catalog=catalog, product=product)
    )
