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
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS, key_of

Hit = Mapping[str, Any]

# Kind of a search -> (one, several) in words, as the places of the console are called.
WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "device": ("device", "Devices"),
        "dashboard": ("dashboard", "Dashboards"),
        "rule": ("rule", "Rules"),
        "template": ("template", "Templates"),
        "group": ("segment", "Segments"),
        "job": ("job", "Jobs"),
        "export": ("export", "Exports"),
        "device-group": ("device group", "Device groups"),
        "product": ("product", "Products"),
        "catalog": ("catalog", "Catalogs"),
        "image": ("image", "Images"),
        "release": ("release", "Releases"),
        "rollout": ("roll-out", "Roll-outs"),
        "finding": ("finding", "Findings"),
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
    Action("Create rule", "/rules/new", "rule"),
    Action("Create dashboard", "/dashboards#new", "dashboard"),
    Action("Create template", "/new-template", "put_template"),
    Action("Create segment", "/groups/new", "group"),
    Action("Create job", "/jobs/new", "job"),
    Action("Create export", "/exports/new", "export"),
    Action("Create hub device", "/new-hub-device", "make_hub_device"),
    Action("New roll-out", "/new-rollout", "start_rollout"),
    Action("New release", "/new-release", "make_draft"),
    Action("Add devices", "/add-devices", "claim_devices"),
    Action("Use an application", "/applications", "use_application_template"),
    Action("New case", "/new-case", "begin_case"),
    Action("New notification channel", "/new-notification-channel", "make_channel"),
)
ACTIONS: Final = (
    *BEGIN,
    *(
        Action(f"Go to {name}", href, question)
        for name, href, question in dict.fromkeys((*PLACES, *(each for found in WITHIN.values() for each in found)))
    ),
    Action("Keyboard shortcuts", "/help"),
    Action("Change theme", form="/theme"),
    Action("Times in UTC or local", form="/clock"),
    Action("Sign out", form="/sign-out"),
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
    return "not claimed" if hit["kind"] == "device" else "all catalogs"


def first_page() -> Sheet:
    """The search before anything was typed."""
    return Sheet(
        place="Search",
        title="Search",
        detail="Devices by name, id, product or group; dashboards, rules, templates, segments, images, releases, "
        "roll-outs, findings. Type a name, or the first digits of an id.",
        search=_field(""),
        within="",
    )


def search_page(found: Mapping[str, Any], kind: str) -> Sheet:
    """What a search found: a table for each kind, or for the only one that was asked for."""
    text = found["text"]
    sections = tuple(_section(each, found["items"], text, is_alone=bool(kind)) for each in found["kinds"])
    total = sum(each["count"] for each in found["kinds"])
    more = any(each["is_cut"] for each in found["kinds"])
    title = f"{grouped(total)} or more results for “{text}”" if more else f"{counted(total, 'result')} for “{text}”"
    return Sheet(
        place="Search",
        title=title if sections else f"Nothing is called “{text}”",
        detail=""
        if sections
        else "Names of devices are found by the beginning of a word, other names by any part of them, ids by their "
        "first digits.",
        crumbs=(("Search", ""),),
        sections=sections,
        links=((("All kinds", _address(text), False), (WORDS[kind][1], _address(text, kind), True)) if kind else ()),
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
            words = f"All {grouped(each['count'])}{' or more' if each['is_cut'] else ''}"
            hits.append({"name": words, "where": "", "href": timed(_address(found["text"], each["kind"]))})
        groups.append({"words": WORDS[each["kind"]][1], "hits": hits})
    meant = [each for each in actions if _means(text, each.label)]
    if meant:
        hits = [{"name": each.label, "where": "", "href": each.href, "form": each.form} for each in meant]
        groups.append({"words": "Actions", "hits": hits})
    return {"groups": groups}


def _means(text: str, label: str) -> bool:
    """Whether each word of a text begins a word of the label."""
    words = key_of(label).split()
    return all(any(word.startswith(each) for word in words) for each in key_of(text).split())


def _section(kind: Mapping[str, Any], items: Sequence[Hit], text: str, *, is_alone: bool) -> Section:
    one, many = WORDS[kind["kind"]]
    hits = [hit for hit in items if _kind_of(hit) == kind["kind"]]
    count = f"{grouped(kind['count'])}{' or more' if kind['is_cut'] else ''}"
    is_more = kind["count"] > len(hits) and not is_alone
    return Section(
        title=many,
        note="" if not kind["is_cut"] else "type more of the name to find one among so many",
        more=(f"All {count}", _address(text, kind["kind"])) if is_more else ("", ""),
        columns=("Name", "Where", "What it is"),
        rows=[
            (
                sheet.text(hit["name"], href=href_of(hit), reason=_id(hit)),
                sheet.text(where(hit)),
                sheet.text(hit["note"] or ("hub device" if hit["kind"] == "hub-device" else one)),
            )
            for hit in hits
        ],
        none="",
        anchor=kind["kind"],
    )


def _kind_of(hit: Hit) -> str:
    return "device" if hit["kind"] == "hub-device" else str(hit["kind"])


def _id(hit: Hit) -> str:
    """What tells a hit apart from others of its name: a device's id begins so, an authored document is addressed so."""
    if hit["id"] == hit["name"] or hit["kind"] in ("catalog", "product", "device-group"):
        return ""
    return short_id(hit["id"]).short


def _told(hit: Hit) -> str:
    return ", ".join(each for each in (where(hit), str(hit["note"])) if each)


def _field(text: str) -> Form:
    field = Field(name="q", label="Search", value=text, limits=limits(maxlength=MAX_NAME_CHARACTERS))
    return Form(post="/search", label="Search", fields=(field,))


def _address(text: str, kind: str = "") -> str:
    return f"/search?{urlencode({'q': text, **({'kind': kind} if kind else {})})}"


def _path(*parts: str) -> str:
    return "/" + "/".join(quote(each, safe="") for each in parts)
