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
from armillary.engines.rules.alerts import Alerts
from armillary.engines.rules.database import FILE_NAME, LAYOUT
from armillary.engines.rules.deliveries import Deliveries
from armillary.engines.rules.rows import Change, DeviceStates


class RuleStore:
    """The open database; the caller holds the lock of ``folder``.

    Raises:
        DataFolderError: the database cannot be opened.
    """

    def __init__(self, folder: Path, audit: AuditOutboxes | None = None) -> None:
        self._database = open_file(folder / FILE_NAME, LAYOUT, "the rules' database")
        self.deliveries = Deliveries(self._database)
        self.alerts = Alerts(self._database)
        self.changes = 0  # Commits so far: who shows alerts looks again when it has risen
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

    def secret(self, rule_id: str, action: str) -> str | None:
        """The secret of an action."""
        row = self._database.row("SELECT secret FROM secret WHERE rule_id = ? AND action = ?", (rule_id, action))
        return None if row is None else str(row[0])

    def secrets(self, rule_id: str) -> frozenset[str]:
        """Names of a rule's actions that have a secret."""
        return frozenset(
            row[0] for row in self._database.rows("SELECT action FROM secret WHERE rule_id = ?", (rule_id,))
        )

    def _commit(self, items: Sequence[Change]) -> Sequence[Any]:
        try:
            return self._database.write(lambda connection: [change(connection) for change in items])
        finally:
            self.changes += 1
