# SPDX-License-Identifier: Apache-2.0
"""Requests of strangers that hold the service up: somebody without token or session who sends or takes slowly.

A stranger's request is answered at once as soon as it is whole, and counts for nothing here. What is counted is one
whose body does not come, or whose answer is not taken: few of them fit, and when one more comes the one that has been
at it longest goes. An address is let go first for itself, so that it takes no place from others.

Who shows a token that is good is no stranger, though nobody has admitted the request yet: it counts for its catalog, or
for its token where that is of no catalog, as none may be waited for without end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from armillary.engines.places import address_owner

# Of all addresses together: a sign-in form is a packet or two, and whoever sends it is a stranger no longer than that.
MAX_STRANGERS: Final = 64
# Of one address, behind which a factory or an office may be: forms that are under way in the same instant.
MAX_STRANGERS_OF_ADDRESS: Final = 16
# Requests with a good token that nobody has admitted yet; the time between is that of one look at the token, so they
# are as many as there may be under way (callers.py): of one owner a quarter, of all half.
MAX_SHOWN: Final = 256
MAX_SHOWN_OF_OWNER: Final = 128


class Strangers:
    """Requests of strangers that are waited for, by address. Belongs to one event loop.

    Args:
        shed: Called for each that had to go.
        each: How many there may be of one address, or of one owner of tokens.
        total: How many there may be.

    Attributes:
        total: How many there may be.
        each: How many of one address.
    """

    def __init__(
        self, shed: Callable[[], None], *, each: int = MAX_STRANGERS_OF_ADDRESS, total: int = MAX_STRANGERS
    ) -> None:
        self.total = total
        self.each = each
        self._shed = shed
        self._of: dict[str, dict[object, Callable[[], None]]] = {}  # each address's, longest first
        self._address: dict[object, str] = {}  # longest first

    def __len__(self) -> int:
        """How many there are."""
        return len(self._address)

    def enter(self, stranger: object, address: str, leave: Callable[[], None]) -> None:
        """Somebody has to be waited for; may be said again.

        Args:
            stranger: Whoever it is.
            address: Where from; or the owner of the token that was shown.
            leave: Ends it at once, when it has to go for another one.
        """
        if stranger in self._address:
            return
        owner = address_owner(address)
        self._address[stranger] = owner
        mine = self._of.setdefault(owner, {})
        mine[stranger] = leave
        if len(mine) > self.each:
            self._let_go(owner)
        elif len(self._address) > self.total:
            self._let_go(max(self._of, key=lambda each: len(self._of[each])))

    def left(self, stranger: object) -> None:
        """It is waited for no more; may be said of anybody."""
        owner = self._address.pop(stranger, None)
        if owner is not None:
            self._of[owner].pop(stranger, None)
            if not self._of[owner]:
                del self._of[owner]

    def _let_go(self, owner: str) -> None:
        stranger, leave = next(iter(self._of[owner].items()))
        self.left(stranger)
        self._shed()
        leave()
