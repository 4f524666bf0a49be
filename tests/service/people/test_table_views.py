# SPDX-License-Identifier: Apache-2.0
"""Saved views and chosen columns over real records: one owner's and one catalog's, bounded, gone with their owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, NotFoundError
from armillary.identity.operator import Operator
from armillary.service.assemble import SecurityService
from armillary.service.people import table_views as module
from armillary.service.people.table_views import Owner, TableViews
from armillary.settings import Settings

TEST = Operator("test", "Administrator", None, None)
ISSUER = "https://login.example"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecurityService]:
    data: Path = tmp_path_factory.mktemp("views") / "data"
    found = SecurityService.open(Settings(data=data, oidc_issuer=ISSUER, oidc_client_id="armillary"))
    yield found
    found.context.records.close()
    found.authority.close()
    found.context.folder.close()


@pytest.fixture
def views(service: SecurityService) -> TableViews:
    return service.table_views


@pytest.fixture
def ann() -> Owner:
    return Owner(uuid4(), "ann", "catalog-1")


def test_a_view_is_its_owners_and_of_what_the_owner_spoke_for(views: TableViews, ann: Owner) -> None:
    made = views.save(ann, "/alerts", "Grave", "severity=critical")
    assert views.list(ann, "/alerts") == (made,)
    assert views.list(ann, "/fleet") == ()
    for other in (replace(ann, scope="catalog-2"), replace(ann, scope=""), replace(ann, id=uuid4())):
        assert views.list(other, "/alerts") == ()
        for change in (views.get, views.delete, lambda o, v: views.rename(o, v, "Mine")):
            with pytest.raises(NotFoundError):
                change(other, made.view_id)
    assert views.rename(ann, made.view_id, "Critical").name == "Critical"
    views.delete(ann, made.view_id)
    assert views.list(ann, "/alerts") == ()


def test_each_change_of_a_view_has_an_audit_line(service: SecurityService, views: TableViews, ann: Owner) -> None:
    made = views.save(ann, "/jobs", "Mine", "")
    views.rename(ann, made.view_id, "Ours")
    views.delete(ann, made.view_id)
    lines = service.audit.list(target="/jobs").items
    assert [(each.operation, each.actor, each.detail["name"]) for each in reversed(lines)] == [
        ("table-view.save", "ann", "Mine"),
        ("table-view.rename", "ann", "Ours"),
        ("table-view.delete", "ann", "Ours"),
    ]


def test_names_are_unique_in_any_case_and_renaming_to_itself_is_none(views: TableViews, ann: Owner) -> None:
    first = views.save(ann, "/rules", "Night", "a=1")
    second = views.save(ann, "/rules", "Day", "a=2")
    with pytest.raises(ConflictError, match="has a view 'NIGHT' already"):
        views.save(ann, "/rules", "NIGHT", "a=3")
    with pytest.raises(ConflictError):
        views.rename(ann, second.view_id, "night")
    assert views.rename(ann, first.view_id, "NIGHT").name == "NIGHT"


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("", "", "empty name"),
        ("  ", "", "blank name"),
        ("a\u202eb", "", "U\\+202E"),
        ("x" * (module.MAX_NAME_CHARACTERS + 1), "", "at most 40"),
        ("x", "q" * (module.MAX_QUERY_CHARACTERS + 1), "at most 1500"),
    ],
)
def test_what_is_no_view_is_refused_and_nothing_is_kept(
    views: TableViews, ann: Owner, name: str, query: str, said: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        views.save(ann, "/exports", name, query)
    assert views.list(ann, "/exports") == ()


def test_views_and_remembered_tables_are_bounded(
    views: TableViews, ann: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_VIEWS_OF_TABLE", 1)
    monkeypatch.setattr(module, "MAX_VIEWS_OF_OWNER", 2)
    monkeypatch.setattr(module, "MAX_TABLES", 1)
    views.save(ann, "/a", "1", "")
    views.save(ann, "/b", "1", "")
    for place in ("/a", "/c"):
        with pytest.raises(ConflictError, match=r"as there may be|of 1 at most"):
            views.save(ann, place, "2", "")
    views.choose_columns(ann, "/a", "state")
    views.choose_columns(ann, "/a", "state,os")
    with pytest.raises(ConflictError):
        views.choose_columns(ann, "/b", "state")
    views.choose_columns(ann, "/a", None)
    views.choose_columns(ann, "/b", "state")
    assert (views.columns(ann, "/a"), views.columns(ann, "/b")) == (None, "state")


def test_what_a_person_or_a_token_kept_ends_with_them(service: SecurityService, views: TableViews) -> None:
    person = service.people.invite(by=TEST, email="bo@example.com").person.person_id
    token = service.tokens.create("gone", "Reader", actor="test").token.token_id
    owners = [Owner(each, "x", "") for each in (person, token)]
    for owner in owners:
        views.save(owner, "/fleet", "Mine", "")
        views.choose_columns(owner, "/fleet", "os")
    service.people.remove(person, by=TEST)
    service.tokens.revoke(token, actor="test")
    assert [(views.list(each, "/fleet"), views.columns(each, "/fleet")) for each in owners] == [((), None)] * 2


def test_what_is_too_long_for_a_table_is_not_remembered(views: TableViews, ann: Owner) -> None:
    for place, shown in (("/" + "x" * 300, "a"), ("/a", "x" * 600)):
        with pytest.raises(ArmillaryError):
            views.choose_columns(ann, place, shown)
