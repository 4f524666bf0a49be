# SPDX-License-Identifier: Apache-2.0
"""People over the API: by administrators of all catalogs, and by those of one, who reach the people of that one alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.api.running_service import Reply, RunningService, fresh, own_service

from armillary.identity.signed_in import SignedIn

service = own_service("alpha", "beta", oidc_issuer="https://login.example", oidc_client_id="armillary")
PEOPLE = "/api/v1/people"


@dataclass(frozen=True)
class Boss:
    """An administrator's token of one catalog."""

    service: RunningService
    catalog: str
    token: str

    def call(self, method: str, path: str, body: object = None, *, catalog: str = "") -> Reply:
        return self.service.call(method, f"{path}?catalog={catalog or self.catalog}", body, token=self.token)

    def invite(self, subject: str, role: str = "Reader", **more: str) -> Reply:
        return self.call("POST", PEOPLE, {"subject": subject, "role": role, "catalog": self.catalog, **more})


@pytest.fixture
def bosses(service: RunningService) -> Iterator[tuple[Boss, Boss]]:
    tokens = service.service.tokens
    yield tuple(  # type: ignore[misc]  # there are two
        Boss(service, each, tokens.create(fresh("boss"), "Administrator", actor="test", catalog=each).secret)
        for each in ("alpha", "beta")
    )
    for each in service.call("GET", PEOPLE).body["items"]:
        assert service.call("DELETE", f"{PEOPLE}/{each['person_id']}").status == 204


@pytest.fixture
def boss(bosses: tuple[Boss, Boss]) -> Boss:
    return bosses[0]


@pytest.fixture
def other(bosses: tuple[Boss, Boss]) -> Boss:
    return bosses[1]


def of_chance(reply: Reply) -> Any:
    """A person without what is of chance."""
    grants = [{**each, "grant_id": "", "created_at": 0} for each in reply.body["grants"]]
    return {**reply.body, "person_id": "", "login": "", "created_at": 0, "created_by": "", "grants": grants}


def test_an_administrator_of_all_invites_grants_disables_and_removes(service: RunningService, boss: Boss) -> None:
    made = service.call("POST", PEOPLE, {"email": "Ann@x.example", "name": "Ann"})
    assert (made.status, made.body["login"], made.body["grants"]) == (201, "ann@x.example", [])
    place = f"{PEOPLE}/{made.body['person_id']}"
    assert service.call("POST", f"{place}/grants", {"role": "Reader"}).status == 201
    granted = service.call("POST", f"{place}/grants", {"role": "Contributor", "catalog": "ALPHA"})
    ids = {(each["role"], each["catalog"]): each["grant_id"] for each in granted.body["grants"]}
    assert set(ids) == {("Reader", None), ("Contributor", "alpha")}
    assert service.call("POST", f"{place}/grants", {"role": "Reader"}).status == 409
    assert service.call("POST", f"{place}/disable").body["state"] == "disabled"
    assert service.call("POST", f"{place}/enable").body["state"] == "active"
    grant = ids["Reader", None]
    assert service.call("DELETE", f"{place}/grants/{grant}").status == 204
    assert service.call("DELETE", f"{place}/grants/{grant}").status == 404
    assert [each["role"] for each in service.call("GET", place).body["grants"]] == ["Contributor"]
    (seen,) = service.call("GET", f"{PEOPLE}?catalog=alpha").body["items"]
    assert seen == boss.call("GET", PEOPLE).body["items"][0], "catalog= narrows to what its administrators see"
    assert service.call("GET", f"{PEOPLE}/{seen['person_id']}").body["person_id"] == made.body["person_id"]
    assert service.call("GET", f"{PEOPLE}?catalog=absent").status == 404
    assert service.call("DELETE", place).status == 204
    assert service.call("GET", place).status == 404


def test_an_administrator_of_one_catalog_invites_changes_and_ends(service: RunningService, boss: Boss) -> None:
    made = boss.invite("kim")
    assert made.status == 201, made.raw
    assert (made.body["login"], made.body["subject"], made.body["email"]) == ("kim@login.example", None, None)
    place = f"{PEOPLE}/{made.body['person_id']}"
    granted = boss.call("POST", f"{place}/grants", {"role": "Administrator", "catalog": "alpha"})
    assert {each["role"] for each in granted.body["grants"]} == {"Reader", "Administrator"}
    assert boss.call("GET", PEOPLE).body["items"] == [granted.body]
    assert boss.call("DELETE", f"{place}/grants/{made.body['grants'][0]['grant_id']}").status == 204
    assert len(boss.call("GET", place).body["grants"]) == 1
    assert boss.call("DELETE", place).status == 204
    assert boss.call("GET", place).status == 404
    assert service.call("GET", PEOPLE).body["items"] == []
    lines = service.call("GET", "/api/v1/audit?target=kim@login.example&limit=5").body["items"]
    assert [each["operation"] for each in lines] == [
        "person.remove", "person.revoke", "person.grant", "person.grant", "person.invite",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("granted", "status"),
    [
        ({"role": "Reader"}, 403),
        ({"role": "Administrator"}, 403),
        ({"role": "Reader", "catalog": "beta"}, 404),
        ({"role": "Reader", "catalog": "absent"}, 404),
        ({"role": "Reader", "catalog": "alpha", "organisation": "of-beta"}, 404),
        ({"role": "Reader", "catalog": "beta", "organisation": "of-beta"}, 404),
        ({"role": "Reader", "organisation": "of-beta"}, 403),
        ({"role": "Root", "catalog": "alpha"}, 400),
        ({"role": "Reader", "catalog": "alpha", "admin": True}, 400),
    ],
)
def test_nobody_is_raised_beyond_the_catalog(
    service: RunningService, boss: Boss, granted: dict[str, Any], status: int
) -> None:
    """The control: the same two calls for a role of the own catalog are answered."""
    organisation = {"name": "Of beta", "catalog": "beta"}
    assert service.call("PUT", "/api/v1/organisations/of-beta", organisation).status == 200
    assert boss.call("POST", PEOPLE, {"subject": "eve", **granted}).status == status
    assert service.call("GET", PEOPLE).body["items"] == []
    made = boss.invite("eve")
    place = f"{PEOPLE}/{made.body['person_id']}/grants"
    assert boss.call("POST", place, granted).status == status
    assert boss.call("POST", place, {"role": "Administrator", "catalog": "alpha"}).status == 201
    (found,) = service.call("GET", PEOPLE).body["items"]
    assert {each["catalog"] for each in found["grants"]} == {"alpha"}


def test_whoever_names_no_catalog_or_another_one_is_refused(boss: Boss, other: Boss) -> None:
    made = boss.invite("kim").body["person_id"]
    for path in (PEOPLE, f"{PEOPLE}/{made}", "/api/v1/sessions"):
        assert boss.service.call("GET", path, token=boss.token).status == 403
        assert boss.call("GET", path, catalog="beta").status == 404
        assert boss.call("GET", path).status == 200
    for step in ("disable", "enable"):
        assert boss.service.call("POST", f"{PEOPLE}/{made}/{step}", token=boss.token).status == 403
    for lesser in ("Reader", "Contributor"):
        token = boss.service.service.tokens.create(fresh(lesser), lesser, actor="test", catalog="alpha").secret
        assert Boss(boss.service, "alpha", token).call("GET", PEOPLE).status == 403


def test_of_another_catalogs_people_nothing_is_seen_or_changed(boss: Boss, other: Boss) -> None:
    """Whom both know is known to each by another id, and each takes back what is its own."""
    theirs, mine = other.invite("both", "Administrator"), boss.invite("both")
    assert theirs.body["person_id"] != mine.body["person_id"]
    stranger = boss.invite("nobody-else")
    assert of_chance(mine) == of_chance(stranger)
    whole = {each["login"]: each["person_id"] for each in boss.service.call("GET", PEOPLE).body["items"]}
    for person_id in (theirs.body["person_id"], whole["both@login.example"], "0" * 8 + "-0000-4000-8000-" + "0" * 12):
        place, grant = f"{PEOPLE}/{person_id}", theirs.body["grants"][0]["grant_id"]
        answers = [
            boss.call("GET", place), boss.call("DELETE", place), boss.call("DELETE", f"{place}/grants/{grant}"),
            boss.call("POST", f"{place}/grants", {"role": "Reader", "catalog": "alpha"}),
        ]  # fmt: skip
        assert [(each.status, each.body["detail"]) for each in answers] == [
            (404, f"person {person_id} does not exist")
        ] * 4
    grant = theirs.body["grants"][0]["grant_id"]
    own = f"{PEOPLE}/{mine.body['person_id']}"
    assert boss.call("DELETE", f"{own}/grants/{grant}").status == 404
    assert boss.call("DELETE", own).status == 204
    assert other.call("GET", f"{PEOPLE}/{theirs.body['person_id']}").body == theirs.body


def test_a_token_that_ends_lets_nobody_in(boss: Boss) -> None:
    tokens = boss.service.service.tokens
    ends_at = int(time.time()) + 3600
    short = tokens.create(fresh("short"), "Administrator", actor="test", catalog="alpha", expires_at=ends_at).secret
    refused = Boss(boss.service, "alpha", short).invite("eve")
    assert (refused.status, "ends by itself" in refused.body["detail"]) == (403, True)
    assert boss.invite("eve").status == 201


def test_an_organisations_administrator_reaches_no_people(service: RunningService, boss: Boss) -> None:
    body = {"name": "Inner", "catalog": "alpha"}
    assert service.call("PUT", "/api/v1/organisations/inner", body).status == 200
    made = service.service.tokens.create(
        fresh("inner"), "Administrator", actor="test", catalog="alpha", organisation="inner"
    )
    inner = Boss(service, "alpha", made.secret)
    assert inner.invite("eve").status == 403
    assert inner.call("GET", PEOPLE).status == 403
    assert inner.call("GET", "/api/v1/sessions").status == 403
    assert boss.invite("eve", organisation="inner").status == 201
    service.service.tokens.revoke(made.token.token_id, actor="test")


def test_sessions_of_the_catalog_are_listed_and_ended(service: RunningService, boss: Boss, other: Boss) -> None:
    made, now = boss.invite("kim"), int(time.time())
    (whole,) = service.call("GET", PEOPLE).body["items"]
    grant = made.body["grants"][0]
    catalog = service.service.registry.catalogs.get("alpha").catalog_id
    names = ("kim@login.example", "Reader", catalog, None, "", "alpha", None)
    cookie = service.service.sessions.open(SignedIn(*names, whole["person_id"], grant["grant_id"]), now)
    (session,) = boss.call("GET", "/api/v1/sessions").body["items"]
    assert (session["person_id"], session["catalog"]) == (made.body["person_id"], "alpha")
    assert other.call("GET", "/api/v1/sessions").body["items"] == []
    assert session["session_id"] in {
        each["session_id"] for each in service.call("GET", "/api/v1/sessions").body["items"]
    }
    place = f"/api/v1/sessions/{session['session_id']}"
    assert other.call("DELETE", place).status == 404
    assert service.service.sessions.find(cookie, now) is not None
    assert boss.call("DELETE", place).status == 204
    assert service.service.sessions.find(cookie, now) is None


def test_a_token_says_of_which_catalog_it_is(boss: Boss) -> None:
    me = boss.service.call("GET", "/api/v1/me", token=boss.token).body
    assert (me["catalog"], me["role"]) == ("alpha", "Administrator")
    assert boss.service.call("GET", "/api/v1/me").body["catalog"] is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"role": "Reader", "catalog": "alpha"}, "expected an address or a subject"),
        ({"subject": "x", "email": "a@b.example", "role": "Reader", "catalog": "alpha"}, "not both"),
        ({"email": "nobody", "role": "Reader", "catalog": "alpha"}, "expected an address"),
        ({"subject": "x"}, "role: expected one"),
        ({"subject": "x", "name": "Ann", "role": "Reader", "catalog": "alpha"}, "name: expected none"),
        ({"subject": "x\n", "role": "Reader", "catalog": "alpha"}, "printable ASCII"),
    ],
)
def test_a_wrong_invitation_says_what_was_wrong(boss: Boss, body: dict[str, Any], said: str) -> None:
    refused = boss.call("POST", PEOPLE, body)
    assert (refused.status, said in refused.body["detail"]) == (400, True), refused.body
    assert refused.body["remedy"]
    assert boss.call("GET", PEOPLE).body["items"] == []
