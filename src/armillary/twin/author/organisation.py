# SPDX-License-Identifier: Apache-2.0
"""Organisations: a tree inside one catalog that decides who sees which of its devices.

::

    {"name": "North", "catalog": "Contoso", "parent": "contoso-emea"}

A device is in one organisation or in none. A token of an organisation reaches the devices of it and of everything below
it. A faulty tree grants nothing more: the organisations below another are collected from the top down, each once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from armillary.errors import ConflictError
from armillary.wire.encoding.json_fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, JsonFields

# Levels of the tree (IoT Central's), and organisations of one hub: all of them are read to answer a request.
MAX_DEPTH: Final = 5
MAX_ORGANISATIONS: Final = 1000

REMEDY: Final = "docs/concepts/organisations.md lists every field; nothing was kept."


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """One organisation."""

    name: str  # for people, as is ``description``
    description: str = ""
    catalog: str  # of its devices; it never changes
    parent: str | None = None  # id of the organisation above; None at the top


def parse_organisation(document: object) -> Organisation:
    """The body of an ``organisation`` document; raises InvalidArgumentError with the field and what was expected."""
    fields = JsonFields(document, "organisation", REMEDY)
    found = Organisation(
        name=fields.text("name", most=MAX_NAME_CHARACTERS),
        description=fields.text("description", most=MAX_DESCRIPTION_CHARACTERS, default="", lines=True),
        catalog=fields.text("catalog", most=MAX_NAME_CHARACTERS),
        parent=fields.optional_text("parent", most=MAX_NAME_CHARACTERS),
    )
    fields.finish()
    return found


def check_tree(organisations: Mapping[str, Organisation]) -> None:
    """Check that organisations are trees of at most MAX_DEPTH levels, each inside one catalog.

    Raises ConflictError for too many, a parent that is not there or of another catalog, a circle, or too deep a tree.
    """
    if len(organisations) > MAX_ORGANISATIONS:
        raise _refused(f"expected at most {MAX_ORGANISATIONS} organisations, got {len(organisations)}")
    for name, organisation in organisations.items():
        above, depth = organisation.parent, 1
        while above is not None:
            depth += 1
            over = organisations.get(above)
            # One of another catalog does not count.
            if over is None or over.catalog.lower() != organisation.catalog.lower():
                raise _refused(f"organisation {name!a:.80}: there is no organisation {above!a:.80} in its catalog")
            if depth > MAX_DEPTH:
                raise _refused(f"organisation {name!a:.80}: expected at most {MAX_DEPTH} levels and no circle")
            above = over.parent


def subtree(organisations: Mapping[str, Organisation], root: str) -> frozenset[str]:
    """An organisation and everything below it, inside its catalog; empty when there is no such organisation."""
    if root not in organisations:
        return frozenset()
    catalog = organisations[root].catalog.lower()
    children: dict[str, list[str]] = {}
    for name, organisation in organisations.items():
        if organisation.parent is not None and organisation.catalog.lower() == catalog:
            children.setdefault(organisation.parent, []).append(name)
    found, left = {root}, [root]
    while left:
        for name in children.get(left.pop(), ()):
            if name not in found:
                found.add(name)
                left.append(name)
    return frozenset(found)


def _refused(message: str) -> ConflictError:
    return ConflictError(message, remedy="Make the organisation above first; a tree has five levels.")
