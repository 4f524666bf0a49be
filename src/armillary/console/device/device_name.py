# SPDX-License-Identifier: Apache-2.0
"""A device's name in the console: its form, and the device that somebody means by what they typed."""

from __future__ import annotations

from armillary.console.device import pages_device_data
from armillary.console.frame.desk import Desk, Visit
from armillary.console.frame.form import Field, Form, limits
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.wire.hub.credentials import is_attested_id
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS

# Devices that are listed where one was meant.
LISTED = 8


def name_form(device_id: str, name: str, *, is_named: bool) -> Form:
    """The form on a device's page."""
    nameless = "its product and id" if is_attested_id(device_id) else "its id"
    return Form(
        title="" if is_attested_id(device_id) else "Name",
        post=pages_device_data.place(device_id, "name"),
        label="Save",
        fields=(
            Field(
                name="name",
                label="Name",
                value=name if is_named else "",
                hint=f"People find it by this. Empty: it is called by {nameless}.",
                limits=limits(maxlength=MAX_NAME_CHARACTERS, placeholder=name),
            ),
        ),
    )


def meant(desk: Desk, visit: Visit, text: str) -> str:
    """The id of the device that a name, an id, or the first digits of one mean.

    Raises:
        NotFoundError: none.
        InvalidArgumentError: nothing was typed, or several are meant; they are listed.
    """
    asked = text.strip()[:MAX_NAME_CHARACTERS]
    if not asked:
        raise InvalidArgumentError("no device was named", remedy="Type its name, its id, or the first digits of it.")
    found = desk.sources.application.ask(visit.operator, "find_device", text=asked)["items"]
    if not found:
        raise NotFoundError(
            f"no device is called {asked!r}, and no id begins so",
            remedy="Type its name as it stands, its id, or four or more first digits of it.",
        )
    if len(found) > 1:
        listed = ", ".join(f"{each['name']} ({each['device_id'][:12]})" for each in found[:LISTED])
        raise InvalidArgumentError(
            f"{asked!r} means {len(found)} devices: {listed}", remedy="Type the id of one, or its first digits."
        )
    return str(found[0]["device_id"])
