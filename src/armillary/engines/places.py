# SPDX-License-Identifier: Apache-2.0
"""Limits how many places (connections, requests) one owner, one catalog and all together may hold at a time.

An owner is whoever is answerable for what takes the place: a token, a device, an upload, an address of strangers. Who
can make owners, as an Administrator of a catalog makes tokens, gets no more by it: all owners of one catalog together
have a share, too, and some places are for owners of no catalog, which the operator of the service makes. What it is a
place for (a request under way, a live stream, a file that is being written) is the caller's affair. Nothing
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
# Of all places, one catalog has at most this part, whatever it has of tokens, devices and users.
CATALOG_SHARE: Final = 2
# This part of all places, and one at least, is never a catalog's: the operator gets in when tenants have all the rest.
OPERATOR_SHARE: Final = 8
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
        of_catalog: Most that all owners of one catalog have together.
        of_catalogs: Most that all owners of any catalog have together.
        refused: How many were refused since the start.
    """

    def __init__(self, what: str, *, each: int, total: int, retry_after_s: int) -> None:
        self._what = what
        self.each = each
        self.total = total
        self.of_catalog = total // CATALOG_SHARE
        self.of_catalogs = without_reserve(total)
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._of_catalog: Counter[str] = Counter()
        self._all = 0
        self.refused = 0

    def __len__(self) -> int:
        """How many are held by all together."""
        return self._all

    def of(self, owner: str) -> int:
        """How many an owner holds."""
        return self._held[owner]

    def of_all(self, catalog: str) -> int:
        """How many all owners of a catalog hold."""
        return self._of_catalog[catalog]

    def take(self, owner: str, catalog: str = "") -> None:
        """Take a place; whoever does gives it back with :meth:`free`, and names the same two.

        Args:
            owner: Who takes it.
            catalog: The one that the owner is of; empty for none.

        Raises:
            NoPlaceError: the owner or its catalog has all it may have, or all are taken; nothing was taken.
        """
        with self._lock:
            full = self._full(owner, catalog)
            if not full:
                self._held[owner] += 1
                self._all += 1
                if catalog:
                    self._of_catalog[catalog] += 1
                return
            self.refused += 1
        raise NoPlaceError(full, retry_after_s=self._retry_after_s)

    def refuse(self) -> None:
        """Count somebody who was refused before it came as far as asking for a place."""
        with self._lock:
            self.refused += 1

    def free(self, owner: str, catalog: str = "") -> None:
        """Give a place back."""
        with self._lock:
            self._all -= 1
            _count_down(self._held, owner)
            if catalog:
                _count_down(self._of_catalog, catalog)

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

    def _full(self, owner: str, catalog: str) -> str:
        """Why there is no place; empty when there is one."""
        if self._held.get(owner, 0) >= self.each:
            return f"{owner[:MAX_OWNER_CHARS]} has {self._held[owner]} {self._what}, which is all it may have"
        if catalog and self._of_catalog.get(catalog, 0) >= self.of_catalog:
            return f"the catalog has {self._of_catalog[catalog]} {self._what}, which is all that one may have"
        of_catalogs = self._of_catalog.total() if catalog else 0
        if self._all >= self.total or (catalog and of_catalogs >= self.of_catalogs):
            return f"{self._all} {self._what}, which is all there may be"
        return ""


def without_reserve(total: int) -> int:
    """How many of all places catalogs may have together."""
    return total - max(1, total // OPERATOR_SHARE)


def _count_down(held: Counter[str], name: str) -> None:
    held[name] -= 1
    if held[name] <= 0:  # owners come and go: none is remembered for nothing
        del held[name]


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
