# SPDX-License-Identifier: Apache-2.0
"""Reads the query of a request, once: a parameter that is there twice or is empty is refused.

The access check and the endpoint read the query separately. Of a repeated parameter each could see another value, and
an empty one could be absent for one of them only: either would let a token reach what it must not. For the same reason
names are compared without regard to case and after percent-decoding.

No client of the public APIs sends such a query: azure-mgmt-sphere, azure-iot-hub, the IoT Central extension and the
blob client send each of ``api-version``, ``$top``, ``$filter``, ``comp`` and so on once or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from starlette.datastructures import QueryParams

from armillary.errors import InvalidArgumentError

# How much of a name an error shows.
_SHOWN: Final = 40

Query = Mapping[str, str]


def read_query(given: QueryParams, lists: Collection[str] = ()) -> Query:
    """The parameters of a query, each with its only value, without its ``lists``: those may be there several times.

    Raises:
        InvalidArgumentError: a parameter is there twice or has no value.
    """
    found, seen = dict[str, str](), set[str]()
    for name, value in given.multi_items():
        shown = f"{name[:_SHOWN]!a}"
        if not value:
            raise InvalidArgumentError(
                f"query: expected a value of {shown}, got nothing",
                remedy="Leave the parameter out, or give it a value.",
            )
        if name in lists:
            continue
        if name.lower() in seen:
            raise InvalidArgumentError(
                f"query: expected {shown} once, got it several times",
                remedy="Send each parameter once; upper and lower case make no difference.",
            )
        seen.add(name.lower())
        found[name] = value
    return found


def check_names(given: QueryParams, known: Collection[str]) -> None:
    """Raise InvalidArgumentError for parameters a route lacks: a misspelt filter must not show everything."""
    for name in given:
        if name not in known:
            takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise InvalidArgumentError(
                f"query: the route has no parameter {name[:_SHOWN]!a}",
                remedy=f"Correct the name, also its upper and lower case, or leave it out: {takes}.",
            )
