# SPDX-License-Identifier: Apache-2.0
"""What the guard remembers of commands, kept on the disk: nonces, times, and an attempt that is under way.

It is written before a request goes to the equipment. So a guardian that is killed knows every nonce that it has taken,
and an attempt of which nobody wrote how it ended is recorded as interrupted at the next start.

File ``equipment/{name}.commands``: ``{"machine", "history", "pending"}``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from armillary.engines.equipment.queue import machine_id
from armillary.guard.situation import CommandHistory, Moment, lost, restored
from armillary.guardian.durable_file import read_if_there, write_file
from armillary.guardian.log import log


@dataclass(slots=True)
class KeptHistory:
    """The history of one piece of equipment, and the body of an attempt that was interrupted."""

    path: Path
    history: CommandHistory = field(default_factory=CommandHistory)
    interrupted: dict[str, object] | None = None

    def keep(self, now: Moment, pending: dict[str, object] | None) -> None:
        """Write it down, with the attempt that is about to be carried out. Raises OSError where the disk refuses."""
        document = {"machine": machine_id(), "history": self.history.document(now), "pending": pending}
        write_file(self.path, json.dumps(document).encode())


def kept_history(path: Path, now: Moment) -> KeptHistory:
    """What was kept. A file that cannot be read makes every interval start anew: nothing is due before it has passed.

    Raises:
        OSError: the disk refuses.
    """
    data = read_if_there(path)
    if data is None:
        return KeptHistory(path)
    try:
        document = json.loads(data)
        history = restored(document["history"], now, same_boot=document["machine"] == machine_id() != "")
        pending = document["pending"]
        return KeptHistory(path, history, pending if isinstance(pending, dict) else None)
    except (ValueError, TypeError, KeyError) as error:
        log(f"{path.name}: what was kept of commands cannot be read: {error}")
        return KeptHistory(path, lost(now))
