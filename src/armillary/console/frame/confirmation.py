# SPDX-License-Identifier: Apache-2.0
"""Pages that ask before an action: the question, what it touches, what uses it, how it is undone. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.console.frame.words import grouped, sentence
from armillary.console.language.say import say

# What uses a document: ``kind``, ``id`` and ``words`` of each, as the sources answer (``*_uses``).
Uses = Sequence[Mapping[str, Any]]
# An action on more devices than this asks for the word: a slip must not reach a fleet.
WIDE_DEVICES: Final = 100
# Users that a page names one by one.
NAMED: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """One page that asks.

    Attributes:
        title: The question.
        touches: (name, sentence) pairs: what it touches, does, leaves alone, and how it is undone.
        word: The word to type, or "" where the button is enough; ``wide`` says what it affects.
        post: Where the form goes; ``back`` is where Cancel leads.
        choice: Label of a choice that has to be made, or "" for none; it is posted as ``to``.
        choices: (value, words) pairs to choose from; None for a text.
        hidden: (name, value) pairs that its form sends as well.
        audited: How many lines of the audit log it makes, in words.
        typed: (label, text) of a text that may be changed before it is sent, posted as ``typed``; or nothing.
    """

    title: str
    touches: tuple[tuple[str, str], ...]
    label: str
    post: str
    back: str
    danger: bool = False
    word: str = ""
    reason: bool = False
    choice: str = ""
    choices: tuple[tuple[str, str], ...] | None = ()
    hidden: tuple[tuple[str, str], ...] = ()
    typed: tuple[str, str] | None = None
    wide: str = ""
    audited: str = say("One line")


@dataclass(frozen=True, slots=True)
class Action:
    """A way to a page that asks: a button or a link; ``refused`` says why it cannot be used now."""

    label: str
    href: str
    danger: bool = False
    refused: str = ""


def touching(touches: str, does: str, leaves: str, undo: str) -> tuple[tuple[str, str], ...]:
    """What most pages that ask say: what it touches, does, leaves alone, and how it is undone."""
    return ((say("Touches"), touches), (say("Does"), does), (say("Leaves alone"), leaves), (say("Undo"), undo))


def used_by(uses: Uses, *, asks: bool = True) -> tuple[tuple[str, str], ...]:
    """What uses it, one a line; nothing where nothing can."""
    if not uses:
        return ((say("Used by"), say("Nothing.")),) if asks else ()
    named = [
        (say("Used by") if number == 0 else "", sentence(each["words"])) for number, each in enumerate(uses[:NAMED])
    ]
    more = [("", say("And {count} more.", count=grouped(len(uses) - NAMED)))] if len(uses) > NAMED else []
    return (*named, *more)


def seen_of(document: Mapping[str, Any], uses: Uses) -> str:
    """Stands for what the page said: another version, or another user since, asks again."""
    said = "\n".join([str(document["etag"]), *(f"{each['kind']}/{each['id']}" for each in uses)])
    return hashlib.sha256(said.encode()).hexdigest()[:16]
