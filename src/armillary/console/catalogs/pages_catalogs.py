# SPDX-License-Identifier: Apache-2.0
"""A catalog and its products as pages: what they have, their forms, what deleting one takes away. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from armillary.console.catalogs.policy_form import fields_of
from armillary.console.frame.confirmation import WIDE_DEVICES, Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, filled, limits
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, number, text
from armillary.console.frame.words import counted, joined, moment, short_id
from armillary.console.language.say import say
from armillary.console.operations import pages_group
from armillary.console.operations.pages_settings import policy_sentence

# Kinds of forms.
POLICY, PRODUCT = "policy", "change-product"


def place(catalog: str, *more: str) -> str:
    """The address of a catalog, or of something below it."""
    return "/".join(["/catalogs", *(quote(each, safe="") for each in (catalog, *more))])


def product_place(catalog: str, product: str, *more: str) -> str:
    """The address of a product."""
    return place(catalog, "products", product, *more)


def catalog_sheet(
    found: Mapping[str, Any],
    chips: Sequence[str],
    *,
    may_delete: bool,
    may_change_policy: bool,
    sent: Mapping[str, str],
    wrong: Wrong | None,
    now: int,
) -> Sheet:
    """One catalog: ``found`` as ``show_catalog`` answers; ``wrong`` is what was wrong with the form of its policy."""
    name, policy = found["name"], found["attestation_policy"]
    form = Form(
        post=place(name, POLICY),
        label=say("Review the change"),
        title=say("What its devices have to prove"),
        about=say("from each device's next check-in on"),
        fields=fields_of(policy, chips, sent),
        hidden=(("version", sent.get("version", str(policy["version"]))),),
        error=wrong,
        anchor=POLICY,
    )
    return Sheet(
        place=say("Settings"),
        heading=say("Catalog {name}", name=name),
        title=say(
            "{name} has {devices} that can attest, {products} and {device_groups}.",
            name=name,
            devices=counted(found["devices"], "device"),
            products=counted(len(found["products"]), "product"),
            device_groups=counted(len(found["groups"]), "device group"),
        ),
        detail=policy_sentence(policy),
        crumbs=((say("Settings"), f"/settings#catalog-{name}"), (name, "")),
        buttons=(
            Button(label=say("Add devices"), href="/add-devices"),
            *((Button(label=say("Delete"), href=place(name, "delete"), danger=True),) if may_delete else ()),
        ),
        facts=(
            (say("Catalog id"), Cell(ident=short_id(found["catalog_id"]))),
            (say("Created"), Cell(at=moment(found["created_at"], now))),
        ),
        sections=(_products(found),),
        forms=(form,) if may_change_policy else (),
        within="",
    )


def _products(found: Mapping[str, Any]) -> Section:
    groups: dict[str, list[str]] = {}
    for each in found["groups"]:
        groups.setdefault(each["product"], []).append(each["name"])
    return Section(
        title=say("Products"),
        columns=(say("Product"), say("Description"), say("Device groups")),
        rows=[
            (
                text(each["name"], href=product_place(found["name"], each["name"])),
                text(each["description"]),
                text(joined(groups.get(each["name"], [])) or say("none")),
            )
            for each in found["products"]
        ],
        none=say("None yet: Add devices has the form."),
    )


def product_sheet(
    catalog: str,
    product: Mapping[str, Any],
    groups: Sequence[Mapping[str, Any]],
    *,
    may_change: bool,
    may_delete: bool,
    sent: Mapping[str, str],
    wrong: Wrong | None,
    now: int,
) -> Sheet:
    """One product with its device groups."""
    name = product["name"]
    description = Field(
        name="description",
        label=say("Description"),
        value=product["description"],
        limits=limits(maxlength=pages_group.MAX_DESCRIPTION),
        hint=say("the name stays: devices and images are told by it"),
    )
    form = Form(
        post=product_place(catalog, name),
        label=say("Save"),
        title=say("Change"),
        fields=filled((description,), sent) if sent else (description,),
        error=wrong,
        anchor=PRODUCT,
    )
    delete = Button(label=say("Delete"), href=product_place(catalog, name, "delete"), danger=True)
    return Sheet(
        place=say("Settings"),
        heading=say("Product {name}", name=name),
        title=say("{name} has {device_groups}.", name=name, device_groups=counted(len(groups), "device group")),
        detail=product["description"],
        crumbs=((say("Settings"), "/settings"), (catalog, place(catalog)), (name, "")),
        buttons=(
            Button(label=say("Add devices"), href="/add-devices"),
            *((delete,) if may_delete else ()),
        ),
        facts=((say("Created"), Cell(at=moment(product["created_at"], now))),),
        sections=(
            Section(
                title=say("Device groups"),
                columns=(say("Group"), say("Description"), say("OS feed"), say("Updates"), say("Devices")),
                rows=[
                    (
                        text(each["name"], href=pages_group.place(catalog, name, each["name"])),
                        text(each["description"]),
                        text(each["os_feed"]),
                        text(pages_group.POLICIES.get(each["update_policy"], each["update_policy"])),
                        number(each["devices"]),
                    )
                    for each in groups
                ],
                none=say("None yet: Add devices has the form."),
            ),
        ),
        forms=(form,) if may_change else (),
        within="",
    )


# What is asked before something is done ---------------------------------------------------------------------------


def policy_confirmation(
    found: Mapping[str, Any], wished: Mapping[str, Any], sent: Mapping[str, str], version: int
) -> Confirmation:
    """What a change of a catalog's policy does: ``wished`` is the policy afterwards, ``sent`` its form."""
    name, now = found["name"], found["attestation_policy"]
    after = policy_sentence({**now, **wished}).partition(" (version")[0].rstrip(".")
    return Confirmation(
        title=say("Change what devices of {name} have to prove?", name=name),
        touches=touching(
            say(
                "{devices} of {name}, each at its next check-in.",
                devices=counted(found["devices"], "device"),
                name=name,
            ),
            say(
                "Now: {policy} Then: {after}. Who does not prove it gets updates and nothing else.",
                policy=policy_sentence(now),
                after=after,
            ),
            say("What devices have installed, and certificates until they end, within a day."),
            say("Change it back here; security versions never fall."),
        ),
        label=say("Change it"),
        danger=True,
        word=name if found["devices"] > WIDE_DEVICES else "",
        wide=say("This is asked of {devices}.", devices=counted(found["devices"], "device")),
        post=place(name, POLICY),
        back=place(name),
        hidden=(
            *((key, value) for key, value in sent.items() if key not in ("word", "seen", "version")),
            ("version", str(version)),
            ("seen", str(version)),
        ),
    )


def catalog_deletion(found: Mapping[str, Any]) -> Confirmation:
    """What deleting a catalog takes away."""
    name = found["name"]
    goes = joined(
        [
            counted(len(found["products"]), "product"),
            counted(len(found["groups"]), "device group"),
            counted(found["hub_devices"], "hub device"),
        ]
    )
    return Confirmation(
        title=say("Delete the catalog {name}?", name=name),
        touches=(
            (
                say("Deletes"),
                say("{goes}, with their enrolments, service keys, enrolment tokens and crash groups.", goes=goes),
            ),
            (say("Ends"), say("Tokens and grants of people that are for this catalog alone.")),
            (
                say("Refused"),
                say(
                    "It has {devices}: a catalog with devices or images is not deleted.",
                    devices=counted(found["devices"], "device"),
                )
                if found["devices"]
                else say("If it has images: delete those first."),
            ),
            (say("Undo"), say("This cannot be undone.")),
        ),
        label=say("Delete the catalog"),
        danger=True,
        word=name,
        wide=say("This deletes a whole catalog."),
        post=place(name, "delete"),
        back=place(name),
    )


def product_deletion(catalog: str, product: str, groups: Sequence[Mapping[str, Any]]) -> Confirmation:
    """What deleting a product takes away."""
    names = joined([each["name"] for each in groups]) or say("none")
    return Confirmation(
        title=say("Delete the product {product}?", product=product),
        touches=(
            (
                say("Deletes"),
                say(
                    "The product and {device_groups}: {names}.",
                    device_groups=counted(len(groups), "device group"),
                    names=names,
                ),
            ),
            pages_group.refused(sum(each["devices"] for each in groups), say("one of its groups has")),
            (say("Leaves alone"), say("Images of {catalog}, and its other products.", catalog=catalog)),
            (say("Undo"), say("This cannot be undone; a product of this name can be made again.")),
        ),
        label=say("Delete the product"),
        danger=True,
        word=product,
        wide=say("This deletes {device_groups} as well.", device_groups=counted(len(groups), "device group")),
        post=product_place(catalog, product, "delete"),
        back=product_place(catalog, product),
    )
