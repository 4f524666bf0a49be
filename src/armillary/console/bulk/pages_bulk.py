# SPDX-License-Identifier: Apache-2.0
"""The question before many rows are changed, and what became of each. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from armillary.console.bulk.kinds import Kind, Verb
from armillary.console.frame.confirmation import NAMED, Confirmation, touching
from armillary.console.frame.sheet import Button, Section, Sheet, text
from armillary.console.frame.words import counted, grouped, joined, sentence

# Beginning of the names of boxes that are ticked; the id of the row follows.
PICK: Final = "pick:"


@dataclass(frozen=True, slots=True)
class Failed:
    """A row that was not changed, and why."""

    item: str
    why: str


def question(
    kind: Kind, name: str, verb: Verb, ids: Sequence[str], names: Mapping[str, str], *,
    post: str, back: str, once: str, groups: Sequence[tuple[str, str]] = (),
) -> Confirmation:  # fmt: skip
    """What is done with the rows that were ticked, which it names; ``once`` is taken one time."""
    what = counted(len(ids), kind.one, kind.many)
    named = joined(
        [names.get(each, each) for each in ids[:NAMED]]
        + ([f"{grouped(len(ids) - NAMED)} more"] if len(ids) > NAMED else [])
    )
    return Confirmation(
        title=f"{verb.label}: {what}?",
        touches=(
            *touching(f"{what}: {named}.", verb.does, verb.leaves, verb.undo),
            ("If one fails", "It is named with the reason; the others are done."),
        ),
        label=verb.label,
        danger=bool(verb.word),
        word=verb.word,
        wide=f"This affects {what}.",
        reason=verb.reason,
        typed=("Tag, as name=value", "") if verb.tag else None,
        choice="Device group" if verb.group else "",
        choices=tuple(groups),
        post=f"{post}/{name}",
        back=back,
        hidden=(*((f"{PICK}{each}", "on") for each in ids), ("back", back), ("once", once)),
        audited="One line for each",
    )


def outcome(
    kind: Kind, verb: Verb, done: Sequence[str], failed: Sequence[Failed], names: Mapping[str, str], back: str
) -> Sheet:
    """What became of each row."""
    total = len(done) + len(failed)
    said = f"{counted(len(done), kind.one, kind.many)} {verb.past}."
    if failed:
        said = (
            f"{grouped(len(done))} of {counted(total, kind.one, kind.many)} {verb.past}; {grouped(len(failed))} failed."
        )
    failures = Section(
        title="Failed",
        note="nothing of these was changed",
        columns=(kind.one.capitalize(), "Why"),
        rows=[(text(names.get(each.item, each.item)), text(sentence(each.why))) for each in failed],
        none="",
    )
    changed = Section(
        title="Done",
        columns=(kind.one.capitalize(),),
        rows=[(text(names.get(each, each)),) for each in done],
        none="None.",
    )
    return Sheet(
        place=kind.many.capitalize(),
        title=said,
        crumbs=((kind.many.capitalize(), back), (verb.label, "")),
        buttons=(Button(label="Back to the list", href=back, primary=True),),
        sections=(*((failures,) if failed else ()), changed),
        within="",
    )
