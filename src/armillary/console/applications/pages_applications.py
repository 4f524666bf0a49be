# SPDX-License-Identifier: Apache-2.0
"""The gallery, and one application before it is used. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from armillary.console.applications.picture import WIDTH, Picture, picture_of
from armillary.console.frame.form import Field, Wrong, choices
from armillary.console.frame.sheet import place as sheet_place
from armillary.console.frame.states import ATTENTION, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, joined
from armillary.console.language.say import say

HERE: Final = "/applications"
# What is made where no catalog is chosen (``sim/templates/applications.py``).
OWN_CATALOG: Final = "Simulated"

# State of an application in use -> its words.
_STATES: Final[Mapping[str, str]] = {
    "running": say("running"),
    "making devices": say("making devices"),
    "making up a day of history": say("making up a day of history"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One application of the gallery; ``dashboard_href`` leads to its dashboard where it is in use."""

    name: str
    title: str
    line: str
    sector: str
    state: State
    contents: str
    picture: Picture
    href: str
    dashboard_href: str


def place(name: str, *more: str) -> str:
    """The address of an application, or of something below it."""
    return "/".join([HERE, quote(name, safe=""), *more])


def card(found: Mapping[str, Any], contents: Mapping[str, Any]) -> Card:
    """An application: ``found`` as it is listed, ``contents`` what is in it."""
    state = State(UNKNOWN, say("not in use"))
    if found["in_use"]:
        state = State(GOOD if found["state"] == "running" else ATTENTION, _STATES.get(found["state"], found["state"]))
    dashboards = contents["dashboards"]
    return Card(
        name=found["name"],
        title=found["title"],
        line=found["line"],
        sector=found["sector"],
        state=state,
        contents=summary(contents),
        picture=picture_of(dashboards[0]["tiles"] if dashboards else ()),
        href=place(found["name"]),
        dashboard_href=sheet_place("dashboard", dashboards[0]["id"]) if found["in_use"] and dashboards else "",
    )


def summary(contents: Mapping[str, Any]) -> str:
    """What is in it, in one line."""
    parts = [
        counted(contents["devices"], "simulated device"),
        counted(len(contents["dashboards"]), "dashboard"),
        counted(len(contents["rules"]), "rule"),
        counted(len(contents["jobs"]), "job"),
    ]
    return joined([each for each in parts if not each.startswith("0 ")])


def gallery(cards: Sequence[Card], *, may_use: bool) -> dict[str, Any]:
    """All of them."""
    used = sum(bool(each.dashboard_href) for each in cards)
    return {
        "sentence": say(
            "{applications} to begin with, {used} in use.",
            applications=counted(len(cards), "application"),
            used=used or say("none"),
        )
        if cards
        else say("No application can be used here."),
        "detail": say("Each makes simulated devices, dashboards and rules, which are yours to change.")
        if cards
        else say("Simulated devices are not being played here yet: reload in a moment."),
        "cards": cards,
        "may_use": may_use,
        "wide": WIDTH,
    }


def page(
    shown: Card,
    contents: Mapping[str, Any],
    catalogs: Sequence[str],
    *,
    in_catalog: str,
    may_use: bool,
    wrong: Wrong | None,
    sent: Mapping[str, str],
) -> dict[str, Any]:
    """One application; ``in_catalog`` is the catalog in which it is used, "" where it is not."""
    others = [each for each in catalogs if each != OWN_CATALOG]
    field = Field(
        name="into",
        label=say("Catalog of its devices"),
        kind="select",
        value=sent.get("into", ""),
        choices=(("", say("{catalog} (made where there is none)", catalog=OWN_CATALOG)), *choices(others)),
        hint=say("simulated devices prove nothing, and say so everywhere"),
    )
    lists = (
        (say("Kinds of devices"), contents["models"]),
        (say("Dashboards"), [each["name"] for each in contents["dashboards"]]),
        (say("Rules"), contents["rules"]),
        (say("Segments"), contents["groups"]),
        (say("Jobs"), contents["jobs"]),
    )
    return {
        "card": shown,
        "detail": say("{operator}: {contents}.", operator=contents["operator"], contents=shown.contents),
        "facts": [(name, found) for name, found in lists if found],
        "in_catalog": in_catalog,
        "field": field if may_use and not shown.dashboard_href else None,
        "post": place(shown.name, "use"),
        "wrong": wrong,
        "wide": WIDTH,
    }
