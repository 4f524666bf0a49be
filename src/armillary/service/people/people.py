# SPDX-License-Identifier: Apache-2.0
"""Named people: invited by an administrator, or let in by what a setting grants to their groups.

A person is known by issuer and subject (OpenID Connect Core §5.7). Somebody who is invited by address is tied to the
subject that first signs in with that verified address, and to no other afterwards. Who is not known, and is granted
nothing by groups, is refused: no row is made of strangers.

Each change writes its audit line in its transaction, and ends the sessions that it makes void.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.people import people as rows, table_views
from armillary.engines.records.people.people import Grant, Person
from armillary.engines.records.queries import tokens as token_rows
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.identity import person as rules
from armillary.identity.person import GroupGrant, Profile
from armillary.service.context.context import Context
from armillary.service.people.sessions import Sessions
from armillary.service.registry.names import catalog_or_raise
from armillary.wire.sign_in.faults import SignInRefusedError
from armillary.wire.sign_in.id_token import MAX_SUBJECT_CHARS, is_subject
from armillary.wire.text.given_text import check_given_name

# Each is a kilobyte; a provider of everybody must not fill the disk by a mapping that is too wide.
MAX_PEOPLE: Final = 10_000

# Code of the refusal of somebody who is not known here, which the sign-in page explains.
NOT_KNOWN: Final = "sign-in.not-known"


@dataclass(frozen=True, slots=True)
class Known:
    """A person with grants, oldest first."""

    person: Person
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be granted: a role of all catalogs, of one, or of one organisation in it.

    That an organisation is the catalog's is checked by the caller: this hall does not know organisations.
    """

    role: str
    catalog: str | None = None
    organisation: str | None = None


class People:
    """Lists, invites, grants, disables; and says who came back from the provider."""

    def __init__(self, context: Context, sessions: Sessions) -> None:
        self._context = context
        self._sessions = sessions
        self._mapping = rules.group_grants(context.settings.oidc_grants)

    def list(self) -> tuple[Known, ...]:
        """Everybody, by login."""

        def read(connection: Connection) -> tuple[Known, ...]:
            granted: dict[UUID, list[Grant]] = {}
            for each in rows.every_grant(connection):
                granted.setdefault(each.person_id, []).append(each)
            return tuple(Known(each, tuple(granted.get(each.person_id, ()))) for each in rows.every_one(connection))

        return self._context.records.read(read)

    def get(self, person_id: UUID) -> Known:
        """A person. Raises NotFoundError."""
        return self._context.records.read(lambda c: _known(c, _person_or_raise(c, person_id)))

    def invite(
        self,
        *,
        actor: str,
        email: str | None = None,
        subject: str | None = None,
        name: str = "",
        granted: Wanted | None = None,
    ) -> Known:
        """Let somebody sign in whom the provider knows by an address or a subject, with a first grant if one is given.

        Raises:
            InvalidArgumentError: neither or both are given, one is no such, or the service has no provider.
            NotFoundError: no catalog of the grant's name.
            ConflictError: the person is known already, or the audit log knows somebody else by that name.
        """
        issuer = self._context.settings.oidc_issuer
        if not issuer:
            raise InvalidArgumentError(
                "this service has no sign-in provider",
                remedy="Set oidc_issuer and oidc_client_id: docs/guides/people.md.",
            )
        _check_invited(email, subject, name)
        address = None if email is None else email.lower()
        login = address or rules.login_of(subject or "", issuer)
        made = Person(
            person_id=uuid4(),
            login=login,
            name=name,
            email=address,
            issuer=None if subject is None else issuer,
            subject=subject,
            state=rules.ACTIVE,
            created_at=self._context.now(),
            created_by=actor,
            signed_in_at=None,
        )

        def change(connection: Connection) -> Known:
            self._add(connection, made)
            self._context.audit(connection, actor, "person.invite", login, {"person_id": str(made.person_id)})
            if granted is not None:
                self._grant(connection, Known(made, ()), granted, actor)
            return _known(connection, made)

        return self._context.records.write(change)

    def grant(self, person_id: UUID, wanted: Wanted, *, actor: str) -> Grant:
        """Grant a role.

        Raises:
            InvalidArgumentError: no such role, or an organisation without its catalog.
            NotFoundError: no such person or catalog.
            ConflictError: it is granted already, or the person has as many grants as one may have.
        """

        def change(connection: Connection) -> Grant:
            found = _known(connection, _person_or_raise(connection, person_id))
            return self._grant(connection, found, wanted, actor)

        return self._context.records.write(change)

    def _grant(self, connection: Connection, found: Known, wanted: Wanted, actor: str) -> Grant:
        if wanted.role not in rules.ROLES:
            raise InvalidArgumentError(
                f"role: expected {', '.join(rules.ROLES)}, got {wanted.role!r:.40}",
                remedy="Use one of the three roles.",
            )
        if wanted.organisation is not None and wanted.catalog is None:
            raise InvalidArgumentError(
                "organisation: expected a catalog as well", remedy="Name the organisation's catalog."
            )
        only = None if wanted.catalog is None else catalog_or_raise(connection, wanted.catalog)
        made = Grant(
            grant_id=uuid4(),
            person_id=found.person.person_id,
            role=wanted.role,
            catalog_id=None if only is None else only.catalog_id,
            organisation=wanted.organisation,
            origin=rules.BY_ADMINISTRATOR,
            created_at=self._context.now(),
            created_by=actor,
        )
        if any(_what(each) == _what(made) and each.origin == made.origin for each in found.grants):
            raise ConflictError("this is granted already", remedy="See what is: armillary person show.")
        if len(found.grants) >= rules.MAX_GRANTS:
            raise ConflictError(
                f"the person has {len(found.grants)} grants, of {rules.MAX_GRANTS} at most",
                remedy="Revoke one first, or grant a role of a whole catalog.",
            )
        rows.add_grant(connection, made)
        detail = {
            "role": wanted.role,
            "catalog": None if only is None else only.name,
            "organisation": wanted.organisation,
        }
        self._audit(connection, actor, "person.grant", found.person, made, detail)
        return made

    def revoke(self, person_id: UUID, grant_id: UUID, *, actor: str) -> None:
        """Take a grant back; sessions that act by it end now.

        Raises:
            NotFoundError: no such person, or no such grant of the person.
            ConflictError: it is what groups of the provider grant.
        """

        def change(connection: Connection) -> None:
            found = _known(connection, _person_or_raise(connection, person_id))
            grant = next((each for each in found.grants if each.grant_id == grant_id), None)
            if grant is None:
                raise NotFoundError(
                    f"{found.person.login} has no grant {grant_id}", remedy="See them: armillary person show."
                )
            if grant.origin == rules.BY_PROVIDER:
                raise ConflictError(
                    "the provider's groups grant this, and would again at the next sign-in",
                    remedy="Take the person out of the group there, change oidc_grants, or disable the person.",
                )
            rows.remove_grant(connection, grant_id)
            self._audit(connection, actor, "person.revoke", found.person, grant, {"role": grant.role})

        self._context.records.write(change)
        self._sessions.end(lambda each: each.operator.grant_id == str(grant_id))

    def set_state(self, person_id: UUID, state: str, *, actor: str) -> Known:
        """Disable a person, whose sessions end now, or enable one again.

        Raises:
            NotFoundError: no such person.
            ConflictError: the person is that already.
        """

        def change(connection: Connection) -> Known:
            found = _person_or_raise(connection, person_id)
            if found.state == state:
                raise ConflictError(f"{found.login} is {state} already", remedy="Nothing needs to be done.")
            rows.change(connection, person_id, state=state)
            verb = "disable" if state == rules.DISABLED else "enable"
            self._context.audit(connection, actor, f"person.{verb}", found.login, {"person_id": str(person_id)})
            return _known(connection, replace(found, state=state))

        changed = self._context.records.write(change)
        self._end(person_id)
        return changed

    def remove(self, person_id: UUID, *, actor: str) -> None:
        """Delete a person with all grants and sessions; the audit log keeps the login. Raises NotFoundError."""

        def change(connection: Connection) -> None:
            found = _person_or_raise(connection, person_id)
            rows.remove(connection, person_id)
            table_views.forget(connection, person_id)
            self._context.audit(connection, actor, "person.remove", found.login, {"person_id": str(person_id)})

        self._context.records.write(change)
        self._end(person_id)

    def standing(self, person_id: UUID, grant_id: UUID) -> tuple[Person, Grant] | None:
        """A person and a grant as they are now; None where the person is disabled or gone, or the grant is."""

        def read(connection: Connection) -> tuple[Person, Grant] | None:
            found = rows.by_id(connection, person_id)
            if found is None or found.state != rules.ACTIVE:
                return None
            mine = rows.grants_of(connection, person_id)
            return next(((found, each) for each in mine if each.grant_id == grant_id), None)

        return self._context.records.read(read)

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
            self._follow(connection, found, mapped)
            known = _known(connection, replace(found, signed_in_at=now, name=name))
            if known.grants:
                self._context.audit(
                    connection, found.login, "person.sign-in", found.login, {"person_id": str(found.person_id)}
                )
            elif tied is None:  # no row is made of a stranger whose groups grant nothing that is there
                raise _granted_nothing(found.login)
            return known

        known = self._context.records.write(change)
        if not known.grants:  # after the commit: what groups grant no longer is gone
            raise _granted_nothing(known.person.login)
        return known

    def end_session(self, session_id: UUID, *, actor: str, owner: str | None = None) -> None:
        """End a session of the console; with ``owner`` only one of that person or token. Raises NotFoundError."""
        ended = self._sessions.end(lambda each: each.session_id == session_id and owner in (None, each.operator.owner))
        if not ended:
            raise NotFoundError(f"session {session_id} is not open", remedy="List them: armillary session list.")
        detail = {"session_id": str(session_id)}
        self._context.records.write(
            lambda c: self._context.audit(c, actor, "session.end", ended[0].operator.name, detail)
        )

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
        try:
            self._add(connection, made)
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
        for grant in rows.grants_of(connection, found.person_id):
            if grant.origin == rules.BY_PROVIDER and wanted.pop(_what(grant), None) is None:
                rows.remove_grant(connection, grant.grant_id)
                self._audit_group(connection, "person.revoke", found, grant)
        for role, catalog_id, organisation in wanted:
            made = Grant(
                grant_id=uuid4(),
                person_id=found.person_id,
                role=role,
                catalog_id=catalog_id,
                organisation=organisation,
                origin=rules.BY_PROVIDER,
                created_at=self._context.now(),
                created_by="oidc_grants",
            )
            rows.add_grant(connection, made)
            self._audit_group(connection, "person.grant", found, made)

    def _audit_group(self, connection: Connection, action: str, found: Person, grant: Grant) -> None:
        self._audit(connection, "oidc_grants", action, found, grant, {"role": grant.role})

    def _add(self, connection: Connection, made: Person) -> None:
        """Store a person under a login that stands for nobody else in the audit log."""
        login = made.login.lower()
        if rows.by_login(connection, login) or (made.email and rows.by_email(connection, made.email)):
            raise ConflictError(f"{made.login} is known here already", remedy="See who: armillary person list.")
        if made.issuer and made.subject and rows.by_subject(connection, made.issuer, made.subject):
            raise ConflictError(f"{made.subject} is known here already", remedy="See who: armillary person list.")
        if any(each.name.lower() == login for each in token_rows.every(connection)):
            raise ConflictError(
                f"a token is called {made.login}, and the audit log could not tell them apart",
                remedy="Make that token again under another name, and revoke it: armillary token list.",
            )
        if rows.count(connection) >= MAX_PEOPLE:
            raise ConflictError(f"there are {MAX_PEOPLE} people", remedy="Remove some: armillary person remove.")
        rows.add(connection, made)

    def _audit(
        self,
        connection: Connection,
        actor: str,
        operation: str,
        who: Person,
        grant: Grant,
        detail: dict[str, str | None],
    ) -> None:
        said = {name: value for name, value in detail.items() if value is not None}
        self._context.audit(connection, actor, operation, who.login, {"grant_id": str(grant.grant_id), **said})

    def _end(self, person_id: UUID) -> None:
        self._sessions.end(lambda each: each.operator.person_id == str(person_id))


def _granted_nothing(login: str) -> SignInRefusedError:
    return SignInRefusedError(
        f"{login} is granted nothing here",
        remedy=f"An administrator can grant a role: armillary person grant --person {quote(login)}.",
        code=NOT_KNOWN,
    )


def _check_invited(email: str | None, subject: str | None, name: str) -> None:
    """Raise InvalidArgumentError unless it is one of an address and a subject, and a name that can be shown."""
    if (email is None) == (subject is None):
        raise InvalidArgumentError(
            "person: expected an address or a subject, and not both", remedy="Give the one that the provider knows."
        )
    if email is not None and not rules.is_email(email):
        raise InvalidArgumentError(f"email: expected an address, got {email!a:.80}", remedy="Correct it.")
    if subject is not None and not is_subject(subject):
        raise InvalidArgumentError(
            f"subject: expected 1 to {MAX_SUBJECT_CHARS} printable ASCII characters, got {subject!a:.80}",
            remedy="Copy what the provider calls the person's subject or object id.",
        )
    if name:
        check_given_name(name, "name")
    if len(name) > rules.MAX_NAME_CHARS:
        raise InvalidArgumentError(
            f"name: expected {rules.MAX_NAME_CHARS} characters at most, got {len(name)}", remedy="Shorten it."
        )


def _what(grant: Grant) -> tuple[str, UUID | None, str | None]:
    return grant.role, grant.catalog_id, grant.organisation


def _known(connection: Connection, found: Person) -> Known:
    return Known(found, rows.grants_of(connection, found.person_id))


def _person_or_raise(connection: Connection, person_id: UUID) -> Person:
    found = rows.by_id(connection, person_id)
    if found is None:
        raise NotFoundError(f"person {person_id} does not exist", remedy="List them: armillary person list.")
    return found
