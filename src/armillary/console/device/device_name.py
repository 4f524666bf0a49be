# SPDX-License-Identifier: Apache-2.0
"""The form of a device's name."""

from __future__ import annotations

from armillary.console.device.pages_device_data import place
from armillary.console.frame.form import Field, Form, limits
from armillary.wire.hub.credentials import is_attested_id
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS


def name_form(device_id: str, name: str, *, is_named: bool) -> Form:
    """The form on a device's page."""
    nameless = "its product and id" if is_attested_id(device_id) else "its id"
    return Form(
        title="" if is_attested_id(device_id) else "Name",
        post=place(device_id, "name"),
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
