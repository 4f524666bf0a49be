# SPDX-License-Identifier: Apache-2.0
"""What a guardian says of itself in its twin: section ``guardian`` of the device's reported properties.

::

    {"guardian": {"format": 1, "boot": "5f..", "clock": "synced",
                  "queue": {"messages": 3, "bytes": 81920, "dropped": {"telemetry": 12}, "oldest_s": 4},
                  "equipment": {"espresso1": {"profile": "guard/coffee", "version": 3, "link": "up",
                                              "counters": {"exchanges": 900, ...}, "refused": {"value": 1},
                                              "attempts": [{"command": "setBrewTemp", "outcome": "refused", ...}]}}}}

It is reported when something of it changed, at most every :data:`LEAST_S`; numbers that only count (exchanges, bytes)
wait for :data:`MOST_S`.

A report is merged into the twin, so what is no longer there (equipment that another image has not, refusals that an
earlier start counted) is taken away by name: what stands in the twin is asked for at each connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

FORMAT = 1
LEAST_S = 2.0
MOST_S = 30.0
# A reported section has 32 KiB in IoT Hub; attempts take some 150 bytes each and share them.
ATTEMPTS_IN_ALL = 100

# Members that count all the time, which are no reason to report.
COUNTING = ("counters", "queue")


@dataclass(slots=True)
class Report:
    """What of the properties that ``properties`` gives was last reported, and when."""

    properties: Callable[[], dict[str, object]]
    _sent: dict[str, object] = field(default_factory=dict)
    _at: float | None = None
    _there: Mapping[str, object] = field(default_factory=dict)
    _due: dict[str, object] = field(default_factory=dict)

    def due(self, now: float) -> dict[str, object] | None:
        """What to report at this moment (monotonic seconds); None where nothing is to be said."""
        if self._at is not None and now - self._at < LEAST_S:
            return None
        found = self.properties()
        if self._at is not None and now - self._at < MOST_S and _lasting(found) == _lasting(self._sent):
            return None
        if found == self._sent:
            return None
        self._due = found
        return without_leftovers(found, self._there)

    def sent(self, now: float) -> None:
        """What was due was reported."""
        self._sent = self._there = self._due
        self._at = now

    def told(self, reported: Mapping[str, object]) -> None:
        """What stands in the twin, as the hub says: where it is more than was sent, everything is reported again."""
        if without_leftovers(self._sent, reported) != self._sent:
            self._sent, self._at = {}, None
        self._there = self._sent or reported

    def forget(self) -> None:
        """The connection is a new one: everything is reported again."""
        self._sent, self._at = {}, None


def without_leftovers(section: Mapping[str, object], there: Mapping[str, object]) -> dict[str, object]:
    """A section, with None for each name that stands below one of its names in ``there`` and not in it."""
    found: dict[str, object] = {}
    for name, value in section.items():
        old = there.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            gone = {each: None for each in old if each not in value}
            found[name] = {**gone, **without_leftovers(value, old)}
        else:
            found[name] = value
    return found


def attempts_each(equipment: int) -> int:
    """How many attempts of each piece of equipment stand in the twin."""
    return max(1, min(20, ATTEMPTS_IN_ALL // max(1, equipment)))


def _lasting(section: Mapping[str, object]) -> object:
    """A section without what counts all the time."""
    return {
        name: _lasting(value) if isinstance(value, Mapping) else value
        for name, value in section.items()
        if name not in COUNTING
    }
