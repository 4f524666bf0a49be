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

# What can be let in -> (its field in the API, what such devices show, what it means).
KINDS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "certificates": (
            "certificates",
            "Certificates of their own",
            "Whoever holds such a certificate's key is the device; what it runs is not known.",
        ),
        "symmetric-keys": (
            "symmetric_keys",
            "Symmetric keys",
            "Whoever has copied the key is the device; what it runs is not known.",
        ),
    }
)
ADMIT: Final = ("admit", "keep-out")
ENROLMENT_VERBS: Final = ("disable", "enable", "delete")
ATTESTATION: Final[Mapping[str, str]] = MappingProxyType({"x509": "certificates", "symmetricKey": "symmetric keys"})
ROLES: Final = ("Reader", "Contributor", "Administrator")


def below(catalog: str, *more: str) -> str:
    """A path of what belongs to a catalog's hub."""
    return "/".join(["/hub-catalogs", quote(catalog, safe=""), *(quote(each, safe="") for each in more)])


def admission_section(admission: Mapping[str, Any], catalog: str, *, may_change: bool, now: int) -> Section:
    """What the catalog lets into the hub beside devices that attest."""
    rows = []
    for kind, (field, shows, means) in KINDS.items():
        admitted = admission[field]
        state = State(ATTENTION, "allowed") if admitted else State(GOOD, "blocked")
        way = (
            (sheet.text("Block" if admitted else "Allow", href=below(catalog, "admission", kind, ADMIT[admitted])),)
            if may_change
            else ()
        )
        rows.append((sheet.text(shows), Cell(state=state), sheet.text(means), *way))
    changed = moment(admission["changed_at"], now)
    note = f"changed {changed.relative} by {admission['changed_by']}" if changed else "as it was from the beginning"
    return Section(
        title="Unattested access",
        note=f"devices that attest are always allowed; {note}",
        columns=("Hub devices with", "State", "What it means", *(("Change",) if may_change else ())),
        rows=rows,
        none="",
        anchor="admission",
    )


def enrolment_state(found: Mapping[str, Any]) -> State:
    """Whether devices may register by an enrolment."""
    if not found["enabled"]:
        return State(ATTENTION, "disabled")
    return State(GOOD, "enabled") if found["verified"] else State(UNKNOWN, "authority not proven")


def enrolments_section(found: Mapping[str, Any], catalog: str, *, form: Form | None, now: int) -> Section:
    """Which devices may register themselves."""
    rows = [
        (
            sheet.text(each["name"], href=below(catalog, "enrolments", each["enrolment_id"])),
            sheet.text("a group" if each["group"] else "one device"),
            sheet.text(ATTESTATION[each["attestation"]]),
            Cell(state=enrolment_state(each)),
            Cell(at=moment(each["created_at"], now)),
            sheet.text(each["created_by"]),
        )
        for each in found["items"]
    ]
    return Section(
        title="Enrolments",
        note=f"devices that register themselves; id scope {found['id_scope']}",
        columns=("Enrolment", "For", "By", "State", "Created", "Created by"),
        rows=rows,
        none="No device may register itself yet.",
        anchor="enrolments",
        form=form,
    )


def enrolment_form(catalog: str, sent: Mapping[str, str], error: tuple[str, str] | None) -> Form:
    """The form of a new enrolment."""
    fields = (
        Field(
            name="name",
            label="Name",
            required=True,
            limits=limits(maxlength=128),
            hint="of one device: its registration id",
        ),
        Field(
            name="for",
            label="For",
            kind="select",
            choices=(("one", "one device"), ("group", "a group of devices")),
        ),
        Field(
            name="attestation",
            label="Devices show",
            kind="select",
            choices=(("symmetricKey", "a symmetric key, made here"), ("x509", "a certificate")),
        ),
        Field(
            name="device_id",
            label="Device id",
            limits=limits(maxlength=128),
            hint="of one device; empty: the registration id",
        ),
        Field(
            name="certificate",
            label="Certificate, PEM",
            kind="code",
            limits=limits(maxlength=MAX_PEM_CHARS, placeholder="-----BEGIN CERTIFICATE-----"),
            hint="the device's own; for a group that of the authority that signs its devices' certificates",
        ),
        Field(
            name="initial_twin",
            label="First twin, JSON",
            kind="code",
            rows=3,
            hint='of new devices, such as {"tags": {"site": "north"}}; empty: none',
        ),
    )
    return Form(
        post=below(catalog, "enrolments"),
        label="Create enrolment",
        title="Let devices register themselves",
        fields=filled(fields, sent),
        error=error,
    )


def enrolment_once(answer: Mapping[str, Any], id_scope: str) -> Once:
    """The keys of an enrolment that was just made."""
    whose = "Each device derives its own key of it" if answer["group"] else "The device shows it"
    return Once(
        says=f"The keys of the enrolment {answer['name']} are shown this once: copy what you need now. {whose}.",
        lines=(
            ("Id scope", id_scope),
            ("Primary key", answer["primary_key"]),
            ("Secondary key", answer["secondary_key"]),
        ),
    )


def proof_form(catalog: str, enrolment_id: str, sent: Mapping[str, str], error: tuple[str, str] | None) -> Form:
    """The form by which the key of a group's authority is proven."""
    field = Field(
        name="certificate",
        label="Certificate that the authority signed, PEM",
        kind="code",
        required=True,
        limits=limits(maxlength=MAX_PEM_CHARS, placeholder="-----BEGIN CERTIFICATE-----"),
    )
    return Form(
        post=below(catalog, "enrolments", enrolment_id, "verify"),
        label="Prove",
        title="Prove that the authority's key is yours",
        about="its common name is the nonce above",
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
            Cell(state=State(ATTENTION, "shows them")) if each["reveals_keys"] else sheet.text("no"),
            Cell(at=moment(each["created_at"], now)),
            sheet.text(each["created_by"]),
            sheet.text("Delete", href=below(catalog, "service-keys", each["name"], "delete")),
        )
        for each in (found or {"items": ()})["items"]
    ]
    hidden = f"Your role, {role}, may not see service keys."
    return Section(
        title="Service keys",
        note="by them services call the hub as they called IoT Hub; the keys themselves are shown once",
        columns=("Key", "Allows", "Keys of devices", "Created", "Created by", "Remove"),
        rows=rows,
        none=hidden if found is None else "There is none.",
        anchor="service-keys",
        form=form,
    )


def key_form(catalog: str, sent: Mapping[str, str], error: tuple[str, str] | None) -> Form:
    """The form of a new service key."""
    fields = (
        Field(name="name", label="Name", required=True, limits=limits(maxlength=64)),
        Field(name="role", label="It allows what this role may", kind="select", choices=choices(ROLES)),
    )
    return Form(
        post=below(catalog, "service-keys"),
        label="Create service key",
        title="Create a service key",
        fields=filled(fields, sent),
        error=error,
    )


def key_once(answer: Mapping[str, Any]) -> Once:
    """A service key that was just made."""
    return Once(
        says=f"The service key {answer['name']} is shown this once: copy it now.",
        lines=(("Connection string", answer["connection_string"]), ("Key", answer["key"])),
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
    who = "a group of devices" if found["group"] else "one device"
    switch = "disable" if found["enabled"] else "enable"
    buttons = (
        (
            Button(label=switch.capitalize(), href=below(catalog, "enrolments", enrolment_id, switch)),
            Button(label="Delete", href=below(catalog, "enrolments", enrolment_id, "delete"), danger=True),
        )
        if may_change
        else ()
    )
    unproven = (
        "Nobody may register by it before its authority was proven: sign a certificate with the common name "
        f"{found['possession_nonce']}, and paste it below."
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
        place="Devices",
        crumbs=(("Devices", list_href(catalog)), ("Enrolments", f"{list_href(catalog)}#enrolments")),
        title=f"{name} lets {who} register with {ATTESTATION[found['attestation']]}: {state.word}, "
        f"{counted(len(registrations), 'device')} so far.",
        notices=() if found["verified"] else (("attention", unproven),),
        buttons=buttons,
        forms=(proof,) if proof is not None else (),
        facts=(
            ("State", Cell(state=state)),
            ("Id scope", sheet.text(id_scope)),
            ("Device id", sheet.text(found["device_id"] or "the registration id")),
            ("First twin", sheet.code(twin) if twin else sheet.text("empty")),
            ("Created", Cell(at=moment(found["created_at"], now))),
            ("Created by", sheet.text(found["created_by"])),
        ),
        sections=(
            Section(
                title="Registered",
                note="newest first",
                columns=("Device", "Registration id", "First", "Last"),
                rows=rows,
                none="Nobody has registered by it yet.",
            ),
        ),
    )


# What the buttons do ----------------------------------------------------------------------------------------------


def admission_confirmation(catalog: str, kind: str, verb: str) -> Confirmation:
    """What allowing or blocking does."""
    _, shows, means = KINDS[kind]
    what = shows[0].lower() + shows[1:]
    if verb == "admit":
        title, does = f"Allow hub devices with {what} in {catalog}?", f"They may connect. {means}"
        undo = "Block closes their connections again."
    else:
        title, does = f"Block hub devices with {what} in {catalog}?", "Those that are connected are cut off now."
        undo = "Allow them again; nothing of them is lost."
    return Confirmation(
        title=title,
        touches=touching(
            f"Every hub device of {catalog} with {what}, now and later.",
            does,
            "Devices that attest, and hub devices of the other kind.",
            undo,
        ),
        label="Allow" if verb == "admit" else "Block",
        danger=True,
        word=catalog,
        wide=f"This affects every hub device of {catalog} with {what}.",
        post=below(catalog, "admission", kind, verb),
        back=list_href(catalog),
    )


def enrolment_confirmation(found: Mapping[str, Any], catalog: str, verb: str) -> Confirmation:
    """What a verb does to an enrolment."""
    does, undo = {
        "disable": ("Nobody registers by it any more.", "Enable lets devices register again."),
        "enable": ("Devices that show what it names may register.", "Disable ends that."),
        "delete": (
            "Nobody registers by it any more; devices that came with certificates of its authority are blocked.",
            "This cannot be undone.",
        ),
    }[verb]
    leaves = "Devices that registered by it, and their twins."
    if verb == "delete" and found["attestation"] == "x509":
        leaves = "The devices' entries, twins and values."
    enrolment_id = found["enrolment_id"]
    return Confirmation(
        title=f"{verb.capitalize()} the enrolment {found['name']}?",
        touches=touching(
            f"One enrolment of {catalog}, for {'a group of devices' if found['group'] else 'one device'}.",
            does,
            leaves,
            undo,
        ),
        label=verb.capitalize(),
        danger=verb != "enable",
        word=found["name"] if verb == "delete" else "",
        wide="This deletes 1 enrolment.",
        post=below(catalog, "enrolments", enrolment_id, verb),
        back=below(catalog, "enrolments", enrolment_id),
    )


def key_confirmation(name: str, catalog: str) -> Confirmation:
    """What deleting a service key does."""
    return Confirmation(
        title=f"Delete the service key {name}?",
        touches=touching(
            f"One service key of {catalog}.",
            "Every service that signs with it is refused from now on.",
            "Devices, and other keys.",
            "This cannot be undone; create another key instead.",
        ),
        label="Delete",
        danger=True,
        post=below(catalog, "service-keys", name, "delete"),
        back=f"{list_href(catalog)}#service-keys",
    )
