# SPDX-License-Identifier: Apache-2.0
"""The page of one advisory: whom it affects, where, how many are repaired, and by what that is known. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from armillary.console.frame.curve import Curve, Line, curve, line_of
from armillary.console.frame.form import Field, Form
from armillary.console.frame.sheet import (
    Button,
    Cell,
    Section,
    Sheet,
    act_button,
    audit_section,
    aware_button,
    device,
    number,
    state,
    text,
)
from armillary.console.frame.words import counted, grouped, joined, moment, sentence, short_id
from armillary.console.language.say import say, say_count
from armillary.console.releases.pages_images import place as image_place
from armillary.console.security.pages_advisories import (
    LIST,
    STATES,
    basis_notices,
    exploited_cell,
    likely_cell,
    place,
    severity_cell,
    states_text,
)

# States by which devices are listed, the worst first.
LISTED: Final = ("affected", "under-investigation", "unknown", "fixed", "not-affected")
# Rows of a table of the page; its note says how many there are.
MOST_ROWS: Final = 100
# Points of the curve that the table has, the newest.
POINTS: Final = 12


def advisory_sheet(
    found: Mapping[str, Any],
    names: Mapping[str, str],
    *,
    catalog: str,
    catalogs: Sequence[str],
    as_of: str = "",
    statements: Section | None = None,
    actions: Section | None = None,
    may_report: bool = False,
    now: int,
) -> Sheet:
    """One advisory, of a ``catalog`` or ("") of all; ``names`` are those of catalogs by their ids.

    ``as_of`` is the time of which it was asked as it was typed; "": now. ``statements`` are what operators
    state, ``actions`` what was done or proposed about it.
    """
    advisory_id = found["advisory_id"]
    links: list[tuple[str, str, bool]] = (
        [(say("All catalogs"), place(advisory_id), not catalog)] if len(catalogs) > 1 else []
    )
    links += [(name, _href(advisory_id, catalog=name), name == catalog) for name in catalogs[:8]] if links else []
    return Sheet(
        place=say("Advisories"),
        heading=advisory_id,
        title=_title(found),
        detail=sentence(found["summary"]),
        crumbs=((say("Advisories"), LIST), (advisory_id, "")),
        notices=(*_as_of(found, as_of, now), *_notices(found)),
        links=tuple(links),
        buttons=(
            *((act_button("advisory", advisory_id, catalog),) if may_report else ()),
            *((aware_button("advisory", advisory_id, catalog),) if may_report else ()),
            Button(label=say("Findings of it"), href="/findings?kind=vulnerability-in-field"),
            Button(label=say("Download as JSON"), href=_href(advisory_id, "trace.json", catalog=catalog)),
        ),
        facts=_facts(found, now),
        search=Form(
            post=place(advisory_id),
            label=say("As of then"),
            fields=(Field(name="at", label=say("As of, such as 2026-11-28 04:00"), value=as_of),),
            hidden=(("catalog", catalog),) if catalog else (),
        ),
        sections=(
            _devices(found, catalog),
            _patched(found, catalog, now),
            _artifacts(found, names),
            *(each for each in (statements, actions) if each is not None),
            _where(found),
            *((_catalogs(found),) if not catalog and len(catalogs) > 1 else ()),
            _records(found, now),
            *((audit_section(found["audit"], now),) if found.get("audit") else ()),
        ),
        within="security",
    )


def devices_sheet(
    page: Mapping[str, Any], advisory_id: str, wanted: str, labels: Mapping[str, str], *, catalog: str, now: int
) -> Sheet:
    """A page of the devices in a state."""
    words = STATES[wanted].word
    following = _href(advisory_id, "devices", state=wanted, catalog=catalog, after=page["next"] or "")
    return Sheet(
        place=say("Advisories"),
        heading=say("Devices of {advisory_id}", advisory_id=advisory_id),
        title=say_count(
            page["count"],
            "{count} device is affected by {advisory_id}.",
            "{count} devices are affected by {advisory_id}.",
            count=grouped(page["count"]),
            advisory_id=advisory_id,
        )
        if wanted == "affected"
        else say(
            "{devices}: {words}, of {advisory_id}.",
            devices=counted(page["count"], "device"),
            words=words,
            advisory_id=advisory_id,
        ),
        crumbs=((say("Advisories"), LIST), (advisory_id, _href(advisory_id, catalog=catalog)), (say("Devices"), "")),
        links=tuple(
            (STATES[each].word, _href(advisory_id, "devices", state=each, catalog=catalog), each == wanted)
            for each in LISTED
        ),
        notices=basis_notices(page["basis"]),
        sections=(
            Section(
                title=say("Devices"),
                columns=(
                    say("Device"),
                    say("Catalog"),
                    say("Product and group"),
                    say("Country"),
                    say("OS"),
                    say("Last check-in"),
                ),
                rows=[
                    (
                        device(each["device_id"], labels),
                        text(each["catalog"] or say("none")),
                        text(f"{each['product']} / {each['group']}" if each["group"] else say("no group")),
                        text(each["country"] or say("not said")),
                        text(each["os_version"] or say("not known")),
                        Cell(at=moment(each["last_check_in_at"], now), text=say("never")),
                    )
                    for each in page["items"]
                ],
                none=say("No device: {words}.", words=words),
                next_href=following if page["next"] else "",
            ),
        ),
        within="security",
    )


def lines(found: Mapping[str, Any]) -> tuple[Line, ...]:
    """The patch curve's lines: affected, and repaired until then."""
    named = {say("affected devices"): "affected", say("repaired devices"): "patched"}
    return tuple(line_of(label, found["curve"], name) for label, name in named.items())


def patch_curve(found: Mapping[str, Any], catalog: str, now: int) -> Curve:
    """The patch curve as it is drawn."""
    href = _href(found["advisory_id"], "curve.json", catalog=catalog)
    drawn = lines(found)
    label = say("Devices affected by {advisory_id} and repaired, by time", advisory_id=found["advisory_id"])
    return curve(label, href, drawn, begin=found["known_since"], end=found["as_of"], now=now)


def _href(advisory_id: str, *more: str, **query: str) -> str:
    chosen = {name: value for name, value in query.items() if value}
    return place(advisory_id, *more) + (f"?{urlencode(chosen)}" if chosen else "")


def _title(found: Mapping[str, Any]) -> str:
    devices, advisory_id = found["devices"], found["advisory_id"]
    affected, unknown = devices.get("affected", 0), devices.get("unknown", 0)
    if affected:
        says = say("{advisory_id} affects {devices}", advisory_id=advisory_id, devices=counted(affected, "device"))
    elif unknown or found["stale"]:
        says = say("{advisory_id} affects no device that is known", advisory_id=advisory_id)
    else:
        says = say("{advisory_id} affects no device", advisory_id=advisory_id)
    if unknown:
        says = say("{known}; of {unknown} it is not known", known=says, unknown=grouped(unknown))
    if found["patched_percent"] is not None:
        percent = f"{found['patched_percent']:g}"
        says = say("{known}. {percent} % of those that it affected are repaired", known=says, percent=percent)
    return sentence(says)


def _notices(found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    told = basis_notices(found["basis"])
    if not found["stale"]:
        return told
    own = say("A feed that it is from is stale: nobody is called fixed or not affected by it. Import a newer bundle.")
    return (("attention", own), *told)


def _as_of(found: Mapping[str, Any], typed: str, now: int) -> tuple[tuple[str, str], ...]:
    then = moment(found["as_of"], now)
    if not typed or then is None:
        return ()
    return (("attention", say("As the service would have answered at {then}, not now.", then=then.exact)),)


def _facts(found: Mapping[str, Any], now: int) -> tuple[tuple[str, Cell], ...]:
    percent = say("nothing was affected") if found["patched_percent"] is None else f"{found['patched_percent']:g} %"
    return (
        (say("Exploited"), exploited_cell(found, now)),
        (say("Likely within 30 days"), likely_cell(found, now)),
        (say("Severity"), severity_cell(found)),
        (say("Repaired"), text(percent)),
        (say("Known here"), Cell(at=moment(found["known_since"], now))),
        (say("Also called"), text(", ".join(found["aliases"]) or say("nothing else"))),
        (say("Fixed in"), text(_fixes(found) or say("no fix is known"))),
        (say("CVSS vector"), Cell(text=found["cvss_vector"], code=True) if found["cvss_vector"] else text(say("none"))),
    )


def _fixes(found: Mapping[str, Any]) -> str:
    records = (each["fixed"].items() for each in found["records"])
    fixed = {f"{name} {joined(sorted(versions), 'or')}" for one in records for name, versions in one}
    return ", ".join(sorted(fixed)[:5])


def _devices(found: Mapping[str, Any], catalog: str) -> Section:
    counts = found["devices"]
    return Section(
        title=say("Devices"),
        note=say("by what they proved to run in their last attested check-in"),
        columns=(say("State"), say("Devices"), say("Which")),
        rows=[
            (
                state(STATES, word),
                number(grouped(counts[word])),
                text(say("list them"), href=_href(found["advisory_id"], "devices", state=word, catalog=catalog)),
            )
            for word in LISTED
            if counts.get(word)
        ],
        none=say("There is no device."),
    )


def _patched(found: Mapping[str, Any], catalog: str, now: int) -> Section:
    points = found["curve"]
    return Section(
        title=say("Repaired"),
        note=say("a device counts once it attested an image or release that is known to be repaired"),
        columns=(say("When"), say("Affected"), say("Repaired"), say("Came"), say("Left otherwise")),
        rows=[
            (
                Cell(at=moment(each["at"], now)),
                number(grouped(each["affected"])),
                number(grouped(each["patched"])),
                number(grouped(each["came"])),
                number(grouped(each["left"])),
            )
            for each in reversed(points[-POINTS:])
        ],
        none=say("Nothing was affected."),
        curve=patch_curve(found, catalog, now),
    )


def _artifacts(found: Mapping[str, Any], names: Mapping[str, str]) -> Section:
    order = {word: index for index, word in enumerate(STATES)}
    artifacts = sorted(found["artifacts"], key=lambda each: (order.get(each["state"], -1), each["name"]))
    says = states_text(found["artifact_states"])
    if len(artifacts) > MOST_ROWS:
        says = say("{states}, {count} are named", states=says, count=grouped(MOST_ROWS))
    return Section(
        title=say("Images and releases"),
        note=says,
        columns=(say("Name"), say("State"), say("Why"), say("Components"), say("Id")),
        rows=[
            (
                text(each["name"], href=_artifact_href(each, names), reason=_owner(each, names)),
                state(STATES, each["state"]),
                text(each["reason"] or say("its bill of materials lists an affected version")),
                Cell(text=", ".join(each["components"][:3]), code=True) if each["components"] else text(say("none")),
                Cell(ident=short_id(each["id"])),
            )
            for each in artifacts[:MOST_ROWS]
        ],
        none=say("It affects no image and no release that a bill of materials describes."),
    )


def _artifact_href(each: Mapping[str, Any], names: Mapping[str, str]) -> str:
    if each["kind"] == "release":
        return f"/releases/{each['id']}"
    catalog = names.get(each["catalog_id"] or "")
    return image_place(catalog, each["id"]) if catalog else ""


def _owner(each: Mapping[str, Any], names: Mapping[str, str]) -> str:
    if each["kind"] == "release":
        return say("release")
    return say("image of {catalog}", catalog=names.get(each["catalog_id"] or "", say("a catalog")))


def _where(found: Mapping[str, Any]) -> Section:
    members = found["member_states"]
    return Section(
        title=say("Countries"),
        note=say("of the affected devices, as device groups say: armillary device-group set-country --country DE"),
        columns=(say("Country"), say("Devices"), say("Member state of the Union")),
        rows=[
            (
                text(name or say("not said")),
                number(grouped(many)),
                text(say("yes") if name in members else say("no") if name else "-"),
            )
            for name, many in found["countries"].items()
        ],
        none=say("No device is affected."),
    )


def _catalogs(found: Mapping[str, Any]) -> Section:
    return Section(
        title=say("Catalogs"),
        columns=(say("Catalog"), say("Affected devices")),
        rows=[
            (
                text(name or say("no catalog"), href=_href(found["advisory_id"], catalog=name) if name else ""),
                number(grouped(many)),
            )
            for name, many in found["catalogs"].items()
        ],
        none=say("No device is affected."),
    )


def _records(found: Mapping[str, Any], now: int) -> Section:
    return Section(
        title=say("By what it is known"),
        note=say("records of signed feeds"),
        columns=(
            say("Feed"),
            say("Record"),
            say("Published"),
            say("Modified"),
            say("Withdrawn"),
            say("Feed as of"),
            say("SHA-256"),
        ),
        rows=[
            (
                text(each["feed"], reason=say("edition {edition}", edition=each["edition"])),
                text(each["advisory_id"]),
                Cell(at=moment(each["published_at"], now), text=say("not said")),
                Cell(at=moment(each["modified_at"], now), text=say("not said")),
                Cell(at=moment(each["withdrawn_at"], now), text=say("no")),
                Cell(at=moment(each["feed_as_of"], now), text=say("never whole")),
                Cell(ident=short_id(each["sha256"])),
            )
            for each in found["records"]
        ],
        none="",
    )
