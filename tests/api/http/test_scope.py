# SPDX-License-Identifier: Apache-2.0
"""The second line behind the access check: what no route can bring about today is refused all the same."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from armillary.api.http.scope import CheckedCatalog, Scope, checked_catalog
from armillary.errors import PermissionDeniedError

MINE = CheckedCatalog("Mine")


def test_a_token_of_one_catalog_is_never_answered_about_all() -> None:
    assert Scope(None, is_of_one=False).catalog is None
    assert Scope(MINE, is_of_one=True).catalog == MINE
    with pytest.raises(PermissionDeniedError, match="for one catalog"):
        _ = Scope(None, is_of_one=True).catalog


@pytest.mark.parametrize(("asked", "decided"), [("Theirs", MINE), (None, MINE), ("Theirs", None)])
def test_a_catalog_that_is_not_the_checked_one_is_refused(asked: str | None, decided: CheckedCatalog | None) -> None:
    request = Request({"type": "http"})
    request.state.scope = Scope(decided, is_of_one=False)
    with pytest.raises(PermissionDeniedError, match="not the one that was checked"):
        asyncio.run(checked_catalog(request, asked))
    same = None if decided is None else decided.upper()
    assert asyncio.run(checked_catalog(request, same)) == decided
