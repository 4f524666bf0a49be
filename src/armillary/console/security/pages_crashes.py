# SPDX-License-Identifier: Apache-2.0
"""Crash groups of a catalog, and one: where in the program it happens, on which images and devices, how often. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame.curve import Line, curve
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, device, number, text
from armillary.console.frame.words import counted, counted_page, grouped, moment, short_id
from armillary.console.language.say import say
from armillary.console.releases.pages_images import place as image_place
from armillary.wire.image.naming import label_of

LIST: Final = "/crashes"
# Catalogs that have a link each.
MOST_LINKS: Final = 8
# What a group is told apart by, in words.
_BASES: Final[Mapping[str, str]] = {
    "function": say("by names of functions"),
    "offset": say("by addresses: symbols would name them"),
    "exit": say("by how the program ended: nothing was captured"),
    "rest": say("what is beyond the limits of a device and a catalog"),
}


def place(catalog: str, fingerprint: str, *more: str) -> str:
    """The address of a group, or of something below it."""
    return "/".join([LIST, quote(catalog, safe=""), quote(fingerprint, safe=""), *more])


def list_href(catalog: str, **query: str) -> str:
    """The list of a catalog."""
    chosen = {name: value for name, value in {"catalog": catalog, **query}.items() if value}
    return f"{LIST}?{urlencode(chosen)}"


def no_catalog_sheet() -> Sheet:
    """The list where there is no catalog yet."""
    return Sheet(
        place=say("Crashes"),
        title=say("No catalog yet."),
        detail=say("Crashes of a catalog's applications are grouped here, one group for each bug."),
        command="armillary catalog create --catalog NAME",
        within="security",
    )


def list_sheet(
    page: Mapping[str, Any], catalog: str, catalogs: Sequence[str], *, image: str, is_part: bool, now: int
) -> Sheet:
    """A page of a catalog's groups; with ``image`` those that were seen on it."""
    links = tuple((each, list_href(each), each == catalog) for each in catalogs[:MOST_LINKS])
    where = say("{catalog} on the image that was chosen", catalog=catalog) if image else catalog
    if is_part:
        title = say("Older crash groups of {where}.", where=where)
    elif page["items"]:
        title = say("{groups} of {where}.", groups=counted_page(page, "crash group"), where=where)
    elif image:
        title = say("Nothing of {catalog} has crashed on the image that was chosen.", catalog=catalog)
    else:
        title = say("Nothing of {catalog} has crashed.", catalog=catalog)
    return Sheet(
        place=say("Crashes"),
        title=title,
        detail=say(
            "One group for each bug, over builds, images and devices. Symbols name the places: armillary "
            "crash symbols add"
        ),
        links=links if len(catalogs) > 1 else (),
        buttons=(Button(label=say("Crash dumps"), href="/crash-dumps"),),
        sections=(
            Section(
                title=say("Crash groups"),
                note=say("the newest bug first"),
                columns=(say("Crash"), say("Crashes"), say("Devices"), say("First"), say("Last"), say("Told apart")),
                rows=[
                    (
                        text(each["title"], href=place(catalog, each["fingerprint"])),
                        number(grouped(each["count"])),
                        number(grouped(each["devices"])),
                        Cell(at=moment(each["first_seen"], now)),
                        Cell(at=moment(each["last_seen"], now)),
                        text(_BASES.get(each["basis"], each["basis"])),
                    )
                    for each in page["items"]
                ],
                none=say("No application has crashed, as far as devices report."),
                next_href=list_href(catalog, image=image, after=page["next"]) if page["next"] else "",
                sorts=True,
            ),
        ),
        within="security",
    )


def group_sheet(
    group: Mapping[str, Any],
    reports: Mapping[str, Any],
    labels: Mapping[str, str],
    *,
    catalog: str,
    is_part: bool,
    now: int,
) -> Sheet:
    """One group with a page of its ``reports``; ``labels`` of their devices."""
    here = place(catalog, group["fingerprint"])
    return Sheet(
        place=say("Crashes"),
        heading=group["title"],
        title=say(
            "{title}: {times} on {devices}.",
            title=group["title"],
            times=_times(group["count"]),
            devices=counted(group["devices"], "device"),
        ),
        crumbs=((say("Crashes of {catalog}", catalog=catalog), list_href(catalog)), (group["title"], "")),
        facts=(
            (say("Cause"), text(group["cause"])),
            (say("Told apart"), text(_BASES.get(group["basis"], group["basis"]))),
            (say("First"), Cell(at=moment(group["first_seen"], now))),
            (say("Last"), Cell(at=moment(group["last_seen"], now))),
            (
                say("Component"),
                Cell(ident=short_id(group["component_id"])) if group["component_id"] else text(say("several")),
            ),
            (say("Fingerprint"), Cell(ident=short_id(group["fingerprint"]))),
        ),
        sections=(
            _where(group),
            *(() if is_part else (_often(group, here, reports["items"], now),)),
            _images(group, catalog, now),
            Section(
                title=say("Reports"),
                note=say("newest first, as far as they are kept"),
                columns=(say("Device"), say("When"), say("Crashes"), say("What"), say("Image")),
                rows=[_report(each, labels, now) for each in reports["items"]],
                none=say("None is kept any more."),
                next_href=f"{here}?{urlencode({'after': reports['next']})}" if reports["next"] else "",
            ),
        ),
        within="security",
    )


def lines(reports: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    """Crashes so far by time, of reports that are newest first."""
    total, points = 0, []
    for each in reversed(reports):
        total += each["count"]
        points.append((each["received_at"], total))
    return (Line(say("crashes"), tuple(points)),)


def _often(group: Mapping[str, Any], here: str, reports: Sequence[Mapping[str, Any]], now: int) -> Section:
    begin = reports[-1]["received_at"] if reports else group["first_seen"]
    drawn = curve(say("Crashes so far, by time"), f"{here}/curve.json", lines(reports), begin=begin, end=now, now=now)
    return Section(
        title=say("How often"),
        note=say("summed over the reports below"),
        columns=(say("Crashes"), say("Reports"), say("From"), say("To")),
        rows=[
            (
                number(grouped(sum(each["count"] for each in reports))),
                number(grouped(len(reports))),
                Cell(at=moment(reports[-1]["received_at"], now)),
                Cell(at=moment(reports[0]["received_at"], now)),
            )
        ]
        if reports
        else [],
        none=say("No report of it is kept any more; the counts above stay."),
        curve=drawn if reports else None,
    )


def _where(group: Mapping[str, Any]) -> Section:
    return Section(
        title=say("Where"),
        note=say("innermost first"),
        columns=(say("Frame"), say("Place")),
        rows=[(text(say("frame {at}", at=at)), Cell(text=each, code=True)) for at, each in enumerate(group["places"])],
        none=say("Not known: nothing was captured."),
    )


def _images(group: Mapping[str, Any], catalog: str, now: int) -> Section:
    return Section(
        title=say("On images"),
        note=say("that the service offered to the device that reports"),
        columns=(say("Image"), say("Crashes"), say("First"), say("Last"), say("Id")),
        rows=[
            (
                text(
                    label_of(each) if each["name"] else say("an image that was deleted"),
                    href=_image_href(each, catalog),
                ),
                number(grouped(each["count"])),
                Cell(at=moment(each["first_seen"], now)),
                Cell(at=moment(each["last_seen"], now)),
                Cell(ident=short_id(each["image_id"])),
            )
            for each in group["images"]
        ],
        none=say("None that the service offered."),
    )


def _image_href(each: Mapping[str, Any], catalog: str) -> str:
    return image_place(catalog, each["image_id"]) if each["name"] else ""


def _report(each: Mapping[str, Any], labels: Mapping[str, str], now: int) -> tuple[Cell, ...]:
    image = each["image_id"]
    return (
        device(each["device_id"], labels),
        Cell(at=moment(each["received_at"], now)),
        number(grouped(each["count"])),
        text(each["description"]),
        Cell(ident=short_id(image)) if image else text(say("none")),
    )


def _times(count: int) -> str:
    return say("once") if count == 1 else say("{count} times", count=grouped(count))
