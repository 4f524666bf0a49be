# SPDX-License-Identifier: Apache-2.0
"""The form of a new roll-out, and what it would do before it is started. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.console.frame.confirmation import WIDE_DEVICES
from armillary.console.frame.form import Field, Form, Wrong, choices, limits
from armillary.console.frame.sheet import Section, Sheet, number, text
from armillary.console.frame.words import counted, grouped, moment, size, span
from armillary.console.language.say import say
from armillary.console.new_rollout.policy_form import Fieldset
from armillary.console.operations.pages_rollout import NEW, gates, new_href
from armillary.console.releases.pages_images import upload_href
from armillary.console.releases.pages_releases import rollout_place
from armillary.rollout.policy import RolloutPolicy, to_json
from armillary.wire.image.naming import label_of

VERBS: Final = ("review", "edit", "start")
# Fields of a form that choose images begin so.
IMAGE: Final = "image."


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutForm:
    """What the page shows.

    Attributes:
        post: Address below which the form goes: ``/review`` and ``/edit``.
        images: (field, image) of each image that can be chosen; None for an OS release.
        target: Fields that say for whom it is, where that is part of the form.
    """

    title: str
    detail: str
    crumbs: tuple[tuple[str, str], ...]
    post: str
    hidden: tuple[tuple[str, str], ...]
    error: Wrong | None
    images: tuple[tuple[Field, Mapping[str, str]], ...] | None
    upload: str
    target: tuple[Field, ...]
    fieldsets: tuple[Fieldset, ...]


def target_of(group: Mapping[str, Any]) -> str:
    """``CATALOG/PRODUCT/GROUP``."""
    return f"{group['catalog']}/{group['product']}/{group['name']}"


def choose_sheet(groups: Sequence[Mapping[str, Any]], releases: Sequence[Mapping[str, Any]] | None) -> Sheet:
    """First: who gets it. ``releases`` are OS releases that can be rolled out; None where the operator may not."""
    rows = [
        (
            text(f"{each['product']} / {each['name']}", href=new_href(target_of(each)), reason=each["description"]),
            text(each["catalog"]),
            text(say("all updates") if each["update_policy"] == "UpdateAll" else say("no application updates")),
        )
        for each in groups
    ]
    sections = [
        Section(
            title=say("Applications: to which device group?"),
            columns=(say("Device group"), say("Catalog"), say("Takes")),
            rows=rows,
            none=say("There is no device group yet. Create a product and its groups first: Updates, Device groups."),
            sorts=True,
        )
    ]
    if releases is not None:
        sections.append(
            Section(
                title=say("Operating system: which release?"),
                note=say("to the device groups of an OS feed"),
                columns=(say("OS release"), say("Chip"), say("Feed now")),
                rows=[
                    (
                        text(each["version"], href=rollout_place(each["release_id"])),
                        text(each["chip"]),
                        text(each["feed"]),
                    )
                    for each in releases
                ],
                none=say("No release is published that not everybody has."),
            )
        )
    return Sheet(
        place=say("Roll-outs"),
        heading=say("New roll-out"),
        title=say("A new roll-out: for whom?"),
        detail=say("You choose images and gates next, and see which devices it touches before it starts."),
        crumbs=((say("Roll-outs"), "/updates"), (say("New roll-out"), "")),
        sections=tuple(sections),
        within="updates",
    )


def image_fields(
    images: Sequence[Mapping[str, Any]], chosen: frozenset[str], in_force: frozenset[str], now: int
) -> tuple[tuple[Field, Mapping[str, str]], ...]:
    """A tick for each image, with what tells it from others."""
    found = []
    for each in images:
        built = moment(each["built_at"] or None, now)
        about = {
            "built": built.exact if built else say("not said"),
            "uploaded": say(
                "{when} by {uploaded_by}", when=_when(each["uploaded_at"], now), uploaded_by=each["uploaded_by"]
            ),
            "size": size(each["size"]),
            "for": each["architecture"],
            "id": each["image_id"],
            "note": say("in force") if each["image_id"] in in_force else "",
        }
        ticked = "on" if each["image_id"] in chosen else ""
        field = Field(name=IMAGE + each["image_id"], label=label_of(each), kind="check", value=ticked)
        found.append((field, about))
    return tuple(found)


def application_form(
    target: str,
    images: tuple[tuple[Field, Mapping[str, str]], ...],
    fieldsets: tuple[Fieldset, ...],
    wrong: Wrong | None,
) -> RolloutForm:
    """The form of a roll-out of images to a device group."""
    catalog, product, group = target.split("/")
    return RolloutForm(
        title=say("A new roll-out for {product} / {group}", product=product, group=group),
        detail=say("Every device of the group shall run exactly the images that are ticked, and no other."),
        crumbs=((say("Roll-outs"), "/updates"), (say("New roll-out"), NEW), (f"{product} / {group}", "")),
        post=NEW,
        hidden=(("target", target),),
        error=wrong,
        images=images,
        upload=upload_href(catalog, f"{product}/{group}"),
        target=(),
        fieldsets=fieldsets,
    )


def os_form(
    release: Mapping[str, Any],
    feeds: Sequence[str],
    catalogs: Sequence[str],
    sent: Mapping[str, str],
    fieldsets: tuple[Fieldset, ...],
    wrong: Wrong | None,
) -> RolloutForm:
    """The form of a roll-out of an OS release."""
    called = say("OS {version} for {chip}", version=release["version"], chip=release["chip"])
    target = (
        Field(
            name="feed",
            label=say("OS feed"),
            kind="select",
            value=sent.get("feed", feeds[0]),
            choices=choices(feeds),
            hint=say("whose device groups get it; at its end it is the feed's release"),
        ),
        Field(
            name="only",
            label=say("Catalog"),
            kind="select",
            value=sent.get("only", ""),
            choices=choices(catalogs, none=say("All catalogs")),
            hint=say("whose devices get it"),
        ),
    )
    return RolloutForm(
        title=say("A new roll-out of {called}", called=called),
        detail=say("Devices of this chip in the groups of the feed get it, cohort by cohort."),
        crumbs=(
            (say("Releases"), "/releases"),
            (called, f"/releases/{release['release_id']}"),
            (say("New roll-out"), ""),
        ),
        post=rollout_place(release["release_id"]),
        hidden=(),
        error=wrong,
        images=None,
        upload="",
        target=target,
        fieldsets=fieldsets,
    )


def review_sheet(
    post: str,
    preview: Mapping[str, Any],
    policy: RolloutPolicy,
    sent: Mapping[str, str],
    crumbs: tuple[tuple[str, str], ...],
    notice: str = "",
) -> Sheet:
    """What the roll-out would do, and the way to start it."""
    devices, hidden = preview["devices"], tuple(sent.items())
    start, label = (
        (say("Propose"), say("Propose the roll-out"))
        if preview["needs_approval"]
        else (say("Start"), say("Start the roll-out"))
    )
    word = Field(
        name="word",
        label=say("This affects {devices}. Type start to confirm", devices=counted(devices, "device")),
        required=True,
        limits=limits(pattern="start"),
    )
    notices = [("attention", notice)] if notice else []
    if preview["needs_approval"]:
        notices.append(
            ("attention", say("A second person has to approve it: no device is touched before somebody else does so."))
        )
    if not devices:
        notices.append(("attention", say("No device is in it now. Devices that are moved there later get it as well.")))
    return Sheet(
        place=say("Roll-outs"),
        heading=say("Review the roll-out"),
        title=_sentence(preview),
        detail=say("Nothing has been started. This is what it would do."),
        crumbs=crumbs,
        notices=tuple(notices),
        sections=(
            *map(_group_section, preview["groups"]),
            Section(
                title=say("Cohorts"),
                note=say("in this order"),
                columns=(say("Cohort"), say("Devices"), say("Begins")),
                rows=[
                    (
                        text(each["name"].replace("%", " %")),
                        number(grouped(each["devices"])),
                        text(
                            _begins(index, policy, needs_approval=preview["needs_approval"])
                            if each["devices"] or not preview["devices"]
                            else say("not needed: all have it by then")
                        ),
                    )
                    for index, each in enumerate(preview["steps"])
                ],
                none="",
            ),
            Section(
                title=say("Gates"),
                columns=(say("What it waits for, and what stops it"),),
                rows=[(text(says),) for says in gates(to_json(policy))],
                none="",
            ),
        ),
        forms=(
            Form(
                post=f"{post}/start",
                label=label,
                title=start,
                about=say("one audit line under your name; Halt stops it at any time, Roll back undoes it"),
                fields=(word,) if devices > WIDE_DEVICES else (),
                hidden=(*hidden, ("seen", seen_of(preview))),
                primary=True,
            ),
            Form(post=f"{post}/edit", label=say("Change it"), fields=(), hidden=hidden, title=say("Not yet right?")),
        ),
        within="updates",
    )


def seen_of(preview: Mapping[str, Any]) -> str:
    """Stands for what the page said: other devices or images since, and it asks again."""
    said = {name: value for name, value in preview.items() if name != "groups"}
    said["groups"] = [
        {
            **each,
            **{when: [image["image_id"] for image in each[when]] for when in ("before", "after")},
        }
        for each in preview["groups"]
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def changes(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """(application, what the devices have, what they get) by component."""
    had, gets = ({each["component_id"]: each for each in images} for images in (before, after))
    found: list[tuple[str, str, str]] = []
    for component in (*gets, *(each for each in had if each not in gets)):
        old, new = had.get(component), gets.get(component)
        name = (new or old or {})["name"]
        if old is not None and new is not None and old["image_id"] == new["image_id"]:
            found.append((name, _told(old), say("unchanged")))
        else:
            found.append((name, _told(old) if old else say("nothing"), _told(new) if new else say("removed")))
    return found


def _told(image: Mapping[str, Any]) -> str:
    """What tells an image from other builds of it: its version, else its id's beginning."""
    return str(image["version"]) if image.get("version") else say("image {id}", id=image["image_id"][:8])


def _group_section(group: Mapping[str, Any]) -> Section:
    return Section(
        title=f"{group['product']} / {group['group']}",
        note=counted(group["devices"], "device"),
        columns=(say("Application"), say("Has now"), say("Gets")),
        rows=[tuple(text(each) for each in row) for row in changes(group["before"], group["after"])],
        none=say("No application."),
    )


def _sentence(preview: Mapping[str, Any]) -> str:
    devices, groups = counted(preview["devices"], "device"), preview["groups"]
    if not groups:
        return say("{devices} would get it: {target}.", devices=devices, target=preview["target"])
    return say("{devices} in {groups} would get it.", devices=devices, groups=counted(len(groups), "device group"))


def _begins(index: int, policy: RolloutPolicy, *, needs_approval: bool) -> str:
    if index == 0:
        return say("when a second person approves") if needs_approval else say("at once")
    share = say("{success_percent} % of the one before confirmed", success_percent=policy.success_percent)
    return share if not policy.soak_s else say("{share}, and {soak_s} later", share=share, soak_s=span(policy.soak_s))


def _when(at: int, now: int) -> str:
    found = moment(at, now)
    return found.relative if found else say("at an unknown time")
