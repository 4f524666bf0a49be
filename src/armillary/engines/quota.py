# SPDX-License-Identifier: Apache-2.0
"""Quotas: how many things of one kind one owner, one catalog and all together may hold at a time.

What is held is up to the caller: a request in progress, a live stream, a file being written. An owner is whoever is
responsible for it: a token, a device, an upload, an address. Because an Administrator of a catalog can make more
tokens, all owners of one catalog share a limit, and a part of the total is kept for owners of no catalog, which only
the service's operator can make. Nothing here waits: a caller over a limit gets an error and may try again.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Final

from armillary.errors import QuotaExceededError

# A household or host has at least an IPv6 prefix of this length (RFC 6177): all its addresses are one owner.
IPV6_PREFIX_BITS: Final = 64
# One catalog has at most the total divided by this, with all its tokens, devices and users together.
CATALOG_SHARE: Final = 2
# The total divided by this, but at least one, is never a catalog's: it stays free for the service's operator.
OPERATOR_SHARE: Final = 8
# Characters of an owner in a message: it may be a name that a person chose.
MAX_OWNER_CHARS: Final = 64


class Quota:
    """The limits for one kind of thing, and how many are held. From any thread.

    Args:
        what: The things, in the plural, for messages: ``exports under way``.
        each: Most that one owner may hold.
        total: Most that all owners together may hold.
        retry_after_s: When a refused caller may try again, seconds.
    """

    def __init__(self, what: str, *, each: int, total: int, retry_after_s: int) -> None:
        self._what = what
        self.each = each
        self.total = total
        self.of_catalog = total // CATALOG_SHARE  # Most that all owners of one catalog together may hold
        self.of_catalogs = without_reserve(total)  # Most that the owners of all catalogs together may hold
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._of_catalog: Counter[str] = Counter()
        self._all = 0
        self.refused = 0  # Refusals since the start

    def __len__(self) -> int:
        """How many all owners together hold."""
        return self._all

    def of(self, owner: str) -> int:
        """How many an owner holds."""
        return self._held[owner]

    def of_all(self, catalog: str) -> int:
        """How many all owners of a catalog hold."""
        return self._of_catalog[catalog]

    def take(self, owner: str, catalog: str = "") -> None:
        """Count one more for an owner and its catalog (empty for none), until :meth:`free` with the same arguments.

        Raises:
            QuotaExceededError: a limit is reached; nothing was counted.
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
        raise QuotaExceededError(full, retry_after_s=self._retry_after_s)

    def refuse(self) -> None:
        """Count a refusal that was decided before :meth:`take`."""
        with self._lock:
            self.refused += 1

    def free(self, owner: str, catalog: str = "") -> None:
        """Count one less."""
        with self._lock:
            self._all -= 1
            _count_down(self._held, owner)
            if catalog:
                _count_down(self._of_catalog, catalog)

    @contextlib.contextmanager
    def held(self, owner: str) -> Iterator[None]:
        """Hold one for as long as the block runs.

        Raises:
            QuotaExceededError: as :meth:`take`.
        """
        self.take(owner)
        try:
            yield
        finally:
            self.free(owner)

    def _full(self, owner: str, catalog: str) -> str:
        """Which limit is reached; empty when none is."""
        if self._held.get(owner, 0) >= self.each:
            return f"{owner[:MAX_OWNER_CHARS]} has {self._held[owner]} {self._what}, which is all it may have"
        if catalog and self._of_catalog.get(catalog, 0) >= self.of_catalog:
            return f"the catalog has {self._of_catalog[catalog]} {self._what}, which is all that one may have"
        of_catalogs = self._of_catalog.total() if catalog else 0
        if self._all >= self.total or (catalog and of_catalogs >= self.of_catalogs):
            return f"{self._all} {self._what}, which is all there may be"
        return ""


def without_reserve(total: int) -> int:
    """How many of ``total`` all catalogs together may hold."""
    return total - max(1, total // OPERATOR_SHARE)


def _count_down(held: Counter[str], name: str) -> None:
    held[name] -= 1
    if held[name] <= 0:  # owners come and go: one that holds nothing is not kept
        del held[name]


def address_owner(host: str) -> str:
    """The owner that an address counts for: an IPv4 address itself, the /64 of an IPv6 address.

    Other text (a socket of this host, a name) is returned unchanged.
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
