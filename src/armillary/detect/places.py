# SPDX-License-Identifier: Apache-2.0
"""One certificate in two places: connections of one client at two addresses that put each other out, again and again.

A client has one connection: a new one ends the one before it. A device that moves to another network does that once,
and one at the edge of two networks now and then. Two machines with the same key do it without end, as each connects
again when it was put out. So :data:`AGAIN` times within :data:`WITHIN_S`, each from another address than the one
before, are no moves any more. Machines behind one address are not told apart here; their boot counts run apart instead
(``attest/appraise.py``, step 10).

Only who holds the client's key can make this happen.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

AGAIN: Final = 6
WITHIN_S: Final = 600
# Clients that are followed, some 500 bytes each; beyond, the one that was put out longest ago is forgotten.
MAX_CLIENTS: Final = 10_000
# Addresses of a client that are named.
MAX_ADDRESSES: Final = 8


@dataclass(frozen=True, slots=True)
class SharedCertificate:
    """A client that is in two places: how often its connections put each other out, and at which addresses."""

    client: str
    count: int
    addresses: tuple[str, ...]


@dataclass(slots=True)
class _Turns:
    times: deque[int] = field(default_factory=lambda: deque(maxlen=AGAIN))
    addresses: dict[str, None] = field(default_factory=dict)  # in the order in which they came
    unsaid: int = 0


@dataclass(slots=True)
class Places:
    """The clients whose connections were put out lately; times in Unix seconds, and one that goes back begins anew."""

    _clients: dict[str, _Turns] = field(default_factory=dict)

    def put_out(self, client: str, before: str, after: str, at: int) -> SharedCertificate | None:
        """A connection at one address was ended by one at another; the client if it is in two places.

        It is said with the first such turn, and then with every further one, with those that count since.
        """
        if before == after:
            return None
        turns = self._clients.pop(client, None)
        if turns is None or (turns.times and not 0 <= at - turns.times[-1] <= WITHIN_S):
            turns = _Turns()
        self._clients[client] = turns  # at the end: the order of the memory is that of the last turn
        if len(self._clients) > MAX_CLIENTS:
            del self._clients[next(iter(self._clients))]
        turns.times.append(at)
        turns.unsaid += 1
        for address in (before, after):
            if len(turns.addresses) < MAX_ADDRESSES:
                turns.addresses[address] = None
        if len(turns.times) < AGAIN or at - turns.times[0] > WITHIN_S:
            return None
        count, turns.unsaid = turns.unsaid, 0
        return SharedCertificate(client, count, tuple(turns.addresses))
