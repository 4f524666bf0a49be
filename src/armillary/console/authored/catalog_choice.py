# SPDX-License-Identifier: Apache-2.0
"""Whose a document is: a new rule, group, job or export says its catalog, or that it is for all. Pure.

A document without a catalog acts on the devices of every catalog, so nobody makes one by leaving a field alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.console.frame.form import Field
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError

# What a form sends for "of all catalogs": no catalog can be called so.
ALL: Final = "*"
ALL_WORDS: Final = say("All catalogs")


def catalog_words(body: Mapping[str, Any]) -> str:
    """Whose a document is, for people."""
    return body.get("catalog") or ALL_WORDS


def catalog_field(body: Mapping[str, Any], names: Sequence[str], *, is_new: bool) -> Field:
    """The choice of a catalog: nothing is chosen for a new document where there are several, the only one where not.

    ``names`` has :data:`ALL` where the operator may make documents of all catalogs.
    """
    value, own = str(body.get("catalog") or ""), [each for each in names if each != ALL]
    if not value:
        value = ("" if len(own) > 1 else (*own, ALL)[0]) if is_new else ALL
    known = [*own, *([value] if value not in (*own, "", ALL) else [])]
    of_all = [(ALL, ALL_WORDS)] if ALL in (*names, value) else []
    choices = [*([("", say("Choose"))] if not value else []), *((each, each) for each in known), *of_all]
    hint = say("whose devices it is about")
    return Field(
        name="catalog",
        label=say("Catalog"),
        kind="select",
        value=value,
        choices=tuple(choices),
        required=True,
        hint=hint,
    )


def with_catalog(body: Mapping[str, Any], sent: Mapping[str, str], *, is_new: bool) -> dict[str, Any]:
    """A document of the catalog that a form chose.

    Raises:
        InvalidArgumentError: a new one chose none.
    """
    chosen = sent.get("catalog", "").strip()
    if not chosen:
        if is_new:
            raise InvalidArgumentError(
                "Catalog: expected a choice", remedy=f"Choose a catalog, or {ALL_WORDS.lower()}."
            )
        return dict(body)
    made = {name: value for name, value in body.items() if name != "catalog"}
    return made if chosen == ALL else {**made, "catalog": chosen}
