# SPDX-License-Identifier: Apache-2.0
"""Uploaded pictures as a page, the form of a new one, and the question before one is deleted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, filled, limits
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, next_href, number, text
from armillary.console.frame.words import counted_page, moment, size
from armillary.console.language.say import apart, say
from armillary.wire.picture.picture import MAX_PICTURE_BYTES

LIST: Final = "/dashboard-pictures"
NEW: Final = "/new-dashboard-picture"
# Where the panel of a tile sends a picture.
FOR_TILE: Final = "/new-dashboard-picture/for-tile"


def place(picture_id: str, *more: str) -> str:
    """The address of something done with a picture."""
    return "/".join([LIST, quote(picture_id, safe=""), *more])


def list_sheet(page: Mapping[str, Any], *, may_change: bool, now: int) -> Sheet:
    """All pictures."""
    columns = (say("Picture"), say("Kind"), say("Size"), say("Bytes"), say("Of"), say("Uploaded"), say("By"))
    rows = [_row(each, now, may_change=may_change) for each in page["items"]]
    return Sheet(
        place=say("Pictures"),
        title=say("{pictures} for tiles and floor plans.", pictures=counted_page(page, "picture")),
        detail=say("A tile chooses one. They can do nothing: scripts, links, places and texts in files are left out."),
        crumbs=((say("Dashboards"), "/dashboards"), (say("Pictures"), "")),
        buttons=(Button(label=say("Upload a picture"), href=NEW, primary=True),) if may_change else (),
        sections=(
            Section(
                title=say("Pictures"),
                columns=(*columns, say("Delete")) if may_change else columns,
                rows=rows,
                none=say("None was uploaded yet. Or by command: armillary picture upload FILE"),
                next_href=next_href(LIST, page["next"]) or "",
            ),
        ),
    )


def new_sheet(sent: Mapping[str, str], wrong: Wrong | None, catalogs: Sequence[str], *, whole: bool) -> Sheet:
    """The form of a new picture; ``whole``: who asks speaks for all catalogs."""
    owners = (*((each, each) for each in catalogs), *((("", say("all catalogs")),) if whole else ()))
    fields = (
        Field(
            name="picture",
            label=say("Picture"),
            kind="file",
            required=True,
            limits=limits(accept=".png,.jpg,.jpeg,.svg,image/png,image/jpeg,image/svg+xml"),
            hint=say(
                "PNG, JPEG or SVG, at most {max_picture_bytes}; 1600 pixels are enough",
                max_picture_bytes=size(MAX_PICTURE_BYTES),
            ),
        ),
        Field(
            name="name", label=say("Name"), required=True, limits=limits(maxlength=128), hint=say("such as Pump house")
        ),
        Field(name="catalog", label=say("For"), kind="select", value=owners[0][0] if owners else "", choices=owners),
    )
    return Sheet(
        place=say("Pictures"),
        heading=say("Upload a picture"),
        title=say("A picture for tiles and floor plans."),
        crumbs=((say("Dashboards"), "/dashboards"), (say("Pictures"), LIST), (say("Upload"), "")),
        forms=(
            Form(
                post=NEW,
                label=say("Upload"),
                title=say("The picture"),
                fields=filled(fields, sent) if sent else fields,
                error=wrong,
                primary=True,
            ),
        ),
    )


def delete_confirmation(found: Mapping[str, Any], uses: Sequence[Mapping[str, Any]]) -> Confirmation:
    """What deleting a picture does; one that is shown cannot be deleted."""
    shown = apart([each["words"] for each in uses], "; ") or say("no dashboard that you see")
    return Confirmation(
        title=say("Delete the picture {name}?", name=found["name"]),
        touches=touching(
            say("{picture}, which is shown by {shown}.", picture=found["id"], shown=shown),
            say("While a dashboard shows it, it is not deleted: choose another picture there first."),
            say("Dashboards, devices and their values."),
            say("Cannot be undone: upload it again."),
        ),
        label=say("Delete picture"),
        danger=True,
        post=place(found["id"], "delete"),
        back=LIST,
    )


def _row(each: Mapping[str, Any], now: int, *, may_change: bool) -> tuple[Cell, ...]:
    kind = {"image/png": "PNG", "image/jpeg": "JPEG", "image/svg+xml": "SVG"}[each["media_type"]]
    delete = (text(say("Delete"), href=place(each["id"], "delete")),) if may_change else ()
    return (
        text(each["name"], href=f"/pictures/{quote(each['image'])}", reason=each["id"]),
        text(kind),
        text(f"{each['width']} x {each['height']}"),
        number(size(each["bytes"])),
        text(each["catalog"] or say("all catalogs")),
        Cell(at=moment(each["changed_ms"] // 1000, now)),
        text(each["changed_by"]),
        *delete,
    )
