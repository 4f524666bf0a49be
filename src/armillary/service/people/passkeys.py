# SPDX-License-Identifier: Apache-2.0
"""Passkeys: the second step of signing in to the console by a token. API and command line ask for none.

A token that has a passkey opens the console only together with one, or with a recovery code. The first passkey ends
the sessions that the token alone has opened, and makes the codes. Each step writes its audit line in its transaction.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.people import passkeys as rows
from armillary.engines.records.people.passkeys import Passkey
from armillary.engines.records.queries import tokens as token_rows
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.identity import recovery_code
from armillary.service.context.context import Context
from armillary.service.people.host_code import use_host_code
from armillary.service.people.pending import Pending, PendingTable
from armillary.service.people.sessions import BY_PASSKEY, BY_RECOVERY, Sessions
from armillary.wire.sign_in.faults import SignInRefusedError
from armillary.wire.text.given_text import check_given_name

# Two at hand, two in a safe, and some of a person's devices.
MAX_PASSKEYS: Final = 10
MAX_NAME_CHARS: Final = 64
# Wrong answers of one sign-in; then the token is asked for again.
MAX_TRIES: Final = 5
CHALLENGE_BYTES: Final = 32
_AGAIN: Final = "Sign in with your token again."


class Passed(NamedTuple):
    """A second step that was passed: for which token, where it leads, and how (``sessions.py``)."""

    token_id: UUID
    back: str
    method: str


class Passkeys:
    """Registers, lists and removes passkeys, and asks for them.

    Args:
        address: The console's address, ``https://HOST:PORT``, once it is known.
    """

    def __init__(self, context: Context, sessions: Sessions, address: Callable[[], str]) -> None:
        self._context = context
        self._sessions = sessions
        self._address = address
        self._registrations = PendingTable()
        self._sign_ins = PendingTable()

    def list(self, token_id: UUID) -> tuple[Passkey, ...]:
        """A token's passkeys, oldest first."""
        return self._context.records.read(lambda c: rows.of_token(c, token_id))

    def codes_left(self, token_id: UUID) -> int:
        """How many recovery codes of a token are unused."""
        return self._context.records.read(lambda c: rows.count_codes(c, token_id))

    def begin_registration(self, browser: str, token_id: UUID, user_name: str) -> dict[str, Any]:
        """What a browser makes a passkey of; its answer counts only with the same ``browser``, a session's cookie.

        Raises:
            ConflictError: the token has as many passkeys as one may have, or the console has no host name.
        """
        from armillary.wire.sign_in import passkey as wire  # noqa: PLC0415 - memory: few services have passkeys

        known = self.list(token_id)
        _check_room(len(known))
        party, challenge = wire.party_of(self._address()), secrets.token_bytes(CHALLENGE_BYTES)
        begun = Pending(token_id=token_id, challenge=challenge, begun=self._context.now())
        self._registrations.put(browser, begun)
        return wire.creation_options(
            party,
            challenge,
            user_id=_user_id(token_id),
            user_name=user_name,
            known=[each.credential_id for each in known],
        )

    def register(self, browser: str, token_id: UUID, *, name: str, answer: str, actor: str) -> tuple[str, ...]:
        """Keep the passkey of a browser's answer; returns recovery codes, which are shown once, with the first.

        The first ends all sessions of the token that were opened by it alone; ``browser``'s own goes on.

        Raises:
            InvalidArgumentError: the name.
            SignInRefusedError: the answer is not to the question of this browser, or wrong.
            ConflictError: there are too many, or it is registered already.
        """
        from armillary.wire.sign_in import passkey as wire  # noqa: PLC0415 - memory, as above

        _check_name(name)
        asked = self._registrations.take(browser, self._context.now())
        if asked is None or asked.token_id != token_id:
            raise SignInRefusedError(
                "this browser was not asked for a passkey, or too long ago",
                remedy="Begin again on your account's page.",
            )
        key = wire.verify_registration(answer, wire.party_of(self._address()), asked.challenge)
        made = Passkey(
            passkey_id=uuid4(),
            token_id=token_id,
            name=name,
            credential_id=key.credential_id,
            public_key=key.public_key,
            sign_count=key.sign_count,
            created_at=self._context.now(),
            used_at=None,
        )

        def change(connection: Connection) -> tuple[str, ...]:
            known = rows.of_token(connection, token_id)
            _check_room(len(known))
            if any(each.name == name for each in known):
                raise ConflictError(
                    f"a passkey of this token is called {name!r:.80} already", remedy="Choose another name."
                )
            if rows.by_credential(connection, made.credential_id) is not None:
                raise ConflictError("this passkey is registered already", remedy="Use another key or device.")
            rows.add(connection, made)
            self._audit(connection, actor, "passkey.register", token_id, name=name)
            return () if known else self._make_codes(connection, token_id)

        codes = self._context.records.write(change)
        if codes:
            mine = _session_key(self._sessions, browser, self._context.now())
            self._sessions.end(lambda each: each.operator.token_id == str(token_id) and each.session_id != mine)
        return codes

    def remove(self, token_id: UUID, passkey_id: UUID, *, actor: str) -> None:
        """Delete a passkey; with the last one the token alone opens the console again. Raises NotFoundError."""

        def change(connection: Connection) -> None:
            found = next((each for each in rows.of_token(connection, token_id) if each.passkey_id == passkey_id), None)
            if found is None:
                raise NotFoundError("this token has no such passkey", remedy="Reload your account's page.")
            rows.remove(connection, passkey_id)
            if not rows.of_token(connection, token_id):
                rows.set_codes(connection, token_id, ())
            self._audit(connection, actor, "passkey.remove", token_id, name=found.name)

        self._context.records.write(change)

    def new_codes(self, token_id: UUID, *, actor: str) -> tuple[str, ...]:
        """Make recovery codes, which are shown once; those before are void. ConflictError without a passkey."""

        def change(connection: Connection) -> tuple[str, ...]:
            if not rows.of_token(connection, token_id):
                raise ConflictError("this token has no passkey", remedy="Register one first.")
            self._audit(connection, actor, "passkey.recovery-codes", token_id)
            return self._make_codes(connection, token_id)

        return self._context.records.write(change)

    def begin_sign_in(self, token_id: UUID, back: str) -> str | None:
        """Ask for a passkey after a token; the name that the browser answers with, None for a token without one."""
        if not self.list(token_id):
            return None
        name = secrets.token_urlsafe(32)
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        begun = Pending(token_id=token_id, challenge=challenge, begun=self._context.now(), back=back)
        self._sign_ins.put(name, begun)
        return name

    def request(self, name: str) -> dict[str, Any] | None:
        """What the browser of a sign-in has a passkey sign; None where nothing was begun, or its time is over.

        Raises:
            ConflictError: the console has no host name.
        """
        from armillary.wire.sign_in import passkey as wire  # noqa: PLC0415 - memory, as above

        asked = self._sign_ins.look(name, self._context.now())
        if asked is None:
            return None
        known = [each.credential_id for each in self.list(asked.token_id)]
        return wire.request_options(wire.party_of(self._address()), asked.challenge, known)

    def finish(self, name: str, answer: str) -> Passed:
        """Pass the second step by a browser's answer, which is used up.

        Raises:
            SignInRefusedError: it is wrong, or nothing was begun by this browser.
        """
        from armillary.wire.sign_in import passkey as wire  # noqa: PLC0415 - memory, as above

        asked = self._take(name)
        token_id = asked.token_id

        def change(connection: Connection) -> None:
            known = rows.of_token(connection, token_id)
            keys = [wire.KnownKey(each.credential_id, each.public_key, each.sign_count) for each in known]
            key, count = wire.verify_assertion(
                answer, wire.party_of(self._address()), asked.challenge, known=keys, user_id=_user_id(token_id)
            )
            used = next(each for each in known if each.credential_id == key.credential_id)
            rows.used(connection, used.passkey_id, sign_count=count, now=self._context.now())
            self._audit(connection, None, "passkey.sign-in", token_id, name=used.name)

        try:
            self._context.records.write(change)
        except SignInRefusedError as error:
            self._refuse(name, asked, error.message)
            raise
        return Passed(token_id, asked.back, BY_PASSKEY)

    def recover(self, name: str, typed: str) -> Passed:
        """Pass the second step by a recovery code, which is used up: one of the token, or that of the host.

        Raises:
            SignInRefusedError: it is wrong or used, or nothing was begun by this browser.
        """
        asked = self._take(name)
        token_id, digest = asked.token_id, recovery_code.hash_of(typed)

        def change(connection: Connection) -> bool:
            if not rows.use_code(connection, token_id, digest):
                return False
            left = rows.count_codes(connection, token_id)
            self._audit(connection, None, "passkey.recover", token_id, by="code", left=left)
            return True

        if not self._context.records.write(change):
            if not use_host_code(self._context.folder.path, typed, self._context.now()):
                self._refuse(name, asked, "recovery code")
                raise SignInRefusedError(
                    "this recovery code is wrong, or was used before",
                    remedy="Each code opens the console once. Try another, or make one on the service's host.",
                )
            self._context.records.write(
                lambda c: self._audit(c, None, "passkey.recover", token_id, by="code of the host")
            )
        return Passed(token_id, asked.back, BY_RECOVERY)

    def _take(self, name: str) -> Pending:
        found = self._sign_ins.take(name, self._context.now())
        if found is None:
            raise SignInRefusedError("this browser has begun no sign-in, or too long ago", remedy=_AGAIN)
        return found

    def _refuse(self, name: str, asked: Pending, why: str) -> None:
        """Record a wrong answer, and ask the browser something new while it may try again."""
        self._context.records.write(lambda c: self._audit(c, None, "passkey.refuse", asked.token_id, reason=why[:200]))
        if asked.tries + 1 < MAX_TRIES and self.list(asked.token_id):
            challenge = secrets.token_bytes(CHALLENGE_BYTES)
            self._sign_ins.put(name, replace(asked, challenge=challenge, tries=asked.tries + 1))

    def _make_codes(self, connection: Connection, token_id: UUID) -> tuple[str, ...]:
        made = [
            recovery_code.code_of(secrets.token_bytes(recovery_code.CODE_BYTES)) for _ in range(recovery_code.CODES)
        ]
        rows.set_codes(connection, token_id, [recovery_code.hash_of(each) for each in made])
        return tuple(made)

    def _audit(
        self, connection: Connection, actor: str | None, operation: str, token_id: UUID, **detail: object
    ) -> None:
        """Write an audit line about a token; the token itself acts where nobody else does."""
        token = token_rows.by_id(connection, token_id)
        whose = "" if token is None else token.name
        said = {"token": whose, **detail}
        self._context.audit(connection, actor or whose, operation, str(token_id), said)


def _check_room(count: int) -> None:
    if count >= MAX_PASSKEYS:
        raise ConflictError(f"the token has {count} passkeys, of {MAX_PASSKEYS} at most", remedy="Remove one first.")


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise InvalidArgumentError(
            f"name: expected 1 to {MAX_NAME_CHARS} printable characters, got {name!r:.80}",
            remedy="Name the passkey after the key or device that has it.",
        )
    check_given_name(name, "name")


def _user_id(token_id: UUID) -> bytes:
    """The user handle (WebAuthn §5.4.3): neither a name nor the id of the token, as authenticators may show it."""
    return hashlib.sha256(b"armillary passkey user:" + token_id.bytes).digest()


def _session_key(sessions: Sessions, cookie: str, now: int) -> UUID | None:
    found = sessions.find(cookie, now)
    return None if found is None else found.session_id
