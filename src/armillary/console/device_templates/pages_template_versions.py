# SPDX-License-Identifier: Apache-2.0
"""Drafts that become versions, and devices that are moved to them: what it does, before it does. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from armillary.console.device_templates.pages_template_editor import edit_href
from armillary.console.frame import sheet
from armillary.console.frame.confirmation import Confirmation, Uses, seen_of, touching, used_by
from armillary.console.frame.form import Form
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, place
from armillary.console.frame.states import ATTENTION, BAD, GOOD, State
from armillary.console.frame.words import counted, grouped
from armillary.console.language.say import apart, say, say_count

# Longest list of devices that a page names.
NAMED: Final = 50


def difference_section(difference: Mapping[str, Any] | None, version: int) -> Section:
    """What a version has more, less and otherwise."""
    rows = []
    if difference is not None:
        rows += [
            (sheet.text(name), Cell(state=State(GOOD, say("new"))), sheet.text("")) for name in difference["added"]
        ]
        rows += [
            (sheet.text(name), Cell(state=State(ATTENTION, say("changed"))), sheet.text(how))
            for name, how in difference["changed"].items()
        ]
        rows += [
            (sheet.text(name), Cell(state=State(BAD, say("gone"))), sheet.text("")) for name in difference["removed"]
        ]
    return Section(
        title=say("What differs from version {version}", version=version)
        if difference is not None
        else say("What differs"),
        columns=(say("Name"), say("Is"), say("How")),
        rows=rows,
        none=say("No capability and no cloud property.") if difference is not None else say("It is the first version."),
    )


def losses_section(found: Mapping[str, Any], labels: Mapping[str, str]) -> Section:
    """Devices that would lose something, each with what."""
    rows = [
        (sheet.device(each["device_id"], labels), sheet.text(apart(loss_words(each), "; ")))
        for each in found["named"][:NAMED]
    ]
    more = found["losing"] - len(rows)
    return Section(
        title=say("Devices that would lose something"),
        note=say("and {devices} more", devices=counted(more, "device"))
        if more > 0
        else say("when they are moved to it; values and messages always stay"),
        columns=(say("Device"), say("Loses")),
        rows=rows,
        none=say("None of them."),
    )


def loss_words(found: Mapping[str, Any]) -> list[str]:
    """What a device loses."""
    words: list[str] = [
        say("cloud property {name} is dropped: {why}", name=name, why=why)
        for name, why in found["lost_cloud_properties"].items()
    ]
    unmodelled = [*found["unmodelled_telemetry"], *found["unmodelled_properties"]]
    if unmodelled:
        words.append(say("not modelled any more: {names}", names=", ".join(unmodelled)))
    words += [
        say("{name} is not as it says: expected {expected}", name=each["name"], expected=each["expected"])
        for each in found["broken_properties"]
    ]
    return words


def publish_sheet(found: Mapping[str, Any], upcoming: Mapping[str, Any], labels: Mapping[str, str]) -> Sheet:
    """What publishing does, before it does."""
    name, version, difference = found["name"], upcoming["version"], upcoming["difference"]
    compatible = difference is None or difference["compatible"]
    stay = (
        say_count(
            upcoming["devices"],
            "{n} device of the template keeps what it has until somebody moves it.",
            "{n} devices of the template keep what it has until somebody moves it.",
            n=grouped(upcoming["devices"]),
        )
        if upcoming["devices"]
        else say("No device has the template yet.")
    )
    return Sheet(
        place=say("Templates"),
        crumbs=((say("Templates"), "/templates"), (found["display_name"], place("template", name))),
        title=say("Publish version {version} of {display_name}?", version=version, display_name=found["display_name"]),
        detail=say("A published version never changes. {stay}", stay=stay),
        notices=()
        if compatible
        else (
            ("attention", say("Not compatible: it lacks or changes what version {version} has.", version=version - 1)),
        ),
        sections=(difference_section(difference, version - 1), losses_section(upcoming, labels)),
        buttons=(Button(label=say("Back to the draft"), href=edit_href(name)),),
        forms=(
            Form(
                post=place("template", name, "publish"),
                title=say("Publish"),
                about=say("cannot be undone; a version that no device has can be deleted"),
                label=say("Publish version {version}", version=version),
                fields=(),
                primary=True,
            ),
        ),
    )


def move_sheet(found: Mapping[str, Any], version: int, summary: Mapping[str, Any], labels: Mapping[str, str]) -> Sheet:
    """What moving all devices of a template to a version does, before it does."""
    name = found["name"]
    devices = counted(summary["devices"], "device")
    form = Form(
        post=place("template", name, "move"),
        title=say("Move"),
        about=say("cloud properties that the version does not take are gone for good"),
        label=say("Move {devices}", devices=devices),
        fields=(),
        hidden=(("version", str(version)),),
        primary=True,
    )
    return Sheet(
        place=say("Templates"),
        crumbs=((say("Templates"), "/templates"), (found["display_name"], place("template", name))),
        title=say(
            "Move {devices} to version {version} of {display_name}?",
            devices=devices,
            version=version,
            display_name=found["display_name"],
        )
        if summary["devices"]
        else say(
            "Every device of {display_name} has version {version} already.",
            display_name=found["display_name"],
            version=version,
        ),
        detail=say(
            "{devices} of them would lose something.",
            devices=counted(summary["losing"], "device"),
        )
        if summary["devices"]
        else "",
        sections=(losses_section(summary, labels),) if summary["devices"] else (),
        buttons=(Button(label=say("Back"), href=place("template", name)),),
        forms=(form,) if summary["devices"] else (),
    )


def draft_confirmation(name: str, version: int, present: Mapping[str, Any] | None) -> Confirmation:
    """What beginning a draft from a published version does; ``present`` is the draft there is."""
    back = f"{place('template', name)}?version={version}"
    return Confirmation(
        title=say("Begin a draft of {name} from version {version}?", name=name, version=version),
        touches=touching(
            say("The draft of one template."),
            say("The draft becomes what version {version} is, whatever it is now.", version=version)
            if present
            else say("The draft becomes what version {version} is.", version=version),
            say("Published versions and devices."),
            say("The draft before stays in the application's history.")
            if present
            else say("Delete the template's draft."),
        ),
        label=say("Begin draft"),
        danger=present is not None,
        post=place("template", name, "draft", str(version)),
        back=back,
    )


def delete_confirmation(name: str, versions: Sequence[int]) -> Confirmation:
    """What deleting a template does."""
    return Confirmation(
        title=say("Delete the template {name}?", name=name),
        touches=touching(
            say(
                "One template with {versions} and its draft.",
                versions=counted(len(versions), "published version"),
            ),
            say("Nobody can be given it any more. It is refused while a device has it."),
            say("What devices have sent, and rules that name the template: they concern nobody then."),
            say("Its versions stay in the application's history for a while."),
        ),
        label=say("Delete"),
        danger=True,
        word=name,
        wide=say(
            "This deletes {versions} and the draft.",
            versions=counted(len(versions), "published version"),
        ),
        post=place("template", name, "delete"),
        back=place("template", name),
    )


def capability_removal(
    draft: Mapping[str, Any], what: str, name: str, uses: Uses, devices: str, versions: Sequence[int]
) -> Confirmation:
    """The question about taking a capability, cloud property or view away from a template's draft."""
    word = {"capability": say("capability"), "cloud": say("cloud property"), "view": say("view")}[what]
    had = (
        say("Version {version} is as it was for {devices}.", version=versions[-1], devices=devices)
        if versions
        else say("No version is published yet.")
    )
    edit = place("template", draft["name"], "edit")
    return Confirmation(
        title=say(
            "Remove the {word} {name} from the draft of {display_name}?",
            word=word,
            name=name,
            display_name=draft["display_name"],
        ),
        touches=(
            (
                say("Removes"),
                say("The {word} {name} from the draft, with what views and labels say of it.", word=word, name=name),
            ),
            *used_by(uses),
            (say("Devices"), say("{had} Values that devices have sent stay.", had=had)),
            (say("Undo"), say("Add it again. Nothing reaches a device before the draft is published.")),
        ),
        label=say("Remove {word}", word=word),
        danger=True,
        post=place("template", draft["name"], "remove"),
        back=edit,
        hidden=(("what", what), ("name", name), ("etag", draft["etag"]), ("seen", seen_of(draft, uses))),
    )
