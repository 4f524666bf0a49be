# SPDX-License-Identifier: Apache-2.0
"""The open rules' database: one thread writes in group commits, anybody reads.

A change is a function that gets the connection (``rows.py``). All changes of a batch are one transaction: each of them
is this program's own and fails only when the disk does, and then nothing of the batch is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from armillary.engines.database.group_commit import GroupCommit
from armillary.engines.database.port import Connection
from armillary.engines.database.sqlite_file import open_file
from armillary.engines.rules import rows, shares
from armillary.engines.rules.database import FILE_NAME, LAYOUT
from armillary.engines.rules.rows import Alert, Change, Delivery, DeviceStates


class RuleStore:
    """What rules leave behind.

    Args:
        folder: Folder of the database; its lock is the caller's.

    Attributes:
        commits: Where changes go.

    Raises:
        DataFolderError: the database cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._database = open_file(folder / FILE_NAME, LAYOUT, "the rules' database")
        self.commits: GroupCommit[Change, Any] = GroupCommit(self._commit, name="hub-rules-writer")

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is such a database: without one there has never been a rule."""
        return (folder / FILE_NAME).exists()

    def close(self) -> None:
        """Commit what is queued and close the database."""
        self.commits.close()
        self._database.close()

    # Reading ------------------------------------------------------------------------------------------------

    def evaluated(self) -> int:
        """The last seq of the log that is in every device's states; -1 before the first."""
        query = "SELECT value FROM progress WHERE name = 'evaluated'"
        return self._database.read(lambda connection: int(connection.execute(query).fetchone()[0]))

    def states(self) -> list[DeviceStates]:
        """Every device's states."""
        return self._database.read(rows.read_states)

    def alert(self, catalog: str | None, number: int) -> Alert | None:
        """One alert (of a catalog)."""
        return self._database.read(lambda connection: rows.read_alert(connection, catalog, number))

    def alerts(
        self,
        catalog: str | None,
        *,
        rule_id: str | None = None,
        device_id: str | None = None,
        is_open: bool | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Alert]:
        """Alerts, newest first; see :func:`rows.read_alerts`."""
        return self._database.read(
            lambda connection: rows.read_alerts(
                connection, catalog, rule_id=rule_id, device_id=device_id, is_open=is_open, before=before, limit=limit
            )
        )

    def alerts_after(self, number: int, limit: int) -> list[Alert]:
        """Alerts of all catalogs with higher numbers, in order: for data exports."""
        return self._database.read(lambda connection: rows.read_alerts_after(connection, number, limit))

    def last_alert(self) -> int:
        """Number of the newest alert; 0 before the first."""
        query = "SELECT coalesce(max(number), 0) FROM alert"
        return int(self._database.read(lambda connection: connection.execute(query).fetchone()[0]))

    def alert_of(self, delivery: Delivery) -> Alert:
        """The alert that a delivery is of."""

        def query(connection: Connection) -> Alert:
            (number,) = connection.execute("SELECT alert FROM delivery WHERE id = ?", (delivery.id,)).fetchone()
            found = rows.read_alert(connection, delivery.catalog, number)
            if found is None:
                raise RuntimeError("a delivery without its alert")
            return found

        return self._database.read(query)

    def due(self, now_ms: int, limit: int, without: Sequence[str] = (), owners: Sequence[str] = ()) -> list[Delivery]:
        """Deliveries whose time has come, oldest first; ``without`` those to some targets and those of some owners."""
        where = (
            f"state = 'waiting' AND due_ms <= ? AND {_none_of('target', without)} AND {_none_of('owner', owners)}"
            " ORDER BY due_ms LIMIT ?"
        )
        values = (now_ms, *without, *owners, limit)
        return self._database.read(lambda connection: rows.read_deliveries(connection, where, values))

    def next_due_ms(self, without: Sequence[str] = (), owners: Sequence[str] = ()) -> int | None:
        """When the next delivery is due, ``without`` those to some targets and those of some owners; None: none is."""
        where = f"state = 'waiting' AND {_none_of('target', without)} AND {_none_of('owner', owners)}"
        query = f"SELECT min(due_ms) FROM delivery WHERE {where}"  # noqa: S608 - constants
        found = self._database.read(lambda connection: connection.execute(query, (*without, *owners)).fetchone()[0])
        return None if found is None else int(found)

    def deliveries_of(self, alert: Alert) -> list[Delivery]:
        """What was done about an alert, or is to be."""
        where = "alert = ? ORDER BY number"
        return self._database.read(lambda connection: rows.read_deliveries(connection, where, (alert.number,)))

    def dead(self, catalog: str | None, *, before: int | None, limit: int) -> list[Delivery]:
        """Dead letters (of a catalog), newest first."""
        where = "state = 'dead' AND catalog = coalesce(?, catalog) AND number < ? ORDER BY number DESC LIMIT ?"
        values = (catalog, 2**62 if before is None else before, limit)
        return self._database.read(lambda connection: rows.read_deliveries(connection, where, values))

    def delivery_counts(self) -> dict[str, int]:
        """How many deliveries wait and are dead, and who has no room for more; see :func:`shares.counts`."""
        return self._database.read(shares.counts)

    def secret(self, rule_id: str, action: str) -> str | None:
        """The secret of an action."""
        query = "SELECT secret FROM secret WHERE rule_id = ? AND action = ?"
        row = self._database.read(lambda connection: connection.execute(query, (rule_id, action)).fetchone())
        return None if row is None else str(row[0])

    def secrets(self, rule_id: str) -> frozenset[str]:
        """Names of a rule's actions that have a secret."""
        query = "SELECT action FROM secret WHERE rule_id = ?"
        return self._database.read(
            lambda connection: frozenset(row[0] for row in connection.execute(query, (rule_id,)))
        )

    # Inside -------------------------------------------------------------------------------------------------

    def _commit(self, items: Sequence[Change]) -> Sequence[Any]:
        return self._database.write(lambda connection: [change(connection) for change in items])


def _none_of(column: str, values: Sequence[str]) -> str:
    marks = ", ".join("?" * len(values))
    return f"{column} NOT IN ({marks})"
