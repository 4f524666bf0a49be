# SPDX-License-Identifier: Apache-2.0
"""Who came back from the provider: somebody known or invited, or whom groups grant something; all others are refused.

A person is known by issuer and subject (OpenID Connect Core §5.7). Somebody who is invited by address is tied to the
subject that first signs in with that verified address, and to no other afterwards; where that subject is known already,
what the invitation grants becomes the known person's, so that nobody's invitation stands in the way of another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from secrets import token_hex
from shlex import quote
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.people import people as rows
from armillary.engines.records.people.people import Grant, Person
from armillary.engines.records.queries import tokens as token_rows
from armillary.errors import ConflictError, NotFoundError
from armillary.identity import person as rules
from armillary.identity.person import GroupGrant, Profile
from armillary.service.context.context import Context
from armillary.service.people.granting import Granting, what
from armillary.service.people.known import Known, delete, known
from armillary.service.registry.names import catalog_or_raise
from armillary.wire.sign_in.faults import SignInRefusedError

# Each is a kilobyte; a provider of everybody must not fill the disk by a mapping that is too wide.
MAX_PEOPLE: Final = 10_000

# Code of the refusal of somebody who is not known here, which the sign-in page explains.
NOT_KNOWN: Final = "sign-in.not-known"


class SignIns:
    """Finds or makes the person of a profile, and keeps what groups grant up to date."""

    def __init__(self, context: Context, granting: Granting) -> None:
        self._context = context
        self._granting = granting
        self._mapping = rules.group_grants(context.settings.oidc_grants)

    def signed_in(self, profile: Profile) -> Known:
        """Somebody who came back from the provider, with what the person is granted now; records the sign-in.

        Raises:
            SignInRefusedError: not known here, disabled, or granted nothing; the message says what an administrator
                has to do.
        """
        mapped = rules.granted_to(profile.groups, self._mapping)

        def change(connection: Connection) -> Known:
            tied = self._tied(connection, profile)
            found = tied or self._made(connection, profile, mapped)
            if found.state != rules.ACTIVE:
                raise SignInRefusedError(
                    f"{found.login} is disabled here",
                    remedy="An administrator can enable you again: armillary person enable.",
                    code=NOT_KNOWN,
                )
            now = self._context.now()
            name = profile.name or found.name
            rows.change(connection, found.person_id, signed_in_at=now, name=name)
            self._join(connection, found, profile)
            self._follow(connection, found, mapped)
            whole = known(connection, replace(found, signed_in_at=now, name=name))
            if whole.grants:
                self._context.audit(
                    connection, found.login, "person.sign-in", found.login, {"person_id": str(found.person_id)}
                )
            elif tied is None:  # no row is made of a stranger whose groups grant nothing that is there
                raise _granted_nothing(found.login)
            return whole

        whole = self._context.records.write(change)
        if not whole.grants:  # after the commit: what groups grant no longer is gone
            raise _granted_nothing(whole.person.login)
        return whole

    def standing(self, person_id: UUID, grant_id: UUID) -> tuple[Person, Grant] | None:
        """A person and a grant as they are now; None where the person is disabled or gone, or the grant is."""

        def read(connection: Connection) -> tuple[Person, Grant] | None:
            found = rows.by_id(connection, person_id)
            if found is None or found.state != rules.ACTIVE:
                return None
            mine = rows.grants_of(connection, person_id)
            return next(((found, each) for each in mine if each.grant_id == grant_id), None)

        return self._context.records.read(read)

    def of(self, person_id: UUID) -> Known | None:
        """All that there is of a person who is signed in; None where the person is gone."""

        def read(connection: Connection) -> Known | None:
            found = rows.by_id(connection, person_id)
            return None if found is None else known(connection, found)

        return self._context.records.read(read)

    def acts(self, person_id: UUID, grant_id: UUID) -> None:
        """Record that a person begins to act by a grant: its catalog knows the person by name from then on."""

        def change(connection: Connection) -> None:
            mine = rows.grants_of(connection, person_id)
            catalog = next((each.catalog_id for each in mine if each.grant_id == grant_id), None)
            for entry in rows.entries_of(connection, person_id):
                if entry.catalog_id == catalog:
                    rows.change_entry(connection, entry.entry_id, acted_at=self._context.now())

        self._context.records.write(change)

    def _tied(self, connection: Connection, profile: Profile) -> Person | None:
        """The person of a profile's subject; of its address where nobody has signed in with that invitation yet."""
        found = rows.by_subject(connection, profile.issuer, profile.subject)
        if found is not None or not profile.email:
            return found
        invited = rows.by_email(connection, profile.email)
        if invited is None:
            return None
        if invited.subject is not None:
            raise SignInRefusedError(
                f"{profile.email} is somebody else here, whom the provider knows by another subject",
                remedy="An administrator should look at who that is: armillary person show, armillary person remove.",
                code=NOT_KNOWN,
            )
        rows.change(connection, invited.person_id, issuer=profile.issuer, subject=profile.subject)
        return replace(invited, issuer=profile.issuer, subject=profile.subject)

    def _join(self, connection: Connection, found: Person, profile: Profile) -> None:
        """Give a person what is granted to an invitation of the verified address that nobody has taken yet."""
        invited = rows.by_email(connection, profile.email) if profile.email else None
        if invited is None or invited.subject is not None or invited.state != rules.ACTIVE:
            return
        mine = {what(each) for each in rows.grants_of(connection, found.person_id)}
        catalogs = {each.catalog_id for each in rows.entries_of(connection, found.person_id)}
        for grant in rows.grants_of(connection, invited.person_id):
            if what(grant) not in mine:
                rows.change_grant(connection, grant.grant_id, person_id=found.person_id)
        for entry in rows.entries_of(connection, invited.person_id):
            if entry.catalog_id not in catalogs:
                rows.change_entry(connection, entry.entry_id, person_id=found.person_id)
        delete(connection, invited.person_id)
        if found.email is None:
            rows.change(connection, found.person_id, email=profile.email)
        self._context.audit(
            connection, found.login, "person.join", found.login, {"invited": invited.login, "by": invited.created_by}
        )

    def _made(self, connection: Connection, profile: Profile, mapped: Sequence[GroupGrant]) -> Person:
        """A new person whom groups grant something."""
        if not mapped:
            who = profile.email or profile.subject
            how = f"--email {quote(profile.email)}" if profile.email else f"--subject {quote(profile.subject)}"
            raise SignInRefusedError(
                f"the provider knows you as {who}, and nobody has invited you here",
                remedy=f"An administrator can: armillary person invite {how}, then armillary person grant.",
                code=NOT_KNOWN,
            )
        made = Person(
            person_id=uuid4(),
            login=profile.login,
            name=profile.name,
            email=profile.email or None,
            issuer=profile.issuer,
            subject=profile.subject,
            state=rules.ACTIVE,
            created_at=self._context.now(),
            created_by="sign-in",
            signed_in_at=None,
        )
        if rows.by_login(connection, made.login) is not None:  # an invitation of that name must not lock anybody out
            made = replace(made, login=other_login(made.login))
        try:
            add(connection, made)
        except ConflictError as error:
            raise SignInRefusedError(error.message, remedy=error.remedy, code=NOT_KNOWN) from error
        self._context.audit(
            connection, made.login, "person.create", made.login, {"groups": [each.group for each in mapped]}
        )
        return made

    def _follow(self, connection: Connection, found: Person, mapped: Sequence[GroupGrant]) -> None:
        """Set what groups grant a person to what they grant now; grants that stay keep their ids."""
        wanted = {}
        for each in mapped:
            try:
                catalog = None if each.catalog is None else catalog_or_raise(connection, each.catalog).catalog_id
            except NotFoundError:
                continue  # of a catalog that is not there (yet)
            wanted[each.role, catalog, each.organisation] = each
        gone = [
            each
            for each in rows.grants_of(connection, found.person_id)
            if each.origin == rules.BY_PROVIDER and wanted.pop(what(each), None) is None
        ]
        in_order = sorted(uuid4() for _ in wanted)  # made in one second, they are listed as oidc_grants names them
        for grant_id, (role, catalog_id, organisation) in zip(in_order, wanted, strict=True):
            made = Grant(
                grant_id=grant_id,
                person_id=found.person_id,
                role=role,
                catalog_id=catalog_id,
                organisation=organisation,
                origin=rules.BY_PROVIDER,
                created_at=self._context.now(),
                created_by="oidc_grants",
            )
            self._granting.give(connection, found, made)
            self._audit_group(connection, "person.grant", found, made)
        for grant in gone:
            self._granting.take(connection, found, grant)
            self._audit_group(connection, "person.revoke", found, grant)

    def _audit_group(self, connection: Connection, action: str, found: Person, grant: Grant) -> None:
        self._granting.audit(connection, "oidc_grants", action, found, grant, {"role": grant.role})


def add(connection: Connection, made: Person) -> None:
    """Store a person under a login that stands for nobody else in the audit log.

    Raises ConflictError: the person is known already, the audit log knows a token of that name, or there are too many.
    """
    login = made.login.lower()
    if rows.by_login(connection, login) or (made.email and rows.by_email(connection, made.email)):
        raise ConflictError(f"{made.login} is known here already", remedy="See who: armillary person list.")
    if made.issuer and made.subject and rows.by_subject(connection, made.issuer, made.subject):
        raise ConflictError(f"{made.subject} is known here already", remedy="See who: armillary person list.")
    if is_a_token(connection, login):
        raise ConflictError(
            f"a token is called {made.login}, and the audit log could not tell them apart",
            remedy="Make that token again under another name, and revoke it: armillary token list.",
        )
    if rows.count(connection) >= MAX_PEOPLE:
        raise ConflictError(f"there are {MAX_PEOPLE} people", remedy="Remove some: armillary person remove.")
    rows.add(connection, made)


def is_a_token(connection: Connection, login: str) -> bool:
    """Whether a token has a person's login as its name."""
    return any(each.name.lower() == login.lower() for each in token_rows.every(connection))


def other_login(login: str) -> str:
    """A login like one that stands for somebody else already: with a mark of chance, that nobody can take before."""
    user, _, host = login.rpartition("@")
    return f"{user}+{token_hex(4)}@{host}"


def _granted_nothing(login: str) -> SignInRefusedError:
    return SignInRefusedError(
        f"{login} is granted nothing here",
        remedy=f"An administrator can grant a role: armillary person grant --person {quote(login)}.",
        code=NOT_KNOWN,
    )
