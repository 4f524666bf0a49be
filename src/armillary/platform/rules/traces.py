# SPDX-License-Identifier: Apache-2.0
"""Traces: the last evaluations of each rule and device, in memory and bounded.

They are kept as numbers (an entry, or only the note that an entry can be made of) and put into words when somebody
asks. The evaluation that made an alert is kept with the alert; the others are lost when the hub ends, and a trial
(``trial.py``) makes the same words of stored values for any time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from armillary.twin.rule.fast_path import Note
from armillary.twin.rule.table import Entry
from armillary.twin.rule.trace import explain

if TYPE_CHECKING:
    from armillary.platform.rules.plans import Loaded

# Evaluations kept of one rule and device, and of all together; those evaluated longest ago go first.
MAX_ENTRIES: Final = 20
MAX_ENTRIES_TOGETHER: Final = 20_000


class Traces:
    """Evaluations by rule and device. Written in the hub's loop; read from any thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], deque[Entry | Note]] = OrderedDict()
        self._count = 0
        self.dropped = 0

    def add_one(self, rule_id: str, device_id: str, note: Note) -> None:
        """Note one evaluation."""
        key = (rule_id, device_id)
        kept = self._kept.get(key)
        if kept is None or len(kept) < MAX_ENTRIES:
            self.add(rule_id, device_id, (note,))
        else:  # as nearly always: the oldest gives way
            self._kept.move_to_end(key)
            kept.append(note)

    def add(self, rule_id: str, device_id: str, entries: Iterable[Entry | Note]) -> None:
        """Note evaluations, oldest first."""
        key = (rule_id, device_id)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = deque(maxlen=MAX_ENTRIES)
        else:
            self._kept.move_to_end(key)
        before = len(kept)
        kept.extend(entries)
        self._count += len(kept) - before
        while self._count > MAX_ENTRIES_TOGETHER and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._count -= len(oldest)
            self.dropped += len(oldest)

    def of(self, rule_id: str, device_id: str) -> list[Entry | Note]:
        """Evaluations, newest first."""
        kept = self._kept.get((rule_id, device_id))
        return [] if kept is None else list(reversed(kept.copy()))

    def in_words(self, loaded: Loaded, device_id: str) -> list[dict[str, Any]]:
        """Evaluations of a rule for a device as JSON objects, newest first."""
        kept = self.of(loaded.id, device_id)
        entries = (each if isinstance(each, Entry) else loaded.fast_path.entry(each) for each in kept)
        return [explain(loaded.rule, each) for each in entries]

    def forget(self, rule_id: str) -> None:
        """Forget a rule: it was changed or deleted, and the numbers mean something else now."""
        for key in [key for key in self._kept if key[0] == rule_id]:
            self._count -= len(self._kept.pop(key))
