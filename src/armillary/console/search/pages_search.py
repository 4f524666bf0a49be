# SPDX-License-Identifier: Apache-2.0
"""The search page and the lines of the command palette. Pure: the API's hits in, a view model out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame import sheet
from armillary.console.frame.console import PLACES, WITHIN
from armillary.console.frame.form import Field, Form, limits
from armillary.console.frame.sheet import Section, Sheet
from armillary.console.frame.words import counted, grouped, short_id
from armillary.console.language.say import apart, say
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS, key_of

Hit = Mapping[str, Any]

# Kind of a search -> (one, several) in words, as the places of the console are called.
WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "device": (say("device"), say("Devices")),
        "dashboard": (say("dashboard"), say("Dashboards")),
        "rule": (say("rule"), say("Rules")),
        "template": (say("template"), say("Templates")),
        "group": (say("segment"), say("Segments")),
        "job": (say("job"), say("Jobs")),
        "export": (say("export"), say("Exports")),
        "device-group": (say("device group"), say("Device groups")),
        "product": (say("product"), say("Products")),
        "catalog": (say("catalog"), say("Catalogs")),
        "image": (say("image"), say("Images")),
        "release": (say("release"), say("Releases")),
        "rollout": (say("roll-out"), say("Roll-outs")),
        "finding": (say("finding"), say("Findings")),
    }
)
# Kind of a hit -> where its page is.
_HREFS: Final[Mapping[str, Callable[[Hit], str]]] = MappingProxyType(
    {
        "device": lambda hit: _path("devices", hit["id"]),
        "hub-device": lambda hit: _path("hub-devices", hit["id"]),
        "device-group": lambda hit: _path("device-groups", hit["catalog"], hit["product"], hit["group"]),
        "product": lambda hit: f"/fleet?{urlencode({'product': hit['name']})}",
        "catalog": lambda _: "/settings",
        "image": lambda hit: _path("images", hit["catalog"], hit["id"]),
        "rollout": lambda hit: _path("updates", hit["id"]),
    }
)


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do from the palette: a page to go to (``href``), or a form of the frame that is sent (``form``).

    ``question`` is what one has to be allowed; "" for what everybody may.
    """

    label: str
    href: str = ""
    question: str = ""
    form: str = ""


# What can be begun from anywhere.
BEGIN: Final = (
    Action(say("Create rule"), "/rules/new", "rule"),
    Action(say("Create dashboard"), "/dashboards#new", "dashboard"),
    Action(say("Create template"), "/new-template", "put_template"),
    Action(say("Create segment"), "/groups/new", "group"),
    Action(say("Create job"), "/jobs/new", "job"),
    Action(say("Create export"), "/exports/new", "export"),
    Action(say("Create hub device"), "/new-hub-device", "make_hub_device"),
    Action(say("New roll-out"), "/new-rollout", "start_rollout"),
    Action(say("New release"), "/new-release", "make_draft"),
    Action(say("Add devices"), "/add-devices", "claim_devices"),
    Action(say("Use an application"), "/applications", "use_application_template"),
    Action(say("New case"), "/new-case", "begin_case"),
    Action(say("New notification channel"), "/new-notification-channel", "make_channel"),
)
ACTIONS: Final = (
    *BEGIN,
    *(
        Action(say("Go to {name}", name=name), href, question)
        for name, href, question in dict.fromkeys((*PLACES, *(each for found in WITHIN.values() for each in found)))
    ),
    Action(say("Keyboard shortcuts"), "/help"),
    Action(say("Change theme"), form="/theme"),
    Action(say("Times in UTC or local"), form="/clock"),
    Action(say("Sign out"), form="/sign-out"),
)


def href_of(hit: Hit) -> str:
    """Where a hit's page is."""
    made = _HREFS.get(hit["kind"])
    return made(hit) if made is not None else _path(f"{hit['kind']}s", hit["id"])


def where(hit: Hit) -> str:
    """Where something is: ``Contoso / Cable / Field test``; that it is of all catalogs, or in none, where it is."""
    names = [str(each) for each in (hit["catalog"], hit["product"], hit["group"]) if each]
    if hit["kind"] == "catalog" or (hit["kind"] in ("product", "device-group") and names):
        names = names[:-1]
    if names or hit["kind"] == "catalog":
        return " / ".join(names)
    return say("not claimed") if hit["kind"] == "device" else say("all catalogs")


def first_page() -> Sheet:
    """The search before anything was typed."""
    return Sheet(
        place=say("Search"),
        title=say("Search"),
        detail=say(
            "Devices by name, id, product or group; dashboards, rules, templates, segments, images, "
            "releases, roll-outs, findings. Type a name, or the first digits of an id."
        ),
        search=_field(""),
        within="",
    )


def search_page(found: Mapping[str, Any], kind: str) -> Sheet:
    """What a search found: a table for each kind, or for the only one that was asked for."""
    text = found["text"]
    sections = tuple(_section(each, found["items"], text, is_alone=bool(kind)) for each in found["kinds"])
    total = sum(each["count"] for each in found["kinds"])
    more = any(each["is_cut"] for each in found["kinds"])
    title = (
        say("{total} or more results for “{text}”", total=grouped(total), text=text)
        if more
        else say("{results} for “{text}”", results=counted(total, "result"), text=text)
    )
    return Sheet(
        place=say("Search"),
        title=title if sections else say("Nothing is called “{text}”", text=text),
        detail=""
        if sections
        else say(
            "Names of devices are found by the beginning of a word, other names by any part of them, ids by "
            "their first digits."
        ),
        crumbs=((say("Search"), ""),),
        sections=sections,
        links=(
            ((say("All kinds"), _address(text), False), (WORDS[kind][1], _address(text, kind), True)) if kind else ()
        ),
        search=_field(text),
        within="",
    )


def lines(
    found: Mapping[str, Any], text: str, actions: Sequence[Action], timed: Callable[[str], str] = str
) -> dict[str, Any]:
    """What the palette shows: the hits by kind, then the actions that the text names, all of them without one.

    ``timed`` makes of a way to a page one that shows the stretch of time that is shown now.
    """
    groups = []
    for each in found["kinds"]:
        hits = [
            {"name": hit["name"], "where": _told(hit), "href": timed(href_of(hit))}
            for hit in found["items"] if _kind_of(hit) == each["kind"]
        ]  # fmt: skip
        if each["count"] > len(hits):
            words = say("All {count}", count=_count(each))
            hits.append({"name": words, "where": "", "href": timed(_address(found["text"], each["kind"]))})
        groups.append({"words": WORDS[each["kind"]][1], "hits": hits})
    meant = [each for each in actions if _means(text, each.label)]
    if meant:
        hits = [{"name": each.label, "where": "", "href": each.href, "form": each.form} for each in meant]
        groups.append({"words": say("Actions"), "hits": hits})
    return {"groups": groups}


def _means(text: str, label: str) -> bool:
    """Whether each word of a text begins a word of the label."""
    words = key_of(label).split()
    return all(any(word.startswith(each) for word in words) for each in key_of(text).split())


def _section(kind: Mapping[str, Any], items: Sequence[Hit], text: str, *, is_alone: bool) -> Section:
    one, many = WORDS[kind["kind"]]
    hits = [hit for hit in items if _kind_of(hit) == kind["kind"]]
    is_more = kind["count"] > len(hits) and not is_alone
    return Section(
        title=many,
        note="" if not kind["is_cut"] else say("type more of the name to find one among so many"),
        more=(say("All {count}", count=_count(kind)), _address(text, kind["kind"])) if is_more else ("", ""),
        columns=(say("Name"), say("Where"), say("What it is")),
        rows=[
            (
                sheet.text(hit["name"], href=href_of(hit), reason=_id(hit)),
                sheet.text(where(hit)),
                sheet.text(hit["note"] or (say("hub device") if hit["kind"] == "hub-device" else one)),
            )
            for hit in hits
        ],
        none="",
        anchor=kind["kind"],
    )


def _count(kind: Mapping[str, Any]) -> str:
    count = grouped(kind["count"])
    return say("{count} or more", count=count) if kind["is_cut"] else count


def _kind_of(hit: Hit) -> str:
    return "device" if hit["kind"] == "hub-device" else str(hit["kind"])


def _id(hit: Hit) -> str:
    """What tells a hit apart from others of its name: a device's id begins so, an authored document is addressed so."""
    if hit["id"] == hit["name"] or hit["kind"] in ("catalog", "product", "device-group"):
        return ""
    return short_id(hit["id"]).short


def _told(hit: Hit) -> str:
    return apart([each for each in (where(hit), str(hit["note"])) if each])


def _field(text: str) -> Form:
    field = Field(name="q", label=say("Search"), value=text, limits=limits(maxlength=MAX_NAME_CHARACTERS))
    return Form(post="/search", label=say("Search"), fields=(field,))


def _address(text: str, kind: str = "") -> str:
    return f"/search?{urlencode({'q': text, **({'kind': kind} if kind else {})})}"


def _path(*parts: str) -> str:
    return "/" + "/".join(quote(each, safe="") for each in parts)
