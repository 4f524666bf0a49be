# SPDX-License-Identifier: Apache-2.0
"""Deliveries of rules: one row for each action of a firing; waiting, done, or a dead letter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from armillary.engines.database.port import Connection
from armillary.engines.database.transactions import Transactions
from armillary.engines.rules import rows, shares
from armillary.engines.rules.rows import Alert, RuleDelivery

_DELIVERY = (
    "number, id, catalog, action, kind, target, options, state, due_ms, attempts, changed_ms, error, owner, rule_id"
)


class Deliveries:
    """Deliveries of all rules."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def due(
        self, now_ms: int, limit: int, without: Sequence[str] = (), owners: Sequence[str] = ()
    ) -> list[RuleDelivery]:
        """Deliveries that are due, oldest first, except those to the targets ``without`` and those of ``owners``."""
        where = (
            f"state = 'waiting' AND due_ms <= ? AND {_none_of('target', without)} AND {_none_of('owner', owners)}"
            " ORDER BY due_ms LIMIT ?"
        )
        return self._read(where, (now_ms, *without, *owners, limit))

    def next_due_ms(self, without: Sequence[str] = (), owners: Sequence[str] = ()) -> int | None:
        """When the next delivery is due, with the exceptions of :meth:`due`; None when none waits."""
        where = f"state = 'waiting' AND {_none_of('target', without)} AND {_none_of('owner', owners)}"
        (found,) = self._database.row(f"SELECT min(due_ms) FROM delivery WHERE {where}", (*without, *owners))  # noqa: S608 - constants
        return None if found is None else int(found)

    def of(self, alert: Alert) -> list[RuleDelivery]:
        """The deliveries of an alert."""
        return self._read("alert = ? ORDER BY number", (alert.number,))

    def dead(self, catalog: str | None, *, before: int | None, limit: int) -> list[RuleDelivery]:
        """Dead letters (of a catalog), newest first."""
        where = "state = 'dead' AND catalog = coalesce(?, catalog) AND number < ? ORDER BY number DESC LIMIT ?"
        return self._read(where, (catalog, 2**62 if before is None else before, limit))

    def counts(self) -> dict[str, int]:
        """As :func:`shares.counts`."""
        return self._database.read(shares.counts)

    def alert_of(self, delivery: RuleDelivery) -> Alert:
        """The alert that a delivery is of."""

        def query(connection: Connection) -> Alert:
            (number,) = connection.execute("SELECT alert FROM delivery WHERE id = ?", (delivery.id,)).fetchone()
            found = rows.read_alert(connection, delivery.catalog, number)
            if found is None:
                raise RuntimeError("a delivery without its alert")
            return found

        return self._database.read(query)

    def _read(self, where: str, values: tuple[object, ...]) -> list[RuleDelivery]:
        query = f"SELECT {_DELIVERY} FROM delivery WHERE {where}"  # noqa: S608 - this file's own conditions
        return [_delivery(row) for row in self._database.rows(query, values)]


def _none_of(column: str, values: Sequence[str]) -> str:
    marks = ", ".join("?" * len(values))
    return f"{column} NOT IN ({marks})"


def _delivery(row: Sequence[Any]) -> RuleDelivery:
    return RuleDelivery(**{**dict(zip(_DELIVERY.split(", "), row, strict=True)), "options": json.loads(row[6])})
