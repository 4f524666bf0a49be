# SPDX-License-Identifier: Apache-2.0
"""Requests of strangers that hold the service up: somebody without token or session who sends or takes slowly.

A stranger's request is answered at once as soon as it is whole, and counts for nothing here. What is counted is one
whose body does not come, or whose answer is not taken: few of them fit, and when one more comes the one that has been
at it longest goes. An address is let go first for itself, so that it takes no place from others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from armillary.engines.places import address_owner

# Of all addresses together: a sign-in form is a packet or two, and whoever sends it is a stranger no longer than that.
MAX_STRANGERS: Final = 64
# Of one address, behind which a factory or an office may be: forms that are under way in the same instant.
MAX_STRANGERS_OF_ADDRESS: Final = 16


class Strangers:
    """Requests of strangers that are waited for, by address. Belongs to one event loop.

    Args:
        shed: Called for each that had to go.

    Attributes:
        total: How many there may be.
        each: How many of one address.
    """

    def __init__(self, shed: Callable[[], None]) -> None:
        self.total = MAX_STRANGERS
        self.each = MAX_STRANGERS_OF_ADDRESS
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
            address: Where from.
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
