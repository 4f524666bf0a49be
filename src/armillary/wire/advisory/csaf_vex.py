# SPDX-License-Identifier: Apache-2.0
"""CSAF 2.0 documents of the profile VEX (and security advisories, which say the same of products and more).

::

    document: category, publisher {name}, tracking {id, current_release_date}
    product_tree: branches[] (nest), full_product_names[], relationships[], product_groups[]
    vulnerabilities[]: cve, ids[] {text}, product_status {known_affected[], known_not_affected[], fixed[], ...},
                       flags[] {label, product_ids}, threats[] {category, details, product_ids}

A product has the names of its ``product_identification_helper`` (package URL, CPE, hashes) and its title. A
relationship makes a product of a component in another. ``recommended`` says nothing of a state. A document in which a
product stands under two states contradicts itself (CSAF 6.1.6), and is refused.

Source: CSAF 2.0 (OASIS standard), sections 3.2.2, 3.2.3 and 4.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from armillary.wire.advisory.fields import MAX_DEPTH, Fields
from armillary.wire.advisory.vex import (
    MAX_NAMES,
    MAX_PRODUCTS,
    MAX_STATEMENTS,
    Product,
    Status,
    UnverifiedStatement,
    check_count,
    hash_id,
)

WHAT: Final = "csaf-vex"
STATES: Final[Mapping[str, Status]] = MappingProxyType(
    {
        "known_affected": Status.AFFECTED,
        "first_affected": Status.AFFECTED,
        "last_affected": Status.AFFECTED,
        "known_not_affected": Status.NOT_AFFECTED,
        "fixed": Status.FIXED,
        "first_fixed": Status.FIXED,
        "under_investigation": Status.UNDER_INVESTIGATION,
    }
)


def statements_of(document: Mapping[str, Any]) -> tuple[UnverifiedStatement, ...]:
    """The statements of a decoded document; AdvisoryError names the place that is none."""
    fields = Fields(document, WHAT)
    head = _needed(fields, "document")
    tracking, publisher = _needed(head, "tracking"), _needed(head, "publisher")
    said = tracking.needed_time("current_release_date")
    tree = fields.within("product_tree")
    products, groups = ({}, {}) if tree is None else (_products(tree), _groups(tree))
    found: list[UnverifiedStatement] = []
    for each in fields.each("vulnerabilities", most=MAX_STATEMENTS):
        found += _statements(each, products, groups, said, publisher.text("name"), tracking.text("id"))
        check_count(fields, len(found))
    return tuple(found)


def _needed(fields: Fields, name: str) -> Fields:
    found = fields.within(name)
    if found is None:
        raise fields.refused(name, "an object", None)
    return found


def _statements(
    fields: Fields,
    products: Mapping[str, Product],
    groups: Mapping[str, tuple[str, ...]],
    said: int,
    author: str,
    document: str,
) -> Iterator[UnverifiedStatement]:
    names = tuple(
        dict.fromkeys(
            each
            for each in (fields.optional("cve"), *(one.text("text") for one in fields.each("ids", most=64)))
            if each
        )
    )
    if not names:
        raise fields.refused("cve", "a CVE or ids", None)
    flags = _told(fields, "flags", "label", groups)
    impacts = _told(fields, "threats", "details", groups, category="impact")
    for status, named in _by_status(fields).items():
        # One statement for all products with the same reasons.
        together: dict[tuple[str, str], list[Product]] = {}
        for each in named:
            if each not in products:
                raise fields.refused("product_status", "products of the product tree", each)
            together.setdefault((flags.get(each, ""), impacts.get(each, "")), []).append(products[each])
        for (flag, impact), which in together.items():
            yield UnverifiedStatement(
                names=names, products=tuple(which), status=status, said=said, author=author, document=document,
                justification=flag, reason=impact,
            )  # fmt: skip


def _by_status(fields: Fields) -> dict[Status, dict[str, None]]:
    given = fields.within("product_status")
    found: dict[Status, dict[str, None]] = {}
    taken: dict[str, Status] = {}
    for word, status in STATES.items():
        for product in () if given is None else given.texts(word, most=MAX_PRODUCTS):
            if taken.setdefault(product, status) is not status:
                raise fields.refused("product_status", "each product in one state", product)
            found.setdefault(status, {})[product] = None
    return found


def _told(
    fields: Fields, name: str, word: str, groups: Mapping[str, tuple[str, ...]], category: str = ""
) -> dict[str, str]:
    """What is said of each product in a list of ``{word, product_ids, group_ids}``."""
    found: dict[str, str] = {}
    for each in fields.each(name, most=MAX_NAMES):
        if category and each.take("category") != category:
            continue
        within = [one for group in each.texts("group_ids", most=MAX_NAMES) for one in groups.get(group, ())]
        for product in (*each.texts("product_ids", most=MAX_PRODUCTS), *within):
            found.setdefault(product, each.prose(word))
    return found


def _products(tree: Fields) -> dict[str, Product]:
    found: dict[str, Product] = {}
    for each in (*_branches(tree, 0), *tree.each("full_product_names", most=MAX_PRODUCTS)):
        found[each.text("product_id")] = Product(_names(each))
    for each in tree.each("relationships", most=MAX_PRODUCTS):
        part, whole = found.get(each.text("product_reference")), found.get(each.text("relates_to_product_reference"))
        if part is None or whole is None:
            raise each.refused("product_reference", "products of the product tree", None)
        found[_needed(each, "full_product_name").text("product_id")] = Product(whole.ids, part.ids)
    return found


def _branches(fields: Fields, depth: int) -> Iterator[Fields]:
    if depth > MAX_DEPTH:
        raise fields.refused("branches", f"at most {MAX_DEPTH} levels", "more")
    for each in fields.each("branches", most=MAX_PRODUCTS):
        product = each.within("product")
        if product is not None:
            yield product
        yield from _branches(each, depth + 1)


def _names(product: Fields) -> tuple[str, ...]:
    helper = product.within("product_identification_helper")
    found = []
    if helper is not None:
        found += [helper.optional(word, most=1024) for word in ("purl", "cpe")]
        for each in helper.each("hashes", most=64):
            for one in each.each("file_hashes", most=64):
                found.append(hash_id(one.text("algorithm"), one.text("value")))
    return tuple(each for each in (*found, product.text("name", most=1024)) if each)


def _groups(tree: Fields) -> dict[str, tuple[str, ...]]:
    return {
        each.text("group_id"): each.texts("product_ids", most=MAX_PRODUCTS)
        for each in tree.each("product_groups", most=MAX_NAMES)
    }
