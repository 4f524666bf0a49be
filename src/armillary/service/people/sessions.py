# SPDX-License-Identifier: Apache-2.0
"""Who is signed in to the console. A session lives in this process, is bound to one token or person and ends with it.

The browser holds only a random name of the session (256 bits); no token or password is kept here or sent back: the
session keeps the ids of token or person and grant, and every request asks the records whether these still stand.
A restart of the process ends all sessions: people sign in again.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid4

from armillary.identity.signed_in import SignedIn

# A night shift, and not the week after it.
IDLE_S: Final = 8 * 3600
LIFETIME_S: Final = 24 * 3600
# One sign-in costs about a kilobyte; a script that signs in without end must not eat the process.
MAX_SESSIONS: Final = 10_000
# Of the people of one catalog: who signs in without end there ends sessions of that catalog, and nobody else's.
MAX_SESSIONS_OF_CATALOG: Final = 1000
NAME_BYTES: Final = 32
# What is kept of a browser's name: enough to tell a phone from a laptop.
MAX_BROWSER_CHARS: Final = 200

# How somebody signed in.
BY_TOKEN: Final = "token"  # noqa: S105 - a word
BY_PROVIDER: Final = "provider"
BY_PASSKEY: Final = "passkey"  # and a token
BY_RECOVERY: Final = "recovery-code"  # and a token


@dataclass(frozen=True, slots=True)
class From:
    """Where a session was begun, and how: what tells people whether it was they."""

    address: str = ""  # The peer's, which is a proxy's where one stands before the console
    browser: str = ""  # As it names itself
    method: str = BY_TOKEN


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser: who, since when, last seen when (Unix seconds), from where."""

    operator: SignedIn
    started: int
    seen: int
    session_id: UUID
    begun: From


class Sessions:
    """The table of sessions, keyed by the hash of the cookie so that a memory dump is no set of keys."""

    def __init__(self) -> None:
        self._open: dict[bytes, Session] = {}
        self._lock = threading.Lock()

    def open(self, operator: SignedIn, now: int, begun: From | None = None) -> str:
        """Start a session and return the cookie's value. Always a new name: none is taken from the browser."""
        name = secrets.token_urlsafe(NAME_BYTES)
        with self._lock:
            self._make_room(operator.catalog)
            self._open[_key(name)] = Session(operator, now, now, uuid4(), begun or From())
        return name

    def find(self, name: str, now: int) -> Session | None:
        """The session of a cookie, or None when there is none or its time is over."""
        with self._lock:
            session = self._open.get(_key(name))
            if session is None:
                return None
            if _is_over(session, now):
                del self._open[_key(name)]
                return None
            self._open[_key(name)] = replace(session, seen=now)
            return session

    def act_as(self, name: str, operator: SignedIn) -> str:
        """Have a session go on as ``operator``, the same person by another grant; returns the cookie's new value.

        Forms that were opened under the grant before are of another name, and are refused.
        """
        fresh = secrets.token_urlsafe(NAME_BYTES)
        with self._lock:
            session = self._open.pop(_key(name), None)
            if session is not None:
                self._open[_key(fresh)] = replace(session, operator=operator)
        return fresh

    def close(self, name: str) -> None:
        """End a session; an unknown name is no error."""
        with self._lock:
            self._open.pop(_key(name), None)

    def list(self, now: int) -> tuple[Session, ...]:
        """All sessions that are open, the one that was used last first."""
        with self._lock:
            for key in [key for key, each in self._open.items() if _is_over(each, now)]:
                del self._open[key]
            return tuple(sorted(self._open.values(), key=lambda each: each.seen, reverse=True))

    def end(self, which: Callable[[Session], bool]) -> tuple[Session, ...]:
        """End those of which ``which`` is true; returns them."""
        with self._lock:
            found = {key: each for key, each in self._open.items() if which(each)}
            for key in found:
                del self._open[key]
        return tuple(found.values())

    def end_of_token(self, token_id: UUID) -> None:
        """End the sessions that a token has opened."""
        self.end(lambda each: each.operator.token_id == str(token_id))

    def __len__(self) -> int:
        return len(self._open)

    def _make_room(self, catalog: UUID | None) -> None:
        """End the session that was not used for longest, where there are too many of a catalog, or of all."""
        ends = None
        if catalog is not None:
            own = [key for key, each in self._open.items() if each.operator.catalog == catalog]
            ends = own if len(own) >= MAX_SESSIONS_OF_CATALOG else None
        if ends is None and len(self._open) >= MAX_SESSIONS:
            of_catalogs = [key for key, each in self._open.items() if each.operator.catalog is not None]
            ends = of_catalogs or list(self._open)
        if ends:
            del self._open[min(ends, key=lambda key: self._open[key].seen)]


def _is_over(session: Session, now: int) -> bool:
    return now - session.seen > IDLE_S or now - session.started > LIFETIME_S


def _key(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
