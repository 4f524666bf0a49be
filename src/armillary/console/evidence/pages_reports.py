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
from armillary.console.language.say import say
from armillary.regulation.vulnerability_report import TRANSITIONS

LIST: Final = "/vulnerability-reports"
STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "new": State(BAD, say("new")),
        "acknowledged": State(ATTENTION, say("acknowledged")),
        "in-work": State(ATTENTION, say("in work")),
        "fixed": State(GOOD, say("fixed")),
        "closed": State(UNKNOWN, say("closed")),
    }
)
# State of what its writer must hear -> how it is drawn.
_DUE: Final[Mapping[str, State]] = MappingProxyType(
    {
        "running": State(ATTENTION, say("in time")),
        "due-soon": State(BAD, say("due soon")),
        "overdue": State(BAD, say("overdue")),
    }
)
_DUE_ACTIONS: Final = {"acknowledge": say("acknowledge receipt"), "tell": say("tell its writer how it stands")}
# What can be done with a report, in the words of the form.
ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "acknowledge": say("acknowledge: its writer was told that it came"),
        "work": say("work on it"),
        "tell": say("its writer was told how it stands"),
        "fix": say("it is fixed"),
        "close": say("close it"),
        "reopen": say("reopen it"),
    }
)
_EXPLOITED: Final[Mapping[str, State]] = MappingProxyType(
    {"yes": State(BAD, say("yes, says its writer")), "no": State(UNKNOWN, say("no, says its writer"))}
)


def place(reference: str, *more: str) -> str:
    """The address of a report, or of something below it."""
    return "/".join([LIST, quote(reference, safe=""), *more])


def list_sheet(
    page: Mapping[str, Any], policy: Mapping[str, Any] | None, *, asked: str, is_part: bool, now: int
) -> Sheet:
    """A page of reports; ``policy`` is what is published, None for who may not see that."""
    words = (("open", say("open")), *((word, each.word) for word, each in STATES.items()), ("", say("all")))
    items = page["items"]
    due = sorted((each for each in items if each["due_at"] is not None), key=lambda each: each["due_at"])
    return Sheet(
        place=say("Vulnerability reports"),
        title=say("Older reports.") if is_part else _sentence(items, due, asked, now),
        detail=say(
            "What strangers report by the public page and by security.txt. What one says is sealed, and "
            "reading it leaves a line in the audit log."
        ),
        links=tuple((word, f"{LIST}?state={key}" if key != "open" else LIST, key == asked) for key, word in words),
        facts=_policy(policy, now),
        sections=(
            Section(
                title=say("Reports"),
                note=say("newest first"),
                columns=(say("Report"), say("State"), say("Due"), say("Standing"), say("Received"), say("Of")),
                rows=[_row(each, now) for each in items],
                none=say("None."),
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
        place=say("Vulnerability reports"),
        heading=say("Report {reference}", reference=reference),
        title=str(said["title"]),
        detail=say("Report {reference}. That you read it is in the audit log.", reference=reference),
        crumbs=((say("Vulnerability reports"), LIST), (reference, "")),
        buttons=(aware_button("vulnerability-report", reference, found["catalog"] or ""),) if may_report else (),
        facts=(
            (say("State"), state(STATES, found["state"])),
            (say("Its writer must hear"), text(_DUE_ACTIONS.get(found["due_action"] or "", say("nothing now")))),
            (say("By"), text(due.exact, reason=due.relative) if due else text(say("no time"))),
            (say("Exploited"), Cell(state=_EXPLOITED.get(said["exploited"], State(UNKNOWN, say("not said"))))),
            (say("Product"), text(said["product"] or say("not said"), reason=said["version"])),
            (say("Contact"), text(said["contact"] or say("none: nobody can answer"))),
            (say("Means to publish"), text(said["publication"] or say("not said"))),
            (say("Received"), Cell(at=moment(found["received_at"], now))),
            (say("Of"), text(_owner(found))),
        ),
        command=said["description"],
        says_command=say("What was written"),
        sections=(
            Section(
                title=say("What was done"),
                columns=(say("When"), say("What"), say("Then"), say("By"), say("Note")),
                rows=[
                    (
                        Cell(at=moment(each["at"], now)),
                        text(each["action"]),
                        state(STATES, each["state"]),
                        text(each["actor"]),
                        text(each["text"] or say("none")),
                    )
                    for each in found["notes"]
                ],
                none=say("Nothing yet."),
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
        label=say("Do it"),
        title=say("What is done"),
        about=say("a note is kept sealed; to close, one is needed"),
        fields=(
            Field(name="action", label=say("What"), kind="select", choices=possible),
            Field(name="note", label=say("Note"), kind="area", limits=limits(maxlength=4000), rows=3),
        ),
        anchor="actions",
        primary=True,
    )


def _assign_form(reference: str, catalogs: Sequence[str]) -> Form:
    return Form(
        post=place(reference, "assign"),
        label=say("Assign"),
        title=say("Whom it concerns"),
        about=say("who speaks for this catalog sees it, too"),
        fields=(
            Field(name="catalog", label=say("Catalog"), kind="select", choices=choices(catalogs)),
            Field(
                name="product", label=say("Product"), limits=limits(maxlength=64), hint=say("Empty: all of the catalog")
            ),
        ),
        anchor="assign",
    )


def _row(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    due = moment(each["due_at"], now)
    return (
        text(each["reference"], href=place(each["reference"])),
        state(STATES, each["state"]),
        text(_DUE_ACTIONS.get(each["due_action"] or "", say("nothing")), reason=due.exact if due else ""),
        Cell(state=_DUE.get(each["due_state"], State(UNKNOWN, each["due_state"])))
        if due
        else text(say("nothing is due")),
        Cell(at=moment(each["received_at"], now)),
        text(_owner(each)),
    )


def _owner(found: Mapping[str, Any]) -> str:
    if found["product"]:
        return f"{found['catalog']} / {found['product']}"
    return found["catalog"] or say("not assigned yet")


def _policy(policy: Mapping[str, Any] | None, now: int) -> tuple[tuple[str, Cell], ...]:
    if policy is None:
        return ()
    until = moment(policy["signed_until"], now)
    return (
        (
            "security.txt",
            text(
                say("published"),
                href="/.well-known/security.txt",
                reason=say("signed until {until}", until=until.exact) if until else "",
            )
            if policy["is_published"]
            else Cell(state=State(ATTENTION, say("not published")), reason="armillary disclosure set --contact ..."),
        ),
        (say("Takes reports"), text(say("yes") if policy["is_open"] else say("no"))),
        (say("Contacts"), text(", ".join(policy["contacts"]) or say("none"))),
        (say("Receipt acknowledged within"), text(counted(policy["acknowledge_days"], "day"))),
        (say("Told how it stands every"), text(counted(policy["status_days"], "day"))),
        (say("Refused since the start"), text(counted(policy["refused"], "report"))),
    )


def _sentence(items: Sequence[Mapping[str, Any]], due: Sequence[Mapping[str, Any]], asked: str, now: int) -> str:
    if not items:
        return say("No report is open.") if asked == "open" else say("No report is like this.")
    many = counted(len(items), "report")
    if not due:
        return say("{many}; nothing is due.", many=many)
    first = due[0]
    at = moment(first["due_at"], now)
    what = _DUE_ACTIONS.get(first["due_action"], first["due_action"])
    return say(
        "{many}; first due: {what} of {reference}, {when}.",
        many=many,
        what=what,
        reference=first["reference"],
        when=at.relative if at else "",
    )
