# SPDX-License-Identifier: Apache-2.0
"""OS feeds: which there are, the form of a new one, and what deleting one does. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.sheet import Cell, Section, text
from armillary.console.frame.words import moment
from armillary.console.language.say import say

FEEDS: Final = "/os-feeds"
# Where the section is on the page of releases.
ANCHOR: Final = "feeds"


def feeds_section(
    feeds: Sequence[Mapping[str, Any]], *, sent: Mapping[str, str], wrong: Wrong | None, may_make: bool, now: int
) -> Section:
    """The table of feeds; ``wrong`` is what was wrong with the form of a new one as it was ``sent``."""
    rows, may_drop = [], may_make and any(each["created_by"] for each in feeds)
    for each in feeds:
        is_own = bool(each["created_by"])
        row = [
            text(each["name"]),
            text(each["follows"] or say("none: it is for everybody")),
            Cell(at=moment(each["created_at"], now)) if is_own else text(say("always there")),
            text(each["created_by"] or say("the service")),
        ]
        if may_drop:
            row.append(
                text(say("Delete"), href=f"{FEEDS}/{quote(each['name'], safe='')}/delete")
                if is_own
                else text(say("none"))
            )
        rows.append(row)
    return Section(
        title=say("OS feeds"),
        note=say("a group gets its feed's releases, and those of the feeds that this one follows"),
        columns=(say("Feed"), say("Follows"), say("Created"), say("By"), *((say("Action"),) if may_drop else ())),
        rows=rows,
        none="",
        anchor=ANCHOR,
        form=_form([each["name"] for each in feeds], sent, wrong) if may_make else None,
    )


def confirmation(name: str, back: str) -> Confirmation:
    """What deleting a feed does."""
    return Confirmation(
        title=say("Delete the feed {name}?", name=name),
        touches=touching(
            say(
                "Nothing else: it is refused while a device group, a release that is not revoked, another feed "
                "or a roll-out uses it."
            ),
            say("Takes it from the feeds that groups and releases can have."),
            say("Devices."),
            say("Create it again."),
        ),
        label=say("Delete"),
        danger=True,
        post=f"{FEEDS}/{quote(name, safe='')}/delete",
        back=back,
    )


def _form(names: Sequence[str], sent: Mapping[str, str], wrong: Wrong | None) -> Form:
    fields = (
        Field(name="name", label=say("Name"), required=True, limits=limits(maxlength=16), hint=say("such as Canary")),
        Field(name="follows", label=say("Follows"), kind="select", choices=choices(names), value=names[0]),
    )
    return Form(
        post=FEEDS,
        label=say("Create the feed"),
        title=say("A new feed"),
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
    )
