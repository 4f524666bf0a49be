# SPDX-License-Identifier: Apache-2.0
"""What a simulated device asks of the flash that its life began with, in order, and what it was answered.

A device is a program without chance: the same answers make the same life. Two states of a medium that differ only where
the device never looks, or looks after it has written there itself, so have one life and one ending (``lives.py``).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class About(enum.Enum):
    """What a question is about."""

    CONTENT = "the content of the region of this name, None where there is none"
    PRESENCE = "whether there is a region of this name"
    NAMES = "the names of the regions that begin with this"


Answer = bytes | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a medium."""

    about: About
    name: str

    def answer(self, durable: Mapping[str, bytes]) -> Answer:
        """The answer of a medium that holds this."""
        if self.about is About.CONTENT:
            return durable.get(self.name)
        if self.about is About.PRESENCE:
            return self.name in durable
        return tuple(sorted(region for region in durable if region.startswith(self.name)))


class Asked:
    """The questions of one life to the medium ``start``.

    A region is *settled* once its durable content is that of ``start`` and was asked for, or is the life's own work.
    """

    def __init__(self, start: Mapping[str, bytes]) -> None:
        self._start = start
        self._settled: set[str] = set()
        self._known: set[Question] = set()
        self.answers: list[tuple[Question, Answer]] = []

    def content(self, region: str) -> None:
        """The life depends on the durable content of a region from here on."""
        if region not in self._settled:
            self._settled.add(region)
            self._ask(About.CONTENT, region)

    def presence(self, region: str) -> None:
        """The life depends on whether there is such a region."""
        if region not in self._settled:
            self._ask(About.PRESENCE, region)

    def names(self, prefix: str) -> None:
        """The life depends on which regions have this prefix."""
        self._ask(About.NAMES, prefix)

    def settle(self, region: str) -> None:
        """The life has made the durable content of a region; whatever was there before counts no more."""
        self._settled.add(region)

    def _ask(self, about: About, name: str) -> None:
        question = Question(about, name)
        if question not in self._known:
            self._known.add(question)
            self.answers.append((question, question.answer(self._start)))
