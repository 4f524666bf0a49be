# SPDX-License-Identifier: Apache-2.0
"""``armillary person`` and ``session``: by an administrator of all catalogs, and by one of one catalog."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from tests.api.running_service import RunningService, fresh, own_service
from tests.cli.conftest import Command, Ran

from armillary.identity.signed_in import SignedIn

service = own_service("alpha", "beta", oidc_issuer="https://login.example", oidc_client_id="armillary")
Runner = Callable[..., Ran]


def by(bare: Command, service: RunningService, token: str) -> Runner:
    """Commands with a token."""
    where = ("--service", service.address, "--token", token, "--ca", str(service.root))
    return lambda *arguments: bare(*arguments, *where)


@pytest.fixture
def everybody(bare: Command, service: RunningService) -> Iterator[Runner]:
    run = by(bare, service, service.token)
    yield run
    for each in run("person", "list", "--json").json:
        assert run("person", "remove", "--person", each["person_id"], "--yes").code == 0


@pytest.fixture
def alpha(bare: Command, service: RunningService, everybody: Runner) -> Runner:
    made = service.service.tokens.create(fresh("boss"), "Administrator", actor="test", catalog="alpha")
    return by(bare, service, made.secret)


def logins(run: Runner, *more: str) -> list[str]:
    return [each["login"] for each in run("person", "list", *more, "--json").json]


def test_people_of_all_catalogs(everybody: Runner) -> None:
    ran = everybody("person", "invite", "--email", "ann@x.example", "--name", "Ann", "--role", "Reader")
    assert (ran.code, "Reader of all catalogs" in ran.out) == (0, True), ran.err
    assert "tell them to open the console" in ran.err
    ran = everybody("person", "grant", "--person", "ANN@x.example", "--role", "Contributor", "--catalog", "beta")
    assert "Contributor of beta" in ran.out
    assert "Ann" in everybody("person", "list").out
    shown = everybody("person", "show", "--person", "ann@x.example", "--json").json
    assert {(each["role"], each["catalog"]) for each in shown["grants"]} == {("Reader", None), ("Contributor", "beta")}
    missing = everybody("person", "revoke", "--person", "ann@x.example", "--role", "Administrator")
    assert (missing.code, "no such grant" in missing.err) == (1, True)
    assert everybody("person", "revoke", "--person", "ann@x.example", "--role", "Reader").code == 0
    assert everybody("person", "disable", "--person", "ann@x.example", "--yes").err == "ann@x.example is disabled\n"
    assert everybody("person", "enable", "--person", "ann@x.example").code == 0
    assert logins(everybody, "--catalog", "alpha") == []
    assert logins(everybody, "--catalog", "beta") == ["ann@x.example"]
    assert "there is no person" in everybody("person", "show", "--person", "zoe").err


def test_a_token_of_one_catalog_is_about_its_people(everybody: Runner, alpha: Runner) -> None:
    """Nothing names the catalog: it is the token's."""
    assert "No person." in alpha("person", "list").err
    assert (
        everybody("person", "invite", "--email", "theirs@x.example", "--role", "Reader", "--catalog", "beta").code == 0
    )
    ran = alpha("person", "invite", "--email", "kim@x.example", "--role", "Reader")
    assert (ran.code, "Reader of alpha" in ran.out) == (0, True), ran.err
    assert logins(alpha) == ["kim@x.example"]
    ran = alpha("person", "grant", "--person", "kim@x.example", "--role", "Administrator")
    assert "Administrator of alpha" in ran.out, ran.err
    shown = alpha("person", "show", "--person", "kim@x.example", "--json").json
    assert {each["catalog"] for each in shown["grants"]} == {"alpha"}
    assert alpha("person", "revoke", "--person", "kim@x.example", "--role", "Reader").code == 0
    ran = alpha("person", "remove", "--person", "kim@x.example", "--yes")
    assert (ran.code, ran.err) == (0, "kim@x.example is removed from alpha\n")
    assert logins(alpha) == []
    assert logins(everybody) == ["theirs@x.example"]


def test_a_token_of_one_catalog_reaches_nobody_else(everybody: Runner, alpha: Runner) -> None:
    everybody("person", "invite", "--email", "theirs@x.example", "--role", "Reader", "--catalog", "beta")
    assert alpha("person", "invite", "--email", "kim@x.example", "--role", "Reader").code == 0  # the control
    for arguments, said in (
        (("show", "--person", "theirs@x.example"), "there is no person"),
        (("remove", "--person", "theirs@x.example", "--yes"), "there is no person"),
        (("list", "--catalog", "beta"), "catalog 'beta' does not exist"),
        (("grant", "--person", "kim@x.example", "--role", "Reader", "--catalog", "beta"), "'beta' does not exist"),
        (("disable", "--person", "kim@x.example", "--yes"), "not about one"),
        (("invite", "--email", "zoe@x.example"), "role: expected one"),
        (("invite", "--email", "zoe@x.example", "--name", "Zoe", "--role", "Reader"), "name: expected none"),
    ):
        ran = alpha("person", *arguments)
        assert (ran.code, said in ran.err) == (1, True), (arguments, ran.err)
    assert sorted(logins(everybody)) == ["kim@x.example", "theirs@x.example"]


def test_sessions_of_a_catalog(service: RunningService, everybody: Runner, alpha: Runner) -> None:
    alpha("person", "invite", "--email", "kim@x.example", "--role", "Reader")
    (whole,) = everybody("person", "list", "--json").json
    catalog = service.service.registry.catalogs.get("alpha").catalog_id
    names = ("kim@x.example", "Reader", catalog, None, "", "alpha", None)
    service.service.sessions.open(
        SignedIn(*names, whole["person_id"], whole["grants"][0]["grant_id"]), int(time.time())
    )
    (session,) = alpha("session", "list", "--json").json
    assert session["name"] == "kim@x.example"
    assert everybody("session", "list", "--catalog", "beta", "--json").json == []
    assert alpha("session", "list", "--own", "--json").json == []
    assert alpha("session", "end", "--session-id", session["session_id"]).code == 0
    assert alpha("session", "list", "--json").json == []
    assert alpha("session", "end", "--session-id", session["session_id"]).code == 1


def test_a_catalog_that_is_remembered_is_granted_with_a_role_alone(
    everybody: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARMILLARY_CATALOG", "beta")
    ran = everybody("person", "invite", "--email", "ann@x.example")
    assert (ran.code, "may        nothing" in ran.out) == (0, True), ran.err + ran.out
    ran = everybody("person", "invite", "--email", "kim@x.example", "--role", "Reader")
    assert (ran.code, "Reader of beta" in ran.out) == (0, True), ran.err + ran.out
    ran = everybody("person", "invite", "--email", "lee@x.example", "--role", "Reader", "--catalog", "")
    assert "Reader of all catalogs" in ran.out, ran.err
    ran = everybody("person", "invite", "--email", "zoe@x.example", "--catalog", "beta")
    assert (ran.code, "expected a role as well" in ran.err) == (1, True), "a catalog that is named is meant"
    monkeypatch.delenv("ARMILLARY_CATALOG")
    for each in ("ann", "kim", "lee"):
        assert everybody("person", "remove", "--person", f"{each}@x.example", "--yes").code == 0
