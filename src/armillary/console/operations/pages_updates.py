# SPDX-License-Identifier: Apache-2.0
"""The list of roll-outs: what is rolling out, in which state, since when? Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from armillary.console.frame.states import ROLLOUT
from armillary.console.frame.words import counted, grouped, joined, sentence
from armillary.console.operations.pages_rollout import RolloutLine

LIST: Final = "/updates"
# Columns of the list, and what each is sorted by.
COLUMNS: Final[Mapping[str, Callable[[RolloutLine], object] | None]] = MappingProxyType(
    {
        "Roll-out": lambda line: line.name,
        "State": lambda line: line.state,
        "Progress": None,
        "Done": lambda line: line.done,
        "Failed": lambda line: line.failed,
        "Cohort": lambda line: line.cohort,
        "Devices": lambda line: line.devices,
        "Created": lambda line: line.created,
        "Changed": lambda line: line.changed,
    }
)
# What the exported list has besides.
EXPORTED: Final[Mapping[str, Callable[[RolloutLine], object]]] = MappingProxyType(
    {
        "Group": lambda line: line.group,
        "Reason": lambda line: line.reason,
        "Roll-out id": lambda line: line.href.rpartition("/")[2],
    }
)
# Columns with figures.
FIGURES: Final = frozenset({"Done", "Failed", "Devices"})
# Column -> what the source sorts all pages by: the number of a roll-out, with which its creation rises.
BY_SOURCE: Final[Mapping[str, str]] = MappingProxyType({"Created": "number"})


def chosen_state(query: Mapping[str, str]) -> str:
    """The state that the address asks for; "" for all."""
    asked = query.get("state", "")
    return asked if asked in ROLLOUT else ""


def state_links(chosen: str) -> tuple[tuple[str, str, bool], ...]:
    """Words, address and whether it is shown, of all roll-outs and of those in each state."""
    states = ((word, state.word) for word, state in ROLLOUT.items())
    return (
        ("all", LIST, not chosen),
        *((words, f"{LIST}?{urlencode({'state': word})}", word == chosen) for word, words in states),
    )


def updates_sentence(lines: Sequence[Mapping[str, Any]], chosen: str = "", *, more: bool = False) -> str:
    """First line of the list: what runs and what is stopped, or how many are in the ``chosen`` state."""
    if chosen:
        where = " on this page" if more else ""
        return (
            f"{counted(len(lines), 'roll-out')}{where}: {ROLLOUT[chosen].word}." if lines else "None is in this state."
        )
    if not lines:
        return "Nothing has been rolled out yet."
    words = ("proposed", "running", "held", "rolling-back")
    counts = {word: sum(1 for line in lines if line["state"] == word) for word in words}
    if not any(counts.values()):
        return f"Nothing is rolling out now; {counted(len(lines), 'roll-out')} ended."
    parts = [
        f"{grouped(count)} {says}"
        for word, says in zip(words, ("waiting for approval", "running", "halted", "rolling back"), strict=True)
        if (count := counts[word])
    ]
    return sentence(f"Roll-outs: {joined(parts)}")
