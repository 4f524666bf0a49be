# SPDX-License-Identifier: Apache-2.0
"""Cases that must be reported: the list, one with its clocks and entries, a draft, the form of a new one. Pure.

Clocks are shown as the time when a stage is due and what remains; what is over is never drawn as good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame.form import Field, Form, Wrong, filled, limits
from armillary.console.frame.sheet import SEEN_EVERY_S, Button, Cell, Section, Sheet, next_href, state, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.times import HINT
from armillary.console.frame.words import DAY_S, HOUR_S, MINUTE_S, counted, grouped, moment
from armillary.console.language.say import say

LIST: Final = "/cases"
# Column -> what the source sorts all pages by.
BY_SOURCE: Final[Mapping[str, str]] = MappingProxyType({"Case": "title", "State": "state", "Aware since": "aware_at"})
NEW: Final = "/new-case"
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "exploited-vulnerability": say("actively exploited vulnerability"),
        "severe-incident": say("severe incident"),
    }
)
STAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "24h": say("early warning (24 hours)"),
        "72h": say("notification (72 hours)"),
        "final": say("final report"),
    }
)
SUBJECT_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "advisory": say("advisory"),
        "finding": say("finding"),
        "vulnerability-report": say("vulnerability report"),
    }
)
# State of a stage -> how it is drawn.
STANDING: Final[Mapping[str, State]] = MappingProxyType(
    {
        "waiting": State(UNKNOWN, say("clock has not begun")),
        "running": State(ATTENTION, say("to be submitted")),
        "due-soon": State(BAD, say("due soon")),
        "overdue": State(BAD, say("overdue")),
        "submitted": State(GOOD, say("submitted")),
        "submitted-late": State(ATTENTION, say("submitted late")),
        "not-submitted": State(UNKNOWN, say("closed without it")),
    }
)
STATES: Final[Mapping[str, State]] = MappingProxyType(
    {"open": State(ATTENTION, say("open")), "closed": State(UNKNOWN, say("closed"))}
)


def place(case_id: str, *more: str, **query: str) -> str:
    """The address of a case, or of something below it."""
    path = "/".join([LIST, quote(case_id, safe=""), *more])
    return f"{path}?{urlencode(query)}" if query else path


def new_href(subject: str, reference: str) -> str:
    """The form of a case about an advisory, a finding or a report."""
    return f"{NEW}?{urlencode({'subject': subject, 'reference': reference})}"


def remaining(seconds: int | None) -> str:
    """``19 h 12 min left``, ``2 d 3 h over``; of nothing that is due ``nothing``."""
    if seconds is None:
        return say("nothing")
    whole = abs(seconds)
    parts = [(whole // DAY_S, "d"), (whole % DAY_S // HOUR_S, "h"), (whole % HOUR_S // MINUTE_S, "min")]
    named = [f"{grouped(many)} {unit}" for many, unit in parts if many][:2]
    span = " ".join(named) or say("less than a minute")
    return say("{span} left", span=span) if seconds >= 0 else say("{span} over", span=span)


def list_sheet(page: Mapping[str, Any], *, asked: str, new: str, is_part: bool, now: int) -> Sheet:
    """A page of cases: open, closed or ("") all; ``new`` is where one is begun, "" for who may not."""
    words = (("", say("open")), ("closed", say("closed")), ("all", say("all")))
    return Sheet(
        place=say("Cases"),
        title=_list_sentence(page["items"], asked, is_part=is_part),
        detail=say(
            "What must be reported to authorities: Regulation (EU) 2024/2847, Article 14. A case begins when "
            "somebody is aware, and from then on its clocks run."
        ),
        links=tuple((word, f"{LIST}?only={key}" if key else LIST, key == asked) for key, word in words),
        buttons=(Button(label=say("Become aware"), href=new, primary=True),) if new else (),
        sections=(
            Section(
                title=say("Cases"),
                note=say("newest first"),
                columns=(
                    say("Case"),
                    say("State"),
                    say("Next"),
                    say("Due"),
                    say("Remains"),
                    say("Aware since"),
                    say("Of"),
                ),
                rows=[_row(each, now) for each in page["items"]],
                none=say("None. Nothing has to be reported until somebody says that they are aware."),
                next_href=next_href(LIST, page["next"], {"only": asked} if asked else {}),
                sorts=True,
            ),
        ),
        every_s=SEEN_EVERY_S,
        within="security",
    )


def new_sheet(catalogs: Sequence[str], sent: Mapping[str, str], wrong: Wrong | None, *, whole: bool) -> Sheet:
    """The form of a new case; ``whole``: who asks speaks for all catalogs."""
    owners = (*((("", say("the whole service")),) if whole else ()), *((each, each) for each in catalogs))
    fields = (
        Field(name="kind", label=say("What is it?"), kind="select", choices=tuple(KINDS.items())),
        Field(
            name="title",
            label=say("Title"),
            limits=limits(maxlength=200),
            hint=say("Empty: the id of what it is about"),
        ),
        Field(name="catalog", label=say("Catalog"), kind="select", choices=owners),
        Field(name="product", label=say("Product"), limits=limits(maxlength=50), hint=say("Empty: all of the catalog")),
        Field(
            name="at",
            label=say("Aware since"),
            hint=say("{hint}; empty: now. It is never changed afterwards", hint=HINT),
        ),
        Field(
            name="subject",
            label=say("It is about"),
            kind="select",
            choices=(("", say("nothing that is known here")), *SUBJECT_WORDS.items()),
        ),
        Field(name="reference", label=say("Its id"), limits=limits(maxlength=200), hint=say("such as CVE-2026-1234")),
        Field(name="text", label=say("How it became known"), kind="area", limits=limits(maxlength=4000)),
    )
    return Sheet(
        place=say("Cases"),
        heading=say("Become aware"),
        title=say("Say that you are aware, and the clocks run."),
        detail=say(
            "The early warning is due after 24 hours, the notification after 72. This is recorded in the "
            "audit log under your name and cannot be withdrawn; a case that was none is closed with the "
            "reason."
        ),
        crumbs=((say("Cases"), LIST), (say("Become aware"), "")),
        forms=(
            Form(
                post=NEW,
                label=say("Become aware"),
                title=say("What is known"),
                fields=filled(fields, sent) if sent else fields,
                error=wrong,
                primary=True,
            ),
        ),
        within="security",
    )


def _row(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    due = moment(each["next_due_at"], now)
    next_stage = STAGES.get(each["next_stage"] or "", say("nothing"))
    stage = next((one for one in each["stages"] if one["stage"] == each["next_stage"]), None)
    return (
        text(each["title"], href=place(each["case_id"]), reason=KINDS.get(each["kind"], each["kind"])),
        state(STATES, each["state"]),
        state(STANDING, stage["state"], next_stage) if stage else text(say("nothing is due")),
        text(due.exact if due else say("nothing")),
        text(remaining(each["remaining_s"])),
        Cell(at=moment(each["aware_at"], now)),
        text(owner(each)),
    )


def owner(found: Mapping[str, Any]) -> str:
    """Whose a case is."""
    if found["product"]:
        return f"{found['catalog']} / {found['product']}"
    return found["catalog"] or say("the whole service")


def _list_sentence(items: Sequence[Mapping[str, Any]], asked: str, *, is_part: bool) -> str:
    if is_part:
        return say("Older cases.")
    due = [each for each in items if each["remaining_s"] is not None]
    if not due:
        return (
            say("No case is open.")
            if not items and not asked
            else say("{cases}: nothing is due now.", cases=counted(len(items), "case"))
        )
    first = min(due, key=lambda each: each["remaining_s"])
    stage = STAGES.get(first["next_stage"], first["next_stage"])
    return say(
        "{reports} due; first the {stage} of {title}, {left}.",
        reports=counted(len(due), "report"),
        stage=stage,
        title=first["title"],
        left=remaining(first["remaining_s"]),
    )
