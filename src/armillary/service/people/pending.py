# SPDX-License-Identifier: Apache-2.0
"""What a browser was asked for a passkey and has not answered yet: in memory, bounded, each used once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

# Longer than a browser waits for a person, and than a person looks for a key.
LIFETIME_S: Final = 300
# Each was begun with a valid token. Of one token, so that its holder ends none of others; of all, half a megabyte.
MAX_OF_TOKEN: Final = 16
MAX_PENDING: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A question to one browser.

    Attributes:
        token_id: For which token.
        challenge: Random, of this question alone.
        begun: Unix seconds.
        back: Path of the console that a sign-in leads to.
        tries: How often this sign-in was answered wrongly.
    """

    token_id: UUID
    challenge: bytes
    begun: int
    back: str = ""
    tries: int = 0


class PendingTable:
    """Questions by the name that only the asked browser knows; kept under its hash."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, Pending] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, name: str, pending: Pending) -> None:
        """Keep a question; the one that the browser had is void."""
        with self._lock:
            self._open.pop(_key(name), None)
            own = [key for key, each in self._open.items() if each.token_id == pending.token_id]
            if len(own) >= MAX_OF_TOKEN:
                del self._open[own[0]]
            while len(self._open) >= MAX_PENDING:
                self._open.popitem(last=False)
            self._open[_key(name)] = pending

    def look(self, name: str, now: int) -> Pending | None:
        """The question of a name, or None when there is none or its time is over."""
        with self._lock:
            return _standing(self._open.get(_key(name)), now)

    def take(self, name: str, now: int) -> Pending | None:
        """As :meth:`look`, and nobody gets it again."""
        with self._lock:
            return _standing(self._open.pop(_key(name), None), now)


def _standing(found: Pending | None, now: int) -> Pending | None:
    return None if found is None or not 0 <= now - found.begun <= LIFETIME_S else found


def _key(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
