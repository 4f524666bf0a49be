# SPDX-License-Identifier: Apache-2.0
"""An administrator of one catalog and its people: what is seen, granted and ended there, and that nothing else is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from armillary.engines.records.people import people as rows
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.identity.operator import Operator
from armillary.identity.person import DISABLED, Profile
from armillary.identity.signed_in import SignedIn
from armillary.service.assemble import SecurityService
from armillary.service.people import granting, people as module
from armillary.service.people.granting import Wanted
from armillary.service.people.known import Known
from armillary.service.people.people import People
from armillary.settings import Settings
from armillary.wire.sign_in.faults import SignInRefusedError

ISSUER = "https://login.example"
GRANTS = "makers=Contributor@alpha"
FIRST = Operator("first", "Administrator", None, None)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecurityService]:
    data: Path = tmp_path_factory.mktemp("people") / "data"
    settings = Settings(data=data, oidc_issuer=ISSUER, oidc_client_id="armillary", oidc_grants=GRANTS)
    found = SecurityService.open(settings, clock=partial(next, count(int(time.time()))))  # each moment is a later one
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


def of(service: SecurityService, catalog: str) -> Operator:
    """An administrator of a catalog."""
    return Operator(f"boss of {catalog}", "Administrator", service.registry.catalogs.get(catalog).catalog_id, None)


@pytest.fixture
def alpha(service: SecurityService) -> Operator:
    return of(service, "alpha")


@pytest.fixture
def beta(service: SecurityService) -> Operator:
    return of(service, "beta")


def profile(subject: str, email: str = "", *groups: str) -> Profile:
    return Profile(issuer=ISSUER, subject=subject, email=email, name=f"Name of {subject}", groups=groups)


def signed_in(service: SecurityService, known: Known, person_id: UUID) -> str:
    """The cookie of a session by the first of these grants."""
    grant = known.grants[0]
    who = SignedIn("x", grant.role, grant.catalog_id, None, "", None, None, str(person_id), str(grant.grant_id))
    return service.sessions.open(who, service.context.now())


def whole(people: People, login: str) -> Known:
    """All that there is of somebody."""
    (found,) = (each for each in people.list(FIRST) if each.person.login == login)
    return found


def everything(known: Known) -> object:
    """A person without what is of chance."""
    person = replace(known.person, person_id=UUID(int=0), created_at=0)
    return person, [(each.role, each.organisation, each.origin, each.created_by) for each in known.grants]


def test_invites_sees_changes_and_ends_people_of_the_catalog(people: People, alpha: Operator, beta: Operator) -> None:
    made = people.invite(email="Ann@X.example", granted=Wanted("Reader", "alpha"), by=alpha)
    assert (made.person.login, made.person.name, made.person.state) == ("ann@x.example", "", "active")
    assert [each.role for each in made.grants] == ["Reader"]
    assert people.list(alpha) == (made,)
    assert people.list(beta) == ()
    people.grant(made.person.person_id, Wanted("Administrator", "alpha", "oslo"), by=alpha)
    changed = people.get(made.person.person_id, by=alpha)
    assert [(each.role, each.organisation) for each in changed.grants] == [("Reader", None), ("Administrator", "oslo")]
    people.revoke(made.person.person_id, made.grants[0].grant_id, by=alpha)
    assert len(people.get(made.person.person_id, by=alpha).grants) == 1
    people.remove(made.person.person_id, by=alpha)
    assert people.list(alpha) == ()
    assert people.list(FIRST) == (), "nobody else knows the person: no row is left"


def test_the_last_grant_that_is_revoked_ends_the_person_there(people: People, alpha: Operator) -> None:
    made = people.invite(subject="kim", granted=Wanted("Reader", "alpha"), by=alpha)
    people.revoke(made.person.person_id, made.grants[0].grant_id, by=alpha)
    with pytest.raises(NotFoundError):
        people.get(made.person.person_id, by=alpha)
    assert people.list(FIRST) == ()


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (Wanted("Reader"), PermissionDeniedError),
        (Wanted("Administrator"), PermissionDeniedError),
        (Wanted("Reader", "beta"), NotFoundError),
        (Wanted("Reader", "absent"), NotFoundError),
        (Wanted("Reader", None, "oslo"), InvalidArgumentError),
        (Wanted("root", "alpha"), InvalidArgumentError),
    ],
)
def test_grants_nothing_beyond_the_catalog(
    people: People, alpha: Operator, wanted: Wanted, error: type[Exception]
) -> None:
    """The control: the same person and call, for a role of the own catalog, is answered."""
    with pytest.raises(error):
        people.invite(subject="eve", granted=wanted, by=alpha)
    assert people.list(FIRST) == ()
    made = people.invite(subject="eve", granted=Wanted("Reader", "alpha"), by=alpha)
    with pytest.raises(error):
        people.grant(made.person.person_id, wanted, by=alpha)
    people.grant(made.person.person_id, Wanted("Administrator", "alpha"), by=alpha)
    (found,) = people.list(FIRST)
    assert {each.catalog_id for each in found.grants} == {alpha.catalog}


def test_nobody_grants_more_than_the_own_role_or_as_one_organisation(people: People, alpha: Operator) -> None:
    lesser = replace(alpha, role="Contributor")
    with pytest.raises(PermissionDeniedError, match="no more than that"):
        people.invite(subject="eve", granted=Wanted("Administrator", "alpha"), by=lesser)
    inner = replace(alpha, organisation="oslo")
    with pytest.raises(PermissionDeniedError, match="for one organisation"):
        people.invite(subject="eve", granted=Wanted("Reader", "alpha", "oslo"), by=inner)
    people.invite(subject="eve", granted=Wanted("Contributor", "alpha"), by=lesser)


def test_a_token_that_ends_makes_nothing_that_lasts(people: People, alpha: Operator) -> None:
    ends = replace(alpha, ends_at=2**40)
    with pytest.raises(PermissionDeniedError, match="ends by itself"):
        people.invite(subject="eve", granted=Wanted("Reader", "alpha"), by=ends)
    made = people.invite(subject="eve", granted=Wanted("Reader", "alpha"), by=alpha)
    with pytest.raises(PermissionDeniedError, match="ends by itself"):
        people.grant(made.person.person_id, Wanted("Administrator", "alpha"), by=ends)
    people.remove(made.person.person_id, by=ends)  # it may end what it may not begin


def test_of_who_is_known_elsewhere_the_catalog_learns_and_changes_nothing(
    people: People, service: SecurityService, alpha: Operator, beta: Operator
) -> None:
    """Ann signs in for beta and is an auditor of all; alpha invites, changes and ends her as it does a stranger."""
    ann = people.invite(email="ann@x.example", name="Ann", granted=Wanted("Reader"), by=FIRST)
    people.grant(ann.person.person_id, Wanted("Administrator", "beta", "oslo"), by=FIRST)
    known = people.sign_ins.signed_in(profile("s-ann", "ann@x.example"))
    before, cookie = whole(people, "ann@x.example"), signed_in(service, known, known.person.person_id)
    seen = people.get(people.ids_in(beta.catalog)[ann.person.person_id], by=beta)  # type: ignore[index]
    made, stranger = (
        people.invite(email=who, granted=Wanted("Reader", "alpha"), by=alpha)
        for who in ("ann@x.example", "zoe@x.example")
    )
    assert everything(made) == everything(replace(stranger, person=replace(stranger.person, login="ann@x.example")))
    assert made.person.person_id not in (ann.person.person_id, seen.person.person_id)
    for each in (made, stranger):
        people.grant(each.person.person_id, Wanted("Contributor", "alpha"), by=alpha)
        for grant in before.grants:
            with pytest.raises(NotFoundError):
                people.revoke(each.person.person_id, grant.grant_id, by=alpha)
        with pytest.raises(PermissionDeniedError):
            people.set_state(each.person.person_id, DISABLED, by=alpha)
    for foreign in (ann.person.person_id, seen.person.person_id, uuid4()):
        calls: tuple[Callable[[UUID], object], ...] = (
            lambda who: people.get(who, by=alpha),
            lambda who: people.remove(who, by=alpha),
            lambda who: people.revoke(who, before.grants[0].grant_id, by=alpha),
            lambda who: people.grant(who, Wanted("Reader", "alpha", "x"), by=alpha),
        )
        for call in calls:
            with pytest.raises(NotFoundError, match=f"person {foreign} does not exist"):
                call(foreign)
    assert people.get(seen.person.person_id, by=beta) == seen
    people.remove(made.person.person_id, by=alpha)
    assert whole(people, "ann@x.example") == before
    assert service.sessions.find(cookie, service.context.now()) is not None
    assert people.sign_ins.standing(known.person.person_id, known.grants[0].grant_id) is not None
    again = people.invite(email="ann@x.example", granted=Wanted("Reader", "alpha"), by=alpha)
    assert again.person.person_id != made.person.person_id, "as of a stranger who is invited again"


def test_who_is_ended_in_a_catalog_is_out_at_once_there(
    people: People, service: SecurityService, alpha: Operator, beta: Operator
) -> None:
    mine = people.invite(email="bo@x.example", granted=Wanted("Reader", "alpha"), by=alpha)
    theirs = people.invite(email="bo@x.example", granted=Wanted("Reader", "beta"), by=beta)
    person_id = whole(people, "bo@x.example").person.person_id
    first, second = (signed_in(service, each, person_id) for each in (mine, theirs))
    people.remove(mine.person.person_id, by=alpha)
    now = service.context.now()
    assert (service.sessions.find(first, now) is None, service.sessions.find(second, now) is None) == (True, False)
    assert people.sign_ins.standing(person_id, mine.grants[0].grant_id) is None
    assert people.sign_ins.standing(person_id, theirs.grants[0].grant_id) is not None
    people.remove(theirs.person.person_id, by=beta)
    assert people.list(FIRST) == ()


def test_sessions_of_a_catalog_are_seen_and_ended_by_its_administrators(
    people: People, service: SecurityService, alpha: Operator, beta: Operator
) -> None:
    made = people.invite(subject="bo", granted=Wanted("Reader", "alpha"), by=alpha)
    cookie = signed_in(service, made, people.list(FIRST)[0].person.person_id)
    (session,) = people.sessions(by=alpha)
    assert people.sessions(by=beta) == ()
    with pytest.raises(NotFoundError):
        people.end_session(session.session_id, by=beta)
    assert service.sessions.find(cookie, service.context.now()) is not None
    people.end_session(session.session_id, by=alpha)
    assert service.sessions.find(cookie, service.context.now()) is None


def test_a_disabled_person_is_not_enabled_by_a_second_invitation(people: People, alpha: Operator) -> None:
    made = people.invite(email="dan@x.example", granted=Wanted("Reader", "alpha"), by=alpha)
    people.set_state(made.person.person_id, DISABLED, by=FIRST)
    people.remove(made.person.person_id, by=alpha)
    again = people.invite(email="dan@x.example", granted=Wanted("Reader", "alpha"), by=alpha)
    assert again.person.state == "active", "that others have disabled somebody is not told before the person came"
    with pytest.raises(SignInRefusedError, match="disabled"):
        people.sign_ins.signed_in(profile("dan", "dan@x.example"))
    people.set_state(again.person.person_id, "active", by=FIRST)
    assert people.sign_ins.signed_in(profile("dan", "dan@x.example")).grants == again.grants


def test_the_name_is_seen_once_the_person_has_acted_there(people: People, alpha: Operator, beta: Operator) -> None:
    mine = people.invite(subject="s-eva", granted=Wanted("Reader", "alpha"), by=alpha)
    people.invite(email="eva@x.example", granted=Wanted("Reader", "beta"), by=beta)
    known = people.sign_ins.signed_in(profile("s-eva", "eva@x.example"))
    assert {each.catalog_id for each in known.grants} == {alpha.catalog, beta.catalog}
    (unseen,) = people.list(beta)
    assert (unseen.person.name, unseen.person.signed_in_at, unseen.person.login) == ("", None, "eva@x.example")
    people.sign_ins.acts(known.person.person_id, mine.grants[0].grant_id)
    (seen,) = people.list(alpha)
    assert (seen.person.name, seen.person.signed_in_at is None) == ("Name of s-eva", False)
    assert people.list(beta) == (unseen,)


def test_an_invitation_by_subject_does_not_stand_in_the_way_of_one_by_address(
    people: People, alpha: Operator, beta: Operator
) -> None:
    """Alpha invites beta's guest by subject first; what beta granted to the address counts all the same."""
    people.invite(subject="s-ann", granted=Wanted("Reader", "alpha"), by=alpha)
    theirs = people.invite(email="ann@x.example", granted=Wanted("Administrator", "beta"), by=beta)
    assert len(people.sign_ins.signed_in(profile("s-ann")).grants) == 1, "the address is not verified"
    known = people.sign_ins.signed_in(profile("s-ann", "ann@x.example"))
    assert {each.catalog_id for each in known.grants} == {alpha.catalog, beta.catalog}
    assert [each.person.person_id for each in people.list(beta)] == [theirs.person.person_id]
    assert len(people.list(FIRST)) == 1
    people.sign_ins.signed_in(profile("s-ann", "ann@x.example"))
    with pytest.raises(SignInRefusedError, match="somebody else"):
        people.sign_ins.signed_in(profile("mallory", "ann@x.example"))


def test_an_invitation_locks_nobody_out_who_would_be_called_the_same(people: People, alpha: Operator) -> None:
    taken = people.invite(email="sam@login.example", granted=Wanted("Reader", "alpha"), by=alpha)
    known = people.sign_ins.signed_in(profile("sam", "", "makers"))  # whose login is sam@login.example
    assert known.person.person_id != people.get(taken.person.person_id, by=FIRST).person.person_id
    assert known.person.login.startswith("sam+")
    with pytest.raises(SignInRefusedError):
        people.sign_ins.signed_in(profile("pat", "", "none"))


def test_that_a_token_or_a_person_has_a_name_is_not_told(
    people: People, service: SecurityService, alpha: Operator
) -> None:
    service.tokens.create("key@x.example", "Reader", actor="first")
    made, other = (
        people.invite(email=who, granted=Wanted("Reader", "alpha"), by=alpha)
        for who in ("key@x.example", "kit@x.example")
    )
    assert made.person.login == "key@x.example"
    assert everything(made) == everything(replace(other, person=replace(other.person, login="key@x.example")))
    (login,) = (each.person.login for each in people.list(FIRST) if each.person.email == "key@x.example")
    assert login.startswith("key+"), "the audit log tells them apart"
    with pytest.raises(ConflictError, match="known here"):
        people.invite(email="KEY@x.example", granted=Wanted("Reader", "alpha"), by=alpha)


def test_what_groups_grant_is_not_taken_back_by_a_catalog(people: People, alpha: Operator) -> None:
    people.sign_ins.signed_in(profile("mia", "mia@x.example", "makers"))
    (seen,) = people.list(alpha)
    for call in (
        lambda: people.remove(seen.person.person_id, by=alpha),
        lambda: people.revoke(seen.person.person_id, seen.grants[0].grant_id, by=alpha),
    ):
        with pytest.raises(ConflictError, match="groups grant this"):
            call()
    with pytest.raises(SignInRefusedError):
        people.sign_ins.signed_in(profile("mia", "mia@x.example"))  # left the group
    assert people.list(alpha) == ()


def test_a_catalog_leaves_room_for_others(
    people: People, alpha: Operator, beta: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = people.invite(subject="full", granted=Wanted("Reader", "alpha"), by=alpha)
    for number in range(granting.MAX_GRANTS_OF_CATALOG - 1):
        people.grant(made.person.person_id, Wanted("Reader", "alpha", f"o{number}"), by=alpha)
    with pytest.raises(ConflictError, match="grants"):
        people.grant(made.person.person_id, Wanted("Contributor", "alpha"), by=alpha)
    people.invite(subject="full", granted=Wanted("Reader", "beta"), by=beta)
    monkeypatch.setattr(granting, "MAX_PEOPLE_OF_CATALOG", 1)
    with pytest.raises(ConflictError, match="the catalog has 1 people"):
        people.invite(subject="next", granted=Wanted("Reader", "alpha"), by=alpha)
    people.invite(subject="next", granted=Wanted("Reader", "alpha"), by=FIRST)


@pytest.mark.parametrize("given", [{"name": "Ann"}, {"granted": None}])
def test_an_invitation_to_a_catalog_has_a_role_and_no_name(
    people: People, alpha: Operator, given: dict[str, object]
) -> None:
    asked = {"subject": "kim", "granted": Wanted("Reader", "alpha"), "by": alpha}
    with pytest.raises(InvalidArgumentError):
        people.invite(**{**asked, **given})  # type: ignore[arg-type]
    assert people.list(FIRST) == ()
    people.invite(**asked)  # type: ignore[arg-type]


def test_without_the_look_at_the_catalog_everybody_is_found(
    people: People, alpha: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what is refused above is refused by that look."""
    theirs = people.invite(email="ann@x.example", granted=Wanted("Reader", "beta"), by=FIRST)
    with pytest.raises(NotFoundError):
        people.get(theirs.person.person_id, by=alpha)
    monkeypatch.setattr(module, "meant", lambda connection, person_id, _: rows.by_id(connection, person_id))
    people.grant(theirs.person.person_id, Wanted("Reader", "alpha"), by=alpha)
    assert len(whole(people, "ann@x.example").grants) == 2
