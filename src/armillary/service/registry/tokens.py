# SPDX-License-Identifier: Apache-2.0
"""Operator tokens: who may use the operator API, in which role.

=============  ==========================================================================================
role           may
=============  ==========================================================================================
Reader         read everything but secrets
Contributor    also make, change, claim, deploy, roll out, revoke, acknowledge
Administrator  also delete catalogs, make and revoke tokens, raise security floors
=============  ==========================================================================================

A token may be for one catalog: then it reaches that catalog and the devices in it (``api/http/scope.py``). Inside a
catalog it may be for one organisation: then it reaches single devices of that organisation and nothing else.

A secret is ``arm_`` and 256 random bits; only its SHA-256 is stored. The first start makes one administrator token.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from hashlib import sha256
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.people import people, table_views
from armillary.engines.records.queries import tokens as token_rows
from armillary.engines.records.schema.rows import ROLES, NewToken, Token
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, UnauthenticatedError
from armillary.service.context.context import Context
from armillary.service.registry.names import catalog_or_raise
from armillary.wire.text.given_text import check_given_name

SECRET_PREFIX = "arm_"  # noqa: S105 - tells secret scanners what they found
SECRET_BYTES = 32
MAX_NAME_LENGTH = 64

# Actors in the audit log of what was done without a token.
SERVICE_ACTORS = frozenset(("authority", "bridge", "host", "planner", "schedule", "service", "simulation", "watch"))

# Playbooks act by this and their name (service/response/playbooks.py).
PLAYBOOK_ACTORS = "playbook "

# last_used_at is written at most this often per token: a read must not cost a disk write each time.
USE_NOTED_EVERY_S = 60
# Tokens cached between requests; a revoked one is dropped at once.
MAX_CACHED = 1024


class Tokens:
    """Makes, lists, revokes and checks operator tokens."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._cached: dict[bytes, Token] = {}
        self.on_revoked: list[Callable[[UUID], None]] = []
        self._revocations = 0  # what was read before one is not cached after it

    def create(
        self,
        name: str,
        role: str,
        *,
        actor: str,
        expires_at: int | None = None,
        catalog: str | None = None,
        organisation: str | None = None,
        maker: Token | None = None,
    ) -> NewToken:
        """Make a token; its secret is in the answer and nowhere else.

        It ends at ``expires_at`` (Unix seconds). It is for one ``catalog`` (all when None), in it for one
        ``organisation``, of which the caller has checked that it exists. ``maker`` is the token of one catalog that
        makes it, if one does: the new one ends no later, and takes no name that the audit log knows as that of the
        service or of a token of all catalogs.

        Raises:
            InvalidArgumentError: name, role or expiry.
            ConflictError: the name is taken.
            NotFoundError: no such catalog.
        """
        now = self._context.now()
        if not 1 <= len(name) <= MAX_NAME_LENGTH or not name.isprintable():
            raise InvalidArgumentError(
                f"token name: expected 1 to {MAX_NAME_LENGTH} printable characters, got {name!r:.80}",
                remedy="Name the token after who or what uses it.",
            )
        check_given_name(name, "token name")
        if role not in ROLES:
            raise InvalidArgumentError(
                f"role: expected {', '.join(ROLES)}, got {role!r:.40}", remedy="Use one of the three roles."
            )
        if expires_at is not None and expires_at <= now:
            raise InvalidArgumentError(
                f"expires_at: expected a time after {now}, got {expires_at}", remedy="Use a time in the future."
            )
        if maker is not None and maker.expires_at is not None and (expires_at is None or expires_at > maker.expires_at):
            raise InvalidArgumentError(
                f"expires_at: expected {maker.expires_at} at most, when the token {maker.name!r:.80} itself ends",
                remedy="Let it end earlier, or use a token that lasts.",
            )
        if organisation is not None and catalog is None:
            raise InvalidArgumentError(
                "organisation: expected a catalog as well", remedy="Name the organisation's catalog."
            )
        secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)

        def change(connection: Connection) -> Token:
            only = None if catalog is None else catalog_or_raise(connection, catalog)
            made = Token(
                token_id=uuid4(),
                name=name,
                role=role,
                created_at=now,
                created_by=actor,
                expires_at=expires_at,
                last_used_at=None,
                revoked_at=None,
                catalog_id=None if only is None else only.catalog_id,
                organisation=organisation,
            )
            if maker is not None:
                _check_name(connection, made)
            elif people.by_login(connection, name) is not None:
                raise _name_taken(name)
            token_rows.add(connection, made, _hash(secret))
            limits = {"catalog": None if only is None else only.name, "organisation": organisation}
            detail = {"name": name, "role": role} | {each: value for each, value in limits.items() if value is not None}
            self._context.audit(connection, actor, "token.create", str(made.token_id), detail)
            return made

        return NewToken(token=self._context.records.write(change), secret=secret)

    def list(self) -> tuple[Token, ...]:
        """All tokens, revoked ones too, oldest first."""
        return self._context.records.read(token_rows.every)

    def revoke(self, token_id: UUID, *, actor: str) -> Token:
        """Revoke a token; the next request with it is refused.

        Raises:
            NotFoundError: no such token.
            ConflictError: it is the last administrator token.
        """
        now = self._context.now()

        def change(connection: Connection) -> Token:
            token = token_rows.by_id(connection, token_id)
            if token is None:
                raise NotFoundError(f"token {token_id} does not exist", remedy="List them: armillary token list.")
            others = [
                one
                for one in token_rows.every(connection)
                if one.token_id != token_id and _rules(one) and _is_valid(one, now)
            ]
            if _rules(token) and not others:
                raise ConflictError(
                    "this is the last administrator token", remedy="Make another administrator token first."
                )
            token_rows.revoke(connection, token_id, now=now)
            table_views.forget(connection, token_id)
            self._context.audit(connection, actor, "token.revoke", str(token_id), {"name": token.name})
            return token_rows.by_id(connection, token_id) or token

        token = self._context.records.write(change)
        with self._lock:
            self._revocations += 1
            self._cached.clear()
        for told in self.on_revoked:
            told(token_id)
        return token

    def authenticate(self, secret: str) -> Token:
        """The token a secret belongs to; the caller keeps a token of one catalog to that catalog.

        UnauthenticatedError if it is unknown, revoked or expired; the message does not say which.
        """
        now = self._context.now()
        digest = _hash(secret)
        with self._lock:
            token, revocations = self._cached.get(digest), self._revocations
        if token is None:
            token = self._context.records.read(lambda c: token_rows.by_hash(c, digest))
        if token is None or not _is_valid(token, now):
            raise UnauthenticatedError("the token is not valid")
        is_noted = token.last_used_at is None or now - token.last_used_at >= USE_NOTED_EVERY_S
        if is_noted:
            token = self._note_use(token.token_id, now)
        with self._lock:
            if is_noted or digest not in self._cached:
                if len(self._cached) >= MAX_CACHED:
                    self._cached.clear()
                if revocations == self._revocations:
                    self._cached[digest] = token
        return token

    def valid(self, token_id: UUID) -> Token | None:
        """The token of an id; None if there is none, or it is revoked or expired."""
        token = self._context.records.read(lambda c: token_rows.by_id(c, token_id))
        return token if token is not None and _is_valid(token, self._context.now()) else None

    def cached(self, secret: str) -> Token | None:
        """The valid token of a secret that was used before, without reading the records; None says nothing about it.

        It only tells known callers from unknown ones; :meth:`authenticate` is what authenticates.
        """
        with self._lock:
            token = self._cached.get(_hash(secret))
        return token if token is not None and _is_valid(token, self._context.now()) else None

    def _note_use(self, token_id: UUID, now: int) -> Token:
        def change(connection: Connection) -> Token:
            token_rows.used(connection, token_id, now=now)
            token = token_rows.by_id(connection, token_id)
            if token is None or not _is_valid(token, now):  # revoked between the read and this write
                raise UnauthenticatedError("the token is not valid")
            return token

        return self._context.records.write(change)


def _check_name(connection: Connection, made: Token) -> None:
    """Refuse a name that stands for somebody else in the audit log: a token of all catalogs, or the service.

    Names of another catalog's tokens are free: those do nothing in this one, and its owner must not learn of them.
    People have an ``@`` in theirs, so these names are refused without a look at who there is.
    """
    name = made.name.casefold()
    if "@" in name:
        raise InvalidArgumentError(
            f"token name: expected no @, got {made.name!r:.80}", remedy="Names with an @ are people's: choose another."
        )
    others = [each for each in token_rows.every(connection) if each.catalog_id is None]
    is_ours = name in SERVICE_ACTORS or name.startswith(PLAYBOOK_ACTORS)
    if is_ours or any(name in (each.name.casefold(), each.created_by.casefold()) for each in others):
        raise _name_taken(made.name)


def _name_taken(name: str) -> ConflictError:
    return ConflictError(f"the token name {name!r:.80} is taken", remedy="Choose another name.")


def _rules(token: Token) -> bool:
    """Whether it is an administrator token of all catalogs, which can make other tokens."""
    return token.role == "Administrator" and token.catalog_id is None


def _is_valid(token: Token, now: int) -> bool:
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)


def _hash(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
