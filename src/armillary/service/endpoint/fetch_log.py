# SPDX-License-Identifier: Apache-2.0
"""What devices fetch, on its way to the records: a device's beginning, and the end of each artifact, once a check-in.

A download is many requests where a device asks for ranges; only what changes a device's :class:`Fetch` is written, all
of a second in one change. What a restart of the service forgets is noted again and adds nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from armillary.engines.records.queries.planning import fetches as fetch_rows
from armillary.engines.records.queries.planning.fetches import Fetch
from armillary.engines.records.store import Query
from armillary.errors import RateLimitedError

# Devices whose fetches are remembered, a KiB each; a device that falls out is noted once more.
MAX_DEVICES: Final = 4096


class FetchLog:
    """Collects what is fetched; in one event loop."""

    def __init__(self, *, limit: int = MAX_DEVICES) -> None:
        self._limit = limit
        self._known: OrderedDict[int, Fetch] = OrderedDict()
        self._changed: set[int] = set()

    def begun(self, number: int, check_in: str, at: int) -> None:
        """A device, by its number, asks for an artifact; ``check_in`` is its last one's certificate serial number."""
        known = self._known.get(number)
        if known is None or known.check_in != check_in:
            self._known[number] = Fetch(check_in, at)
            self._changed.add(number)
        self._known.move_to_end(number)

    def sent(self, number: int, check_in: str, artifact: bytes, at: int) -> None:
        """An artifact, by its SHA-256, was sent to its end; nothing where the device has checked in meanwhile."""
        known = self._known.get(number)
        if known is not None and known.check_in == check_in and artifact not in known.sent:
            known.sent[artifact] = at
            self._changed.add(number)

    def flush(self, post: Callable[[Query[None]], None]) -> None:
        """Hand the change that records what was noted to ``post``; where that is too busy, the next call does."""
        if not self._changed:
            return
        noted = {number: replace(self._known[number], sent=dict(self._known[number].sent)) for number in self._changed}
        try:
            post(lambda connection: fetch_rows.keep(connection, noted))
        except RateLimitedError:
            return
        self._changed.clear()
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
