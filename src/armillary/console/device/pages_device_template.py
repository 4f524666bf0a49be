# SPDX-License-Identifier: Apache-2.0
"""The form that chooses a device's template, and the page that says what the device would lose. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.console.device.pages_device_data import place, root_crumb
from armillary.console.device_templates.pages_template_versions import loss_words
from armillary.console.frame import sheet
from armillary.console.frame.form import Field, Form
from armillary.console.frame.sheet import Button, Section, Sheet
from armillary.console.language.say import say
from armillary.wire.hub.credentials import is_attested_id

# The choice of no template.
NONE: Final = "none"
# Versions of one template that are offered, newest first.
VERSIONS: Final = 5


def template_form(found: Mapping[str, Any], templates: Sequence[Mapping[str, Any]]) -> Form:
    """Which template a device shall have; ``found`` is the device as its template sees it."""
    groups = tuple(
        (
            each["display_name"],
            tuple(
                (f"{each['name']}/{v}", say("{name}, version {version}", name=each["name"], version=v))
                for v in each["versions"][: -VERSIONS - 1 : -1]
            ),
        )
        for each in templates
    )
    present = f"{found['template']}/{found['version']}" if found["template"] else NONE
    offered = {value for _, choices in groups for value, _ in choices}
    kept = (
        ((present, say("{name}, version {version}", name=found["template"], version=found["version"])),)
        if present not in {NONE, *offered}
        else ()
    )
    return Form(
        title=say("Template"),
        about=say("decides how its data is shown and judged, and which forms there are; its data stays"),
        post=place(found["device_id"], "template", "review"),
        label=say("Show what it would lose"),
        fields=(
            Field(
                name="template",
                label=say("Device template"),
                kind="select",
                value=present,
                choices=((NONE, say("none")), *kept),
                groups=groups,
                hint="" if templates else say("There is none yet with a published version."),
            ),
        ),
        anchor="template",
    )


def review_sheet(device_id: str, label: str, chosen: str, found: Mapping[str, Any] | None) -> Sheet:
    """What a choice does; ``found`` is the API's dry run, None where the template is taken away."""
    if found is None:
        words: list[str] = [say("its forms and the judgement of its values; cloud properties and data stay")]
        title = say("Take the template of {label} away?", label=label)
    else:
        words = loss_words(found)
        title = say(
            "Give {label} version {version} of {template}?",
            label=label,
            version=found["version"],
            template=found["template"],
        )
    return Sheet(
        place=say("Twin"),
        crumbs=(root_crumb(device_id), (label, place(device_id)), (say("Twin"), place(device_id, "twin"))),
        title=title,
        detail=say("Values, messages and reported properties always stay."),
        buttons=(Button(label=say("Back to the twin"), href=place(device_id, "twin")),),
        sections=(
            Section(
                title=say("What it loses"),
                columns=(say("Loses"),),
                rows=[(sheet.text(each),) for each in words],
                none=say("Nothing."),
            ),
        ),
        forms=(
            Form(
                title=say("Give it") if found is not None else say("Take it away"),
                about=say("one line in the audit log"),
                post=place(device_id, "template"),
                label=say("Give template") if found is not None else say("Take template away"),
                fields=(),
                hidden=(("template", chosen),),
                primary=True,
            ),
        ),
        within="" if is_attested_id(device_id) else "hub",
    )
