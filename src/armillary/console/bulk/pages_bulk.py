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
from armillary.console.language.say import say, shaped

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
        + ([say("{count} more", count=grouped(len(ids) - NAMED))] if len(ids) > NAMED else [])
    )
    return Confirmation(
        title=say("{action}: {rows}?", action=verb.label, rows=what),
        touches=(
            *touching(say("{rows}: {names}.", rows=what, names=named), verb.does, verb.leaves, verb.undo),
            (say("If one fails"), say("It is named with the reason; the others are done.")),
        ),
        label=verb.label,
        danger=bool(verb.word),
        word=verb.word,
        wide=say("This affects {rows}.", rows=what),
        reason=verb.reason,
        typed=(say("Tag, as name=value"), "") if verb.tag else None,
        choice=say("Device group") if verb.group else "",
        choices=tuple(groups),
        post=f"{post}/{name}",
        back=back,
        hidden=(*((f"{PICK}{each}", "on") for each in ids), ("back", back), ("once", once)),
        audited=say("One line for each"),
    )


def outcome(
    kind: Kind, verb: Verb, done: Sequence[str], failed: Sequence[Failed], names: Mapping[str, str], back: str
) -> Sheet:
    """What became of each row."""
    total = len(done) + len(failed)
    said = say("{rows} {changed}.", rows=counted(len(done), kind.one, kind.many), changed=verb.past)
    if failed:
        said = say(
            "{done} of {rows} {changed}; {failed} failed.",
            done=grouped(len(done)),
            rows=counted(total, kind.one, kind.many),
            changed=verb.past,
            failed=grouped(len(failed)),
        )
    failures = Section(
        title=say("Failed"),
        note=say("nothing of these was changed"),
        columns=(shaped(kind.one, str.capitalize), say("Why")),
        rows=[(text(names.get(each.item, each.item)), text(sentence(each.why))) for each in failed],
        none="",
    )
    changed = Section(
        title=say("Done"),
        columns=(shaped(kind.one, str.capitalize),),
        rows=[(text(names.get(each, each)),) for each in done],
        none=say("None."),
    )
    return Sheet(
        place=shaped(kind.many, str.capitalize),
        title=said,
        crumbs=((shaped(kind.many, str.capitalize), back), (verb.label, "")),
        buttons=(Button(label=say("Back to the list"), href=back, primary=True),),
        sections=(*((failures,) if failed else ()), changed),
        within="",
    )
