# SPDX-License-Identifier: Apache-2.0
"""Who else comes into a catalog's hub: what it admits, enrolments, service keys. Pure: API answers in, views out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from armillary.console.device.pages_device_data import place
from armillary.console.frame import sheet
from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, choices, filled, limits
from armillary.console.frame.sheet import Button, Cell, Once, Section, Sheet
from armillary.console.frame.states import ATTENTION, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, moment
from armillary.console.hub_devices.pages_hub_devices import MAX_PEM_CHARS, list_href
from armillary.console.language.say import say

# What can be let in -> (its field in the API, what such devices show, the same within a sentence, what it means).
KINDS: Final[Mapping[str, tuple[str, str, str, str]]] = MappingProxyType(
    {
        "certificates": (
            "certificates",
            say("Certificates of their own"),
            say("certificates of their own"),
            say("Whoever holds such a certificate's key is the device; what it runs is not known."),
        ),
        "symmetric-keys": (
            "symmetric_keys",
            say("Symmetric keys"),
            say("symmetric keys"),
            say("Whoever has copied the key is the device; what it runs is not known."),
        ),
    }
)
ADMIT: Final = ("admit", "keep-out")
ENROLMENT_VERBS: Final = ("disable", "enable", "delete")
ATTESTATION: Final[Mapping[str, str]] = MappingProxyType(
    {"x509": say("certificates"), "symmetricKey": say("symmetric keys")}
)
ROLES: Final = ("Reader", "Contributor", "Administrator")
_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {"disable": say("Disable"), "enable": say("Enable"), "delete": say("Delete")}
)


def below(catalog: str, *more: str) -> str:
    """A path of what belongs to a catalog's hub."""
    return "/".join(["/hub-catalogs", quote(catalog, safe=""), *(quote(each, safe="") for each in more)])


def admission_section(admission: Mapping[str, Any], catalog: str, *, may_change: bool, now: int) -> Section:
    """What the catalog lets into the hub beside devices that attest."""
    rows = []
    for kind, (field, shows, _, means) in KINDS.items():
        admitted = admission[field]
        state = State(ATTENTION, say("allowed")) if admitted else State(GOOD, say("blocked"))
        way = (
            (
                sheet.text(
                    say("Block") if admitted else say("Allow"), href=below(catalog, "admission", kind, ADMIT[admitted])
                ),
            )
            if may_change
            else ()
        )
        rows.append((sheet.text(shows), Cell(state=state), sheet.text(means), *way))
    changed = moment(admission["changed_at"], now)
    note = (
        say("changed {changed} by {changed_by}", changed=changed.relative, changed_by=admission["changed_by"])
        if changed
        else say("as it was from the beginning")
    )
    return Section(
        title=say("Unattested access"),
        note=say("devices that attest are always allowed; {note}", note=note),
        columns=(
            say("Hub devices with"),
            say("State"),
            say("What it means"),
            *((say("Change"),) if may_change else ()),
        ),
        rows=rows,
        none="",
        anchor="admission",
    )


def enrolment_state(found: Mapping[str, Any]) -> State:
    """Whether devices may register by an enrolment."""
    if not found["enabled"]:
        return State(ATTENTION, say("disabled"))
    return State(GOOD, say("enabled")) if found["verified"] else State(UNKNOWN, say("authority not proven"))


def enrolments_section(found: Mapping[str, Any], catalog: str, *, form: Form | None, now: int) -> Section:
    """Which devices may register themselves."""
    rows = [
        (
            sheet.text(each["name"], href=below(catalog, "enrolments", each["enrolment_id"])),
            sheet.text(say("a group") if each["group"] else say("one device")),
            sheet.text(ATTESTATION[each["attestation"]]),
            Cell(state=enrolment_state(each)),
            Cell(at=moment(each["created_at"], now)),
            sheet.text(each["created_by"]),
        )
        for each in found["items"]
    ]
    return Section(
        title=say("Enrolments"),
        note=say("devices that register themselves; id scope {id_scope}", id_scope=found["id_scope"]),
        columns=(say("Enrolment"), say("For"), say("By"), say("State"), say("Created"), say("Created by")),
        rows=rows,
        none=say("No device may register itself yet."),
        anchor="enrolments",
        form=form,
    )


def enrolment_form(catalog: str, sent: Mapping[str, str], error: tuple[str, str] | None) -> Form:
    """The form of a new enrolment."""
    fields = (
        Field(
            name="name",
            label=say("Name"),
            required=True,
            limits=limits(maxlength=128),
            hint=say("of one device: its registration id"),
        ),
        Field(
            name="for",
            label=say("For"),
            kind="select",
            choices=(("one", say("one device")), ("group", say("a group of devices"))),
        ),
        Field(
            name="attestation",
            label=say("Devices show"),
            kind="select",
            choices=(("symmetricKey", say("a symmetric key, made here")), ("x509", say("a certificate"))),
        ),
        Field(
            name="device_id",
            label=say("Device id"),
            limits=limits(maxlength=128),
            hint=say("of one device; empty: the registration id"),
        ),
        Field(
            name="certificate",
            label=say("Certificate, PEM"),
            kind="code",
            limits=limits(maxlength=MAX_PEM_CHARS, placeholder="-----BEGIN CERTIFICATE-----"),
            hint=say("the device's own; for a group that of the authority that signs its devices' certificates"),
        ),
        Field(
            name="initial_twin",
            label=say("First twin, JSON"),
            kind="code",
            rows=3,
            hint=say('of new devices, such as {{"tags": {{"site": "north"}}}}; empty: none'),
        ),
    )
    return Form(
        post=below(catalog, "enrolments"),
        label=say("Create enrolment"),
        title=say("Let devices register themselves"),
        fields=filled(fields, sent),
        error=error,
    )


def enrolment_once(answer: Mapping[str, Any], id_scope: str) -> Once:
    """The keys of an enrolment that was just made."""
    whose = say("Each device derives its own key of it") if answer["group"] else say("The device shows it")
    return Once(
        says=say(
            "The keys of the enrolment {name} are shown this once: copy what you need now. {whose}.",
            name=answer["name"],
            whose=whose,
        ),
        lines=(
            (say("Id scope"), id_scope),
            (say("Primary key"), answer["primary_key"]),
            (say("Secondary key"), answer["secondary_key"]),
        ),
    )


def proof_form(catalog: str, enrolment_id: str, sent: Mapping[str, str], error: tuple[str, str] | None) -> Form:
    """The form by which the key of a group's authority is proven."""
    field = Field(
        name="certificate",
        label=say("Certificate that the authority signed, PEM"),
        kind="code",
        required=True,
        limits=limits(maxlength=MAX_PEM_CHARS, placeholder="-----BEGIN CERTIFICATE-----"),
    )
    return Form(
        post=below(catalog, "enrolments", enrolment_id, "verify"),
        label=say("Prove"),
        title=say("Prove that the authority's key is yours"),
        about=say("its common name is the nonce above"),
        fields=filled((field,), sent),
        error=error,
        primary=True,
    )


def keys_section(found: Mapping[str, Any] | None, catalog: str, role: str, *, form: Form | None, now: int) -> Section:
    """Keys of services; ``found`` is None for a role that may not see them."""
    rows = [
        (
            sheet.text(each["name"]),
            sheet.text(each["role"]),
            Cell(state=State(ATTENTION, say("shows them"))) if each["reveals_keys"] else sheet.text(say("no")),
            Cell(at=moment(each["created_at"], now)),
            sheet.text(each["created_by"]),
            sheet.text(say("Delete"), href=below(catalog, "service-keys", each["name"], "delete")),
        )
        for each in (found or {"items": ()})["items"]
    ]
    hidden = say("Your role, {role}, may not see service keys.", role=role)
    return Section(
        title=say("Service keys"),
        note=say("by them services call the hub as they called IoT Hub; the keys themselves are shown once"),
        columns=(say("Key"), say("Allows"), say("Keys of devices"), say("Created"), say("Created by"), say("Remove")),
        rows=rows,
        none=hidden if found is None else say("There is none."),
        anchor="service-keys",
        form=form,
    )


def key_form(catalog: str, sent: Mapping[str, str], error: tuple[str, str] | None) -> Form:
    """The form of a new service key."""
    fields = (
        Field(name="name", label=say("Name"), required=True, limits=limits(maxlength=64)),
        Field(name="role", label=say("It allows what this role may"), kind="select", choices=choices(ROLES)),
    )
    return Form(
        post=below(catalog, "service-keys"),
        label=say("Create service key"),
        title=say("Create a service key"),
        fields=filled(fields, sent),
        error=error,
    )


def key_once(answer: Mapping[str, Any]) -> Once:
    """A service key that was just made."""
    return Once(
        says=say("The service key {name} is shown this once: copy it now.", name=answer["name"]),
        lines=((say("Connection string"), answer["connection_string"]), (say("Key"), answer["key"])),
    )


def enrolment_sheet(
    found: Mapping[str, Any],
    registrations: Sequence[Mapping[str, Any]],
    catalog: str,
    id_scope: str,
    *,
    may_change: bool,
    proof: Form | None,
    now: int,
) -> Sheet:
    """One enrolment and what registered by it; ``proof`` is the form that proves its authority."""
    name, enrolment_id = found["name"], found["enrolment_id"]
    state = enrolment_state(found)
    who = say("a group of devices") if found["group"] else say("one device")
    switch = "disable" if found["enabled"] else "enable"
    buttons = (
        (
            Button(label=_LABELS[switch], href=below(catalog, "enrolments", enrolment_id, switch)),
            Button(label=say("Delete"), href=below(catalog, "enrolments", enrolment_id, "delete"), danger=True),
        )
        if may_change
        else ()
    )
    unproven = say(
        "Nobody may register by it before its authority was proven: sign a certificate with "
        "the common name {possession_nonce}, and paste it below.",
        possession_nonce=found["possession_nonce"],
    )
    rows = [
        (
            sheet.text(each["device_id"], href=place(each["device_id"])),
            sheet.text(each["registration_id"]),
            Cell(at=moment(each["registered_at"], now)),
            Cell(at=moment(each["changed_at"], now)),
        )
        for each in registrations
    ]
    twin = found["initial_twin"]
    return Sheet(
        place=say("Devices"),
        crumbs=((say("Devices"), list_href(catalog)), (say("Enrolments"), f"{list_href(catalog)}#enrolments")),
        title=say(
            "{name} lets {who} register with {shown}: {state}, {devices} so far.",
            name=name,
            who=who,
            shown=ATTESTATION[found["attestation"]],
            state=state.word,
            devices=counted(len(registrations), "device"),
        ),
        notices=() if found["verified"] else (("attention", unproven),),
        buttons=buttons,
        forms=(proof,) if proof is not None else (),
        facts=(
            (say("State"), Cell(state=state)),
            (say("Id scope"), sheet.text(id_scope)),
            (say("Device id"), sheet.text(found["device_id"] or say("the registration id"))),
            (say("First twin"), sheet.code(twin) if twin else sheet.text(say("empty"))),
            (say("Created"), Cell(at=moment(found["created_at"], now))),
            (say("Created by"), sheet.text(found["created_by"])),
        ),
        sections=(
            Section(
                title=say("Registered"),
                note=say("newest first"),
                columns=(say("Device"), say("Registration id"), say("First"), say("Last")),
                rows=rows,
                none=say("Nobody has registered by it yet."),
            ),
        ),
    )


# What the buttons do ----------------------------------------------------------------------------------------------


def admission_confirmation(catalog: str, kind: str, verb: str) -> Confirmation:
    """What allowing or blocking does."""
    _, _, what, means = KINDS[kind]
    if verb == "admit":
        title, does = (
            say("Allow hub devices with {what} in {catalog}?", what=what, catalog=catalog),
            say("They may connect. {means}", means=means),
        )
        undo = say("Block closes their connections again.")
    else:
        title, does = (
            say("Block hub devices with {what} in {catalog}?", what=what, catalog=catalog),
            say("Those that are connected are cut off now."),
        )
        undo = say("Allow them again; nothing of them is lost.")
    return Confirmation(
        title=title,
        touches=touching(
            say("Every hub device of {catalog} with {what}, now and later.", catalog=catalog, what=what),
            does,
            say("Devices that attest, and hub devices of the other kind."),
            undo,
        ),
        label=say("Allow") if verb == "admit" else say("Block"),
        danger=True,
        word=catalog,
        wide=say("This affects every hub device of {catalog} with {what}.", catalog=catalog, what=what),
        post=below(catalog, "admission", kind, verb),
        back=list_href(catalog),
    )


def enrolment_confirmation(found: Mapping[str, Any], catalog: str, verb: str) -> Confirmation:
    """What a verb does to an enrolment."""
    name = found["name"]
    title, does, undo = {
        "disable": (
            say("Disable the enrolment {name}?", name=name),
            say("Nobody registers by it any more."),
            say("Enable lets devices register again."),
        ),
        "enable": (
            say("Enable the enrolment {name}?", name=name),
            say("Devices that show what it names may register."),
            say("Disable ends that."),
        ),
        "delete": (
            say("Delete the enrolment {name}?", name=name),
            say("Nobody registers by it any more; devices that came with certificates of its authority are blocked."),
            say("This cannot be undone."),
        ),
    }[verb]
    leaves = say("Devices that registered by it, and their twins.")
    if verb == "delete" and found["attestation"] == "x509":
        leaves = say("The devices' entries, twins and values.")
    enrolment_id = found["enrolment_id"]
    return Confirmation(
        title=title,
        touches=touching(
            say(
                "One enrolment of {catalog}, for {whom}.",
                catalog=catalog,
                whom=say("a group of devices") if found["group"] else say("one device"),
            ),
            does,
            leaves,
            undo,
        ),
        label=_LABELS[verb],
        danger=verb != "enable",
        word=name if verb == "delete" else "",
        wide=say("This deletes 1 enrolment."),
        post=below(catalog, "enrolments", enrolment_id, verb),
        back=below(catalog, "enrolments", enrolment_id),
    )


def key_confirmation(name: str, catalog: str) -> Confirmation:
    """What deleting a service key does."""
    return Confirmation(
        title=say("Delete the service key {name}?", name=name),
        touches=touching(
            say("One service key of {catalog}.", catalog=catalog),
            say("Every service that signs with it is refused from now on."),
            say("Devices, and other keys."),
            say("This cannot be undone; create another key instead."),
        ),
        label=say("Delete"),
        danger=True,
        post=below(catalog, "service-keys", name, "delete"),
        back=f"{list_href(catalog)}#service-keys",
    )
