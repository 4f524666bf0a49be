# SPDX-License-Identifier: Apache-2.0
"""OpenVEX documents.

::

    @context, @id, author, timestamp, version      required
    statements[]: vulnerability {name, @id, aliases[]}, timestamp, status, justification, impact_statement,
                  action_statement
      .products[]: @id, identifiers {purl, cpe22, cpe23}, hashes {sha-256: HEX}, subcomponents[] (the same)

A statement without a time has its document's. ``not_affected`` needs a justification or an impact statement. Before
0.2.0 vulnerabilities and products were plain texts; these are read too. A statement without products is about what its
author sends the document with, which nobody can know later: it is refused.

Source: OpenVEX 0.2.0 (openvex/spec).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from armillary.wire.advisory.fields import Fields
from armillary.wire.advisory.vex import (
    MAX_NAMES,
    MAX_PRODUCTS,
    MAX_STATEMENTS,
    Product,
    Status,
    UnverifiedStatement,
    hash_id,
)

WHAT: Final = "openvex"
_CONTEXT: Final = "https://openvex.dev/ns"
JUSTIFICATIONS: Final = frozenset(
    {
        "component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
        "vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
    }
)  # fmt: skip
_STATES: Final = frozenset(Status)


def statements_of(document: Mapping[str, Any]) -> tuple[UnverifiedStatement, ...]:
    """The statements of a decoded document; AdvisoryError names the place that is none."""
    fields = Fields(document, WHAT)
    if not fields.text("@context").startswith(_CONTEXT):
        raise fields.refused("@context", _CONTEXT, document["@context"])
    said, author, name = fields.needed_time("timestamp"), fields.text("author"), fields.text("@id")
    return tuple(_statement(each, said, author, name) for each in fields.each("statements", most=MAX_STATEMENTS))


def _statement(fields: Fields, said: int, author: str, document: str) -> UnverifiedStatement:
    status = Status(fields.choice("status", _STATES))
    justification = fields.choice("justification", JUSTIFICATIONS) if fields.take("justification") else ""
    impact, action = fields.prose("impact_statement"), fields.prose("action_statement")
    if status is Status.NOT_AFFECTED and not (justification or impact):
        raise fields.refused("justification", "a justification or an impact_statement", None)
    given = fields.take("products")
    products = tuple(
        Product((each,)) if isinstance(each, str) and each else _product(Fields(each, WHAT, f"{fields.path}.products"))
        for each in (given if isinstance(given, list) else [])[: MAX_PRODUCTS + 1]
    )
    if not 0 < len(products) <= MAX_PRODUCTS:
        raise fields.refused("products", f"1 to {MAX_PRODUCTS} products", given)
    own = fields.time("timestamp")
    return UnverifiedStatement(
        names=_names(fields), products=products, status=status, said=said if own is None else own, author=author,
        document=document, justification=justification, reason=impact or action,
    )  # fmt: skip


def _names(fields: Fields) -> tuple[str, ...]:
    if isinstance(fields.take("vulnerability"), str):
        return (fields.text("vulnerability"),)
    vulnerability = fields.within("vulnerability")
    if vulnerability is None:
        raise fields.refused("vulnerability", "an object with a name", None)
    return (vulnerability.text("name"), *vulnerability.texts("aliases", most=MAX_NAMES))


def _product(fields: Fields) -> Product:
    return Product(
        _ids(fields), tuple(name for each in fields.each("subcomponents", most=MAX_PRODUCTS) for name in _ids(each))
    )


def _ids(fields: Fields) -> tuple[str, ...]:
    identifiers, hashes = fields.within("identifiers"), fields.within("hashes")
    found = [fields.optional("@id", most=1024)]
    if identifiers is not None:
        found += [identifiers.optional(word, most=1024) for word in ("purl", "cpe23", "cpe22")]
    if hashes is not None:
        found += [hash_id(word, hashes.text(word)) for word in ("sha-256", "sha-384", "sha-512") if hashes.take(word)]
    ids = tuple(dict.fromkeys(each for each in found if each))
    if not ids:
        raise fields.refused("@id", "an @id, identifiers or hashes", None)
    return ids
