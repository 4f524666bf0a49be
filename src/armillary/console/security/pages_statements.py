# SPDX-License-Identifier: Apache-2.0
"""VEX statements that operators make of an advisory: those that there are, the form of a new one, taking back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, filled, limits
from armillary.console.frame.sheet import Cell, Section, state, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import moment, short_id
from armillary.console.language.say import say
from armillary.console.security.pages_advisories import place

ANCHOR: Final = "statements"
# Words of OpenVEX -> how they are drawn.
STATUSES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "not_affected": State(GOOD, say("not affected")),
        "affected": State(BAD, say("affected")),
        "fixed": State(GOOD, say("fixed")),
        "under_investigation": State(ATTENTION, say("under investigation")),
    }
)
JUSTIFICATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "component_not_present": say("component not present"),
        "vulnerable_code_not_present": say("vulnerable code not present"),
        "vulnerable_code_not_in_execute_path": say("vulnerable code not in execute path"),
        "vulnerable_code_cannot_be_controlled_by_adversary": say("vulnerable code cannot be controlled by adversary"),
        "inline_mitigations_already_exist": say("inline mitigations already exist"),
    }
)
SUBJECTS: Final = ("image", "product", "release")
SUBJECT_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {"image": say("image"), "product": say("product"), "release": say("release")}
)


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
        title=say("What we state"),
        note=say("signed by the service; a statement that was withdrawn counts for nothing any more"),
        columns=(say("Of"), say("Says"), say("Why"), say("Author"), say("Stated"), say("Taken back")),
        rows=[_row(each, names, may_take_back=may_take_back, now=now) for each in statements],
        none=say("Nothing: what feeds and bills of materials say counts."),
        anchor=ANCHOR,
        form=form,
    )


def new_form(
    advisory_id: str, catalogs: Sequence[str], sent: Mapping[str, str], wrong: Wrong | None, *, whole: bool
) -> Form:
    """The form of a statement; ``whole``: who asks speaks for all catalogs."""
    owners = (*((("", say("the whole service: releases")),) if whole else ()), *((each, each) for each in catalogs))
    reasons = tuple(JUSTIFICATIONS.items())
    statuses = tuple((word, each.word) for word, each in STATUSES.items())
    fields = (
        Field(name="subject", label=say("Of"), kind="select", choices=tuple(SUBJECT_WORDS.items())),
        Field(name="named", label=say("Its id, or the product's name"), required=True, limits=limits(maxlength=64)),
        Field(name="catalog", label=say("Catalog"), kind="select", choices=owners),
        Field(name="status", label=say("It is"), kind="select", choices=statuses),
        Field(
            name="justification",
            label=say("Because"),
            kind="select",
            choices=(("", say("only where it is not affected")), *reasons),
        ),
        Field(name="component", label=say("Package URL"), limits=limits(maxlength=1024), hint=say("Empty: all of it")),
        Field(
            name="author",
            label=say("Author"),
            required=True,
            limits=limits(maxlength=200),
            hint=say("who can be asked"),
        ),
        Field(name="reason", label=say("In words"), kind="area", limits=limits(maxlength=2000), rows=3),
    )
    return Form(
        post=place(advisory_id, "statements"),
        label=say("State it"),
        title=say("A new statement"),
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
    )


def take_back_confirmation(found: Mapping[str, Any]) -> Confirmation:
    """What taking a statement back does."""
    says = STATUSES.get(found["status"] or "", State(UNKNOWN, say("what nobody signed"))).word
    what = say(
        "{subject} {id}",
        subject=SUBJECT_WORDS.get(found["subject"], say("something")),
        id=short_id(found["subject_id"] or "").short,
    )
    return Confirmation(
        title=say("Take back that {what} is {says}?", what=what, says=says),
        touches=touching(
            say(
                "One statement of {author} about {advisory}, and the devices that run it.",
                author=found["author"] or say("nobody"),
                advisory=found["advisory"],
            ),
            say("What feeds and bills of materials say of them counts again."),
            say("The statement itself: it stays in the list, and in answers about earlier days."),
            say("None: state it again."),
        ),
        label=say("Take back"),
        danger=True,
        reason=True,
        post=take_back_href(found["statement_id"]),
        back=f"{place(found['advisory'])}#{ANCHOR}",
    )


def _row(each: Mapping[str, Any], names: Mapping[str, str], *, may_take_back: bool, now: int) -> tuple[Cell, ...]:
    if each["signature"] != "valid":
        what, says = (
            text(say("its signature is not the service's")),
            Cell(state=State(UNKNOWN, say("counts for nothing"))),
        )
    else:
        of = names.get(each["catalog_id"] or "", say("the whole service"))
        reason = say("{catalog}: {component}", catalog=of, component=each["component"]) if each["component"] else of
        what = text(
            say(
                "{subject} {id}",
                subject=SUBJECT_WORDS.get(each["subject"], each["subject"]),
                id=short_id(each["subject_id"]).short,
            ),
            reason=reason,
        )
        says = state(STATUSES, each["status"], JUSTIFICATIONS.get(each["justification"] or "", ""))
    back = moment(each["taken_back_at"], now)
    if back is not None:
        ended = text(back.exact, reason=f"{each['taken_back_by']}: {each['taken_back_reason']}")
    elif may_take_back:
        ended = text(say("Take back"), href=take_back_href(each["statement_id"]))
    else:
        ended = text(say("no"))
    return (
        what,
        says,
        text(each["reason"] or say("not said")),
        text(each["author"] or say("unknown"), reason=say("entered by {made_by}", made_by=each["made_by"])),
        Cell(at=moment(each["stated_at"], now)),
        ended,
    )
