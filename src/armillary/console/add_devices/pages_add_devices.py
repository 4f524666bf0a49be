# SPDX-License-Identifier: Apache-2.0
"""The page that leads from nothing to devices. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from armillary.console.add_devices import pages_one_command as one_command
from armillary.console.applications.pages_applications import HERE as APPLICATIONS
from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.sheet import Button, Cell, Once, Section, Sheet, command, device_href, text
from armillary.console.frame.states import BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, joined, short_id
from armillary.console.hub_devices.pages_connect import ROOT_FILE, ROOT_HREF
from armillary.console.hub_devices.pages_hub_devices import ID_PATTERN
from armillary.console.language.say import say
from armillary.console.operations.pages_group import POLICIES

HERE: Final = "/add-devices"
# Kinds of forms of the page.
CATALOG, PRODUCT, GROUP, CLAIM, CONNECT = "catalog", "product", "group", "claim", "connect"
# The section that says how far the first device is, and a page with it alone.
ATTESTS: Final = "attests"
PROGRESS: Final = f"{HERE}/progress"
PROGRESS_EVERY_S: Final = 2
# A list of as many devices, each with a row of a table.
MAX_CLAIM_BYTES: Final = 1 << 19
# As many ids as one claim takes (``service/registry/devices.py``) and a form can carry.
MAX_IDS: Final = 500


def page(
    *,
    groups: Sequence[Mapping[str, Any]],
    products: Sequence[Mapping[str, Any]],
    catalogs: Sequence[str],
    feeds: Sequence[str],
    may: Mapping[str, bool],
    shut: Sequence[str],
    addresses: Mapping[str, str] | None,
    sent: Mapping[str, str],
    wrong: tuple[str, Wrong] | None,
    claimed: Sequence[Mapping[str, Any]] | None,
    since: int,
    made: tuple[Once, Section] | None = None,
) -> Sheet:
    """The page; ``wrong`` is the kind of the form that was refused, and why; ``claimed`` what became of a claim.

    ``made`` is a command that makes a device, shown this once, and how far its device is. ``shut`` are catalogs that
    admit no hub device with a symmetric key, for somebody who may change that.
    """
    forms = _forms(catalogs, products, groups, feeds, may, shut, sent, wrong)
    sections = [] if made is None else [made[1]]
    if claimed is not None:
        sections.append(_claimed(claimed))
    if addresses is not None and may["enrol"] and groups:
        sections.append(one_command.offer(f"{HERE}/{one_command.ONE}", _targets(groups), sent, wrong))
    shown = {each.anchor for each in forms} | {each.anchor for each in sections}
    refused = "" if wrong is None or wrong[0] in shown else " ".join(wrong[1])
    if addresses is not None:
        sections.append(attesting(addresses, groups, (), since))
    return Sheet(
        place=say("Fleet"),
        heading=say("Add devices"),
        title=say("Add devices: use an application, connect a device, or create one that attests."),
        crumbs=((say("Fleet"), "/fleet"), (say("Add devices"), "")),
        buttons=(
            *((Button(label=say("Use an application"), href=APPLICATIONS, primary=True),) if may["use"] else ()),
            *(
                (Button(label=say("Connect an Azure IoT device"), href=f"#{CONNECT}"),)
                if may["hub"] and catalogs
                else ()
            ),
        ),
        notices=(("bad", refused),) if refused else (),
        once=None if made is None else made[0],
        sections=tuple(sections),
        forms=forms,
        within="",
    )


def attesting(
    addresses: Mapping[str, str],
    groups: Sequence[Mapping[str, Any]],
    claimed: Sequence[Mapping[str, Any]],
    since: int,
) -> Section:
    """Commands that make a device that attests, with this service's own values, each step with how far it is.

    ``claimed`` are devices that were claimed since the page was opened, newest first; ``since`` is when (Unix seconds).
    """
    group = groups[0] if groups else {"catalog": "CATALOG", "product": "PRODUCT", "name": "GROUP"}
    place = f"--catalog {group['catalog']} --product '{group['product']}' --device-group '{group['name']}'"
    proven = next((each for each in claimed if each["health"] == "attested"), None)
    newest = proven or (claimed[0] if claimed else None)
    own, (has_claimed, booted) = text(""), one_command.states(newest)
    rows = [
        (
            text(say("Save the service's certificate")),
            text(say("Download {file}", file=ROOT_FILE), href=ROOT_HREF),
            own,
        ),
        (
            text(say("Log in once"), reason=say("TOKEN is an operator token")),
            command(f"armillary login --service {addresses['api']} --ca {ROOT_FILE} --token TOKEN"),
            own,
        ),
        (text(say("Create the device")), command("armillary device create --data my-device"), own),
        (text(say("Claim it")), command(f"armillary device claim --data my-device {place}"), has_claimed),
        (text(say("Boot it: it attests")), command("armillary device boot --data my-device"), booted),
    ]
    return Section(
        title=say("Create a device that attests, on this host"),
        note=say("the last two steps say by themselves when they are done"),
        columns=(say("Step"), say("Command"), say("State")),
        rows=rows,
        none="",
        anchor=ATTESTS,
        more=(say("Open {name}", name=newest["name"]), device_href(newest["device_id"])) if newest else ("", ""),
        live_href=f"{PROGRESS}?since={since}",
        every_s=0 if proven is not None else PROGRESS_EVERY_S,
    )


def _claimed(results: Sequence[Mapping[str, Any]]) -> Section:
    refused, old = sum(bool(each["wrong"]) for each in results), sum(bool(each["is_old"]) for each in results)
    parts = [counted(len(results) - refused - old, "device claimed", "devices claimed")]
    parts += [say("{count} had been claimed before", count=old)] if old else []
    parts += [say("{count} refused", count=refused)] if refused else []
    return Section(
        title=joined(parts),
        columns=(say("Device"), say("Result")),
        rows=[(Cell(ident=short_id(each["device_id"][:128])), _result(each)) for each in results],
        none=say("No id was given."),
    )


def _result(each: Mapping[str, Any]) -> Cell:
    if each["wrong"]:
        return Cell(state=State(BAD, say("refused")), reason=each["wrong"])
    if each["is_old"]:
        return Cell(state=State(UNKNOWN, say("had been claimed")), reason=say("It stays in its device group."))
    return Cell(state=State(GOOD, say("claimed")))


def _forms(
    catalogs: Sequence[str],
    products: Sequence[Mapping[str, Any]],
    groups: Sequence[Mapping[str, Any]],
    feeds: Sequence[str],
    may: Mapping[str, bool],
    shut: Sequence[str],
    sent: Mapping[str, str],
    wrong: tuple[str, Wrong] | None,
) -> tuple[Form, ...]:
    made = []
    if may["hub"] and catalogs:
        about = say("with a symmetric key; the next page has clients to copy and says when its first message came")
        made.append(
            _form(CONNECT, say("Connect a device that speaks Azure IoT"), about, _connect_fields(catalogs, shut))
        )
    if may["claim"] and groups:
        made.append(
            _form(
                CLAIM, say("Claim devices"), say("that were manufactured, into a device group"), _claim_fields(groups)
            )
        )
    if may["catalog"]:
        made.append(
            _form(CATALOG, say("Create a catalog"), say("owns products, devices and images"), (_name(50, "Contoso"),))
        )
    if may["product"] and catalogs:
        made.append(_form(PRODUCT, say("Create a product"), say("what devices are of"), _product_fields(catalogs)))
    if may["group"] and products:
        made.append(
            _form(
                GROUP,
                say("Create a device group"),
                say("devices that get the same images"),
                _group_fields(products, feeds),
            )
        )
    return tuple(
        replace(each, fields=filled(each.fields, sent), error=wrong[1])
        if wrong is not None and each.anchor == wrong[0]
        else each
        for each in made
    )


def _form(kind: str, title: str, about: str, fields: tuple[Field, ...]) -> Form:
    return Form(post=f"{HERE}/{kind}", label=title, title=title, about=about, fields=fields, anchor=kind)


def _name(most: int, example: str) -> Field:
    return Field(
        name="name",
        label=say("Name"),
        required=True,
        limits=limits(maxlength=most),
        hint=say("such as {example}", example=example),
    )


def _connect_fields(catalogs: Sequence[str], shut: Sequence[str]) -> tuple[Field, ...]:
    admit = Field(
        name="admit",
        label=say("Allow hub devices with symmetric keys in the catalog"),
        kind="check",
        hint=say("They prove nothing of what they run. Blocked now: {names}.", names=joined(list(shut))),
    )
    return (
        Field(
            name="device_id",
            label=say("Device id"),
            required=True,
            limits=limits(maxlength=128, pattern=ID_PATTERN),
            hint=say("Letters, digits and . _ : @ = -"),
        ),
        Field(name="catalog", label=say("Catalog"), kind="select", choices=choices(catalogs)),
        *((admit,) if shut else ()),
    )


def _product_fields(catalogs: Sequence[str]) -> tuple[Field, ...]:
    return (
        Field(name="catalog", label=say("Catalog"), kind="select", choices=choices(catalogs)),
        _name(50, "Cable"),
        Field(name="description", label=say("Description"), limits=limits(maxlength=100)),
        Field(name="groups", label=say("With the five usual device groups"), kind="check", value="on"),
    )


def _group_fields(products: Sequence[Mapping[str, Any]], feeds: Sequence[str]) -> tuple[Field, ...]:
    named = tuple((f"{each['catalog']}/{each['name']}", f"{each['catalog']} / {each['name']}") for each in products)
    return (
        Field(name="product", label=say("Product"), kind="select", choices=named),
        _name(50, "Pilot"),
        Field(name="description", label=say("Description"), limits=limits(maxlength=100)),
        Field(name="os_feed", label=say("OS feed"), kind="select", choices=choices(feeds)),
        Field(name="update_policy", label=say("Updates"), kind="select", choices=tuple(POLICIES.items())),
    )


def _claim_fields(groups: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
    return (
        Field(name="target", label=say("Device group"), kind="select", choices=_targets(groups)),
        Field(
            name="ids",
            label=say("Device ids"),
            kind="area",
            hint=say("one a line, 128 digits each, at most {count}; armillary device status prints it", count=MAX_IDS),
        ),
        Field(
            name="file",
            label=say("Or a file"),
            kind="file",
            limits=limits(accept=".txt,.csv,text/plain,text/csv"),
            hint=say("text or CSV in UTF-8, a device id first in each line; each device is claimed once"),
        ),
    )


def _targets(groups: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Device groups as choices; no name of one holds a slash."""
    return tuple(
        (
            f"{each['catalog']}/{each['product']}/{each['name']}",
            f"{each['catalog']} / {each['product']} / {each['name']}",
        )
        for each in groups
    )
