# SPDX-License-Identifier: Apache-2.0
"""Who is signed in. A session lives in this process, is bound to one operator token and ends with it.

The browser holds only a random name of the session (256 bits); the token itself is never kept here or sent back:
the session keeps the token's id, and every request asks the service whether that token still stands.
A restart of the process ends all sessions: people sign in again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass, replace
from uuid import UUID

from armillary.console.sources.signed_in import SignedIn

# A night shift, and not the week after it.
IDLE_S = 8 * 3600
LIFETIME_S = 24 * 3600
# One sign-in costs about 300 bytes; a script that signs in without end must not eat the process.
MAX_SESSIONS = 10_000
# Of the people of one catalog: who signs in without end there ends sessions of that catalog, and nobody else's.
MAX_SESSIONS_OF_CATALOG = 1000
NAME_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser: who, since when, last seen when (Unix seconds)."""

    operator: SignedIn
    started: int
    seen: int


class Sessions:
    """The table of sessions, keyed by the hash of the cookie so that a memory dump is no set of keys."""

    def __init__(self) -> None:
        self._open: dict[bytes, Session] = {}
        self._lock = threading.Lock()

    def open(self, operator: SignedIn, now: int) -> str:
        """Start a session and return the cookie's value. Always a new name: none is taken from the browser."""
        name = secrets.token_urlsafe(NAME_BYTES)
        with self._lock:
            self._make_room(operator.catalog)
            self._open[_key(name)] = Session(operator, now, now)
        return name

    def find(self, name: str, now: int) -> Session | None:
        """The session of a cookie, or None when there is none or its time is over."""
        with self._lock:
            session = self._open.get(_key(name))
            if session is None:
                return None
            if now - session.seen > IDLE_S or now - session.started > LIFETIME_S:
                del self._open[_key(name)]
                return None
            self._open[_key(name)] = replace(session, seen=now)
            return session

    def close(self, name: str) -> None:
        """End a session; an unknown name is no error."""
        with self._lock:
            self._open.pop(_key(name), None)

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


class FormSeal:
    """CSRF tokens: an HMAC of the browser's cookie under a key that only this process knows."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def token(self, cookie: str) -> str:
        """The token that a form of this browser carries."""
        return hmac.new(self._key, b"form:" + cookie.encode(), hashlib.sha256).hexdigest()

    def holds(self, cookie: str, token: str) -> bool:
        """Whether the form's token belongs to the cookie. Constant time; an empty cookie has no token."""
        return bool(cookie) and hmac.compare_digest(self.token(cookie).encode(), token.encode())


def _key(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
