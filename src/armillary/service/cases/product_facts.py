# SPDX-License-Identifier: Apache-2.0
"""Facts of products: who makes them, what they are for, until when they are supported, where their devices are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from armillary.engines.records.schema.rows import Product
from armillary.regulation.statement import Fact, absent, present, stale
from armillary.service.cases.scope import Scope, devices, member_states
from armillary.service.registry.product_facts import support_state

_DECLARE: Final = "armillary product update"
# Products that are named in a text; all are in its value.
MAX_NAMED: Final = 20


def of_products(scope: Scope, products: Sequence[Product], now: int) -> list[Fact]:
    """Everything that is declared of some products."""
    return [
        _products(scope, products),
        _declared("manufacturer", "Manufacturer", products, lambda each: each.manufacturer, "--manufacturer NAME"),
        _declared("contact", "Contact", products, lambda each: each.contact, "--contact ADDRESS"),
        _declared("intended-use", "Intended use", products, lambda each: each.intended_use, "--intended-use TEXT"),
        _declared(
            "placed-on-market",
            "On the market since",
            products,
            lambda each: "" if each.placed_on_market is None else day(each.placed_on_market),
            "--placed-on-market DATE",
        ),
        _support(products, now),
        of_member_states(scope),
    ]


def name_of(product: Product) -> str:
    """``CATALOG/PRODUCT``."""
    return f"{product.catalog}/{product.name}"


def day(at: int) -> str:
    """A date for people."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _products(scope: Scope, products: Sequence[Product]) -> Fact:
    if not products:
        return absent("products", "No product is known to be concerned. Name it: armillary case note.")
    counts = {
        each.product_id: sum(
            scope.devices[group.group_id] for group in scope.groups if group.product_id == each.product_id
        )
        for each in products
    }
    value = [
        {
            "name": each.name,
            "catalog": each.catalog,
            "product_id": str(each.product_id),
            "description": each.description,
            "intended_use": each.intended_use,
            "devices": counts[each.product_id],
        }
        for each in products
    ]
    says = "\n".join(
        f"{each.name}: {each.intended_use or each.description or 'no purpose is declared'} "
        f"({devices(counts[each.product_id])})"
        for each in products[:MAX_NAMED]
    )
    more = f"\nand {len(products) - MAX_NAMED} more" if len(products) > MAX_NAMED else ""
    return present("products", says + more, value, *(f"product {name_of(each)}" for each in products[:MAX_NAMED]))


def _declared(name: str, words: str, products: Sequence[Product], of: Callable[[Product], str], option: str) -> Fact:
    """A fact that a maker declares of each product: missing where one of them lacks it."""
    said = {name_of(each): of(each) for each in products}
    missing = [product for product, value in said.items() if not value]
    if missing or not said:
        whose = ", ".join(missing[:MAX_NAMED]) or "any product"
        return absent(name, f"{words} is not declared of {whose}: {_DECLARE} {option}.", said or None)
    distinct = sorted(set(said.values()))
    says = f"{words}: {distinct[0]}" if len(distinct) == 1 else "\n".join(f"{k}: {v}" for k, v in said.items())
    return present(name, says, said, *(f"declared of product {each}" for each in said))


def _support(products: Sequence[Product], now: int) -> Fact:
    states = {name_of(each): support_state(each.support_ends, now) for each in products}
    value: Any = {name_of(each): {"ends_at": each.support_ends, "state": states[name_of(each)]} for each in products}
    undeclared = [name for name, state in states.items() if state == "undeclared"]
    if undeclared or not states:
        whose = ", ".join(undeclared[:MAX_NAMED]) or "any product"
        says = f"The end of the support period is not declared of {whose}: {_DECLARE} --support-ends DATE."
        return absent("support-period", says, value or None)
    says = "\n".join(
        f"{name_of(each)}: security updates until {day(each.support_ends or 0)}" for each in products[:MAX_NAMED]
    )
    sources = tuple(f"declared of product {name}" for name in states)
    if ended := [name for name, state in states.items() if state == "ended"]:
        return stale("support-period", f"{says}\nSupport has ended of {', '.join(ended[:MAX_NAMED])}.", value, *sources)
    return present("support-period", says, value, *sources)


def of_member_states(scope: Scope) -> Fact:
    """Devices by Member State, by what is said of their groups."""
    countries = scope.countries()
    found, unsaid = member_states(countries), countries.get("", 0)
    value = {"member_states": found, "countries": countries, "devices": scope.device_count}
    rest = f"{devices(unsaid)} in groups of which nobody said where they are"
    todo = "armillary device-group set-country"
    if not found:
        why = rest if unsaid else "no device is in a Member State"
        return absent("member-states", f"No Member State is known: {why}: {todo}.", value)
    says = ", ".join(f"{name}: {devices(number)}" for name, number in found.items())
    more = f"\n{rest}: {todo}." if unsaid else ""
    return present("member-states", says + more, value, "countries of device groups")
