# SPDX-License-Identifier: Apache-2.0
"""Hub devices as pages: the list, one with its modules, the form of a new one, what each button does. Pure.

A hub device shows a key or a certificate of its own and attests nothing. Every page says so before anything else, and
no word about its connection is ever drawn as trust.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.device.pages_device import Verdict
from armillary.console.device.pages_device_data import place
from armillary.console.device.pages_tabs import SHOWS, connection
from armillary.console.frame import sheet
from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, choices, filled, limits
from armillary.console.frame.sheet import Bulk, Button, Cell, Once, Section, Sheet
from armillary.console.frame.states import ATTENTION, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, joined, moment, short_id
from armillary.console.language.say import say

LIST: Final = "/hub-devices"
# Column -> what the source sorts all pages by.
BY_SOURCE: Final[Mapping[str, str]] = MappingProxyType(
    {"Device": "name", "Authentication": "authentication", "Created": "created_at"}
)
NEW: Final = "/new-hub-device"
# Catalogs that have a link each; of more one is chosen from a list.
MOST_LINKS: Final = 8
UNATTESTED: Final = State(UNKNOWN, say("unattested"))
# What an id looks like; the service says it again (``wire/hub/credentials.py``).
ID_PATTERN: Final = "[A-Za-z0-9][A-Za-z0-9._:@=\\-]*"
MAX_PEM_CHARS: Final = 16_384
VERBS: Final = ("disable", "enable", "new-keys", "delete")
_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {"disable": say("Disable"), "enable": say("Enable"), "new-keys": say("Create new keys"), "delete": say("Delete")}
)


def list_href(catalog: str) -> str:
    """The list of a catalog."""
    return f"{LIST}?{urlencode({'catalog': catalog})}"


def others_sentence(tiers: Mapping[str, int], catalog: str) -> str:
    """What else a catalog has: devices that attest, and simulated ones, which prove nothing."""
    simulated = tiers.get("simulated", 0)
    proving = sum(tiers.values()) - simulated
    if not proving and not simulated:
        return say("{catalog} has no other device.", catalog=catalog)
    parts = [counted(proving, "device that attests", "devices that attest")] if proving else []
    if simulated:
        parts.append(
            counted(simulated, "simulated device, which proves nothing", "simulated devices, which prove nothing")
        )
    return say("In the fleet {catalog} has {devices}.", catalog=catalog, devices=joined(parts))


def list_sentence(items: Sequence[Mapping[str, Any]], catalog: str, *, is_part: bool) -> str:
    """First line: how many there are, and that none of them proves anything."""
    if not items:
        return say("No hub device in {catalog}.", catalog=catalog)
    parts = [say("{count} connected", count=sum(bool(each["connected"]) for each in items))]
    disabled = sum(not each["enabled"] for each in items)
    if disabled:
        parts.append(say("{count} disabled", count=disabled))
    many = counted(len(items), "hub device")
    if is_part:
        return say(
            "{devices} on this page of {catalog}: {parts}. None of them attests.",
            devices=many,
            catalog=catalog,
            parts=joined(parts),
        )
    return say(
        "{devices} in {catalog}: {parts}. None of them attests.", devices=many, catalog=catalog, parts=joined(parts)
    )


def devices_section(
    page: Mapping[str, Any],
    catalog: str,
    prefix: str,
    admission: Mapping[str, Any],
    now: int,
    bulk: Bulk | None = None,
) -> Section:
    """The table of a catalog's hub devices."""
    found = [
        (
            Cell(
                text=each["name"],
                href=place(each["device_id"]),
                reason=each["device_id"] if each["is_named"] else "",
                pick=each["device_id"],
            ),
            Cell(state=UNATTESTED),
            sheet.text(SHOWS[each["authentication"]]),
            connection(each, admission),
            Cell(at=moment(each["created_at"], now)),
        )
        for each in page["items"]
    ]
    query = {"catalog": catalog, **({"q": prefix} if prefix else {}), "after": page["next"] or ""}
    return Section(
        title=say("Hub devices"),
        note=say("they prove that they hold a key, and nothing about what they run"),
        columns=(say("Device"), say("Trust"), say("Authentication"), say("Connection"), say("Created")),
        rows=found,
        none=say("None is called {prefix}, and no id begins so.", prefix=prefix)
        if prefix
        else say("No hub device yet."),
        next_href=f"{LIST}?{urlencode(query)}" if page["next"] else "",
        sorts=True,
        bulk=bulk,
    )


def no_catalog_sheet() -> Sheet:
    """The list where there is no catalog yet."""
    return Sheet(
        place=say("Devices"),
        title=say("No catalog yet."),
        detail=say("A catalog owns devices; hub devices are made in one."),
        command="armillary catalog create --name NAME",
    )


def search_form(catalog: str, prefix: str, catalogs: Sequence[str]) -> Form:
    """Find devices by the start of their ids; where there are many catalogs, in a chosen one."""
    query = Field(name="q", label=say("Name, or start of an id"), value=prefix)
    if len(catalogs) <= MOST_LINKS:
        return Form(post=LIST, label=say("Find"), fields=(query,), hidden=(("catalog", catalog),))
    choice = Field(name="catalog", label=say("Catalog"), kind="select", value=catalog, choices=choices(catalogs))
    return Form(post=LIST, label=say("Find"), fields=(choice, query))


# One device -------------------------------------------------------------------------------------------------------


def device_sheet(
    found: Mapping[str, Any],
    verdict: Verdict,
    template: Mapping[str, Any],
    catalog: str,
    admission: Mapping[str, Any],
    *,
    sections: tuple[Section, ...],
    may_change: bool,
    module_form: Form | None,
    once: Once | None,
    name_form: Form | None,
    now: int,
) -> Sheet:
    """The overview of a hub device: ``found`` as ``show_hub_device`` answers, ``template`` as its own question.

    ``sections`` are what every device's overview has: open alerts, last values.
    ``admission`` is what its catalog admits, empty for an operator who may not know; ``once`` has keys that were just
    made; ``module_form`` and ``name_form`` are None where the operator may not make or change one.
    """
    cell = connection(found, admission)
    notices = []
    if cell.state is not None and cell.state.word == "blocked":
        text = say(
            "{catalog} blocks hub devices with {shown}: an administrator's choice.",
            catalog=catalog,
            shown=SHOWS[found["authentication"]],
        )
        notices.append(("attention", text))
    if not found["certificate_known"]:
        notices.append(
            (
                "attention",
                say("Only the thumbprint of its certificate is known: it cannot connect before the hub has it."),
            )
        )
    return Sheet(
        place=say("Devices"),
        forms=(name_form,) if name_form is not None else (),
        title=verdict.sentence,
        detail=verdict.detail,
        notices=tuple(notices),
        once=once,
        buttons=_device_buttons(found) if may_change else (),
        facts=_facts(found, template, catalog, cell, now),
        sections=(*sections, _modules(found, may_change=may_change, form=module_form)),
    )


def _device_buttons(found: Mapping[str, Any]) -> tuple[Button, ...]:
    device_id, enabled = found["device_id"], found["enabled"]
    switch = "disable" if enabled else "enable"
    ways = [Button(label=_LABELS[switch], href=place(device_id, switch))]
    if found["authentication"] == "sas":
        ways.append(Button(label=say("New keys"), href=place(device_id, "new-keys")))
    ways.append(Button(label=say("Delete"), href=place(device_id, "delete"), danger=True))
    return tuple(ways)


def _facts(
    found: Mapping[str, Any], template: Mapping[str, Any], catalog: str, cell: Cell, now: int
) -> tuple[tuple[str, Cell], ...]:
    shown: list[tuple[str, Cell]] = [
        (say("Device id"), Cell(ident=short_id(found["device_id"]))),
        (say("Trust tier"), Cell(state=UNATTESTED)),
        (say("Connection"), cell),
        (say("Last heard"), sheet.when(found.get("last_seen_ms"), now)),
        (say("Authentication"), sheet.text(SHOWS[found["authentication"]])),
    ]
    shown += [(say("Thumbprint"), Cell(ident=short_id(each))) for each in found["thumbprints"]]
    name = template["template"]
    shown += [
        (
            say("Template"),
            sheet.text(
                say("{name}, version {version}", name=name, version=template["version"]),
                href=f"/templates/{quote(name)}",
            )
            if name
            else sheet.text(say("none"), href=f"{place(found['device_id'], 'twin')}#template"),
        ),
        (say("Announced model"), sheet.text(found.get("model_id") or say("none"))),
        (say("Catalog"), sheet.text(catalog)),
        (say("Registered by"), sheet.text(say("an enrolment") if found["enrolment_id"] else say("an operator"))),
        (say("Created"), Cell(at=moment(found["created_at"], now))),
        (say("Changed"), Cell(at=moment(found["changed_at"], now))),
    ]
    return tuple(shown)


def _modules(found: Mapping[str, Any], *, may_change: bool, form: Form | None) -> Section:
    lines = []
    for each in found["modules"]:
        switch = "disable" if each["enabled"] else "enable"
        state = State(GOOD, say("enabled")) if each["enabled"] else State(ATTENTION, say("disabled"))
        way = place(found["device_id"], "modules", each["module_id"])
        lines.append(
            (
                sheet.text(each["module_id"]),
                sheet.text(SHOWS[each["authentication"]]),
                Cell(state=state, reason=each["status_reason"]),
                *(
                    (
                        sheet.text(_LABELS[switch], href=f"{way}/{switch}"),
                        sheet.text(say("Delete"), href=f"{way}/delete"),
                    )
                    if may_change
                    else ()
                ),
            )
        )
    return Section(
        title=say("Modules"),
        note=say("parts of the device that connect by themselves, each with a twin of its own"),
        columns=(
            say("Module"),
            say("Authentication"),
            say("State"),
            *((say("Switch"), say("Remove")) if may_change else ()),
        ),
        rows=lines,
        none=say("It has none."),
        anchor="modules",
        form=form,
    )


def module_form(device_id: str, sent: Mapping[str, str], error: tuple[str, str] | None) -> Form:
    """The form of a new module."""
    fields = (
        Field(name="module_id", label=say("Module id"), required=True, limits=limits(maxlength=64)),
        Field(
            name="authentication",
            label=say("Authentication"),
            kind="select",
            choices=(("device", SHOWS["device"]), ("sas", say("a symmetric key of its own"))),
        ),
    )
    return Form(
        post=place(device_id, "modules"),
        label=say("Create module"),
        title=say("Create a module"),
        fields=filled(fields, sent),
        error=error,
    )


def new_sheet(catalogs: Sequence[str], chosen: str, sent: Mapping[str, str], error: tuple[str, str] | None) -> Sheet:
    """The form of a new hub device."""
    fields = (
        Field(
            name="device_id",
            label=say("Device id"),
            required=True,
            limits=limits(maxlength=128, pattern=ID_PATTERN),
            hint=say("Letters, digits and . _ : @ = -"),
        ),
        Field(
            name="catalog",
            label=say("Catalog"),
            kind="select",
            value=chosen,
            choices=tuple((each, each) for each in catalogs),
        ),
        Field(
            name="authentication",
            label=say("Authentication"),
            kind="select",
            value="sas",
            choices=(("sas", say("a symmetric key, made here")), ("selfSigned", SHOWS["selfSigned"])),
        ),
        Field(
            name="certificate",
            label=say("Certificate, PEM"),
            kind="code",
            limits=limits(maxlength=MAX_PEM_CHARS, placeholder="-----BEGIN CERTIFICATE-----"),
            hint=say("For a certificate of its own; its thumbprint is made of it. Leave it empty for a symmetric key."),
        ),
        Field(
            name="secondary_certificate",
            label=say("A second certificate, PEM (for a change of certificates)"),
            kind="code",
            limits=limits(maxlength=MAX_PEM_CHARS),
        ),
    )
    return Sheet(
        place=say("Devices"),
        crumbs=((say("Devices"), list_href(chosen)),),
        title=say("New hub device"),
        detail=say(
            "A client with a key or certificate of its own that attests nothing. A device that "
            "can attest is made with armillary device create instead."
        ),
        forms=(Form(post=NEW, label=say("Create hub device"), fields=filled(fields, sent), error=error, primary=True),),
    )


def made_once(answer: Mapping[str, Any]) -> Once:
    """Keys of an answer, to be shown this once."""
    name = answer["device_id"] + (f"/{answer['module_id']}" if answer["module_id"] else "")
    return Once(
        says=say("The keys of {name} are shown this once: copy what you need now.", name=name),
        lines=(
            (say("Connection string"), answer["connection_string"]),
            (say("Primary key"), answer["primary_key"]),
            (say("Secondary key"), answer["secondary_key"]),
        ),
    )


# What the buttons do ----------------------------------------------------------------------------------------------


def confirmation(found: Mapping[str, Any], verb: str) -> Confirmation:
    """What a verb does to a hub device, or to a module (``module_id`` is set)."""
    device_id, module = found["device_id"], found["module_id"]
    what = (
        say("module {module} of {device_id}", module=module, device_id=device_id)
        if module
        else say("hub device {device_id}", device_id=device_id)
    )
    title, does, leaves, undo = {
        "disable": (
            say("Disable {what}?", what=what),
            say("Its connection is closed now, and it is blocked."),
            say("Its key or certificate, twin, messages and values stay."),
            say("Enable allows it again."),
        ),
        "enable": (
            say("Enable {what}?", what=what),
            say("It may connect with its key or certificate, where its catalog allows that."),
            say("Everything else stays as it is."),
            say("Disable blocks it again."),
        ),
        "new-keys": (
            say("Create new keys for {what}?", what=what),
            say(
                "Both keys are replaced and shown once; its connection is closed, and the old keys "
                "open nothing any more."
            ),
            say("Its twin, messages and values stay."),
            say("This cannot be undone: the old keys are gone. The device needs one of the new ones."),
        ),
        "delete": (
            say("Delete {what}?", what=what),
            say("It is blocked. Its twin, messages and files are deleted.")
            if module
            else say(
                "It is blocked. Its twin, messages and files are deleted, its modules too; the name is free afterwards."
            ),
            say("Its lines in the audit log."),
            say("This cannot be undone."),
        ),
    }[verb]
    below = ("modules", module) if module else ()
    shown = SHOWS[found["authentication"]]
    return Confirmation(
        title=title,
        touches=touching(
            say("One module, with {shown}.", shown=shown)
            if module
            else say("One hub device, with {shown}.", shown=shown),
            does,
            leaves,
            undo,
        ),
        label=_LABELS[verb],
        danger=verb != "enable",
        word=device_id if verb == "delete" and not module else "",
        wide=say("This deletes 1 hub device."),
        post=place(device_id, *below, verb),
        back=place(device_id),
        reason=verb == "disable",
    )
