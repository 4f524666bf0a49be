# SPDX-License-Identifier: Apache-2.0
"""Consent of a person at the equipment, which no message can give: a file in the guardian's own storage.

Whoever stands at the device makes it (``armillary guardian consent``, or a button's program); the name is
``{equipment}.{command}``, the time is the file's. It is used up when it is looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from armillary.guard.situation import CommandHistory

FOLDER = "consent"


@dataclass(frozen=True, slots=True)
class Consents:
    """Consents for one piece of equipment."""

    data: Path
    equipment: str

    def look(self, command: str, history: CommandHistory, now: float) -> None:
        """Take a consent that lies there into the history; ``now`` in monotonic seconds.

        Its age is counted by the wall clock of both ends; a clock that was set makes it too old or from the future,
        which is none.
        """
        path = self.data / FOLDER / f"{self.equipment}.{command}"
        try:
            age = time.time() - path.stat().st_mtime
            path.unlink()
        except OSError:
            return
        if age >= 0:
            history.consents[command] = now - age
