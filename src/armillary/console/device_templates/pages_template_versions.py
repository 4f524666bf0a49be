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
from armillary.console.frame.words import counted

# Longest list of devices that a page names.
NAMED: Final = 50


def difference_section(difference: Mapping[str, Any] | None, version: int) -> Section:
    """What a version has more, less and otherwise."""
    rows = []
    if difference is not None:
        rows += [(sheet.text(name), Cell(state=State(GOOD, "new")), sheet.text("")) for name in difference["added"]]
        rows += [
            (sheet.text(name), Cell(state=State(ATTENTION, "changed")), sheet.text(how))
            for name, how in difference["changed"].items()
        ]
        rows += [(sheet.text(name), Cell(state=State(BAD, "gone")), sheet.text("")) for name in difference["removed"]]
    return Section(
        title=f"What differs from version {version}" if difference is not None else "What differs",
        columns=("Name", "Is", "How"),
        rows=rows,
        none="No capability and no cloud property." if difference is not None else "It is the first version.",
    )


def losses_section(found: Mapping[str, Any], labels: Mapping[str, str]) -> Section:
    """Devices that would lose something, each with what."""
    rows = [
        (sheet.device(each["device_id"], labels), sheet.text("; ".join(loss_words(each))))
        for each in found["named"][:NAMED]
    ]
    more = found["losing"] - len(rows)
    return Section(
        title="Devices that would lose something",
        note=f"and {counted(more, 'device')} more"
        if more > 0
        else "when they are moved to it; values and messages always stay",
        columns=("Device", "Loses"),
        rows=rows,
        none="None of them.",
    )


def loss_words(found: Mapping[str, Any]) -> list[str]:
    """What a device loses."""
    words = [f"cloud property {name} is dropped: {why}" for name, why in found["lost_cloud_properties"].items()]
    unmodelled = [*found["unmodelled_telemetry"], *found["unmodelled_properties"]]
    if unmodelled:
        words.append(f"not modelled any more: {', '.join(unmodelled)}")
    words += [f"{each['name']} is not as it says: expected {each['expected']}" for each in found["broken_properties"]]
    return words


def publish_sheet(found: Mapping[str, Any], upcoming: Mapping[str, Any], labels: Mapping[str, str]) -> Sheet:
    """What publishing does, before it does."""
    name, version, difference = found["name"], upcoming["version"], upcoming["difference"]
    compatible = difference is None or difference["compatible"]
    stay = (
        f"{counted(upcoming['devices'], 'device')} of the template {'keeps' if upcoming['devices'] == 1 else 'keep'} "
        "what it has until somebody moves it."
        if upcoming["devices"]
        else "No device has the template yet."
    )
    return Sheet(
        place="Templates",
        crumbs=(("Templates", "/templates"), (found["display_name"], place("template", name))),
        title=f"Publish version {version} of {found['display_name']}?",
        detail=f"A published version never changes. {stay}",
        notices=()
        if compatible
        else (("attention", f"Not compatible: it lacks or changes what version {version - 1} has."),),
        sections=(difference_section(difference, version - 1), losses_section(upcoming, labels)),
        buttons=(Button(label="Back to the draft", href=edit_href(name)),),
        forms=(
            Form(
                post=place("template", name, "publish"),
                title="Publish",
                about="cannot be undone; a version that no device has can be deleted",
                label=f"Publish version {version}",
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
        title="Move",
        about="cloud properties that the version does not take are gone for good",
        label=f"Move {devices}",
        fields=(),
        hidden=(("version", str(version)),),
        primary=True,
    )
    return Sheet(
        place="Templates",
        crumbs=(("Templates", "/templates"), (found["display_name"], place("template", name))),
        title=f"Move {devices} to version {version} of {found['display_name']}?"
        if summary["devices"]
        else f"Every device of {found['display_name']} has version {version} already.",
        detail=f"{counted(summary['losing'], 'device')} of them would lose something." if summary["devices"] else "",
        sections=(losses_section(summary, labels),) if summary["devices"] else (),
        buttons=(Button(label="Back", href=place("template", name)),),
        forms=(form,) if summary["devices"] else (),
    )


def draft_confirmation(name: str, version: int, present: Mapping[str, Any] | None) -> Confirmation:
    """What beginning a draft from a published version does; ``present`` is the draft there is."""
    back = f"{place('template', name)}?version={version}"
    return Confirmation(
        title=f"Begin a draft of {name} from version {version}?",
        touches=touching(
            "The draft of one template.",
            f"The draft becomes what version {version} is" + (", whatever it is now." if present else "."),
            "Published versions and devices.",
            "The draft before stays in the application's history." if present else "Delete the template's draft.",
        ),
        label="Begin draft",
        danger=present is not None,
        post=place("template", name, "draft", str(version)),
        back=back,
    )


def delete_confirmation(name: str, versions: Sequence[int]) -> Confirmation:
    """What deleting a template does."""
    return Confirmation(
        title=f"Delete the template {name}?",
        touches=touching(
            f"One template with {counted(len(versions), 'published version')} and its draft.",
            "Nobody can be given it any more. It is refused while a device has it.",
            "What devices have sent, and rules that name the template: they concern nobody then.",
            "Its versions stay in the application's history for a while.",
        ),
        label="Delete",
        danger=True,
        word=name,
        wide=f"This deletes {counted(len(versions), 'published version')} and the draft.",
        post=place("template", name, "delete"),
        back=place("template", name),
    )


def capability_removal(
    draft: Mapping[str, Any], what: str, name: str, uses: Uses, devices: str, versions: Sequence[int]
) -> Confirmation:
    """The question about taking a capability, cloud property or view away from a template's draft."""
    word = {"capability": "capability", "cloud": "cloud property", "view": "view"}[what]
    had = f"Version {versions[-1]} is as it was for {devices}." if versions else "No version is published yet."
    edit = place("template", draft["name"], "edit")
    return Confirmation(
        title=f"Remove the {word} {name} from the draft of {draft['display_name']}?",
        touches=(
            ("Removes", f"The {word} {name} from the draft, with what views and labels say of it."),
            *used_by(uses),
            ("Devices", f"{had} Values that devices have sent stay."),
            ("Undo", "Add it again. Nothing reaches a device before the draft is published."),
        ),
        label=f"Remove {word}",
        danger=True,
        post=place("template", draft["name"], "remove"),
        back=edit,
        hidden=(("what", what), ("name", name), ("etag", draft["etag"]), ("seen", seen_of(draft, uses))),
    )
