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
        label="Review the change",
        title="What its devices have to prove",
        about="from each device's next check-in on",
        fields=fields_of(policy, chips, sent),
        hidden=(("version", sent.get("version", str(policy["version"]))),),
        error=wrong,
        anchor=POLICY,
    )
    return Sheet(
        place="Settings",
        heading=f"Catalog {name}",
        title=f"{name} has {counted(found['devices'], 'device')} that can attest, "
        f"{counted(len(found['products']), 'product')} and {counted(len(found['groups']), 'device group')}.",
        detail=policy_sentence(policy),
        crumbs=(("Settings", f"/settings#catalog-{name}"), (name, "")),
        buttons=(
            Button(label="Add devices", href="/add-devices"),
            *((Button(label="Delete", href=place(name, "delete"), danger=True),) if may_delete else ()),
        ),
        facts=(
            ("Catalog id", Cell(ident=short_id(found["catalog_id"]))),
            ("Created", Cell(at=moment(found["created_at"], now))),
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
        title="Products",
        columns=("Product", "Description", "Device groups"),
        rows=[
            (
                text(each["name"], href=product_place(found["name"], each["name"])),
                text(each["description"]),
                text(joined(groups.get(each["name"], [])) or "none"),
            )
            for each in found["products"]
        ],
        none="None yet: Add devices has the form.",
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
        label="Description",
        value=product["description"],
        limits=limits(maxlength=pages_group.MAX_DESCRIPTION),
        hint="the name stays: devices and images are told by it",
    )
    form = Form(
        post=product_place(catalog, name),
        label="Save",
        title="Change",
        fields=filled((description,), sent) if sent else (description,),
        error=wrong,
        anchor=PRODUCT,
    )
    delete = Button(label="Delete", href=product_place(catalog, name, "delete"), danger=True)
    return Sheet(
        place="Settings",
        heading=f"Product {name}",
        title=f"{name} has {counted(len(groups), 'device group')}.",
        detail=product["description"],
        crumbs=(("Settings", "/settings"), (catalog, place(catalog)), (name, "")),
        buttons=(
            Button(label="Add devices", href="/add-devices"),
            *((delete,) if may_delete else ()),
        ),
        facts=(("Created", Cell(at=moment(product["created_at"], now))),),
        sections=(
            Section(
                title="Device groups",
                columns=("Group", "Description", "OS feed", "Updates", "Devices"),
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
                none="None yet: Add devices has the form.",
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
        title=f"Change what devices of {name} have to prove?",
        touches=touching(
            f"{counted(found['devices'], 'device')} of {name}, each at its next check-in.",
            f"Now: {policy_sentence(now)} Then: {after}. Who does not prove it gets updates and nothing else.",
            "What devices have installed, and certificates until they end, within a day.",
            "Change it back here; security versions never fall.",
        ),
        label="Change it",
        danger=True,
        word=name if found["devices"] > WIDE_DEVICES else "",
        wide=f"This is asked of {counted(found['devices'], 'device')}.",
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
        title=f"Delete the catalog {name}?",
        touches=(
            ("Deletes", f"{goes}, with their enrolments, service keys, enrolment tokens and crash groups."),
            ("Ends", "Tokens and grants of people that are for this catalog alone."),
            (
                "Refused",
                f"It has {counted(found['devices'], 'device')}: a catalog with devices or images is not deleted."
                if found["devices"]
                else "If it has images: delete those first.",
            ),
            ("Undo", "This cannot be undone."),
        ),
        label="Delete the catalog",
        danger=True,
        word=name,
        wide="This deletes a whole catalog.",
        post=place(name, "delete"),
        back=place(name),
    )


def product_deletion(catalog: str, product: str, groups: Sequence[Mapping[str, Any]]) -> Confirmation:
    """What deleting a product takes away."""
    names = joined([each["name"] for each in groups]) or "none"
    return Confirmation(
        title=f"Delete the product {product}?",
        touches=(
            ("Deletes", f"The product and {counted(len(groups), 'device group')}: {names}."),
            pages_group.refused(sum(each["devices"] for each in groups), "one of its groups has"),
            ("Leaves alone", f"Images of {catalog}, and its other products."),
            ("Undo", "This cannot be undone; a product of this name can be made again."),
        ),
        label="Delete the product",
        danger=True,
        word=product,
        wide=f"This deletes {counted(len(groups), 'device group')} as well.",
        post=product_place(catalog, product, "delete"),
        back=product_place(catalog, product),
    )
