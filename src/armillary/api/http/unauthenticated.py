# SPDX-License-Identifier: Apache-2.0
"""Limits slow requests of unauthenticated peers: few of them are kept, and the oldest is dropped for a new one.

A request that is complete is answered at once and not counted here. Counted is one whose body has not arrived, or whose
answer the peer does not read. When an address has reached its limit, its own oldest request is dropped, so that it
takes nothing from others.

A request with a valid token that is not admitted yet counts against its token's catalog, or against the token where
that has none: those are limited, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from armillary.engines.quota import address_owner

# Of all addresses together: a sign-in form is a packet or two, so honest peers are counted for a moment only.
MAX_UNAUTHENTICATED: Final = 64
# Of one address, which a factory or an office may share: sign-in forms that arrive in the same instant.
MAX_UNAUTHENTICATED_OF_ADDRESS: Final = 16
# Requests with a valid token that are not admitted yet. Admission takes one look at the token, so the limits are those
# of requests in progress (callers.py): a quarter for one owner, half for all.
MAX_WITH_TOKEN: Final = 256
MAX_WITH_TOKEN_OF_OWNER: Final = 128


class SlowRequests:
    """Slow requests by address, or by owner of the token that they sent. Belongs to one event loop.

    ``shed`` is called for each that is dropped.
    """

    def __init__(
        self, shed: Callable[[], None], *, each: int = MAX_UNAUTHENTICATED_OF_ADDRESS, total: int = MAX_UNAUTHENTICATED
    ) -> None:
        self.total = total
        self.each = each
        self._shed = shed
        self._of: dict[str, dict[object, Callable[[], None]]] = {}  # each address's, oldest first
        self._address: dict[object, str] = {}  # oldest first

    def __len__(self) -> int:
        """How many requests are counted."""
        return len(self._address)

    def enter(self, connection: object, address: str, leave: Callable[[], None]) -> None:
        """Count a request, and drop the oldest one beyond a limit; counting one twice changes nothing.

        ``leave`` drops it at once.
        """
        if connection in self._address:
            return
        owner = address_owner(address)
        self._address[connection] = owner
        mine = self._of.setdefault(owner, {})
        mine[connection] = leave
        if len(mine) > self.each:
            self._drop_oldest(owner)
        elif len(self._address) > self.total:
            self._drop_oldest(max(self._of, key=lambda each: len(self._of[each])))

    def left(self, connection: object) -> None:
        """Stop counting a connection, if it is counted."""
        owner = self._address.pop(connection, None)
        if owner is not None:
            self._of[owner].pop(connection, None)
            if not self._of[owner]:
                del self._of[owner]

    def _drop_oldest(self, owner: str) -> None:
        connection, leave = next(iter(self._of[owner].items()))
        self.left(connection)
        self._shed()
        leave()
