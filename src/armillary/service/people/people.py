# SPDX-License-Identifier: Apache-2.0
"""Named people: invited by an administrator, or let in by what a setting grants to their groups.

Who speaks for all catalogs does this for everybody; an administrator of one catalog for the people of that catalog
(``known.py`` says what is seen, ``granting.py`` what is granted). Inviting somebody there who is known elsewhere
answers as for somebody new, and ending somebody there leaves what others granted as it is.

Each change writes its audit line in its transaction, and ends the sessions that it makes void.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.people import people as rows
from armillary.engines.records.people.people import Grant, Person
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.identity import person as rules
from armillary.identity.operator import Operator
from armillary.service.context.context import Context
from armillary.service.people import sign_in
from armillary.service.people.granting import Granting, Wanted, by_groups, catalog_within, check_may_grant
from armillary.service.people.known import Known, delete, everybody, known, meant, shown
from armillary.service.people.sessions import Session, Sessions
from armillary.service.people.sign_in import SignIns
from armillary.wire.sign_in.id_token import MAX_SUBJECT_CHARS, is_subject
from armillary.wire.text.given_text import check_given_name


class People:
    """Lists, invites, grants, disables; ``sign_ins`` says who came back from the provider."""

    def __init__(self, context: Context, sessions: Sessions) -> None:
        self._context = context
        self._sessions = sessions
        self._granting = Granting(context)
        self.sign_ins = SignIns(context, self._granting)

    def list(self, by: Operator) -> tuple[Known, ...]:
        """Everybody whom the operator may see, by login."""
        return self._context.records.read(lambda c: everybody(c, by.catalog))

    def organisations(self) -> frozenset[str]:
        """The organisations in which somebody is granted something."""
        grants = self._context.records.read(rows.every_grant)
        return frozenset(each.organisation for each in grants if each.organisation is not None)

    def get(self, person_id: UUID, *, by: Operator) -> Known:
        """A person. Raises NotFoundError."""
        return self._context.records.read(lambda c: shown(c, meant(c, person_id, by.catalog), by.catalog))

    def ids_in(self, catalog_id: UUID) -> dict[UUID, UUID]:
        """What a catalog's administrators call its people by: the id of each person -> its id there."""
        entries = self._context.records.read(lambda c: rows.entries_in(c, catalog_id))
        return {each.person_id: each.entry_id for each in entries}

    def invite(
        self,
        *,
        by: Operator,
        email: str | None = None,
        subject: str | None = None,
        name: str = "",
        granted: Wanted | None = None,
    ) -> Known:
        """Let somebody sign in whom the provider knows by an address or a subject, with a first grant if one is given.

        Raises:
            InvalidArgumentError: neither or both are given, one is no such, or the service has no provider; of one
                catalog, a name is given or no grant.
            PermissionDeniedError: the operator may not grant that.
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
        made = Person(
            person_id=uuid4(),
            login=address or rules.login_of(subject or "", issuer),
            name=name,
            email=address,
            issuer=None if subject is None else issuer,
            subject=subject,
            state=rules.ACTIVE,
            created_at=self._context.now(),
            created_by=by.name,
            signed_in_at=None,
            invited_for=by.catalog,
        )
        if by.catalog is not None:
            return self._invite_into(by.catalog, made, granted, by)

        def change(connection: Connection) -> Known:
            sign_in.add(connection, made)
            self._context.audit(connection, by.name, "person.invite", made.login, {"person_id": str(made.person_id)})
            if granted is not None:
                self._granting.grant(connection, Known(made, ()), granted, by=by)
            return known(connection, made)

        return self._context.records.write(change)

    def _invite_into(self, catalog_id: UUID, made: Person, granted: Wanted | None, by: Operator) -> Known:
        """Have a catalog know somebody, who may be known elsewhere: the answer is the same."""
        check_may_grant(by)
        if made.name:
            raise InvalidArgumentError(
                "name: expected none from an administrator of one catalog",
                remedy="Leave it out: the provider says it when the person signs in.",
            )
        if granted is None:
            raise InvalidArgumentError(
                "role: expected one, as a catalog's people are those who are granted something there",
                remedy="Say what the person may do there: Reader, Contributor or Administrator.",
            )

        def change(connection: Connection) -> Known:
            found = self._of_provider(connection, made)
            if found is None:
                found = _under_free_login(connection, made)
                sign_in.add(connection, found)
            whole = known(connection, found)
            if whole.in_catalog(catalog_id) is not None:
                raise ConflictError(
                    f"{made.login} is known here already", remedy="Grant the person a role: armillary person grant."
                )
            detail = {"person_id": str(found.person_id), "catalog_id": str(catalog_id)}
            self._context.audit(connection, by.name, "person.invite", found.login, detail)
            self._granting.grant(connection, whole, granted, by=by, known_as=made.login)
            return shown(connection, found, catalog_id)

        return self._context.records.write(change)

    def _of_provider(self, connection: Connection, made: Person) -> Person | None:
        """Who is known already by the address or the subject of an invitation."""
        if made.email is not None:
            return rows.by_email(connection, made.email)
        return rows.by_subject(connection, made.issuer or "", made.subject or "")

    def granted_in(self, catalog: str | None, *, by: Operator) -> None:
        """Raise unless the operator may grant a role in a catalog, or in all (None): see ``catalog_within``."""
        self._context.records.read(lambda c: catalog_within(c, catalog, by))

    def grant(self, person_id: UUID, wanted: Wanted, *, by: Operator) -> Grant:
        """Grant a role.

        Raises:
            InvalidArgumentError: no such role, or an organisation without its catalog.
            PermissionDeniedError: the operator may not grant that.
            NotFoundError: no such person or catalog.
            ConflictError: it is granted already, or the person has as many grants as one may have.
        """

        def change(connection: Connection) -> Grant:
            found = known(connection, meant(connection, person_id, by.catalog))
            return self._granting.grant(connection, found, wanted, by=by)

        return self._context.records.write(change)

    def revoke(self, person_id: UUID, grant_id: UUID, *, by: Operator) -> None:
        """Take a grant back; sessions that act by it end now.

        Raises:
            NotFoundError: no such person, or no such grant of the person.
            ConflictError: it is what groups of the provider grant.
        """

        def change(connection: Connection) -> None:
            found = meant(connection, person_id, by.catalog)
            seen = shown(connection, found, by.catalog)
            grant = next((each for each in seen.grants if each.grant_id == grant_id), None)
            if grant is None:
                raise NotFoundError(
                    f"{seen.person.login} has no grant {grant_id}", remedy="See them: armillary person show."
                )
            _check_not_of_groups((grant,))
            self._granting.take(connection, found, grant)
            self._granting.audit(connection, by.name, "person.revoke", found, grant, {"role": grant.role})
            self._forget(connection, found, by)

        self._context.records.write(change)
        self._sessions.end(lambda each: each.operator.grant_id == str(grant_id))

    def set_state(self, person_id: UUID, state: str, *, by: Operator) -> Known:
        """Disable a person, whose sessions end now, or enable one again.

        Raises:
            PermissionDeniedError: by somebody of one catalog, as it is about all that the person may do.
            NotFoundError: no such person.
            ConflictError: the person is that already.
        """
        if by.catalog is not None:
            raise PermissionDeniedError(
                f"{by.name} is for one catalog, and this ends what a person may do in all of them",
                remedy="Remove the person from the catalog, or ask an administrator of all catalogs.",
            )

        def change(connection: Connection) -> Known:
            found = meant(connection, person_id, None)
            if found.state == state:
                raise ConflictError(f"{found.login} is {state} already", remedy="Nothing needs to be done.")
            rows.change(connection, found.person_id, state=state)
            verb = "disable" if state == rules.DISABLED else "enable"
            self._context.audit(connection, by.name, f"person.{verb}", found.login, {"person_id": str(found.person_id)})
            return known(connection, replace(found, state=state))

        changed = self._context.records.write(change)
        self._end(changed.person.person_id)
        return changed

    def remove(self, person_id: UUID, *, by: Operator) -> None:
        """Delete a person with all grants and sessions; the audit log keeps the login.

        By somebody of one catalog it is about that catalog alone: its grants, and the sessions that act by them.

        Raises:
            NotFoundError: no such person.
            ConflictError: of one catalog, where groups of the provider grant something.
        """

        def change(connection: Connection) -> tuple[Person, frozenset[str]]:
            found = meant(connection, person_id, by.catalog)
            grants = shown(connection, found, by.catalog).grants
            detail = {"person_id": str(found.person_id)}
            if by.catalog is None:
                delete(connection, found.person_id)
            else:
                _check_not_of_groups(grants)
                for each in grants:
                    self._granting.take(connection, found, each)
                self._forget(connection, found, by)
                detail |= {"catalog_id": str(by.catalog)}
            self._context.audit(connection, by.name, "person.remove", found.login, detail)
            return found, frozenset(str(each.grant_id) for each in grants)

        removed, grants = self._context.records.write(change)
        if by.catalog is None:
            self._end(removed.person_id)
        else:
            self._sessions.end(lambda each: each.operator.grant_id in grants)

    def _forget(self, connection: Connection, found: Person, by: Operator) -> None:
        """Delete somebody whom an administrator of one catalog invited, once nobody grants the person anything.

        A disabled person stays, so that no second invitation undoes that.
        """
        is_left = by.catalog is not None and found.invited_for is not None and found.state == rules.ACTIVE
        if is_left and not rows.grants_of(connection, found.person_id):
            delete(connection, found.person_id)

    def sessions(self, *, by: Operator, owner: str | None = None) -> tuple[Session, ...]:
        """Sessions that the operator may see, the one used last first; with ``owner`` those of one person or token."""
        found = self._sessions.list(self._context.now())
        return tuple(each for each in found if _is_seen(each, by, owner))

    def end_session(self, session_id: UUID, *, by: Operator, owner: str | None = None) -> None:
        """End a session of the console; with ``owner`` only one of that person or token. Raises NotFoundError."""
        ended = self._sessions.end(lambda each: each.session_id == session_id and _is_seen(each, by, owner))
        if not ended:
            raise NotFoundError(f"session {session_id} is not open", remedy="List them: armillary session list.")
        detail = {"session_id": str(session_id)}
        self._context.records.write(
            lambda c: self._context.audit(c, by.name, "session.end", ended[0].operator.name, detail)
        )

    def _end(self, person_id: UUID) -> None:
        self._sessions.end(lambda each: each.operator.person_id == str(person_id))


def _is_seen(session: Session, by: Operator, owner: str | None) -> bool:
    """Whether a session is one's own where that is asked, and else acts for the operator's catalog."""
    if owner is not None:
        return session.operator.owner == owner
    return by.catalog in (None, session.operator.catalog)


def _under_free_login(connection: Connection, made: Person) -> Person:
    """Somebody new under a login that is free: that it is somebody else's is not told to who speaks for one catalog."""
    is_free = rows.by_login(connection, made.login) is None and not sign_in.is_a_token(connection, made.login)
    return made if is_free else replace(made, login=sign_in.other_login(made.login))


def _check_not_of_groups(grants: tuple[Grant, ...]) -> None:
    if by_groups(grants):
        raise ConflictError(
            "the provider's groups grant this, and would again at the next sign-in",
            remedy="Take the person out of the group there, change oidc_grants, or disable the person.",
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
