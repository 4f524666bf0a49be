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
from armillary.console.language.say import apart, say
from armillary.wire.hub.credentials import is_attested_id
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS

# Words for :func:`standing` that are no health of the API.
HELD: Final = "held"
QUARANTINED: Final = "quarantined"  # as the API's health has it
DECOMMISSIONED: Final = "decommissioned"

# Verbs of buttons: each is the fleet's change of that name.
VERBS: Final = ("revoke", "restore", "release", "quarantine", "decommission", "offer")
_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "revoke": say("Revoke"),
        "restore": say("Restore"),
        "release": say("Release"),
        "quarantine": say("Quarantine"),
        "decommission": say("Decommission"),
        "offer": say("Offer"),
    }
)
# The question of a release that ends a quarantine.
_END_OF_QUARANTINE: Final = "end of quarantine"

# What a manufacturing state means to a person.
MANUFACTURING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Blank": say("open: takes test images and RF tools without a capability"),
        "Module1Complete": say("module finished, device not yet"),
        "DeviceComplete": say("finished: only a capability file opens development"),
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
    detail: str = say(
        "Neither gets a certificate that opens more than updates before an operator releases "
        "the device. Find your machine and take the other one off the network first; two that "
        "go on are held again."
    )
    if seen and device["health"] in ("silent", HELD):
        detail = apart([detail, say("Last heard {seen}.", seen=seen.relative)], " ")
    return say(
        "Held for {time}: a copy was found, two machines had its identity.", time=span(now - device["held_at"])
    ), detail


def quarantined(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    """First line and what stands under it, of a device in quarantine."""
    until = device["quarantined_until"]
    ends = say("until somebody releases it") if until is None else say("for another {time}", time=span(until - now))
    lasts = span(now - device["quarantined_at"])
    return (
        say(
            "In quarantine for {lasts}: {quarantine_reason}.",
            lasts=lasts,
            quarantine_reason=device["quarantine_reason"] or say("no reason was given"),
        ),
        say("It may check in and update, and nothing else, {ends}: armillary device release.", ends=ends),
    )


def decommissioned(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    """First line and what stands under it, of a device out of service."""
    at, until = moment(device["decommissioned_at"], now), device["reprovision_until"]
    back = say("It comes back only through an enrolment that an operator allows: armillary device allow-reprovision.")
    if until is not None and until > now:
        back = say("It may come back through an enrolment with its old key for another {time}.", time=span(until - now))
    when = at.relative if at else say("at an unknown time")
    return (
        say(
            "Out of service: decommissioned {when}, {revoked_reason}.",
            when=when,
            revoked_reason=device["revoked_reason"] or say("no reason was given"),
        ),
        say("Its identity is withdrawn and nobody owns it; its history stays. {back}", back=back),
    )


def offer(device: Mapping[str, Any], now: int) -> Offer | None:
    """The offer it stands under, or None."""
    found = device["transfer"]
    if found is None or found["state"] != "offered" or not found["from_catalog"]:
        return None
    taker = owner(found["to_catalog"])
    made = moment(found["created_at"], now)
    return Offer(
        say(
            "Offered to {taker} {made} by {created_by}; it can be accepted for another {time}. "
            "Nothing moves before {taker} accepts.",
            taker=taker,
            made=made.relative if made else "",
            created_by=found["created_by"],
            time=span(found["expires_at"] - now),
        ),
        f"/settings#catalog-{found['from_catalog']}",
    )


def came_from(device: Mapping[str, Any], now: int) -> tuple[Moment | None, str] | None:
    """When it changed hands and from whom, for a device that did; None for any other."""
    found = device["transfer"]
    if found is None or found["state"] != "accepted":
        return None
    return moment(found["settled_at"], now), say(
        "from {owner}, accepted by {settled_by}", owner=owner(found["from_catalog"]), settled_by=found["settled_by"]
    )


def actions(device: Mapping[str, Any], may: Mapping[str, bool], role: str, now: int) -> tuple[Action, ...]:
    """The buttons that make sense now, the most likely one first; ``may`` says which verbs the operator may use."""
    page = f"/devices/{device['device_id']}"
    state = standing(device)
    if device["revoked_at"] is not None:
        refused = say("it is out of service and comes back through an enrolment") if state == DECOMMISSIONED else ""
        shown = [("restore", _LABELS["restore"], False, refused)]
    else:
        shown = [("release", _LABELS["release"], True, "")] if state in (HELD, QUARANTINED) else []
        shown.append(("revoke", _LABELS["revoke"], True, ""))
        if device["catalog"]:
            refused = say("it is offered already") if offer(device, now) else ""
            shown.append(("offer", say("Give to another catalog"), False, refused))
            if state != QUARANTINED:
                shown.append(("quarantine", _LABELS["quarantine"], True, ""))
    if state != DECOMMISSIONED:
        shown.append(("decommission", _LABELS["decommission"], True, ""))
    return tuple(
        Action(
            label,
            f"{page}/{verb}",
            danger,
            refused if may[verb] else _refusals(role)[verb],
        )
        for verb, label, danger, refused in shown
    )


def _refusals(role: str) -> Mapping[str, str]:
    """Why somebody of a role may not use a verb."""
    return {
        "revoke": say("your role, {role}, may not revoke devices", role=role),
        "restore": say("your role, {role}, may not restore devices", role=role),
        "release": say("your role, {role}, may not release devices", role=role),
        "quarantine": say("your role, {role}, may not quarantine devices", role=role),
        "decommission": say("your role, {role}, may not decommission devices", role=role),
        "offer": say("your role, {role}, may not offer devices", role=role),
    }


class _Question(NamedTuple):
    """What a verb does, in sentences; ``danger`` and ``reason`` as in Confirmation."""

    title: str
    does: str
    leaves: str
    undo: str
    danger: bool = False
    reason: bool = False


def _questions(name: str, giver: str) -> Mapping[str, _Question]:
    """What each verb does to a device of a ``name``, which the catalog ``giver`` owns."""
    return {
        "revoke": _Question(
            say("Revoke device {name}?", name=name),
            say("Its certificate stops counting now, the hub lets it go, and no check-in is accepted."),
            say("What it has installed keeps running; its records stay."),
            say("Restore lets it check in again."),
            danger=True,
            reason=True,
        ),
        "restore": _Question(
            say("Restore device {name}?", name=name),
            say("It may check in again and must prove its boot as before."),
            say("It gets no certificate before it has proven itself."),
            say("Revoke withdraws it again."),
        ),
        "release": _Question(
            say("Release device {name}?", name=name),
            say("The next machine that proves this identity becomes the device; its boot count begins anew."),
            say("The copy, wherever it is: take it off the network first. Key, records and security versions stay."),
            say("This cannot be undone by hand. Two machines that go on are held again; Revoke shuts both out."),
            danger=True,
        ),
        "quarantine": _Question(
            say("Put device {name} into quarantine?", name=name),
            say("It gets certificates that let it check in and update, and nothing else; the hub lets it go now."),
            say("What it has installed keeps running, and it can be repaired; its records stay."),
            say("Release ends it, and so does time where armillary device quarantine names one."),
            danger=True,
            reason=True,
        ),
        "decommission": _Question(
            say("Take device {name} out of service?", name=name),
            say("It opens nothing from now on, its connections are closed, and nobody owns it any more."),
            say("Its records and findings stay. What it has installed keeps running until it is erased."),
            say("Not by a button: after armillary device allow-reprovision it enrols again with its old key."),
            danger=True,
            reason=True,
        ),
        "offer": _Question(
            say("Offer device {name} of {giver} to another catalog?", name=name, giver=giver),
            say("The other catalog can accept it within a week; then it is its own, in no device group."),
            say("The device: it stays with {giver} and works as before until somebody accepts.", giver=giver),
            say("Cancel the offer on the settings page, as long as nobody has accepted it."),
        ),
        _END_OF_QUARANTINE: _Question(
            say("Release device {name} from quarantine?", name=name),
            say("It proves itself at its next check-in, and gets a certificate that opens the hub again."),
            say("Everything else of it."),
            say("Quarantine keeps it apart again."),
        ),
    }


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
    questions = _questions(_spoken(device), device["catalog"] or say("nobody"))
    asked = questions[_END_OF_QUARANTINE if is_quarantined else verb]
    page = f"/devices/{device['device_id']}"
    choice = ""
    if verb == "offer":
        choice = say("To the catalog with the id") if catalogs is None else say("To")
        if catalogs == ():
            choice = say("To: this service has no other catalog")
    return Confirmation(
        title=asked.title,
        touches=touching(say("One device, {where}.", where=where(device)), asked.does, asked.leaves, asked.undo),
        label=_LABELS[verb],
        danger=asked.danger,
        post=f"{page}/{verb}",
        back=page,
        reason=asked.reason,
        choice=choice,
        choices=catalogs,
    )


def name_form(device_id: str, name: str, *, is_named: bool) -> Form:
    """The form of a device's name."""
    nameless = say("its product and id") if is_attested_id(device_id) else say("its id")
    return Form(
        title=say("Name"),
        post=place(device_id, "name"),
        label=say("Save"),
        fields=(
            Field(
                name="name",
                label=say("Name"),
                value=name if is_named else "",
                hint=say("People find it by this. Empty: it is called by {nameless}.", nameless=nameless),
                limits=limits(maxlength=MAX_NAME_CHARACTERS, placeholder=name),
            ),
        ),
    )
