# SPDX-License-Identifier: Apache-2.0
"""What is known of lives: a tree of the questions that a device asks of its flash, the answers, and how it ended.

Its forks are the questions (``asked.py``), its branches the answers, its leaves the endings. A state of a medium is
asked the same questions until a leaf is reached, or an answer that no life has had yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from armillary.sim.power.asked import Answer, Question


@dataclass(frozen=True, slots=True)
class Ending:
    """How a life ended: what broke, None if every promise was kept."""

    broken: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Fork:
    question: Question
    branches: dict[object, _Fork | Ending] = field(default_factory=dict)


class Known:
    """Endings by what a life began with, a ``beginning`` that can be hashed, and by the answers of its flash."""

    def __init__(self) -> None:
        self._known: dict[object, _Fork | Ending] = {}

    def find(self, beginning: object, ask: Callable[[Question], Answer]) -> Ending | None:
        """The ending of a life with this beginning and the flash that ``ask`` answers for; None if it is not known."""
        found = self._known.get(beginning)
        while isinstance(found, _Fork):
            found = found.branches.get(ask(found.question))
        return found

    def learn(self, beginning: object, answers: Sequence[tuple[Question, Answer]], ending: Ending) -> None:
        """Add a life: the questions that it asked, with their answers, and its ending.

        AssertionError if another life asked another question after the same answers: no program does that.
        """
        branches, branch = self._known, beginning
        for question, answer in answers:
            fork = branches.setdefault(branch, _Fork(question))
            if not isinstance(fork, _Fork) or fork.question != question:
                raise AssertionError(f"a device asked for {question} after the same answers as one that did not")
            branches, branch = fork.branches, answer
        branches[branch] = ending
