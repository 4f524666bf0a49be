# SPDX-License-Identifier: Apache-2.0
"""The list of roll-outs: what is rolling out, in which state, since when? Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from armillary.console.frame.states import ROLLOUT
from armillary.console.frame.words import counted, grouped, joined
from armillary.console.language.say import say
from armillary.console.operations.pages_rollout import RolloutLine

LIST: Final = "/updates"
# States of a roll-out that has not ended, as the first line says them.
_LIVING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "proposed": say("waiting for approval"),
        "running": say("running"),
        "held": say("halted"),
        "rolling-back": say("rolling back"),
    }
)
# Columns of the list, and what each is sorted by.
COLUMNS: Final[Mapping[str, Callable[[RolloutLine], object] | None]] = MappingProxyType(
    {
        say("Roll-out"): lambda line: line.name,
        say("State"): lambda line: line.state,
        say("Progress"): None,
        say("Done"): lambda line: line.done,
        say("Failed"): lambda line: line.failed,
        say("Cohort"): lambda line: line.cohort,
        say("Devices"): lambda line: line.devices,
        say("Created"): lambda line: line.created,
        say("Changed"): lambda line: line.changed,
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
        (say("all"), LIST, not chosen),
        *((words, f"{LIST}?{urlencode({'state': word})}", word == chosen) for word, words in states),
    )


def updates_sentence(lines: Sequence[Mapping[str, Any]], chosen: str = "", *, more: bool = False) -> str:
    """First line of the list: what runs and what is stopped, or how many are in the ``chosen`` state."""
    if chosen:
        if not lines:
            return say("None is in this state.")
        many = counted(len(lines), "roll-out")
        state = ROLLOUT[chosen].word
        if more:
            return say("{roll_outs} on this page: {state}.", roll_outs=many, state=state)
        return say("{roll_outs}: {state}.", roll_outs=many, state=state)
    if not lines:
        return say("Nothing has been rolled out yet.")
    counts = {word: sum(1 for line in lines if line["state"] == word) for word in _LIVING}
    if not any(counts.values()):
        return say("Nothing is rolling out now; {roll_outs} ended.", roll_outs=counted(len(lines), "roll-out"))
    parts = [
        say("{count} {state}", count=grouped(counts[word]), state=says)
        for word, says in _LIVING.items()
        if counts[word]
    ]
    return say("Roll-outs: {parts}.", parts=joined(parts))
