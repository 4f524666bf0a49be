# SPDX-License-Identifier: Apache-2.0
"""Products, read, and what is declared of them changed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import Response

from armillary.console.evidence import pages_products
from armillary.console.evidence.read_traces import has_proof, kept, proof_of
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Wrong, wrong_of
from armillary.console.frame.times import typed_time
from armillary.errors import InvalidArgumentError

_TEXTS = ("manufacturer", "contact", "intended_use")
_TIMES = ("support_ends", "placed_on_market")


def products(visit: Visit) -> Response:
    """Products with where their support stands."""
    asked = visit.query.get("support", "")
    support = asked if asked in pages_products.SUPPORT else ""
    items = ask(visit, "list_products", support=support or None)["items"]
    return show(visit, pages_products.list_sheet(items, support, visit.now))


def product(visit: Visit) -> Response:
    """One product with all that it rests on."""
    return _page(visit)


def product_document(visit: Visit) -> Response:
    """All that is known of a product, to be kept."""
    return kept(ask(visit, "trace_product", **_named(visit)), "product-trace")


def product_proof(visit: Visit) -> Response:
    """The proof of the audit lines about a product."""
    return proof_of(visit, ask(visit, "trace_product", **_named(visit)))


def declare(visit: Visit, form: Form) -> Response:
    """Declare facts of a product."""
    named = _named(visit)
    try:
        facts: dict[str, object] = {name: typed_time(name, form.get(name, "")) for name in _TIMES}
        facts |= {name: " ".join(form.get(name, "").split()) for name in _TEXTS}
        ask(visit, "declare_product", **named, facts=facts)
    except InvalidArgumentError as error:
        return _page(visit, form, wrong_of(error))
    return done(pages_products.href(named["catalog"], named["product"]), "declared")


def _page(visit: Visit, sent: Mapping[str, str] = MappingProxyType({}), wrong: Wrong | None = None) -> Response:
    found = ask(visit, "trace_product", **_named(visit))
    made = pages_products.product_sheet(
        found,
        sent=sent,
        wrong=wrong,
        may_declare=may(visit, "declare_product"),
        has_proof=has_proof(visit, found),
        now=visit.now,
    )
    return show(visit, made, 400 if wrong else 200)


def _named(visit: Visit) -> dict[str, str]:
    return {name: visit.params[name] for name in ("catalog", "product")}
