# SPDX-License-Identifier: Apache-2.0
"""Counts what the sandbox decided about an application's connections, for those who look at the device's firewall."""

from __future__ import annotations

from collections import Counter

from armillary.engines.sandbox.port import METHOD, ConnectionAttempt

_LISTENS = ("listen", "listen-udp")


class ConnectionCounts:
    """Attempts of one application since it is among those that run.

    The sandbox decides about connections, not packets: a TCP connection counts once, a datagram socket once for each
    destination that it names. Repetitions of one attempt come up to ten seconds late, none is lost.

    Attributes:
        allowed: Declared name or address -> attempts that were let through.
        refused: Attempts to reach anything else, lookups of names among them.
        refused_listeners: Attempts to wait at a port that is not declared.
    """

    def __init__(self) -> None:
        self.allowed: Counter[str] = Counter()
        self.refused = 0
        self.refused_listeners = 0

    def note(self, attempt: ConnectionAttempt) -> None:
        """Count an attempt, as often as it stands for."""
        if attempt.protocol == METHOD:
            return
        if attempt.allowed:
            self.allowed[attempt.host] += attempt.count
        elif attempt.protocol in _LISTENS:
            self.refused_listeners += attempt.count
        else:
            self.refused += attempt.count
