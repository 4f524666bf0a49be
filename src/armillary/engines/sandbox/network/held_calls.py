# SPDX-License-Identifier: Apache-2.0
"""How many calls of applications the device holds at a time, all its applications together: each costs descriptors.

A connect that waits keeps a handle of its caller, its socket and the connection that is being made. Without a bound
over all brokers, a few applications that connect to silent hosts would use up the device's descriptors, and no
application would start, no check-in go and no tool be answered any more.
"""

from __future__ import annotations

import resource

# At most, for one call: three of its caller, the connections that are begun to four addresses of a name, and one that
# is open for a moment (``hold_port``, a file of /proc).
PER_CALL = 8
# Of the device's descriptors half is for these calls. The other half is for everything else: starts, check-ins, its
# API, and what applications have beside calls, such as 64 datagram flows each.
SHARE = 2
# So many calls an application may have however many the others have: it connects slowly beside a hostile one, and goes
# on. The other half holds them.
ALWAYS = 2
# What is asked for where the system sets no bound: more than a device with any number of applications needs.
LIMIT = 1 << 16


def allow_descriptors() -> None:
    """Raise this process's limit as far as the system allows, for good: 1,024 is usual, and hosts allow far more.

    Applications have a limit of their own (``resource_limits``) in every engine but ``process``, which limits nothing.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = LIMIT if hard == resource.RLIM_INFINITY else min(hard, LIMIT)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class HeldCalls:
    """Counts the calls that wait, of all applications of this process."""

    def __init__(self) -> None:
        self._held = 0

    def has_room(self, own: int) -> bool:
        """Whether one more call may wait, of an application that has ``own`` of them."""
        return own < ALWAYS or self._held < self.limit

    @property
    def limit(self) -> int:
        """Calls that may wait, by the limit of this process now."""
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (LIMIT if soft == resource.RLIM_INFINITY else min(soft, LIMIT)) // SHARE // PER_CALL

    def add(self) -> None:
        """One more waits."""
        self._held += 1

    def remove(self) -> None:
        """One has been answered."""
        self._held -= 1


HELD = HeldCalls()
