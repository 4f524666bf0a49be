# SPDX-License-Identifier: Apache-2.0
"""Images of a catalog: the list, and one with its bill of materials. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame.form import Field, Form, choices
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, number, text
from armillary.console.frame.words import counted_page, joined, moment, short_id, size
from armillary.console.language.say import say
from armillary.console.releases.pages_bill import bill_cell, bill_state
from armillary.wire.image.naming import label_of

LIST: Final = "/images"
# Column -> what the source sorts all pages by.
BY_SOURCE: Final[Mapping[str, str]] = MappingProxyType(
    {"Image": "name", "For": "architecture", "Size": "size", "Uploaded": "uploaded_at", "By": "uploaded_by"}
)
# Where images are uploaded (``console/new_rollout``).
NEW: Final = "/new-image"
# Catalogs that have a link each; of more one is chosen from a list.
MOST_LINKS: Final = 8


def place(catalog: str, image_id: str, *more: str) -> str:
    """The address of an image, or of something below it."""
    return "/".join([LIST, quote(catalog, safe=""), quote(image_id, safe=""), *more])


def list_href(catalog: str, **query: str) -> str:
    """The list of a catalog."""
    return f"{LIST}?{urlencode({'catalog': catalog, **query})}"


def upload_href(catalog: str, group: str = "") -> str:
    """Where images are uploaded to a catalog; ``group`` (``PRODUCT/GROUP``) is what a roll-out is prepared for."""
    return f"{NEW}?{urlencode({'catalog': catalog, **({'group': group} if group else {})})}"


def no_catalog_sheet() -> Sheet:
    """The list where there is no catalog yet."""
    return Sheet(
        place=say("Images"),
        title=say("No catalog yet."),
        detail=say("A catalog owns images; they are uploaded to one."),
        command="armillary catalog create --name NAME",
        within="updates",
    )


def list_sheet(
    page: Mapping[str, Any],
    catalog: str,
    catalogs: Sequence[str],
    *,
    is_part: bool,
    may_upload: bool = False,
    now: int,
) -> Sheet:
    """A page of a catalog's images."""
    many = counted_page(page, "image")
    field = Field(name="catalog", label=say("Catalog"), kind="select", value=catalog, choices=choices(catalogs))
    section = Section(
        title=say("Images of {catalog}", catalog=catalog),
        note=say("newest first"),
        columns=(
            say("Image"),
            say("Version"),
            say("Bill of materials"),
            say("For"),
            say("Size"),
            say("Uploaded"),
            say("By"),
            say("Image id"),
        ),
        rows=[
            (
                text(each["name"], href=place(catalog, each["image_id"])),
                version_cell(each),
                bill_cell(each["bill"], page["bill_policy"]),
                text(each["architecture"]),
                number(size(each["size"])),
                Cell(at=moment(each["uploaded_at"], now)),
                text(each["uploaded_by"]),
                Cell(ident=short_id(each["image_id"])),
            )
            for each in page["items"]
        ],
        none=say("None was uploaded yet. Here, or: armillary image add")
        if may_upload
        else say("None was uploaded yet."),
        next_href=list_href(catalog, after=page["next"]) if page["next"] else "",
        sorts=True,
    )
    return Sheet(
        place=say("Images"),
        title=say("Older images of {catalog}.", catalog=catalog)
        if is_part
        else say("{many} of {catalog}.", many=many, catalog=catalog)
        if page["items"]
        else say("No image of {catalog} yet.", catalog=catalog),
        detail=say(
            "Application images that deployments name. Every build has an image id of its own and never changes."
        ),
        links=tuple((name, list_href(name), name == catalog) for name in catalogs)
        if 1 < len(catalogs) <= MOST_LINKS
        else (),
        search=Form(post=LIST, label=say("Show"), fields=(field,)) if len(catalogs) > MOST_LINKS else None,
        buttons=(Button(label=say("Upload images"), href=upload_href(catalog), primary=True),) if may_upload else (),
        sections=(section,),
        within="updates",
    )


def version_cell(image: Mapping[str, Any]) -> Cell:
    """What its vendor calls this build, or that nobody said it."""
    return text(image["version"] or say("unknown"))


def image_sheet(image: Mapping[str, Any], *, bill: Section, search: Form | None, now: int) -> Sheet:
    """One image; ``bill`` is the section of its bill of materials."""
    catalog, called, asks = image["catalog"], label_of(image), joined(image["allowed_connections"])
    runs = urlencode({"image": image["image_id"]})
    downloads: tuple[Button, ...] = ()
    if image["bill"] is not None:
        here = place(catalog, image["image_id"], "bill.json")
        downloads = (Button(label=say("Download the bill"), href=here),)
    return Sheet(
        place=say("Images"),
        heading=say("Image {called}", called=called),
        title=say("{image}, which asks to reach {hosts}.", image=called, hosts=asks)
        if asks
        else say("{image}, which asks to reach no host.", image=called),
        crumbs=((say("Images of {catalog}", catalog=catalog), list_href(catalog)), (called, "")),
        buttons=(*downloads, Button(label=say("Devices that run it"), href=f"/fleet?{runs}")),
        facts=(
            (say("Version"), version_cell(image)),
            (say("Bill of materials"), Cell(state=bill_state(image["bill"], image["bill_policy"]))),
            (say("For"), text(image["architecture"])),
            (say("Size"), text(size(image["size"]))),
            (say("Built"), Cell(at=moment(image["built_at"], now), text=say("not said"))),
            (say("Uploaded"), Cell(at=moment(image["uploaded_at"], now))),
            (say("By"), text(image["uploaded_by"])),
            (say("Image id"), Cell(ident=short_id(image["image_id"]))),
            (say("Component id"), Cell(ident=short_id(image["component_id"]))),
            (say("SHA-256"), Cell(ident=short_id(image["sha256"]))),
        ),
        search=search,
        sections=(bill,),
        within="updates",
    )
