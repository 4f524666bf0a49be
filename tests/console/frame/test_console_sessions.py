# SPDX-License-Identifier: Apache-2.0
"""Who signs in without end: sessions of the same catalog end, and those of the operator and of other catalogs go on."""

from __future__ import annotations

import uuid

import pytest

from armillary.console.sources.signed_in import SignedIn
from armillary.service.people import sessions
from armillary.service.people.sessions import Sessions

ALICES, BOBS = uuid.uuid4(), uuid.uuid4()


def of(catalog: uuid.UUID | None) -> SignedIn:
    return SignedIn("ann", "Reader", catalog, None, str(uuid.uuid4()), None if catalog is None else "a-catalog", None)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS_OF_CATALOG", 3)
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 6)


def test_sign_ins_of_one_catalog_end_no_session_but_its_own() -> None:
    table = Sessions()
    operators, bobs = table.open(of(None), 0), table.open(of(BOBS), 0)
    alices = [table.open(of(ALICES), now) for now in range(1, 50)]
    assert len(table) == 5
    assert None not in (table.find(operators, 50), table.find(bobs, 50))
    assert [each for each in alices if table.find(each, 50) is not None] == alices[-3:]


def test_sign_ins_of_many_catalogs_end_no_session_of_the_operator() -> None:
    table = Sessions()
    operators = [table.open(of(None), 0), table.open(of(None), 1)]
    for now in range(2, 50):
        table.open(of(uuid.uuid4()), now)
    assert len(table) == 6
    assert all(table.find(each, 50) is not None for each in operators)


def test_without_people_of_catalogs_the_session_that_was_not_used_for_longest_ends() -> None:
    table = Sessions()
    opened = [table.open(of(None), now) for now in range(7)]
    assert [table.find(each, 8) is not None for each in opened] == [False, *[True] * 6]
