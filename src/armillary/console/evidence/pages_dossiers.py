# SPDX-License-Identifier: Apache-2.0
"""Dossiers: signed statements of what the live fleet shows; the list, and one with its gaps first. Pure.

A statement says present, absent, stale or out of scope, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame.form import Field, Form, Wrong, filled, limits
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, next_href, number, state, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, grouped, joined, moment, short_id, size
from armillary.console.language.say import apart, say

LIST: Final = "/dossiers"
# State of a statement -> how it is drawn, those that need somebody first.
STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "absent": State(BAD, say("absent")),
        "stale": State(ATTENTION, say("stale")),
        "present": State(GOOD, say("present")),
        "out-of-scope": State(UNKNOWN, say("out of scope")),
    }
)
# Formats in which customers read what is known of vulnerabilities.
VEX_FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {"openvex": "OpenVEX", "cyclonedx": "CycloneDX VEX", "csaf": "CSAF advisory"}
)


def place(dossier_id: str, *more: str) -> str:
    """The address of a dossier, or of something below it."""
    return "/".join([LIST, quote(dossier_id, safe=""), *more])


def list_sheet(
    page: Mapping[str, Any],
    key: str,
    catalogs: Sequence[str],
    *,
    sent: Mapping[str, str] = MappingProxyType({}),
    wrong: Wrong | None = None,
    whole: bool,
    may_make: bool,
    is_part: bool,
    now: int,
) -> Sheet:
    """A page of dossiers; ``key`` verifies them, ``whole``: who asks speaks for all catalogs."""
    owners = (*((("", say("all catalogs")),) if whole else ()), *((each, each) for each in catalogs))
    fields = (
        Field(name="catalog", label=say("Of"), kind="select", choices=owners),
        Field(name="product", label=say("Product"), limits=limits(maxlength=50), hint=say("Empty: all of the catalog")),
    )
    form = Form(
        post=LIST,
        label=say("Create a dossier"),
        title=say("A new dossier"),
        about=say("what is held now, signed; it takes some seconds"),
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
        primary=True,
    )
    items = page["items"]
    return Sheet(
        place=say("Dossiers"),
        title=say("Older dossiers.")
        if is_part
        else say(
            "{dossiers}, the newest {newest}.", dossiers=counted(len(items), "dossier"), newest=_newest(items, now)
        )
        if items
        else say("No dossier yet."),
        detail=say(
            "A signed file of what the live fleet shows, with the evidence: armillary dossier verify "
            "verifies it offline. It says what is present, absent, stale or out of scope, and never that "
            "something is fulfilled."
        ),
        buttons=tuple(
            Button(label=say("{words} for customers", words=words), href=f"/vex?{urlencode({'format': form_name})}")
            for form_name, words in VEX_FORMATS.items()
        ),
        facts=((say("Verifier key, to be kept elsewhere"), Cell(text=key, code=True)),),
        sections=(
            Section(
                title=say("Dossiers"),
                note=say("newest first"),
                columns=(
                    say("Created"),
                    say("Of"),
                    say("Absent"),
                    say("Stale"),
                    say("Present"),
                    say("Out of scope"),
                    say("By"),
                    say("Size"),
                    say("SHA-256"),
                ),
                rows=[_row(each, now) for each in items],
                none=say("Create one below, or: armillary dossier create"),
                next_href=next_href(LIST, page["next"]),
            ),
        ),
        forms=(form,) if may_make else (),
        within="security",
    )


def dossier_sheet(found: Mapping[str, Any], now: int) -> Sheet:
    """One dossier: its gaps, then each standard."""
    counts, made = found["states"], moment(found["made_at"], now)
    parts = _of_states(counts)
    names = {each["id"]: each["title"] for each in found["standards"]}
    return Sheet(
        place=say("Dossiers"),
        heading=say("Dossier of {owner}", owner=owner(found)),
        title=say("{owner}: {parts} statements.", owner=owner(found), parts=joined(parts)),
        detail=say(
            "Created {at} by {made_by}. It states what was so then.",
            at=made.exact if made else "",
            made_by=found["made_by"],
        ),
        crumbs=((say("Dossiers"), LIST), (owner(found), "")),
        buttons=(Button(label=say("Download the file"), href=place(found["dossier_id"], "file.zip"), primary=True),),
        facts=(
            (say("Gaps"), text(grouped(len(found["gaps"])))),
            (say("Size"), text(size(found["size"]))),
            (say("SHA-256"), Cell(ident=short_id(found["sha256"]))),
            (say("Verify"), Cell(text="armillary dossier verify FILE --key KEY", code=True)),
        ),
        sections=(
            Section(
                title=say("Gaps"),
                note=say("absent or stale"),
                columns=(say("Requirement"), say("State"), say("Why")),
                rows=[
                    (
                        text(each["id"], href=f"#{each['standard']}", reason=names.get(each["standard"], "")),
                        state(STATES, each["state"]),
                        text(each["says"]),
                    )
                    for each in found["gaps"]
                ],
                none=say("None."),
                anchor="gaps",
            ),
            *(_standard(each) for each in found["standards"]),
        ),
        within="security",
    )


def owner(found: Mapping[str, Any]) -> str:
    """What a dossier is about."""
    if found["product"]:
        return say("{product} of {catalog}", product=found["product"], catalog=found["catalog"])
    return found["catalog"] or say("all catalogs")


def _standard(found: Mapping[str, Any]) -> Section:
    return Section(
        title=found["title"],
        note=_counts(found["statements"]),
        columns=(say("Requirement"), say("State"), say("What is held"), say("Evidence")),
        rows=[
            (
                text(each["title"], reason=each["reference"]),
                state(STATES, each["state"]),
                text(each["says"]),
                text(counted(len(each["evidence"]), "part") if each["evidence"] else say("none")),
            )
            for each in found["statements"]
        ],
        none="",
        anchor=found["id"],
    )


def _counts(statements: Sequence[Mapping[str, Any]]) -> str:
    counts = {word: sum(each["state"] == word for each in statements) for word in STATES}
    return apart(_of_states(counts))


def _of_states(counts: Mapping[str, int]) -> list[str]:
    """``2 absent``, ``1 stale``; of states with none nothing."""
    return [
        say("{count} {state}", count=grouped(counts[word]), state=each.word)
        for word, each in STATES.items()
        if counts.get(word)
    ]


def _row(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    made = moment(each["made_at"], now)
    return (
        text(made.exact if made else "", href=place(each["dossier_id"]), reason=made.relative if made else ""),
        text(owner(each)),
        *(number(grouped(each["states"].get(word, 0))) for word in STATES),
        text(each["made_by"]),
        text(size(each["size"])),
        Cell(ident=short_id(each["sha256"])),
    )


def _newest(items: Sequence[Mapping[str, Any]], now: int) -> str:
    made = moment(items[0]["made_at"], now)
    return say("of {made}", made=made.relative) if made else ""
