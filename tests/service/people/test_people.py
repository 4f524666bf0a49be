# SPDX-License-Identifier: Apache-2.0
"""Named people over real records: invited, granted, tied to a subject, disabled, removed; and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.identity.operator import Operator
from armillary.identity.person import MAX_GRANTS, Profile, group_grants, is_email, profile_of
from armillary.identity.signed_in import SignedIn
from armillary.service.assemble import SecurityService
from armillary.service.people import sign_in as module
from armillary.service.people.granting import Wanted
from armillary.service.people.known import Known
from armillary.service.people.people import People
from armillary.service.people.sessions import IDLE_S, LIFETIME_S, Sessions
from armillary.settings import Settings
from armillary.wire.sign_in.faults import SignInRefusedError

FIRST = Operator("first", "Administrator", None, None)
MALLORY = Operator("mallory", "Reader", None, None)
ISSUER = "https://login.example"
GRANTS = "admins=Administrator, makers=Contributor@alpha, gone=Reader@absent, odd = name=Reader@alpha/oslo"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecurityService]:
    data: Path = tmp_path_factory.mktemp("people") / "data"
    found = SecurityService.open(
        Settings(data=data, oidc_issuer=ISSUER, oidc_client_id="armillary", oidc_grants=GRANTS)
    )
    for name in ("alpha", "beta"):
        found.registry.catalogs.create(name, actor="test", resource_group="rg")
    yield found
    found.context.records.close()
    found.authority.close()
    found.context.folder.close()


@pytest.fixture
def people(service: SecurityService) -> Iterator[People]:
    yield service.people
    for each in service.people.list(FIRST):
        service.people.remove(each.person.person_id, by=FIRST)


def profile(subject: str = "ann", email: str = "", *groups: str, name: str = "Ann") -> Profile:
    return Profile(issuer=ISSUER, subject=subject, email=email, name=name, groups=groups)


def session_of(service: SecurityService, known: Known) -> str:
    """The cookie of a session by the person's first grant."""
    grant = known.grants[0]
    who = SignedIn(
        known.person.login, grant.role, grant.catalog_id, None, "", None, None, str(known.person.person_id), str(grant.grant_id)
    )  # fmt: skip
    return service.sessions.open(who, service.context.now())


def test_an_invitation_is_tied_to_the_first_verified_account_and_to_no_other(people: People) -> None:
    invited = people.invite(email="Ann@X.example", granted=Wanted("Reader", "alpha"), by=FIRST)
    assert (invited.person.login, invited.person.subject) == ("ann@x.example", None)
    with pytest.raises(SignInRefusedError, match="nobody has invited"):
        people.sign_ins.signed_in(profile(email=""))  # the address is not verified
    known = people.sign_ins.signed_in(profile(email="ann@x.example"))
    assert (known.person.person_id, known.person.subject) == (invited.person.person_id, "ann")
    assert people.get(known.person.person_id, by=FIRST).person.signed_in_at is not None
    with pytest.raises(SignInRefusedError, match="somebody else here"):
        people.sign_ins.signed_in(profile("mallory", "ann@x.example"))
    moved = people.sign_ins.signed_in(profile(email="ann@other.example", name="Ann B."))  # the subject is who one is
    assert (moved.person.login, moved.person.name) == ("ann@x.example", "Ann B.")


def test_strangers_are_refused_and_leave_nothing(people: People, service: SecurityService) -> None:
    before = service.audit.list(limit=1, after=None).items[0].number
    for who in (profile("zoe", "zoe@x.example"), profile("zoe", "", "gone"), profile("zoe", "", "unknown group")):
        with pytest.raises(SignInRefusedError) as refused:
            people.sign_ins.signed_in(who)
        assert refused.value.code == module.NOT_KNOWN
    assert people.list(FIRST) == ()
    assert service.audit.list(limit=1, after=None).items[0].number == before


def test_groups_grant_what_they_say_at_each_sign_in_and_take_it_back(people: People) -> None:
    known = people.sign_ins.signed_in(profile("bob", "", "admins", "makers"))
    assert known.person.login == "bob@login.example"
    assert {(each.role, each.catalog_id is None, each.origin) for each in known.grants} == {
        ("Administrator", True, "provider"), ("Contributor", False, "provider"),
    }  # fmt: skip
    people.grant(known.person.person_id, Wanted("Reader", "beta"), by=FIRST)
    less = people.sign_ins.signed_in(profile("bob", "", "makers"))
    assert {each.role for each in less.grants} == {"Contributor", "Reader"}
    kept = {each.grant_id for each in less.grants}
    assert kept <= {each.grant_id for each in people.get(known.person.person_id, by=FIRST).grants}
    with pytest.raises(ConflictError, match="groups grant this"):
        people.revoke(known.person.person_id, next(e.grant_id for e in less.grants if e.origin == "provider"), by=FIRST)
    assert {each.role for each in people.sign_ins.signed_in(profile("bob")).grants} == {"Reader"}


def test_what_groups_grant_stands_in_the_order_of_the_setting(people: People) -> None:
    for number in range(6):  # by chance alone all six would stand so once in 64 runs
        known = people.sign_ins.signed_in(profile(f"s-{number}", "", "makers", "admins"))
        assert [each.role for each in known.grants] == ["Administrator", "Contributor"]


def test_what_groups_no_longer_grant_is_gone_although_the_sign_in_is_refused(
    people: People, service: SecurityService
) -> None:
    known = people.sign_ins.signed_in(profile("bob", "", "makers"))
    with pytest.raises(SignInRefusedError, match="granted nothing"):
        people.sign_ins.signed_in(profile("bob"))
    assert people.get(known.person.person_id, by=FIRST).grants == ()
    said = [(each.actor, each.operation) for each in service.audit.list(limit=10).items]
    assert said.index(("oidc_grants", "person.revoke")) < said.index(("oidc_grants", "person.grant"))


def test_who_is_disabled_loses_the_grant_or_is_removed_has_no_session(people: People, service: SecurityService) -> None:
    def invited() -> tuple[Known, str]:
        found = people.invite(subject=f"s-{uuid4()}", granted=Wanted("Reader"), by=FIRST)
        return found, session_of(service, found)

    now = service.context.now()
    known, other = invited()
    ends = (
        lambda who: people.set_state(who.person.person_id, "disabled", by=FIRST),
        lambda who: people.revoke(who.person.person_id, who.grants[0].grant_id, by=FIRST),
        lambda who: people.remove(who.person.person_id, by=FIRST),
    )
    for end in ends:
        who, cookie = invited()
        assert people.sign_ins.standing(who.person.person_id, who.grants[0].grant_id) is not None
        assert service.sessions.find(cookie, now) is not None
        end(who)
        assert service.sessions.find(cookie, now) is None
        assert people.sign_ins.standing(who.person.person_id, who.grants[0].grant_id) is None
    assert service.sessions.find(other, now) is not None
    people.end_session(service.sessions.find(other, now).session_id, by=FIRST, owner=str(known.person.person_id))  # type: ignore[union-attr]
    assert service.sessions.find(other, now) is None


def test_a_disabled_person_cannot_sign_in_until_enabled(people: People) -> None:
    known = people.invite(subject="dan", granted=Wanted("Reader"), by=FIRST)
    people.set_state(known.person.person_id, "disabled", by=FIRST)
    with pytest.raises(SignInRefusedError, match="disabled"):
        people.sign_ins.signed_in(profile("dan"))
    with pytest.raises(ConflictError):
        people.set_state(known.person.person_id, "disabled", by=FIRST)
    people.set_state(known.person.person_id, "active", by=FIRST)
    assert people.sign_ins.signed_in(profile("dan")).grants == known.grants


def test_nobody_ends_a_session_of_somebody_else_as_an_own_one(people: People, service: SecurityService) -> None:
    mine = people.invite(subject="mine", granted=Wanted("Reader"), by=FIRST)
    cookie = session_of(service, mine)
    found = service.sessions.find(cookie, service.context.now())
    assert found is not None
    with pytest.raises(NotFoundError):
        people.end_session(found.session_id, by=MALLORY, owner=str(uuid4()))
    assert service.sessions.find(cookie, service.context.now()) is not None


@pytest.mark.parametrize(
    "given",
    [
        {}, {"email": "a@b", "subject": "s"}, {"email": "no address"}, {"email": "a@b@c"}, {"email": "ä@b"},
        {"subject": ""}, {"subject": "s" * 256}, {"subject": "s\n"}, {"email": "a@b", "name": "a\u202eb"},
        {"email": "a@b", "name": "n" * 129},
    ],
)  # fmt: skip
def test_a_wrong_invitation_is_refused_and_leaves_nothing(people: People, given: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError):
        people.invite(by=FIRST, **given)  # type: ignore[arg-type]
    assert people.list(FIRST) == ()


def test_a_grant_that_cannot_be_made_leaves_no_person_behind(people: People) -> None:
    for wanted, error in ((Wanted("root"), InvalidArgumentError), (Wanted("Reader", "absent"), NotFoundError)):
        with pytest.raises(error):
            people.invite(subject="kim", granted=wanted, by=FIRST)
    assert people.list(FIRST) == ()
    known = people.invite(subject="kim", by=FIRST)
    with pytest.raises(InvalidArgumentError):
        people.grant(known.person.person_id, Wanted("Reader", None, "oslo"), by=FIRST)
    people.grant(known.person.person_id, Wanted("Reader", "alpha"), by=FIRST)
    with pytest.raises(ConflictError, match="already"):
        people.grant(known.person.person_id, Wanted("Reader", "ALPHA"), by=FIRST)
    for number in range(MAX_GRANTS - 1):
        people.grant(known.person.person_id, Wanted("Reader", "alpha", f"o{number}"), by=FIRST)
    with pytest.raises(ConflictError, match="grants"):
        people.grant(known.person.person_id, Wanted("Administrator"), by=FIRST)


def test_a_person_and_a_token_are_never_called_the_same(people: People, service: SecurityService) -> None:
    service.tokens.create("pat@x.example", "Reader", actor="first")
    with pytest.raises(ConflictError, match="a token is called"):
        people.invite(email="Pat@x.example", by=FIRST)
    people.invite(email="sam@x.example", by=FIRST)
    with pytest.raises(ConflictError, match="known here"):
        people.invite(email="SAM@x.example", by=FIRST)
    with pytest.raises(ConflictError, match="taken"):
        service.tokens.create("Sam@x.example", "Reader", actor="first")
    maker = service.tokens.create("of alpha", "Administrator", actor="first", catalog="alpha").token
    with pytest.raises(InvalidArgumentError, match="@"):
        service.tokens.create("x@y", "Reader", actor="of alpha", catalog="alpha", maker=maker)


def test_there_are_not_more_people_than_the_limit(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEOPLE", 1)
    people.invite(subject="one", by=FIRST)
    with pytest.raises(ConflictError, match="there are 1 people"):
        people.invite(subject="two", by=FIRST)


def test_a_revoked_token_has_no_session_and_sessions_end_by_themselves(service: SecurityService) -> None:
    made = service.tokens.create("short", "Reader", actor="test").token
    who = SignedIn("short", "Reader", None, None, str(made.token_id), None, None)
    cookie = service.sessions.open(who, 0)
    assert service.sessions.find(cookie, 1) is not None
    service.tokens.revoke(made.token_id, actor="test")
    assert service.sessions.find(cookie, 1) is None
    table = Sessions()
    idle, used = table.open(who, 0), table.open(who, 0)
    for now in range(0, LIFETIME_S, IDLE_S):
        assert table.find(used, now) is not None
    assert (table.find(idle, IDLE_S + 1), table.find(used, LIFETIME_S + 1)) == (None, None)
    table.open(who, 0)
    assert len(table.list(IDLE_S)) == 1
    assert table.list(IDLE_S + 1) == ()


def test_the_setting_of_groups_is_read_strictly() -> None:
    assert [dataclasses.astuple(each) for each in group_grants(GRANTS)] == [
        ("admins", "Administrator", None, None), ("makers", "Contributor", "alpha", None),
        ("gone", "Reader", "absent", None), ("odd = name", "Reader", "alpha", "oslo"),
    ]  # fmt: skip
    for wrong in ("admins", "=Reader", "a=reader", "a=Reader@", "a=Reader@x/", "a=Reader@/o"):
        with pytest.raises(InvalidArgumentError, match="oidc_grants"):
            group_grants(wrong)


def test_claims_that_are_odd_say_nothing() -> None:
    names = {"name": "name", "email": "email", "groups": "groups"}
    for claims in (
        {"email": "a@b", "email_verified": "true"}, {"email": "a@b"}, {"email": 5, "email_verified": True},
        {"email": "a b@c", "email_verified": True}, {"name": "a\u202eb", "groups": {"a": 1}}, {"groups": [1, None]},
    ):  # fmt: skip
        found = profile_of({"sub": "s", **claims}, issuer=ISSUER, names=names)
        assert (found.email, found.name, found.groups) == ("", "", ())
    right = profile_of(
        {"sub": "s", "email": "A@B.c", "email_verified": True, "name": " Ann ", "groups": "one"}, issuer=ISSUER, names=names
    )  # fmt: skip
    assert (right.email, right.name, right.groups) == ("a@b.c", "Ann", ("one",))
    # ``email_verified`` is about ``email``: what stands in another claim is not verified by it.
    taken = {"sub": "s", "upn": "boss@x.example", "email": "own@x.example", "email_verified": True}
    names = {**names, "email": "upn"}
    assert profile_of(taken, issuer=ISSUER, names=names).email == ""
    assert profile_of({**taken, "upn": "own@x.example"}, issuer=ISSUER, names=names).email == "own@x.example"
    assert not is_email("a@" + "b" * 260)
