# SPDX-License-Identifier: Apache-2.0
"""A catalog's part of the settings page: offers of devices that wait, enrolment tokens, its attestation policy. Pure.

A token's secret is in no view model but :class:`NewEnrolment`, which is made once, from the answer that made the token.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame.confirmation import Action, Confirmation, touching
from armillary.console.frame.states import BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import (
    Called,
    Moment,
    ShortId,
    called,
    counted,
    grouped,
    moment,
    owner,
    sentence,
    short_id,
)
from armillary.console.language.say import apart, say
from armillary.errors import InvalidArgumentError

# A verb of an offer -> whose it is: the giver's (the catalog that offers) or the taker's.
VERBS: Final[Mapping[str, str]] = MappingProxyType({"accept": "taker", "decline": "taker", "cancel": "giver"})
_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {"accept": say("Accept"), "decline": say("Decline"), "cancel": say("Cancel")}
)
# What the form offers as a token's life; the API takes any up to 30 days.
LIFE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {"1 hour": say("1 hour"), "1 day": say("1 day"), "7 days": say("7 days"), "30 days": say("30 days")}
)
LIVES: Final[Mapping[str, int]] = MappingProxyType(
    {"1 hour": 3600, "1 day": 86400, "7 days": 7 * 86400, "30 days": 30 * 86400}
)
# Tokens that are over are kept by the API for good; a page shows the newest.
ENDED_LINES: Final = 10


@dataclass(frozen=True, slots=True)
class OfferLine:
    """One offer that waits, as one of its two catalogs sees it."""

    device: Called
    direction: str
    made: Moment | None
    made_by: str
    ends: Moment | None
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class EnrolmentLine:
    """One enrolment token; the secret is never part of it."""

    id: ShortId
    group: str
    chip: str
    state: State
    used: str
    ends: Moment | None
    made: Moment | None
    made_by: str
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class NewEnrolment:
    """A token at the only moment its secret is shown, and what to do with it."""

    catalog: str
    says: str
    secret: str = field(repr=False)


def place(catalog: str) -> str:
    """Address below which a catalog's forms are."""
    return f"/settings/catalogs/{quote(catalog, safe='')}"


def offer_line(
    transfer: Mapping[str, Any], catalog: str, names: Mapping[str, str], *, may_act: bool, now: int
) -> OfferLine:
    """One offer from or to ``catalog``, with what that catalog can do about it."""
    given = transfer["from_catalog"] == catalog
    verbs = [verb for verb, whose in VERBS.items() if whose == ("giver" if given else "taker")]
    here = f"{place(catalog)}/transfers/{transfer['transfer_id']}"
    return OfferLine(
        called(transfer["device_id"], names.get(transfer["device_id"], "")),
        say("to {to_catalog}", to_catalog=owner(transfer["to_catalog"]))
        if given
        else say("from {from_catalog}", from_catalog=owner(transfer["from_catalog"])),
        moment(transfer["created_at"], now),
        transfer["created_by"],
        moment(transfer["expires_at"], now),
        tuple(Action(_LABELS[verb], f"{here}/{verb}") for verb in verbs) if may_act else (),
    )


def waiting(transfers: Sequence[Mapping[str, Any]], catalog: str) -> int:
    """How many of these offers wait for this catalog's answer."""
    return sum(1 for transfer in transfers if transfer["from_catalog"] != catalog)


def waiting_sentence(count: int, *, more: bool = False) -> str:
    """What the page's first line adds: offers that somebody here has to answer; ``more``: not all were read."""
    if more and count:
        return say("{count} or more pending transfers.", count=grouped(count))
    return sentence(counted(count, "pending transfer")) if count else ""


def offers_sentence(transfers: Sequence[Mapping[str, Any]], catalog: str, *, is_part: bool = False) -> str:
    """How many wait, and for whom: ``1 offered to this catalog, 2 offered by it``; ``is_part``: of one page."""
    asked = waiting(transfers, catalog)
    given = len(transfers) - asked
    parts = [say("{devices} offered to this catalog", devices=counted(asked, "device"))] if asked else []
    if given:
        parts.append(
            say("{given} offered by it", given=grouped(given))
            if parts
            else say("{devices} offered by it", devices=counted(given, "device"))
        )
    says = apart(parts) or say("none pending")
    return say("{offers} on this page", offers=says) if is_part else says


def enrolment_state(token: Mapping[str, Any], now: int) -> State:
    """Whether the token still enrols a device."""
    if token["revoked_at"] is not None:
        return State(BAD, say("revoked"))
    if token["used"] >= token["uses"]:
        return State(UNKNOWN, say("spent"))
    if token["expires_at"] <= now:
        return State(UNKNOWN, say("expired"))
    return State(GOOD, say("valid"))


def enrolment_lines(
    tokens: Sequence[Mapping[str, Any]], catalog: str, *, may_act: bool, now: int
) -> tuple[EnrolmentLine, ...]:
    """Tokens newest first: every one that is good, and the newest of those that are over."""
    lines = []
    ended = 0
    for token in reversed(tokens):
        state = enrolment_state(token, now)
        ended += state.kind != GOOD
        if state.kind != GOOD and ended > ENDED_LINES:
            continue
        revoke = Action(say("Revoke"), f"{place(catalog)}/enrolment-tokens/{token['token_id']}/revoke")
        lines.append(
            EnrolmentLine(
                short_id(token["token_id"]),
                group_words(token),
                token["chip"] or say("any"),
                state,
                say("{used} of {uses}", used=grouped(token["used"]), uses=grouped(token["uses"])),
                moment(token["expires_at"], now),
                moment(token["created_at"], now),
                token["created_by"],
                (revoke,) if may_act and state.kind == GOOD else (),
            )
        )
    return tuple(lines)


def enrolment_sentence(tokens: Sequence[Mapping[str, Any]], now: int) -> str:
    """How many are good, and how many of the rest are not shown."""
    good = sum(1 for token in tokens if enrolment_state(token, now).kind == GOOD)
    hidden = len(tokens) - good - ENDED_LINES
    says = say("{tokens}, each lets an owner's device enrol itself", tokens=counted(good, "valid token"))
    if hidden > 0:
        older = grouped(hidden)
        return say("{says}; {older} older ones that are over: armillary enrolment-token list", says=says, older=older)
    return says


def group_words(token: Mapping[str, Any]) -> str:
    """``Coffee machine / Pilot``, or that its devices go to no group yet."""
    if not token["group"]:
        return say("a group that was deleted since")
    return say("no group yet") if token["group"].startswith(".") else f"{token['product']} / {token['group']}"


def group_choices(groups: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """(value, words) of the form's groups; the first is none. Names hold no slash."""
    return (
        ("", say("no group yet")),
        *((f"{group['product']}/{group['name']}", f"{group['product']} / {group['name']}") for group in groups),
    )


def wished(form: Mapping[str, str], groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A filled-in form in the API's words; what it leaves open is left out.

    Raises:
        InvalidArgumentError: a group that the catalog does not have, uses that are no number, or another life.
    """
    wish: dict[str, Any] = {}
    chosen = form.get("group", "")
    if chosen not in {value for value, _ in group_choices(groups)}:
        raise InvalidArgumentError(f"group: this catalog has no {chosen[:60]!r}", remedy="Choose one of the list.")
    if chosen:
        wish["product"], _, wish["group"] = chosen.partition("/")
    chip, uses, life = form.get("chip", "").strip(), form.get("uses", "").strip(), form.get("life", "")
    if chip:
        wish["chip"] = chip
    if not (uses.isascii() and uses.isdigit()) or len(uses) > len("10000"):
        raise InvalidArgumentError(f"devices: expected a number, got {uses[:20]!r}", remedy="Write 1 for one device.")
    wish["uses"] = int(uses)
    if life not in LIVES:
        raise InvalidArgumentError(
            f"life: expected one of {', '.join(LIVES)}, got {life[:20]!r}", remedy="Choose one of the list."
        )
    wish["lifetime_s"] = LIVES[life]
    return wish


def new_enrolment(made: Mapping[str, Any], now: int) -> NewEnrolment:
    """A token just made: ``token`` and ``secret`` of the API's answer."""
    token = made["token"]
    ends = moment(token["expires_at"], now)
    devices = counted(token["uses"], "device")
    if token["chip"]:
        devices = say("{devices} with the chip {chip}", devices=devices, chip=token["chip"])
    return NewEnrolment(
        token["catalog"],
        say(
            "It enrols {devices} into {catalog}, {group}, and ends {at}.",
            devices=devices,
            catalog=token["catalog"],
            group=group_words(token),
            at=ends.exact if ends else say("at an unknown time"),
        ),
        made["secret"],
    )


def policy_command(policy: Mapping[str, Any]) -> str:
    """The command that sets what holds now, to be edited; it is refused once another version holds."""
    words = ["armillary", "attestation-policy", "set", "--catalog", policy["catalog"]]
    words += ["--minimum-tier", policy["minimum_tier"]]
    for chip in policy["chips"]:
        words += ["--chip", chip]
    for image_type, version in policy["minimum_security_versions"].items():
        words += ["--minimum-security-version", f"{image_type}={version}"]
    if policy["older_releases_until"] is not None:
        until = datetime.fromtimestamp(policy["older_releases_until"], UTC)
        words += ["--older-releases-until", f"{until:%Y-%m-%dT%H:%M:%SZ}"]
    if policy["maximum_release_age_days"] is not None:
        words += ["--maximum-release-age", str(policy["maximum_release_age_days"])]
    if policy["firmware_log"]:
        words.append("--firmware-log")
    for name in policy["mechanisms"]:
        words += ["--mechanism", name]
    return shlex.join([*words, "--if-version", str(policy["version"])])


def transfer_confirmation(transfer: Mapping[str, Any], verb: str, catalog: str) -> Confirmation:
    """What a verb of :data:`VERBS` does, said by ``catalog``."""
    name = short_id(transfer["device_id"]).short
    giver, taker = owner(transfer["from_catalog"]), owner(transfer["to_catalog"])
    taken = say(
        "It belongs to {taker} from now on, in no device group; certificates of {giver} open nothing "
        "more and its connections are closed.",
        taker=taker,
        giver=giver,
    )
    title, does, leaves, undo = {
        "accept": (
            say("Accept device {name} from {giver}?", name=name, giver=giver),
            taken,
            say("What it has installed, its key and its history."),
            say("Only {taker} can offer it back, and {giver} has to accept.", taker=taker, giver=giver),
        ),
        "decline": (
            say("Decline device {name} from {giver}?", name=name, giver=giver),
            say("The offer ends."),
            say("The device: it stays with {giver}.", giver=giver),
            say("This cannot be undone; {giver} can offer it again.", giver=giver),
        ),
        "cancel": (
            say("Cancel the offer of device {name} to {taker}?", name=name, taker=taker),
            say("The offer ends; {taker} can accept it no more.", taker=taker),
            say("The device: it stays with {giver}.", giver=giver),
            say("Offer it again: armillary device transfer offer."),
        ),
    }[verb]
    return Confirmation(
        title=title,
        touches=touching(
            say(
                "One device of {giver}, offered to {taker} by {created_by}.",
                giver=giver,
                taker=taker,
                created_by=transfer["created_by"],
            ),
            does,
            leaves,
            undo,
        ),
        label=say("Cancel the offer") if verb == "cancel" else _LABELS[verb],
        danger=verb != "accept",
        post=f"{place(catalog)}/transfers/{transfer['transfer_id']}/{verb}",
        back=f"/settings#catalog-{catalog}",
    )


def enrolment_confirmation(token: Mapping[str, Any], catalog: str) -> Confirmation:
    """What revoking an enrolment token does."""
    left = counted(max(0, token["uses"] - token["used"]), "device")
    return Confirmation(
        title=say("Revoke the enrolment token {token_id}?", token_id=short_id(token["token_id"]).short),
        touches=touching(
            say(
                "One token of {catalog}, good for {left} more: {group_words}.",
                catalog=catalog,
                left=left,
                group_words=group_words(token),
            ),
            say("Whoever holds it enrols no device with it any more, from now on."),
            say("{devices} enrolled with it, and every other token.", devices=counted(token["used"], "device")),
            say("This cannot be undone; create a new token instead."),
        ),
        label=say("Revoke"),
        danger=True,
        post=f"{place(catalog)}/enrolment-tokens/{token['token_id']}/revoke",
        back=f"/settings#catalog-{catalog}",
    )
