# SPDX-License-Identifier: Apache-2.0
"""A draft of a report to an authority: what is asked in a stage, what is held of it, and what is missing, by name.

What is missing is a gap with what to do about it, never an empty field and never something made up. A person may have
filled a gap by a note of the case; then the note is the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from armillary.regulation.case import NOTE, CaseEntry
from armillary.regulation.standard import Requirement, Standard
from armillary.regulation.statement import PRESENT, STALE, Fact, Statement, present, state_of, statement

WIDTH: Final = 100
_STAGES: Final = {
    "24h": "Early warning (24 hours)",
    "72h": "Notification (72 hours)",
    "final": "Final report",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftHead:
    """What a draft is of. Times are Unix seconds UTC; ``due_at`` is None before the stage's clock has begun."""

    case_id: str
    kind: str
    stage: str
    title: str
    aware_at: int
    due_at: int | None
    made_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A draft: a statement for each thing that is asked, in the order of the table."""

    head: DraftHead
    standard: str
    fields: tuple[Statement, ...]

    @property
    def gaps(self) -> tuple[Statement, ...]:
        """What is missing."""
        return tuple(each for each in self.fields if each.is_gap)


def make(head: DraftHead, asked: Standard, facts: Mapping[str, Fact], entries: Sequence[CaseEntry]) -> Draft:
    """The draft of a stage by the facts that are held and the notes of the case."""
    wanted = [each for each in asked.requirements if each.asks_of(head.kind, head.stage)]
    return Draft(
        head=head,
        standard=asked.title,
        fields=tuple(_with_notes(each, statement(each, facts), entries) for each in wanted),
    )


def _with_notes(requirement: Requirement, found: Statement, entries: Iterable[CaseEntry]) -> Statement:
    """The statement, with what a person wrote for it; what a person wrote makes what nobody else holds present."""
    notes = [each for each in entries if each.kind == NOTE and each.reference == requirement.id]
    if not notes:
        return found
    said = [present("note", each.text, each.text, f"entry {each.number} of the case, {each.actor}") for each in notes]
    known = [each for each in found.facts if each.state in (PRESENT, STALE)]
    facts = (*known, *said)
    return Statement(
        requirement=requirement,
        state=state_of([each.state for each in facts]),
        says=" ".join(dict.fromkeys(each.says for each in facts)),
        facts=facts,
    )


def as_document(draft: Draft) -> dict[str, Any]:
    """A draft as JSON."""
    head = draft.head
    return {
        "case_id": head.case_id,
        "kind": head.kind,
        "stage": head.stage,
        "title": head.title,
        "aware_at": head.aware_at,
        "due_at": head.due_at,
        "made_at": head.made_at,
        "standard": draft.standard,
        "fields": [_field(each) for each in draft.fields],
        "gaps": [{"field": each.requirement.id, "says": each.says} for each in draft.gaps],
        "text": as_text(draft),
    }


def _field(found: Statement) -> dict[str, Any]:
    asked = found.requirement
    return {
        "field": asked.id,
        "reference": asked.reference,
        "title": asked.title,
        "state": found.state,
        "says": found.says,
        "values": {each.name: each.value for each in found.facts if each.value is not None},
        "sources": sorted({source for each in found.facts for source in each.sources}),
    }


def as_text(draft: Draft) -> str:
    """A draft to copy into the authority's form: each field with its text and its sources, then the gaps."""
    head = draft.head
    due = "its clock has not begun" if head.due_at is None else time_text(head.due_at)
    times = f"Aware since {time_text(head.aware_at)}. Due: {due}. Drafted {time_text(head.made_at)}."
    lines = [
        f"{_STAGES[head.stage]}: {head.title}",
        draft.standard,
        f"Case {head.case_id}, {head.kind}. {times}",
        "",
    ]
    for each in draft.fields:
        lines += [f"{each.requirement.title} ({each.requirement.reference})"]
        for fact in each.facts:
            mark = "" if fact.state == PRESENT else f"[{fact.state.upper()}] "
            lines += [f"  {line}" for line in f"{mark}{fact.says}".split("\n")]
        if not each.facts:
            lines += [f"  [{each.state.upper()}] {each.says}"]
        sources = sorted({source for fact in each.facts for source in fact.sources})
        lines += [f"  Source: {'; '.join(sources)}", ""] if sources else [""]
    gaps = draft.gaps
    lines += [f"Missing: {len(gaps)} of {len(draft.fields)}" if gaps else "Nothing is missing."]
    lines += [f"  - {each.requirement.title}: armillary case note --field {each.requirement.id}" for each in gaps]
    return "\n".join(lines) + "\n"


def time_text(at: int) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
