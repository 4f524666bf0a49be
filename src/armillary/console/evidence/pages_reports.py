# SPDX-License-Identifier: Apache-2.0
"""Vulnerability reports of strangers: the inbox with what is due, and one that is read. Pure.

What a stranger wrote is text, whatever it looks like; that somebody read it is in the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.sheet import (
    SEEN_EVERY_S,
    Cell,
    Section,
    Sheet,
    aware_button,
    next_href,
    state,
    text,
)
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, moment
from armillary.regulation.vulnerability_report import TRANSITIONS

LIST: Final = "/vulnerability-reports"
STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "new": State(BAD, "new"),
        "acknowledged": State(ATTENTION, "acknowledged"),
        "in-work": State(ATTENTION, "in work"),
        "fixed": State(GOOD, "fixed"),
        "closed": State(UNKNOWN, "closed"),
    }
)
# State of what its writer must hear -> how it is drawn.
_DUE: Final[Mapping[str, State]] = MappingProxyType(
    {
        "running": State(ATTENTION, "in time"),
        "due-soon": State(BAD, "due soon"),
        "overdue": State(BAD, "overdue"),
    }
)
_DUE_ACTIONS: Final = {"acknowledge": "acknowledge receipt", "tell": "tell its writer how it stands"}
# What can be done with a report, in the words of the form.
ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "acknowledge": "acknowledge: its writer was told that it came",
        "work": "work on it",
        "tell": "its writer was told how it stands",
        "fix": "it is fixed",
        "close": "close it",
        "reopen": "reopen it",
    }
)
_EXPLOITED: Final[Mapping[str, State]] = MappingProxyType(
    {"yes": State(BAD, "yes, says its writer"), "no": State(UNKNOWN, "no, says its writer")}
)


def place(reference: str, *more: str) -> str:
    """The address of a report, or of something below it."""
    return "/".join([LIST, quote(reference, safe=""), *more])


def list_sheet(
    page: Mapping[str, Any], policy: Mapping[str, Any] | None, *, asked: str, is_part: bool, now: int
) -> Sheet:
    """A page of reports; ``policy`` is what is published, None for who may not see that."""
    words = (("open", "open"), *((word, each.word) for word, each in STATES.items()), ("", "all"))
    items = page["items"]
    due = sorted((each for each in items if each["due_at"] is not None), key=lambda each: each["due_at"])
    return Sheet(
        place="Vulnerability reports",
        title="Older reports." if is_part else _sentence(items, due, asked, now),
        detail="What strangers report by the public page and by security.txt. What one says is sealed, and reading it "
        "leaves a line in the audit log.",
        links=tuple((word, f"{LIST}?state={key}" if key != "open" else LIST, key == asked) for key, word in words),
        facts=_policy(policy, now),
        sections=(
            Section(
                title="Reports",
                note="newest first",
                columns=("Report", "State", "Due", "Standing", "Received", "Of"),
                rows=[_row(each, now) for each in items],
                none="None.",
                next_href=next_href(LIST, page["next"], {"state": asked}),
                sorts=True,
            ),
        ),
        every_s=SEEN_EVERY_S,
        within="security",
    )


def report_sheet(
    found: Mapping[str, Any],
    catalogs: Sequence[str],
    *,
    sent: Mapping[str, str] = MappingProxyType({}),
    wrong: tuple[str, Wrong] | None = None,
    may_act: bool,
    may_assign: bool,
    may_report: bool,
    now: int,
) -> Sheet:
    """One report that is read. ``wrong``: which form was refused, and why; ``sent`` is what was in it."""
    said, due = found["submission"], moment(found["due_at"], now)
    reference = found["reference"]
    acting = (_act_form(reference, found["state"]),) if may_act else ()
    forms = (*acting, *((_assign_form(reference, catalogs),) if may_assign else ()))
    return Sheet(
        place="Vulnerability reports",
        heading=f"Report {reference}",
        title=f"{said['title']}",
        detail=f"Report {reference}. That you read it is in the audit log.",
        crumbs=(("Vulnerability reports", LIST), (reference, "")),
        buttons=(aware_button("vulnerability-report", reference, found["catalog"] or ""),) if may_report else (),
        facts=(
            ("State", state(STATES, found["state"])),
            ("Its writer must hear", text(_DUE_ACTIONS.get(found["due_action"] or "", "nothing now"))),
            ("By", text(due.exact, reason=due.relative) if due else text("no time")),
            ("Exploited", Cell(state=_EXPLOITED.get(said["exploited"], State(UNKNOWN, "not said")))),
            ("Product", text(said["product"] or "not said", reason=said["version"])),
            ("Contact", text(said["contact"] or "none: nobody can answer")),
            ("Means to publish", text(said["publication"] or "not said")),
            ("Received", Cell(at=moment(found["received_at"], now))),
            ("Of", text(_owner(found))),
        ),
        command=said["description"],
        says_command="What was written",
        sections=(
            Section(
                title="What was done",
                columns=("When", "What", "Then", "By", "Note"),
                rows=[
                    (
                        Cell(at=moment(each["at"], now)),
                        text(each["action"]),
                        state(STATES, each["state"]),
                        text(each["actor"]),
                        text(each["text"] or "none"),
                    )
                    for each in found["notes"]
                ],
                none="Nothing yet.",
            ),
        ),
        forms=tuple(
            replace(each, fields=filled(each.fields, sent), error=wrong[1])
            if wrong and wrong[0] == each.anchor
            else each
            for each in forms
        ),
        within="security",
    )


def _act_form(reference: str, standing: str) -> Form:
    possible = tuple((word, ACTIONS[word]) for word in TRANSITIONS.get(standing, ()))
    return Form(
        post=place(reference, "actions"),
        label="Do it",
        title="What is done",
        about="a note is kept sealed; to close, one is needed",
        fields=(
            Field(name="action", label="What", kind="select", choices=possible),
            Field(name="note", label="Note", kind="area", limits=limits(maxlength=4000), rows=3),
        ),
        anchor="actions",
        primary=True,
    )


def _assign_form(reference: str, catalogs: Sequence[str]) -> Form:
    return Form(
        post=place(reference, "assign"),
        label="Assign",
        title="Whom it concerns",
        about="who speaks for this catalog sees it, too",
        fields=(
            Field(name="catalog", label="Catalog", kind="select", choices=choices(catalogs)),
            Field(name="product", label="Product", limits=limits(maxlength=64), hint="Empty: all of the catalog"),
        ),
        anchor="assign",
    )


def _row(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    due = moment(each["due_at"], now)
    return (
        text(each["reference"], href=place(each["reference"])),
        state(STATES, each["state"]),
        text(_DUE_ACTIONS.get(each["due_action"] or "", "nothing"), reason=due.exact if due else ""),
        Cell(state=_DUE.get(each["due_state"], State(UNKNOWN, each["due_state"]))) if due else text("nothing is due"),
        Cell(at=moment(each["received_at"], now)),
        text(_owner(each)),
    )


def _owner(found: Mapping[str, Any]) -> str:
    if found["product"]:
        return f"{found['catalog']} / {found['product']}"
    return found["catalog"] or "not assigned yet"


def _policy(policy: Mapping[str, Any] | None, now: int) -> tuple[tuple[str, Cell], ...]:
    if policy is None:
        return ()
    until = moment(policy["signed_until"], now)
    return (
        (
            "security.txt",
            text("published", href="/.well-known/security.txt", reason=f"signed until {until.exact}" if until else "")
            if policy["is_published"]
            else Cell(state=State(ATTENTION, "not published"), reason="armillary disclosure set --contact ..."),
        ),
        ("Takes reports", text("yes" if policy["is_open"] else "no")),
        ("Contacts", text(", ".join(policy["contacts"]) or "none")),
        ("Receipt acknowledged within", text(counted(policy["acknowledge_days"], "day"))),
        ("Told how it stands every", text(counted(policy["status_days"], "day"))),
        ("Refused since the start", text(counted(policy["refused"], "report"))),
    )


def _sentence(items: Sequence[Mapping[str, Any]], due: Sequence[Mapping[str, Any]], asked: str, now: int) -> str:
    if not items:
        return "No report is open." if asked == "open" else "No report is like this."
    many = counted(len(items), "report")
    if not due:
        return f"{many}; nothing is due."
    first = due[0]
    at = moment(first["due_at"], now)
    what = _DUE_ACTIONS.get(first["due_action"], first["due_action"])
    return f"{many}; first due: {what} of {first['reference']}, {at.relative if at else ''}."
