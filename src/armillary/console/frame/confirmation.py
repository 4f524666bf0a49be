# SPDX-License-Identifier: Apache-2.0
"""What an action says before it is done: the question, what it touches, how it is undone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One page that asks.

    Attributes:
        title: The question.
        touches: (name, sentence) pairs: what it touches, does, leaves alone, and how it is undone.
        label: Word on the button.
        danger: Whether the button is drawn as dangerous.
        word: The word to type, or "" where the button is enough.
        wide: Why the word is asked for.
        post: Where the form goes; ``back`` is where Cancel leads.
        reason: Whether a reason is asked for.
        choice: Label of a choice that has to be made, or "" for none; it is posted as ``to``.
        choices: (value, words) pairs to choose from.
        hidden: (name, value) pairs that its form sends as well.
    """

    title: str
    touches: tuple[tuple[str, str], ...]
    label: str
    danger: bool
    word: str
    post: str
    back: str
    reason: bool = True
    choice: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    hidden: tuple[tuple[str, str], ...] = ()
    wide: str = "This is wide."
