# SPDX-License-Identifier: Apache-2.0
"""Advisories as a list, the feeds that they are from, and what can be said of each image and release. Pure.

What no fresh feed speaks of is unknown, and is nowhere drawn as good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame.sheet import Button, Cell, Section, Sheet, number, state, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, grouped, joined, moment, span
from armillary.console.language.say import apart, say, say_count

LIST: Final = "/advisories"
COVERAGE: Final = "/advisory-coverage"
# Images and releases that the page of coverage names, the worst first; its first line counts all.
COVERED_LINES: Final = 500
# State of an image, a release or a device to advisories -> how it is drawn. "None known" is the best that there is.
STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "affected": State(BAD, say("affected")),
        "under-investigation": State(ATTENTION, say("under investigation")),
        "unknown": State(UNKNOWN, say("unknown")),
        "not-assessed": State(UNKNOWN, say("not assessed")),
        "fixed": State(GOOD, say("fixed")),
        "not-affected": State(GOOD, say("not affected")),
        "none-known": State(GOOD, say("none known")),
    }
)
_SEVERITIES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "critical": State(BAD, say("critical")),
        "high": State(BAD, say("high")),
        "medium": State(ATTENTION, say("medium")),
        "low": State(UNKNOWN, say("low")),
        "none": State(UNKNOWN, say("none")),
    }
)
# Kind of what runs on devices -> what it is called.
ARTIFACTS: Final[Mapping[str, str]] = MappingProxyType({"image": say("image"), "release": say("release")})
_NO_FEED: Final = say("No feed of advisories is here: nothing is known of vulnerabilities.")
_IMPORT: Final = "armillary advisory-feed pack ... && armillary advisory-feed import BUNDLE"


def place(advisory_id: str, *more: str) -> str:
    """The address of an advisory, or of something below it."""
    return "/".join([LIST, quote(advisory_id, safe=""), *more])


def list_href(**query: str) -> str:
    """The list, of what is asked."""
    chosen = {name: value for name, value in query.items() if value}
    return f"{LIST}?{urlencode(chosen)}" if chosen else LIST


def list_sheet(
    page: Mapping[str, Any],
    feeds: Sequence[Mapping[str, Any]] | None,
    *,
    in_field: bool,
    catalog: str,
    catalogs: Sequence[str],
    now: int,
) -> Sheet:
    """A page of advisories; ``feeds`` are None for who may not list them."""
    only = {"catalog": catalog, "field": "1" if in_field else ""}
    links = [(say("that affect devices"), list_href(**only | {"field": "1"}), in_field)]
    links.append((say("all that affect an image"), list_href(**only | {"field": ""}), not in_field))
    if len(catalogs) > 1:
        links.append((say("of all catalogs"), list_href(**only | {"catalog": ""}), not catalog))
        links += [
            (say("of {each}", each=each), list_href(**only | {"catalog": each}), each == catalog)
            for each in catalogs[:8]
        ]
    section = Section(
        title=say("Advisories"),
        note=say("the most urgent first: exploited, then likely, then grave"),
        columns=(
            say("Advisory"),
            say("Exploited"),
            say("Likely within 30 days"),
            say("Severity"),
            say("Devices"),
            say("Images and releases"),
        ),
        rows=[_row(each, catalog, now) for each in page["items"]],
        none=_none(page["basis"], in_field=in_field),
        next_href=list_href(**only | {"after": page["next"]}) if page["next"] else "",
        sorts=True,
    )
    return Sheet(
        place=say("Advisories"),
        title=_title(page),
        notices=basis_notices(page["basis"]),
        links=tuple(links),
        buttons=(
            Button(label=say("What is covered"), href=COVERAGE + (f"?catalog={quote(catalog)}" if catalog else "")),
        ),
        sections=(section, *(() if feeds is None else (feeds_section(feeds, now),))),
        within="security",
    )


def feeds_section(feeds: Sequence[Mapping[str, Any]], now: int) -> Section:
    """The feeds with their editions in force."""
    return Section(
        title=say("Feeds"),
        note=say("a feed that is older than it may be says nothing about now"),
        columns=(
            say("Feed"),
            say("State"),
            say("As of"),
            say("Stale after"),
            say("Kind"),
            say("Records"),
            say("Not read"),
            say("Signed by"),
        ),
        rows=[_feed(each, now) for each in feeds],
        none=say("None was imported yet: {what}", what=_IMPORT),
        anchor="feeds",
    )


def coverage_sheet(found: Mapping[str, Any], catalog: str, catalogs: Sequence[str], now: int) -> Sheet:
    """What can be said of each image of a catalog ("": of all) and each release."""
    items, order = found["items"], {word: index for index, word in enumerate(STATES)}
    counts = Counter(each["state"] for each in items)
    shown = sorted(items, key=lambda each: (order.get(each["state"], -1), each["name"]))[:COVERED_LINES]
    parts = [of_state(counts[word], word) for word in STATES if counts[word]]
    links: list[tuple[str, str, bool]] = [(say("All catalogs"), COVERAGE, not catalog)] if len(catalogs) > 1 else []
    links += [(name, f"{COVERAGE}?catalog={quote(name)}", name == catalog) for name in catalogs] if links else []
    return Sheet(
        place=say("Coverage"),
        title=say_count(
            len(items),
            "{many} image or release: {parts}.",
            "{many} images and releases: {parts}.",
            many=grouped(len(items)),
            parts=joined(parts),
        )
        if items
        else say("There is no image and no release yet."),
        detail=say(
            "Unknown: a bill of materials is missing, or a feed for one of its components is stale or "
            "missing. Not assessed: some components cannot be judged. None known is the best that there is, "
            "until the time beside it."
        ),
        crumbs=((say("Advisories"), LIST), (say("Coverage"), "")),
        links=tuple(links),
        notices=basis_notices(found["basis"]),
        sections=(
            Section(
                title=say("Images and releases"),
                note=say("the worst {covered_lines}", covered_lines=grouped(COVERED_LINES))
                if len(items) > COVERED_LINES
                else say("the worst first"),
                columns=(say("Name"), say("State"), say("Why"), say("As of"), say("Components"), say("Not assessed")),
                rows=[_covered(each, now) for each in shown],
                none=say("Upload an image: armillary image add"),
                sorts=len(items) <= COVERED_LINES,
            ),
        ),
        within="security",
    )


def severity_cell(advisory: Mapping[str, Any]) -> Cell:
    """How grave an advisory is, with its score."""
    scored = say("no CVSS score") if advisory["cvss"] is None else say("CVSS {cvss}", cvss=f"{advisory['cvss']:.1f}")
    return state(_SEVERITIES, advisory["severity"] or None, scored)


def exploited_cell(advisory: Mapping[str, Any], now: int) -> Cell:
    """Whether an advisory is known to be exploited, since when, and until when that is to be repaired."""
    since, due = moment(advisory["exploited_since"], now), moment(advisory["exploited_due_at"], now)
    if since is not None:
        listed = (
            say("listed {since}, due {due}", since=since.exact[:10], due=due.exact[:10])
            if due
            else say("listed {since}", since=since.exact[:10])
        )
        return Cell(state=State(BAD, say("exploited")), reason=listed)
    if advisory["exploitation_known"]:
        return text(say("not listed"), reason=say("by a fresh catalogue of what is exploited"))
    return Cell(state=State(UNKNOWN, say("not known")), reason=say("no fresh catalogue of what is exploited"))


def likely_cell(advisory: Mapping[str, Any], now: int) -> Cell:
    """How likely exploitation is by EPSS, with the date of that."""
    as_of = moment(advisory["epss_as_of"], now)
    if advisory["epss"] is None:
        return Cell(state=State(UNKNOWN, say("not scored")))
    above = advisory["epss_percentile"]
    parts = [
        say("above {share} % of all", share=f"{100 * above:.0f}") if above is not None else "",
        say("EPSS of {as_of}", as_of=as_of.exact[:10]) if as_of else "",
    ]
    return text(f"{100 * advisory['epss']:.1f} %", reason=apart([each for each in parts if each]))


def states_text(counts: Mapping[str, int]) -> str:
    """``2 affected, 1 unknown``."""
    return apart([of_state(counts[word], word) for word in STATES if counts.get(word)]) or say("none")


def of_state(count: int, word: str) -> str:
    """``2 affected``."""
    return say("{count} {state}", count=grouped(count), state=STATES[word].word)


def _row(each: Mapping[str, Any], catalog: str, now: int) -> tuple[Cell, ...]:
    query = f"?catalog={quote(catalog)}" if catalog else ""
    aliases = f"{', '.join(each['aliases'][:3])}: " if each["aliases"] else ""
    known = f"{aliases}{each['summary']}"
    stale = say("{known} A feed of it is stale.", known=known)
    return (
        text(each["advisory_id"], href=place(each["advisory_id"]) + query, reason=stale if each["stale"] else known),
        exploited_cell(each, now),
        likely_cell(each, now),
        severity_cell(each),
        number(grouped(each["devices"])),
        text(states_text(each["images"])),
    )


def _feed(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    current = each["current"]
    condition = State(GOOD, say("fresh"))
    if current is None:
        condition = State(UNKNOWN, say("never whole"))
    elif each["stale"]:
        condition = State(ATTENTION, say("stale"))
    return (
        text(each["feed"], reason="" if current is None else ", ".join(current["ecosystems"])),
        Cell(state=condition),
        Cell(at=None if current is None else moment(current["as_of"], now)),
        text(span(each["max_age_s"])),
        text(each["kind"]),
        number(say("none") if current is None else grouped(current["records"])),
        number(say("none") if current is None else grouped(current["refused"])),
        text(say("nobody") if current is None else current["signer"]),
    )


def basis_notices(basis: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What an answer does not rest on: feeds that are missing or stale, and devices of which nothing is known yet."""
    told = []
    if not basis["feeds"]:
        told.append(("attention", say("{no_feed} Import one: {what}", no_feed=_NO_FEED, what=_IMPORT)))
    if basis["stale"]:
        names = ", ".join(basis["stale"])
        told.append(
            (
                "attention",
                say("Stale: {names}. What they do not name may be affected all the same: it is unknown.", names=names),
            )
        )
    taken_in = basis["taken_in"]
    if not taken_in["whole"]:
        known, devices = grouped(taken_in["compared"]), counted(taken_in["devices"], "device")
        told.append(
            ("attention", say("Of {known} of {devices} it is known yet what they run.", known=known, devices=devices))
        )
    return tuple(told)


def _title(page: Mapping[str, Any]) -> str:
    """First line: whether what is known is of now, and how many there are."""
    freshness, many = _freshness(page["basis"]), _sentence(page)
    return say("{freshness} {many}", freshness=freshness, many=many) if many else freshness


def _freshness(basis: Mapping[str, Any]) -> str:
    """The first line's first sentence: whether what is known is of now."""
    feeds, stale = basis["feeds"], len(basis["stale"])
    if not feeds:
        return _NO_FEED
    if stale:
        return say_count(
            stale,
            "{stale} of {feeds} is stale.",
            "{stale} of {feeds} are stale.",
            stale=grouped(stale),
            feeds=counted(feeds, "feed"),
        )
    return say_count(feeds, "{feeds} fresh feed.", "{feeds} fresh feeds.", feeds=grouped(feeds))


def _sentence(page: Mapping[str, Any]) -> str:
    items = page["items"]
    if not items:
        return ""
    devices = sum(each["devices"] > 0 for each in items)
    exploited = sum(each["exploited_since"] is not None for each in items)
    many = grouped(len(items))
    shown = (
        say_count(len(items), "{many} advisory on this page", "{many} advisories on this page", many=many)
        if page["next"]
        else counted(len(items), "advisory", "advisories")
    )
    return say(
        "{advisories}: {devices} in the field, {exploited} exploited.",
        advisories=shown,
        devices=grouped(devices),
        exploited=grouped(exploited),
    )


def _none(basis: Mapping[str, Any], *, in_field: bool) -> str:
    if not basis["feeds"]:
        return say("None is known: there is no feed.")
    known = (
        say("No advisory that is known affects a device.")
        if in_field
        else say("No advisory that is known affects an image or a release.")
    )
    return say(
        "{known} What no fresh feed and no bill of materials covers is unknown: look at what is covered.", known=known
    )


def _covered(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    reasons = [f"{name}: {word}" for name, word in each["uncovered"].items()]
    if each["fault"]:
        reasons.insert(0, each["fault"])
    if not each["components"]:
        reasons.insert(0, say("no bill of materials names a component"))
    unnamed = [f"{one['name']} {one['version']} ({one['reason']})" for one in each["not_assessed_components"][:3]]
    href = f"/releases/{each['id']}" if each["kind"] == "release" else ""
    return (
        text(each["name"], href=href, reason=ARTIFACTS.get(each["kind"], each["kind"])),
        state(STATES, each["state"]),
        text(apart(reasons, "; ") or say("every component is covered")),
        Cell(at=moment(each["as_of"], now), text=say("no feed")),
        number(grouped(each["components"])),
        text(grouped(each["not_assessed"]), reason=", ".join(unnamed)),
    )
