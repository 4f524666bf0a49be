# SPDX-License-Identifier: Apache-2.0
"""Builds the tree of a log anew, entry by entry, and compares it with what is kept and with all that was signed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from armillary.engines.records.transparency import checkpoints, release_log, tree
from armillary.wire.transparency.entry import RELEASES
from armillary.wire.transparency.merkle import Frontier, folded, leaf_hash
from armillary.wire.transparency.tiles import TILE_WIDTH

# Entries that are read at once.
STEP: Final = 1000


class TreeWalk:
    """The walk along one log: :meth:`add` each leaf in its order, then :meth:`end`.

    Attributes:
        forked_at: Size of the first checkpoint, or kept part of the tree, that the entries do not give; None so far.
    """

    def __init__(self, connection: Connection, log: str) -> None:
        self._connection = connection
        self._log = log
        self._signed = checkpoints.sizes(connection, log)
        self._frontier = Frontier()
        self._run: list[bytes] = []
        self.forked_at: int | None = None

    def add(self, leaf: bytes) -> None:
        """The next leaf."""
        hashed = leaf_hash(leaf)
        self._frontier.add((hashed,))
        self._run.append(hashed)
        size = self._frontier.size
        if size % TILE_WIDTH == 0:
            kept = tree.kept_hashes(self._connection, self._log, size // TILE_WIDTH - 1, 1)
            self._compare(size, differs=bool(kept) and kept[0] != folded(self._run))
            self._run = []
        if size in self._signed:
            self._compare(size, differs=self._signed.pop(size) != self._frontier.root)

    def end(self) -> bytes:
        """The root. Checkpoints that are left were of a longer log."""
        self._signed.pop(0, None)
        for size in self._signed:
            self._compare(size, differs=True)
        return self._frontier.root

    def _compare(self, size: int, *, differs: bool) -> None:
        if differs and self.forked_at is None:
            self.forked_at = size


def releases_forked_at(connection: Connection) -> int | None:
    """As :attr:`TreeWalk.forked_at`, of the whole release log."""
    walk, first = TreeWalk(connection, RELEASES), 0
    while leaves := release_log.leaves(connection, first, STEP):
        for each in leaves:
            walk.add(each)
        first += len(leaves)
    walk.end()
    return walk.forked_at
