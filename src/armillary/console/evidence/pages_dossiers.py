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

LIST: Final = "/dossiers"
# State of a statement -> how it is drawn, those that need somebody first.
STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "absent": State(BAD, "absent"),
        "stale": State(ATTENTION, "stale"),
        "present": State(GOOD, "present"),
        "out-of-scope": State(UNKNOWN, "out of scope"),
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
    owners = (*((("", "all catalogs"),) if whole else ()), *((each, each) for each in catalogs))
    fields = (
        Field(name="catalog", label="Of", kind="select", choices=owners),
        Field(name="product", label="Product", limits=limits(maxlength=50), hint="Empty: all of the catalog"),
    )
    form = Form(
        post=LIST,
        label="Create a dossier",
        title="A new dossier",
        about="what is held now, signed; it takes some seconds",
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
        primary=True,
    )
    items = page["items"]
    return Sheet(
        place="Dossiers",
        title="Older dossiers."
        if is_part
        else f"{counted(len(items), 'dossier')}, the newest {_newest(items, now)}."
        if items
        else "No dossier yet.",
        detail="A signed file of what the live fleet shows, with the evidence: armillary dossier verify verifies it "
        "offline. It says what is present, absent, stale or out of scope, and never that something is fulfilled.",
        buttons=tuple(
            Button(label=f"{words} for customers", href=f"/vex?{urlencode({'format': form_name})}")
            for form_name, words in VEX_FORMATS.items()
        ),
        facts=(("Verifier key, to be kept elsewhere", Cell(text=key, code=True)),),
        sections=(
            Section(
                title="Dossiers",
                note="newest first",
                columns=("Created", "Of", "Absent", "Stale", "Present", "Out of scope", "By", "Size", "SHA-256"),
                rows=[_row(each, now) for each in items],
                none="Create one below, or: armillary dossier create",
                next_href=next_href(LIST, page["next"]),
            ),
        ),
        forms=(form,) if may_make else (),
        within="security",
    )


def dossier_sheet(found: Mapping[str, Any], now: int) -> Sheet:
    """One dossier: its gaps, then each standard."""
    counts, made = found["states"], moment(found["made_at"], now)
    parts = [f"{grouped(counts.get(word, 0))} {each.word}" for word, each in STATES.items() if counts.get(word)]
    names = {each["id"]: each["title"] for each in found["standards"]}
    return Sheet(
        place="Dossiers",
        heading=f"Dossier of {owner(found)}",
        title=f"{owner(found)}: {joined(parts)} statements.",
        detail=f"Created {made.exact if made else ''} by {found['made_by']}. It states what was so then.",
        crumbs=(("Dossiers", LIST), (owner(found), "")),
        buttons=(Button(label="Download the file", href=place(found["dossier_id"], "file.zip"), primary=True),),
        facts=(
            ("Gaps", text(grouped(len(found["gaps"])))),
            ("Size", text(size(found["size"]))),
            ("SHA-256", Cell(ident=short_id(found["sha256"]))),
            ("Verify", Cell(text="armillary dossier verify FILE --key KEY", code=True)),
        ),
        sections=(
            Section(
                title="Gaps",
                note="absent or stale",
                columns=("Requirement", "State", "Why"),
                rows=[
                    (
                        text(each["id"], href=f"#{each['standard']}", reason=names.get(each["standard"], "")),
                        state(STATES, each["state"]),
                        text(each["says"]),
                    )
                    for each in found["gaps"]
                ],
                none="None.",
                anchor="gaps",
            ),
            *(_standard(each) for each in found["standards"]),
        ),
        within="security",
    )


def owner(found: Mapping[str, Any]) -> str:
    """What a dossier is about."""
    if found["product"]:
        return f"{found['product']} of {found['catalog']}"
    return found["catalog"] or "all catalogs"


def _standard(found: Mapping[str, Any]) -> Section:
    return Section(
        title=found["title"],
        note=_counts(found["statements"]),
        columns=("Requirement", "State", "What is held", "Evidence"),
        rows=[
            (
                text(each["title"], reason=each["reference"]),
                state(STATES, each["state"]),
                text(each["says"]),
                text(counted(len(each["evidence"]), "part") if each["evidence"] else "none"),
            )
            for each in found["statements"]
        ],
        none="",
        anchor=found["id"],
    )


def _counts(statements: Sequence[Mapping[str, Any]]) -> str:
    counts = {word: sum(each["state"] == word for each in statements) for word in STATES}
    return ", ".join(f"{grouped(many)} {STATES[word].word}" for word, many in counts.items() if many)


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
    return f"of {made.relative}" if made else ""
