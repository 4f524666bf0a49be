# SPDX-License-Identifier: Apache-2.0
"""Places that are few, shared so that nobody takes them all: so many for each owner, so many for all owners together.

An owner is whoever is answerable for what takes the place: a token, a device, an upload, an address of strangers. What
it is a place for (a request under way, a live stream, a file that is being written) is the caller's affair. Nothing
here waits: a place is there, or the caller is told to come back.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Final

from armillary.errors import NoPlaceError

# A household or a host of IPv6 has at least so much of an address to itself (RFC 6177): its hosts are one owner.
IPV6_PREFIX_BITS: Final = 64
# Owners a refusal names are cut here, characters: an owner may be a name that somebody chose.
MAX_OWNER_CHARS: Final = 64


class Places:
    """Places of one kind. From any thread.

    Args:
        what: What one holds, in the plural, for messages: ``exports under way``.
        each: Most that one owner has.
        total: Most that all owners have together.
        retry_after_s: After how long a refused caller may try again, seconds.

    Attributes:
        refused: How many were refused since the start.
    """

    def __init__(self, what: str, *, each: int, total: int, retry_after_s: int) -> None:
        self._what = what
        self.each = each
        self.total = total
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._all = 0
        self.refused = 0

    def __len__(self) -> int:
        """How many are held by all together."""
        return self._all

    def of(self, owner: str) -> int:
        """How many an owner holds."""
        return self._held[owner]

    def take(self, owner: str) -> None:
        """Take a place; whoever does gives it back with :meth:`free`.

        Raises:
            NoPlaceError: the owner has all it may have, or all are taken; nothing was taken.
        """
        with self._lock:
            if self._held[owner] >= self.each:
                whose = f"{owner[:MAX_OWNER_CHARS]} has {self._held[owner]} {self._what}, which is all it may have"
            elif self._all >= self.total:
                whose = f"{self._all} {self._what}, which is all there may be"
            else:
                self._held[owner] += 1
                self._all += 1
                return
            self.refused += 1
            if not self._held[owner]:
                del self._held[owner]
        raise NoPlaceError(whose, retry_after_s=self._retry_after_s)

    def free(self, owner: str) -> None:
        """Give a place back."""
        with self._lock:
            self._held[owner] -= 1
            self._all -= 1
            if self._held[owner] <= 0:  # owners come and go: none is remembered for nothing
                del self._held[owner]

    @contextlib.contextmanager
    def held(self, owner: str) -> Iterator[None]:
        """Hold a place for as long as the block lasts.

        Raises:
            NoPlaceError: as :meth:`take`.
        """
        self.take(owner)
        try:
            yield
        finally:
            self.free(owner)


def address_owner(host: str) -> str:
    """Who an address of a peer counts as: an IPv4 address for itself, an IPv6 address for its /64.

    What is no address (a socket of this host, a name) counts as itself.
    """
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, IPV6_PREFIX_BITS), strict=False))
    return str(found)
