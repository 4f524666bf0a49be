# SPDX-License-Identifier: Apache-2.0
"""The open rules' database: one thread writes in group commits, any thread reads.

All changes of a batch (``rows.py``) are one transaction: a change fails only when the disk does, and then nothing of
the batch is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from armillary.engines.database.group_commit import GroupCommit
from armillary.engines.database.outbox import AuditOutboxes, Outbox
from armillary.engines.database.sqlite_file import open_file
from armillary.engines.rules import rows
from armillary.engines.rules.database import FILE_NAME, LAYOUT
from armillary.engines.rules.deliveries import Deliveries
from armillary.engines.rules.rows import Alert, Change, DeviceStates


class RuleStore:
    """The open database; the caller holds the lock of ``folder``.

    Raises:
        DataFolderError: the database cannot be opened.
    """

    def __init__(self, folder: Path, audit: AuditOutboxes | None = None) -> None:
        self._database = open_file(folder / FILE_NAME, LAYOUT, "the rules' database")
        self.deliveries = Deliveries(self._database)
        self.commits: GroupCommit[Change, Any] = GroupCommit(self._commit, name="hub-rules-writer")
        self.outbox = Outbox(audit, self._database.read, self.commits.commit)

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
        return int(self._database.row("SELECT value FROM progress WHERE name = 'evaluated'")[0])

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
        """Alerts, newest first, with numbers below ``before``; a filter that is None leaves out nothing.

        ``is_open`` chooses the alerts that are not acknowledged (False: those that are).
        """
        wanted = {"catalog = ?": catalog, "rule_id = ?": rule_id, "device_id = ?": device_id, "number < ?": before}
        parts = ["1", *(part for part, value in wanted.items() if value is not None)]
        if is_open is not None:
            parts.append("acknowledged_ms IS NULL" if is_open else "acknowledged_ms IS NOT NULL")
        values = [value for value in wanted.values() if value is not None]
        return self._alerts(f"{' AND '.join(parts)} ORDER BY number DESC LIMIT ?", (*values, limit))

    def alerts_after(self, number: int, limit: int) -> list[Alert]:
        """Alerts of all catalogs with higher numbers, in order: for data exports."""
        return self._alerts("number > ? ORDER BY number LIMIT ?", (number, limit))

    def last_alert(self) -> int:
        """Number of the newest alert; 0 before the first."""
        return int(self._database.row("SELECT coalesce(max(number), 0) FROM alert")[0])

    def secret(self, rule_id: str, action: str) -> str | None:
        """The secret of an action."""
        row = self._database.row("SELECT secret FROM secret WHERE rule_id = ? AND action = ?", (rule_id, action))
        return None if row is None else str(row[0])

    def secrets(self, rule_id: str) -> frozenset[str]:
        """Names of a rule's actions that have a secret."""
        return frozenset(
            row[0] for row in self._database.rows("SELECT action FROM secret WHERE rule_id = ?", (rule_id,))
        )

    def _alerts(self, where: str, values: tuple[object, ...]) -> list[Alert]:
        query = f"SELECT {rows.ALERT_COLUMNS} FROM alert WHERE {where}"  # noqa: S608 - this file's own conditions
        return [rows.as_alert(row) for row in self._database.rows(query, values)]

    def _commit(self, items: Sequence[Change]) -> Sequence[Any]:
        return self._database.write(lambda connection: [change(connection) for change in items])
