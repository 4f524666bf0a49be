# SPDX-License-Identifier: Apache-2.0
"""VEX statements that operators make of an advisory: those that there are, the form of a new one, taking back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.sheet import Cell, Section, state, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import moment, short_id
from armillary.console.security.pages_advisories import place

ANCHOR: Final = "statements"
# Words of OpenVEX -> how they are drawn.
STATUSES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "not_affected": State(GOOD, "not affected"),
        "affected": State(BAD, "affected"),
        "fixed": State(GOOD, "fixed"),
        "under_investigation": State(ATTENTION, "under investigation"),
    }
)
JUSTIFICATIONS: Final = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
SUBJECTS: Final = ("image", "product", "release")


def take_back_href(statement_id: str) -> str:
    """The page that asks before a statement is taken back."""
    return f"/advisory-statements/{quote(statement_id, safe='')}/take-back"


def section(
    statements: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    *,
    form: Form | None,
    may_take_back: bool,
    now: int,
) -> Section:
    """What operators state; ``names`` are those of catalogs by their ids."""
    return Section(
        title="What we state",
        note="signed by the service; a statement that was withdrawn counts for nothing any more",
        columns=("Of", "Says", "Why", "Author", "Stated", "Taken back"),
        rows=[_row(each, names, may_take_back=may_take_back, now=now) for each in statements],
        none="Nothing: what feeds and bills of materials say counts.",
        anchor=ANCHOR,
        form=form,
    )


def new_form(
    advisory_id: str, catalogs: Sequence[str], sent: Mapping[str, str], wrong: Wrong | None, *, whole: bool
) -> Form:
    """The form of a statement; ``whole``: who asks speaks for all catalogs."""
    owners = (*((("", "the whole service: releases"),) if whole else ()), *((each, each) for each in catalogs))
    reasons = tuple((each, each.replace("_", " ")) for each in JUSTIFICATIONS)
    statuses = tuple((word, each.word) for word, each in STATUSES.items())
    fields = (
        Field(name="subject", label="Of", kind="select", choices=choices(SUBJECTS)),
        Field(name="named", label="Its id, or the product's name", required=True, limits=limits(maxlength=64)),
        Field(name="catalog", label="Catalog", kind="select", choices=owners),
        Field(name="status", label="It is", kind="select", choices=statuses),
        Field(
            name="justification",
            label="Because",
            kind="select",
            choices=(("", "only where it is not affected"), *reasons),
        ),
        Field(name="component", label="Package URL", limits=limits(maxlength=1024), hint="Empty: all of it"),
        Field(name="author", label="Author", required=True, limits=limits(maxlength=200), hint="who can be asked"),
        Field(name="reason", label="In words", kind="area", limits=limits(maxlength=2000), rows=3),
    )
    return Form(
        post=place(advisory_id, "statements"),
        label="State it",
        title="A new statement",
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
    )


def take_back_confirmation(found: Mapping[str, Any]) -> Confirmation:
    """What taking a statement back does."""
    says = STATUSES.get(found["status"] or "", State(UNKNOWN, "what nobody signed")).word
    what = f"{found['subject'] or 'something'} {short_id(found['subject_id'] or '').short}"
    return Confirmation(
        title=f"Take back that {what} is {says}?",
        touches=touching(
            f"One statement of {found['author'] or 'nobody'} about {found['advisory']}, and the devices that run it.",
            "What feeds and bills of materials say of them counts again.",
            "The statement itself: it stays in the list, and in answers about earlier days.",
            "None: state it again.",
        ),
        label="Take back",
        danger=True,
        reason=True,
        post=take_back_href(found["statement_id"]),
        back=f"{place(found['advisory'])}#{ANCHOR}",
    )


def _row(each: Mapping[str, Any], names: Mapping[str, str], *, may_take_back: bool, now: int) -> tuple[Cell, ...]:
    if each["signature"] != "valid":
        what, says = text("its signature is not the service's"), Cell(state=State(UNKNOWN, "counts for nothing"))
    else:
        of = names.get(each["catalog_id"] or "", "the whole service")
        reason = f"{of}: {each['component']}" if each["component"] else of
        what = text(f"{each['subject']} {short_id(each['subject_id']).short}", reason=reason)
        says = state(STATUSES, each["status"], (each["justification"] or "").replace("_", " "))
    back = moment(each["taken_back_at"], now)
    if back is not None:
        ended = text(back.exact, reason=f"{each['taken_back_by']}: {each['taken_back_reason']}")
    elif may_take_back:
        ended = text("Take back", href=take_back_href(each["statement_id"]))
    else:
        ended = text("no")
    return (
        what,
        says,
        text(each["reason"] or "not said"),
        text(each["author"] or "unknown", reason=f"entered by {each['made_by']}"),
        Cell(at=moment(each["stated_at"], now)),
        ended,
    )
