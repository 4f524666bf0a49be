# SPDX-License-Identifier: Apache-2.0
"""The page of one case with its clocks and entries, and that of a draft of a stage's report. Pure.

What a draft lacks stands first, by name; nothing is made up for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from armillary.console.evidence.pages_cases import (
    KINDS,
    LIST,
    STAGES,
    STANDING,
    STATES,
    SUBJECTS,
    owner,
    place,
    remaining,
)
from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.sheet import SEEN_EVERY_S, Button, Cell, Section, Sheet, state, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.times import HINT
from armillary.console.frame.words import counted, moment, sentence, short_id
from armillary.console.security.pages_advisories import place as advisory_place

_BEGINS: Final = {
    "aware": "becoming aware",
    "fix-available": "a fix or mitigation is available",
    "72h": "the notification is submitted",
}
# State of a field of a draft.
_FIELDS: Final[Mapping[str, State]] = MappingProxyType(
    {
        "present": State(GOOD, "present"),
        "absent": State(BAD, "absent"),
        "stale": State(ATTENTION, "stale"),
        "out-of-scope": State(UNKNOWN, "out of scope"),
    }
)
# Form of a case's page -> what is added by it, the kind of entry.
ADDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "submissions": "submitted",
        "fix-available": "fix-available",
        "notes": "note",
        "references": "reference",
        "corrections": "correction",
        "close": "closed",
    }
)


def case_sheet(
    found: Mapping[str, Any],
    fields: Sequence[str],
    *,
    may_add: bool,
    wrong: tuple[str, Mapping[str, str], Wrong] | None = None,
    now: int,
) -> Sheet:
    """One case. ``fields`` are those that a note may fill; ``wrong``: the form that was refused, as it was sent."""
    is_open = found["state"] == "open"
    forms = _forms(found["case_id"], fields) if may_add and is_open else ()
    return Sheet(
        place="Cases",
        heading=found["title"],
        title=_sentence(found, now),
        detail=f"{sentence(KINDS.get(found['kind'], found['kind']))} Entries are added and never changed; a time that "
        "would put a deadline off moves nothing.",
        crumbs=(("Cases", LIST), (found["title"], "")),
        facts=(
            ("State", state(STATES, found["state"])),
            ("Aware since", Cell(at=moment(found["aware_at"], now))),
            ("Recorded", Cell(at=moment(found["recorded_at"], now))),
            ("By", text(found["recorded_by"])),
            ("Fix available", Cell(at=moment(found["fix_available_at"], now), text="not yet")),
            ("Of", text(owner(found))),
            ("Id", Cell(ident=short_id(found["case_id"]))),
        ),
        sections=(_clocks(found, now), _about(found), _entries(found, now)),
        forms=tuple(_refused(each, wrong) for each in forms),
        every_s=0 if wrong or may_add else SEEN_EVERY_S,
        within="security",
    )


def draft_sheet(found: Mapping[str, Any], now: int) -> Sheet:
    """A draft of a stage's report: what is missing first, each field with its sources, and all of it to copy."""
    stage, case_id = found["stage"], found["case_id"]
    gaps = found["gaps"]
    due = moment(found["due_at"], now)
    says = f"{counted(len(gaps), 'gap')} in {len(found['fields'])} fields" if gaps else "Nothing is missing"
    return Sheet(
        place="Cases",
        heading=f"Draft of {found['title']}",
        title=f"{sentence(STAGES.get(stage, stage))[:-1]}: {says}.",
        detail=f"{found['standard']}. " + (f"Due {due.exact}, {due.relative}." if due else "Its clock has not begun."),
        crumbs=(("Cases", LIST), (found["title"], place(case_id)), (f"Draft {stage}", "")),
        links=tuple((words, place(case_id, "draft", stage=each), each == stage) for each, words in STAGES.items()),
        buttons=(
            Button(label="Download as text", href=place(case_id, "draft.txt", stage=stage), primary=True),
            Button(label="Download as JSON", href=place(case_id, "draft.json", stage=stage)),
        ),
        command=found["text"],
        says_command="To copy into the authority's form",
        sections=(
            Section(
                title="Missing",
                note="nothing is made up for it",
                columns=("Field", "Why"),
                rows=[
                    (text(each["field"], href=f"{place(case_id)}#notes"), text(sentence(each["says"]))) for each in gaps
                ],
                none="Nothing.",
            ),
            Section(
                title="Fields",
                columns=("Asked", "State", "What we hold", "Sources"),
                rows=[
                    (
                        text(each["title"], reason=each["reference"]),
                        state(_FIELDS, each["state"]),
                        text(each["says"]),
                        text("; ".join(each["sources"][:6]) or "none"),
                    )
                    for each in found["fields"]
                ],
                none="",
            ),
        ),
        within="security",
    )


def _clocks(found: Mapping[str, Any], now: int) -> Section:
    return Section(
        title="Clocks",
        columns=("Stage", "State", "Due", "Remains", "Began with", "Submitted", "Report"),
        rows=[
            (
                text(STAGES.get(each["stage"], each["stage"])),
                state(STANDING, each["state"]),
                text(due.exact if (due := moment(each["due_at"], now)) else "not yet known"),
                text(remaining(each["remaining_s"])),
                text(_BEGINS.get(each["begins"], each["begins"])),
                text(sent.exact if (sent := moment(each["submitted_at"], now)) else "no", reason=each["reference"]),
                text("draft", href=place(found["case_id"], "draft", stage=each["stage"])),
            )
            for each in found["stages"]
        ],
        none="",
        anchor="clocks",
    )


def _about(found: Mapping[str, Any]) -> Section:
    return Section(
        title="What it is about",
        columns=("What", "Which"),
        rows=[(text(each["subject"]), text(each["id"], href=subject_href(each))) for each in found["about"]],
        none="Nothing that is known here.",
    )


def subject_href(about: Mapping[str, Any]) -> str:
    """The page of what a case is about."""
    match about["subject"]:
        case "advisory":
            return advisory_place(about["id"])
        case "finding":
            return f"/findings/{quote(about['id'], safe='')}"
        case "vulnerability-report":
            return f"/vulnerability-reports/{quote(about['id'], safe='')}"
        case _:
            return ""


def _entries(found: Mapping[str, Any], now: int) -> Section:
    return Section(
        title="Entries",
        note="in the order in which they were written down",
        columns=("Entry", "Says", "Time it says", "Recorded", "By"),
        rows=[
            (
                text(f"{each['number']}. {each['kind'].replace('-', ' ')}", reason=each["stage"]),
                text(
                    each["text"] or each["reference"] or "nothing more",
                    reason=each["reference"] if each["text"] else "",
                ),
                text(stated.exact if (stated := moment(each["stated_at"], now)) else ""),
                Cell(at=moment(each["recorded_at"], now)),
                text(each["actor"]),
            )
            for each in found["entries"]
        ],
        none="",
        anchor="entries",
    )


def _forms(case_id: str, fields: Sequence[str]) -> tuple[Form, ...]:
    said = Field(name="text", label="Why", kind="area", limits=limits(maxlength=4000), rows=3)
    at = Field(name="at", label="When", hint=f"{HINT}; empty: now")
    stage = Field(name="stage", label="Stage", kind="select", choices=tuple(STAGES.items()))
    reference = Field(name="reference", label="The authority's reference", limits=limits(maxlength=200))
    made = {
        "submissions": ("Submitted", "what was sent to the authority", "Record", (stage, at, reference)),
        "fix-available": ("A fix is available", "the final report's clock begins", "Record", (at, said)),
        "notes": (
            "A note",
            "for a field it is what drafts say there",
            "Add",
            (
                Field(name="field", label="Field", kind="select", choices=choices(fields, none="none")),
                Field(name="text", label="Text", kind="area", limits=limits(maxlength=4000), rows=3, required=True),
            ),
        ),
        "references": (
            "It is also about",
            "",
            "Add",
            (
                Field(name="subject", label="What", kind="select", choices=choices(SUBJECTS)),
                Field(name="reference", label="Its id", limits=limits(maxlength=200), required=True),
            ),
        ),
        "corrections": (
            "Aware earlier",
            "the first time stays; the clocks follow the earliest",
            "Correct",
            (Field(name="at", label="Aware since", hint=HINT, required=True), said),
        ),
        "close": ("Close the case", "all clocks end, and nothing can be added", "Close", (said,)),
    }
    return tuple(
        Form(post=place(case_id, verb), label=label, title=title, about=about, fields=entries, anchor=verb)
        for verb, (title, about, label, entries) in made.items()
    )


def _refused(form: Form, wrong: tuple[str, Mapping[str, str], Wrong] | None) -> Form:
    if wrong is None or wrong[0] != form.anchor:
        return form
    return replace(form, fields=filled(form.fields, wrong[1]), error=wrong[2])


def _sentence(found: Mapping[str, Any], now: int) -> str:
    stage = found["next_stage"]
    if found["state"] == "closed":
        return f"{found['title']}: closed."
    if stage is None:
        return f"{found['title']}: nothing is due now."
    due = moment(found["next_due_at"], now)
    at = f", {due.exact}" if due else ""
    return f"{found['title']}: the {STAGES.get(stage, stage)} is due, {remaining(found['remaining_s'])}{at}."
