# SPDX-License-Identifier: Apache-2.0
"""What the watch could not take because too much came at once: counted by where it came, shown, and a finding.

The counts are of this process and begin with its start. What is beyond a device's own share is no drop: it is counted
in the records, in a finding of that device (``reports-suppressed``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from armillary.service.watch.detections import Observation

# Where events are dropped -> what they are, for people.
_DROPPED: Final = {
    "device endpoint": "refusals of devices' requests",
    "hub": "refusals and shared certificates at the hub",
    "behaviour": "events of devices beyond those whose behaviour is followed",
}


@dataclass(slots=True)
class Drops:
    """Where events are dropped; ``sources`` say how many so far, by a word for people."""

    sources: dict[str, Callable[[], int]] = field(default_factory=dict)
    _told: dict[str, int] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """How many were dropped since the start."""
        return {name: count() for name, count in self.sources.items()}

    def look(self, now: int) -> list[Observation]:
        """An observation for each source that has dropped more since the last look."""
        found = []
        for name, count in self.counts().items():
            more, self._told[name] = count - self._told.get(name, 0), count
            if more > 0:  # a worker that was begun again may have begun its counts anew
                found.append(of_drops(name, more, now))
        return found


def of_drops(source: str, count: int, now: int) -> Observation:
    """Events that the watch could not take because too many came at once."""
    return Observation(
        kind="events-dropped",
        key=(source,),
        severity="medium",
        title=f"More {_DROPPED.get(source, source)} came at once than are kept",
        cause=f"{count} were counted and not kept since the last look; what was dropped is looked at by no detection.",
        proposed_action="Find out who sends so much (refusals by address are in the log), and shut it out.",
        count=count,
        at=now,
    )
