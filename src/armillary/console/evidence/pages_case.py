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
    SUBJECT_WORDS,
    owner,
    place,
    remaining,
)
from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.sheet import SEEN_EVERY_S, Button, Cell, Section, Sheet, state, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.times import HINT
from armillary.console.frame.words import counted, moment, sentence, short_id
from armillary.console.language.say import say
from armillary.console.security.pages_advisories import place as advisory_place

_BEGINS: Final = {
    "aware": say("becoming aware"),
    "fix-available": say("a fix or mitigation is available"),
    "72h": say("the notification is submitted"),
}
# State of a field of a draft.
_FIELDS: Final[Mapping[str, State]] = MappingProxyType(
    {
        "present": State(GOOD, say("present")),
        "absent": State(BAD, say("absent")),
        "stale": State(ATTENTION, say("stale")),
        "out-of-scope": State(UNKNOWN, say("out of scope")),
    }
)
# Kind of an entry -> what people call it.
_ENTRIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aware": say("aware"),
        "correction": say("correction"),
        "reference": say("reference"),
        "fix-available": say("fix available"),
        "submitted": say("submitted"),
        "note": say("note"),
        "closed": say("closed"),
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
        place=say("Cases"),
        heading=found["title"],
        title=_sentence(found, now),
        detail=say(
            "{kind} Entries are added and never changed; a time that would put a deadline off moves nothing.",
            kind=sentence(KINDS.get(found["kind"], found["kind"])),
        ),
        crumbs=((say("Cases"), LIST), (found["title"], "")),
        facts=(
            (say("State"), state(STATES, found["state"])),
            (say("Aware since"), Cell(at=moment(found["aware_at"], now))),
            (say("Recorded"), Cell(at=moment(found["recorded_at"], now))),
            (say("By"), text(found["recorded_by"])),
            (say("Fix available"), Cell(at=moment(found["fix_available_at"], now), text=say("not yet"))),
            (say("Of"), text(owner(found))),
            (say("Id"), Cell(ident=short_id(found["case_id"]))),
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
    due, known = moment(found["due_at"], now), {"standard": found["standard"]}
    says = (
        say("{gaps} in {fields} fields", gaps=counted(len(gaps), "gap"), fields=len(found["fields"]))
        if gaps
        else say("Nothing is missing")
    )
    return Sheet(
        place=say("Cases"),
        heading=say("Draft of {title}", title=found["title"]),
        title=sentence(say("{stage}: {says}", stage=STAGES.get(stage, stage), says=says)),
        detail=say("{standard}. Due {exact}, {relative}.", **known, exact=due.exact, relative=due.relative)
        if due
        else say("{standard}. Its clock has not begun.", **known),
        crumbs=((say("Cases"), LIST), (found["title"], place(case_id)), (say("Draft {stage}", stage=stage), "")),
        links=tuple((words, place(case_id, "draft", stage=each), each == stage) for each, words in STAGES.items()),
        buttons=(
            Button(label=say("Download as text"), href=place(case_id, "draft.txt", stage=stage), primary=True),
            Button(label=say("Download as JSON"), href=place(case_id, "draft.json", stage=stage)),
        ),
        command=found["text"],
        says_command=say("To copy into the authority's form"),
        sections=(
            Section(
                title=say("Missing"),
                note=say("nothing is made up for it"),
                columns=(say("Field"), say("Why")),
                rows=[
                    (text(each["field"], href=f"{place(case_id)}#notes"), text(sentence(each["says"]))) for each in gaps
                ],
                none=say("Nothing."),
            ),
            Section(
                title=say("Fields"),
                columns=(say("Asked"), say("State"), say("What we hold"), say("Sources")),
                rows=[
                    (
                        text(each["title"], reason=each["reference"]),
                        state(_FIELDS, each["state"]),
                        text(each["says"]),
                        text("; ".join(each["sources"][:6]) or say("none")),
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
        title=say("Clocks"),
        columns=(
            say("Stage"),
            say("State"),
            say("Due"),
            say("Remains"),
            say("Began with"),
            say("Submitted"),
            say("Report"),
        ),
        rows=[
            (
                text(STAGES.get(each["stage"], each["stage"])),
                state(STANDING, each["state"]),
                text(due.exact if (due := moment(each["due_at"], now)) else say("not yet known")),
                text(remaining(each["remaining_s"])),
                text(_BEGINS.get(each["begins"], each["begins"])),
                text(
                    sent.exact if (sent := moment(each["submitted_at"], now)) else say("no"), reason=each["reference"]
                ),
                text(say("draft"), href=place(found["case_id"], "draft", stage=each["stage"])),
            )
            for each in found["stages"]
        ],
        none="",
        anchor="clocks",
    )


def _about(found: Mapping[str, Any]) -> Section:
    return Section(
        title=say("What it is about"),
        columns=(say("What"), say("Which")),
        rows=[
            (text(SUBJECT_WORDS.get(each["subject"], each["subject"])), text(each["id"], href=subject_href(each)))
            for each in found["about"]
        ],
        none=say("Nothing that is known here."),
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
        title=say("Entries"),
        note=say("in the order in which they were written down"),
        columns=(say("Entry"), say("Says"), say("Time it says"), say("Recorded"), say("By")),
        rows=[
            (
                text(
                    say("{number}. {entry}", number=each["number"], entry=_ENTRIES.get(each["kind"], each["kind"])),
                    reason=each["stage"],
                ),
                text(
                    each["text"] or each["reference"] or say("nothing more"),
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
    said = Field(name="text", label=say("Why"), kind="area", limits=limits(maxlength=4000), rows=3)
    at = Field(name="at", label=say("When"), hint=say("{hint}; empty: now", hint=HINT))
    stage = Field(name="stage", label=say("Stage"), kind="select", choices=tuple(STAGES.items()))
    reference = Field(name="reference", label=say("The authority's reference"), limits=limits(maxlength=200))
    made = {
        "submissions": (say("Submitted"), say("what was sent to the authority"), say("Record"), (stage, at, reference)),
        "fix-available": (say("A fix is available"), say("the final report's clock begins"), say("Record"), (at, said)),
        "notes": (
            say("A note"),
            say("for a field it is what drafts say there"),
            say("Add"),
            (
                Field(name="field", label=say("Field"), kind="select", choices=choices(fields, none=say("none"))),
                Field(
                    name="text", label=say("Text"), kind="area", limits=limits(maxlength=4000), rows=3, required=True
                ),
            ),
        ),
        "references": (
            say("It is also about"),
            "",
            say("Add"),
            (
                Field(name="subject", label=say("What"), kind="select", choices=tuple(SUBJECT_WORDS.items())),
                Field(name="reference", label=say("Its id"), limits=limits(maxlength=200), required=True),
            ),
        ),
        "corrections": (
            say("Aware earlier"),
            say("the first time stays; the clocks follow the earliest"),
            say("Correct"),
            (Field(name="at", label=say("Aware since"), hint=HINT, required=True), said),
        ),
        "close": (say("Close the case"), say("all clocks end, and nothing can be added"), say("Close"), (said,)),
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
        return say("{title}: closed.", title=found["title"])
    if stage is None:
        return say("{title}: nothing is due now.", title=found["title"])
    due, left = moment(found["next_due_at"], now), remaining(found["remaining_s"])
    when = say("{left}, {at}", left=left, at=due.exact) if due else left
    return say("{title}: the {stage} is due, {when}.", title=found["title"], stage=STAGES.get(stage, stage), when=when)
