# SPDX-License-Identifier: Apache-2.0
"""Limits the waiting deliveries of each owner and rule: beyond its share, its new deliveries become dead letters.

The owner of a delivery is the rule's catalog. A rule of all catalogs belongs to the operator, who has a share for each
catalog's devices: neither a catalog's own rules nor other catalogs' devices use up the operator's.
"""

from __future__ import annotations

from typing import Final

from armillary.engines.database.port import Connection

# Waiting deliveries of all owners: 50 MB of rows, read in some ten milliseconds.
MAX_WAITING: Final = 50_000
# Of one owner, a fifth of all: beyond, new ones are dead letters at once, to be replayed by hand.
MAX_WAITING_OF_OWNER: Final = 10_000
# Of one rule, half of its owner's: a rule that fires too often leaves room for the owner's others.
MAX_WAITING_OF_RULE: Final = 5_000
# The share that every owner has even when MAX_WAITING is reached.
MIN_WAITING_OF_OWNER: Final = 500


def owner_of(rule_catalog: str | None, device_catalog: str) -> str:
    """The owner of a delivery: the rule's catalog; a name of its own by device catalog for a rule of all (None)."""
    return f"* {device_catalog.lower()}" if rule_catalog is None else rule_catalog.lower()


class Room:
    """Room for deliveries, within one transaction of ``connection``; each owner's and rule's count is read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._all: int | None = None
        self._owners: dict[str, int] = {}
        self._rules: dict[tuple[str, str], int] = {}

    def take(self, owner: str, rule_id: str) -> str:
        """Count one more delivery; returns the reason, for its owner, if there is no room, else an empty text."""
        key = owner, rule_id
        if self._all is None:
            self._all = self._count("1")
        if owner not in self._owners:
            self._owners[owner] = self._count("owner = ?", owner)
        if key not in self._rules:
            self._rules[key] = self._count("owner = ? AND rule_id = ?", owner, rule_id)
        most = MAX_WAITING_OF_OWNER if self._all < MAX_WAITING else MIN_WAITING_OF_OWNER
        if self._rules[key] >= MAX_WAITING_OF_RULE:
            return f"{MAX_WAITING_OF_RULE} deliveries of this rule were waiting already"
        if self._owners[owner] >= most:
            return f"{most} deliveries of this catalog's rules were waiting already"
        self._all += 1
        self._owners[owner] += 1
        self._rules[key] += 1
        return ""

    def _count(self, where: str, *values: str) -> int:
        query = f"SELECT coalesce(sum(count), 0) FROM delivery_count WHERE state = 'waiting' AND {where}"  # noqa: S608
        return int(self._connection.execute(query, values).fetchone()[0])


def counts(connection: Connection) -> dict[str, int]:
    """Deliveries that are ``waiting`` and ``dead``; owners and rules whose share is full (``owners_full``, ...)."""
    rows = connection.execute("SELECT owner, state, count FROM delivery_count").fetchall()
    found = {"waiting": 0, "dead": 0, "owners_full": 0, "rules_full": 0}
    owners: dict[str, int] = {}
    for owner, state, count in rows:
        found[state] += count
        if state == "waiting":
            owners[owner] = owners.get(owner, 0) + count
            found["rules_full"] += count >= MAX_WAITING_OF_RULE
    found["owners_full"] = sum(count >= MAX_WAITING_OF_OWNER for count in owners.values())
    return found
