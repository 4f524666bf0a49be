# SPDX-License-Identifier: Apache-2.0
"""A device that is held, out of service, on offer or transferred: how a page says it, and what people can do. Pure.

Held because of a copy, out of service, on offer, come from another owner: API answers in, sentences, buttons and
confirmations out.

That a device is held or out of service comes before anything of its check-ins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from armillary.console.device.pages_device_data import place
from armillary.console.device.pages_fleet import where
from armillary.console.frame.confirmation import Action, Confirmation, touching
from armillary.console.frame.form import Field, Form, limits
from armillary.console.frame.words import Moment, moment, owner, short_id, span
from armillary.wire.hub.credentials import is_attested_id
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS

# Words for :func:`standing` that are no health of the API.
HELD: Final = "held"
QUARANTINED: Final = "quarantined"  # as the API's health has it
DECOMMISSIONED: Final = "decommissioned"

# Verbs of buttons: each is the fleet's change of that name.
VERBS: Final = ("revoke", "restore", "release", "quarantine", "decommission", "offer")

# What a manufacturing state means to a person.
MANUFACTURING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Blank": "open: takes test images and RF tools without a capability",
        "Module1Complete": "module finished, device not yet",
        "DeviceComplete": "finished: only a capability file opens development",
    }
)


@dataclass(frozen=True, slots=True)
class Offer:
    """The offer a device stands under, and where its offers are answered or taken back."""

    sentence: str
    href: str


def standing(device: Mapping[str, Any]) -> str:
    """The word that decides the first line: out of service, revoked, held, else the API's health."""
    if device["decommissioned_at"] is not None:
        return DECOMMISSIONED
    if device["held_at"] is not None and device["revoked_at"] is None:
        return HELD
    health: str = device["health"]
    return health


def held(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    """First line and what stands under it, of a device with a copy."""
    seen = moment(device["last_check_in_at"], now)
    detail = (
        "Neither gets a certificate that opens more than updates before an operator releases the device. Find your "
        "machine and take the other one off the network first; two that go on are held again."
    )
    if seen and device["health"] in ("silent", HELD):
        detail += f" Last heard {seen.relative}."
    return f"Held for {span(now - device['held_at'])}: a copy was found, two machines had its identity.", detail


def quarantined(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    """First line and what stands under it, of a device in quarantine."""
    until = device["quarantined_until"]
    ends = "until somebody releases it" if until is None else f"for another {span(until - now)}"
    lasts = span(now - device["quarantined_at"])
    return (
        f"In quarantine for {lasts}: {device['quarantine_reason'] or 'no reason was given'}.",
        f"It may check in and update, and nothing else, {ends}: armillary device release.",
    )


def decommissioned(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    """First line and what stands under it, of a device out of service."""
    at, until = moment(device["decommissioned_at"], now), device["reprovision_until"]
    back = "It comes back only through an enrolment that an operator allows: armillary device allow-reprovision."
    if until is not None and until > now:
        back = f"It may come back through an enrolment with its old key for another {span(until - now)}."
    when = at.relative if at else "at an unknown time"
    return (
        f"Out of service: decommissioned {when}, {device['revoked_reason'] or 'no reason was given'}.",
        f"Its identity is withdrawn and nobody owns it; its history stays. {back}",
    )


def offer(device: Mapping[str, Any], now: int) -> Offer | None:
    """The offer it stands under, or None."""
    found = device["transfer"]
    if found is None or found["state"] != "offered" or not found["from_catalog"]:
        return None
    taker = owner(found["to_catalog"])
    made = moment(found["created_at"], now)
    return Offer(
        f"Offered to {taker} {made.relative if made else ''} by {found['created_by']}; it can be accepted for another "
        f"{span(found['expires_at'] - now)}. Nothing moves before {taker} accepts.",
        f"/settings#catalog-{found['from_catalog']}",
    )


def came_from(device: Mapping[str, Any], now: int) -> tuple[Moment | None, str] | None:
    """When it changed hands and from whom, for a device that did; None for any other."""
    found = device["transfer"]
    if found is None or found["state"] != "accepted":
        return None
    return moment(found["settled_at"], now), f"from {owner(found['from_catalog'])}, accepted by {found['settled_by']}"


def actions(device: Mapping[str, Any], may: Mapping[str, bool], role: str, now: int) -> tuple[Action, ...]:
    """The buttons that make sense now, the most likely one first; ``may`` says which verbs the operator may use."""
    page = f"/devices/{device['device_id']}"
    state = standing(device)
    if device["revoked_at"] is not None:
        refused = "it is out of service and comes back through an enrolment" if state == DECOMMISSIONED else ""
        shown = [("restore", "Restore", False, refused)]
    else:
        shown = [("release", "Release", True, "")] if state in (HELD, QUARANTINED) else []
        shown.append(("revoke", "Revoke", True, ""))
        if device["catalog"]:
            refused = "it is offered already" if offer(device, now) else ""
            shown.append(("offer", "Give to another catalog", False, refused))
            if state != QUARANTINED:
                shown.append(("quarantine", "Quarantine", True, ""))
    if state != DECOMMISSIONED:
        shown.append(("decommission", "Decommission", True, ""))
    return tuple(
        Action(
            label,
            f"{page}/{verb}",
            danger,
            refused if may[verb] else f"your role, {role}, may not {verb} devices",
        )
        for verb, label, danger, refused in shown
    )


class _Question(NamedTuple):
    """What a verb does, in sentences with ``{name}`` and ``{giver}``; ``danger`` and ``reason`` as in Confirmation."""

    title: str
    does: str
    leaves: str
    undo: str
    danger: bool = False
    reason: bool = False


_QUESTIONS: Final[Mapping[str, _Question]] = MappingProxyType(
    {
        "revoke": _Question(
            "Revoke device {name}?",
            "Its certificate stops counting now, the hub lets it go, and no check-in is accepted.",
            "What it has installed keeps running; its records stay.",
            "Restore lets it check in again.",
            danger=True,
            reason=True,
        ),
        "restore": _Question(
            "Restore device {name}?",
            "It may check in again and must prove its boot as before.",
            "It gets no certificate before it has proven itself.",
            "Revoke withdraws it again.",
        ),
        "release": _Question(
            "Release device {name}?",
            "The next machine that proves this identity becomes the device; its boot count begins anew.",
            "The copy, wherever it is: take it off the network first. Key, records and security versions stay.",
            "This cannot be undone by hand. Two machines that go on are held again; Revoke shuts both out.",
            danger=True,
        ),
        "quarantine": _Question(
            "Put device {name} into quarantine?",
            "It gets certificates that let it check in and update, and nothing else; the hub lets it go now.",
            "What it has installed keeps running, and it can be repaired; its records stay.",
            "Release ends it, and so does time where armillary device quarantine names one.",
            danger=True,
            reason=True,
        ),
        "decommission": _Question(
            "Take device {name} out of service?",
            "It opens nothing from now on, its connections are closed, and nobody owns it any more.",
            "Its records and findings stay. What it has installed keeps running until it is erased.",
            "Not by a button: after armillary device allow-reprovision it enrols again with its old key.",
            danger=True,
            reason=True,
        ),
        "offer": _Question(
            "Offer device {name} of {giver} to another catalog?",
            "The other catalog can accept it within a week; then it is its own, in no device group.",
            "The device: it stays with {giver} and works as before until somebody accepts.",
            "Cancel the offer on the settings page, as long as nobody has accepted it.",
        ),
    }
)


_END_OF_QUARANTINE: Final = _Question(
    "Release device {name} from quarantine?",
    "It proves itself at its next check-in, and gets a certificate that opens the hub again.",
    "Everything else of it.",
    "Quarantine keeps it apart again.",
)


def _spoken(device: Mapping[str, Any]) -> str:
    """A device in a question: its name and the start of its id, so that two of one name differ."""
    shown = short_id(device["device_id"]).short
    return f"{device['name']} ({shown})" if device["is_named"] else shown


def confirmation(
    device: Mapping[str, Any], verb: str, catalogs: tuple[tuple[str, str], ...] | None = None
) -> Confirmation:
    """What a verb of :data:`VERBS` does to a device.

    ``catalogs``: id and name of those that it can be offered to; None where the operator has to know the id.
    """
    is_quarantined = verb == "release" and standing(device) == QUARANTINED
    asked = _END_OF_QUARANTINE if is_quarantined else _QUESTIONS[verb]
    page = f"/devices/{device['device_id']}"
    names = {"name": _spoken(device), "giver": device["catalog"] or "nobody"}
    choice = ""
    if verb == "offer":
        choice = "To the catalog with the id" if catalogs is None else "To"
        if catalogs == ():
            choice = "To: this service has no other catalog"
    return Confirmation(
        title=asked.title.format_map(names),
        touches=touching(
            f"One device, {where(device)}.",
            asked.does.format_map(names),
            asked.leaves.format_map(names),
            asked.undo.format_map(names),
        ),
        label=verb.capitalize(),
        danger=asked.danger,
        post=f"{page}/{verb}",
        back=page,
        reason=asked.reason,
        choice=choice,
        choices=catalogs,
    )


def name_form(device_id: str, name: str, *, is_named: bool) -> Form:
    """The form of a device's name."""
    nameless = "its product and id" if is_attested_id(device_id) else "its id"
    return Form(
        title="Name",
        post=place(device_id, "name"),
        label="Save",
        fields=(
            Field(
                name="name",
                label="Name",
                value=name if is_named else "",
                hint=f"People find it by this. Empty: it is called by {nameless}.",
                limits=limits(maxlength=MAX_NAME_CHARACTERS, placeholder=name),
            ),
        ),
    )
