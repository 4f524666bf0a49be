# SPDX-License-Identifier: Apache-2.0
"""The device page: can I trust this one, and why? Pure: API answers in, a view model out.

The first line is the verdict; the mark's three rings repeat it. What is unknown, or too old, is never drawn as good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.console.device import pages_device_life as life
from armillary.console.device.pages_fleet import where
from armillary.console.frame.states import (
    APPLICATION,
    ATTENTION,
    BAD,
    EVENT,
    GOOD,
    HEALTH,
    OUTCOME,
    STEP,
    TIER_MEANING,
    UNKNOWN,
    VERDICT,
    State,
    state_of,
    tier_words,
)
from armillary.console.frame.words import (
    Moment,
    ShortId,
    counted,
    grouped,
    joined,
    moment,
    sentence,
    short_id,
    size,
    span,
)
from armillary.console.language.say import apart, known, say, say_count
from armillary.wire.attestation.mechanisms import WAITING
from armillary.wire.image.naming import image_label

# The trust tier of devices that a simulator plays: most send values only.
SIMULATED = "simulated"
_ONLY_UPDATES: Final = say("It holds a certificate that fetches updates and opens nothing else.")


@dataclass(frozen=True, slots=True)
class Ring:
    """One ring of the mark: what it stands for, its state, and a word for those who do not see it."""

    name: str
    kind: str
    word: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One named value; at most one of ``at`` and ``id`` replaces ``text``."""

    name: str
    text: str = ""
    at: Moment | None = None
    id: ShortId | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class StepLine:
    """One appraisal step of the last accepted check-in."""

    number: int
    name: str
    prevents: str
    result: State
    detail: str


@dataclass(frozen=True, slots=True)
class ComponentLine:
    """One measured boot component of the release that the device was matched to."""

    name: str
    digest: ShortId
    security_version: int
    size: str
    image: ShortId


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """One application the device said it has."""

    name: str
    state: State
    component: ShortId
    image: ShortId
    built: Moment | None
    size: str
    connections: str


@dataclass(frozen=True, slots=True)
class MechanismLine:
    """One containment mechanism on this host."""

    name: str
    state: State
    weaker: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first line, what stands under it, and the rings."""

    sentence: str
    detail: str
    kind: str
    rings: tuple[Ring, ...]


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One check-in, refusal or update outcome, newest first."""

    at: Moment
    state: State
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One error report."""

    event: State
    description: str
    count: str
    first: Moment | None
    last: Moment | None
    component: ShortId | None


def verdict(device: Mapping[str, Any], last: Mapping[str, Any] | None, now: int) -> Verdict:
    """Say in one sentence whether the device can be trusted now; ``last`` is its newest accepted check-in."""
    word = life.standing(device)
    says = {
        life.DECOMMISSIONED: life.decommissioned,
        life.HELD: life.held,
        "quarantined": life.quarantined,
        "attested": _attested,
        "update-only": _update_only,
        "unattested": _unattested,
        "silent": _silent,
        "refused": _refused,
        "revoked": _revoked,
        "never": _never,
        "simulated": _simulated,
    }.get(word, _other)
    text, detail = says(device, last, now)
    return Verdict(text, detail, state_of(HEALTH, word).kind, rings(device, last, now))


def rings(device: Mapping[str, Any], last: Mapping[str, Any] | None, now: int) -> tuple[Ring, ...]:
    """Boot, attestation, certificate: filled only by what is known and still true."""
    health = life.standing(device)
    current = health in ("attested", "update-only")
    if last is None or not current:
        boot = Ring(say("Boot"), UNKNOWN, say("not known"))
        attestation = Ring(say("Attestation"), UNKNOWN, say("not known"))
    elif health == "attested":
        boot = Ring(say("Boot"), GOOD, say("known good"))
        attestation = Ring(say("Attestation"), GOOD, say("every step that applies passed"))
    else:
        boot = Ring(say("Boot"), BAD, say("not accounted for"))
        attestation = Ring(say("Attestation"), ATTENTION, say("update only"))
    if health in ("refused", "revoked", "quarantined", life.HELD, life.DECOMMISSIONED):
        attestation = Ring(say("Attestation"), BAD, state_of(HEALTH, health).word)
    return (boot, attestation, _certificate_ring(device, last, now))


def _certificate_ring(device: Mapping[str, Any], last: Mapping[str, Any] | None, now: int) -> Ring:
    until = device["certificate_not_after"]
    if device["health"] == "revoked":
        return Ring(say("Certificate"), BAD, say("withdrawn"))
    if life.standing(device) in (life.HELD, "quarantined"):
        return Ring(say("Certificate"), BAD, say("on hold"))
    if until is None:
        return Ring(say("Certificate"), UNKNOWN, say("never issued"))
    if until <= now:
        return Ring(say("Certificate"), ATTENTION, say("ended {time} ago", time=span(now - until)))
    if last is not None and last["purpose"] != "client":
        return Ring(say("Certificate"), ATTENTION, say("update only, {time} left", time=span(until - now)))
    return Ring(say("Certificate"), GOOD, say("{time} left", time=span(until - now)))


def _other(device: Mapping[str, Any], _last: Mapping[str, Any] | None, _now: int) -> tuple[str, str]:
    said = say("State {word} is not known to this console.", word=repr(life.standing(device)))
    return said, say("Do not trust the device on this page's word.")


def _attested(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    running = [image for image in device["installed"] if image["state"] in ("running", "trial")]
    ill = [image["name"] for image in device["installed"] if image["state"] not in ("running", "trial")]
    text = say(
        "Attested {seen}, {tier}, running OS {os_version} and {applications}.",
        seen=_when(device["last_check_in_at"], now),
        tier=tier_words(device["trust_tier"]),
        os_version=device["os_version"] or say("of unknown version"),
        applications=counted(len(running), "application"),
    )
    detail = TIER_MEANING.get(device["trust_tier"], "")
    if ill:
        first = say_count(
            len(ill),
            "{names} is installed but not running",
            "{names} are installed but not running",
            names=joined(ill),
        )
        detail = apart([sentence(first), detail], " ")
    return text, detail


def _update_only(device: Mapping[str, Any], last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    failed = [step for step in (last or {}).get("steps", ()) if step["result"] == "fail"]
    when = _when(device["last_check_in_at"], now)
    if failed:
        first = failed[0]
        text = say(
            "Not trusted: {when} step {number} failed ({name}).",
            when=when,
            number=first["number"],
            name=known(first["name"]),
        )
        detail = sentence(first["detail"] or say("The service gave no detail"))
        return text, apart([detail, _ONLY_UPDATES], " ")
    return say("Not trusted: {when} its boot could not be accounted for.", when=when), _ONLY_UPDATES


def _unattested(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    names = [image["name"] for image in device["installed"]]
    has = (
        say("it says that it installed {names}", names=joined(names))
        if names
        else say("nothing was installed over the bridge yet")
    )
    text = say("Heard from {seen}, not attested: {has}.", seen=_when(device["last_check_in_at"], now), has=has)
    return text, TIER_MEANING.get(device["trust_tier"], "")


def _silent(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    at = device["last_check_in_at"]
    age = span(now - at) if at is not None else say("an unknown time")
    return (
        say("Silent for {age}: what it runs now is not known.", age=age),
        say("Everything below is from its last check-in. Check its power and network; it reports again by itself."),
    )


def _refused(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    when = _when(device["last_refused_at"], now)
    seen = moment(device["last_check_in_at"], now)
    before = say("It was last accepted {seen}.", seen=seen.relative) if seen else say("It was never accepted.")
    return say(
        "Refused {when}: {last_refusal}.", when=when, last_refusal=device["last_refusal"] or say("reason not recorded")
    ), before


def _revoked(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    return (
        say(
            "Revoked {at}: {revoked_reason}.",
            at=_when(device["revoked_at"], now),
            revoked_reason=device["revoked_reason"] or say("no reason was given"),
        ),
        say("Its identity is withdrawn: it gets no certificate and the hub does not let it in."),
    )


def _never(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    return (
        say("Never checked in: nothing is known about what it runs."),
        _unclaimed(
            device,
            say(
                "Enrolled {made}, {tier}.",
                made=_when(device["enrolled_at"], now),
                tier=tier_words(device["trust_tier"]),
            ),
        ),
    )


def _simulated(device: Mapping[str, Any], _last: Mapping[str, Any] | None, now: int) -> tuple[str, str]:
    return (
        say("Simulated: it sends values and attests nothing."),
        _unclaimed(
            device,
            say(
                "Created {made}. {meaning}",
                made=_when(device["enrolled_at"], now),
                meaning=TIER_MEANING[SIMULATED],
            ),
        ),
    )


def _when(at: int | None, now: int) -> str:
    found = moment(at, now)
    return found.relative if found else say("at an unknown time")


def _unclaimed(device: Mapping[str, Any], detail: str) -> str:
    """A detail, and that nobody owns the device where that is so."""
    if device["catalog"]:
        return detail
    return apart([detail, say("It belongs to no catalog yet: claim it first.")], " ")


def facts(device: Mapping[str, Any], now: int, *, connected: bool | None) -> tuple[Fact, ...]:
    """The named values beside the verdict."""
    hub = {True: say("connected"), False: say("not connected"), None: say("not known")}[connected]
    state = device["manufacturing_state"]
    came = life.came_from(device, now)
    return (
        Fact(say("Device id"), id=short_id(device["device_id"])),
        Fact(say("Belongs to"), where(device), note=device["catalog"] or ""),
        Fact(say("Chip"), f"{device['chip_sku']} ({device['chip']})"),
        Fact(say("Trust tier"), device["trust_tier"], note=say("set by the service at enrolment")),
        Fact(say("Last check-in"), say("never"), at=moment(device["last_check_in_at"], now)),
        Fact(say("Last attested"), say("never"), at=moment(device["last_attested_at"], now)),
        Fact(say("Certificate ends"), say("never issued"), at=moment(device["certificate_not_after"], now)),
        Fact(say("Boots counted"), grouped(device["boot_count"])),
        Fact(say("Hub"), hub),
        Fact(say("Manufacturing state"), state, note=life.MANUFACTURING.get(state, say("not known to this console"))),
        Fact(say("Enrolled"), at=moment(device["enrolled_at"], now)),
        Fact(say("Sandbox"), device["sandbox"] or say("not known"), note=enforcement_sentence(device, only_weak=True)),
        Fact(say("Last update"), say("none yet"), at=moment(device["last_update_at"], now)),
        *((Fact(say("Changed hands"), say("at an unknown time"), at=came[0], note=came[1]),) if came else ()),
    )


def steps(last: Mapping[str, Any] | None) -> tuple[StepLine, ...]:
    """The appraisal of the last accepted check-in, step by step."""
    if last is None:
        return ()
    return tuple(
        StepLine(
            step["number"], known(step["name"]), known(step["prevents"]), state_of(STEP, step["result"]), step["detail"]
        )
        for step in last["steps"]
    )


def components(device: Mapping[str, Any], releases: Sequence[Mapping[str, Any]]) -> tuple[ComponentLine, ...]:
    """Boot components of the release the last evidence was matched to; none when it matched no release."""
    matched = [
        release
        for release in releases
        if release["chip"] == device["chip"] and device["os_version"] and release["version"] == device["os_version"]
    ]
    if not matched:
        return ()
    return tuple(
        ComponentLine(
            part["name"],
            short_id(part["digest"]),
            part["security_version"],
            size(part["size"]),
            short_id(part["image_id"]),
        )
        for part in matched[-1]["components"]
    )


def without_steps(device: Mapping[str, Any]) -> tuple[str, str]:
    """What is said where there are no steps of an appraisal: beside the title, and in their place."""
    if life.standing(device) == "unattested":
        return say("it attests nothing"), say("There is nothing to appraise: what it says of itself is its word.")
    return (
        say("no check-in was appraised yet"),
        say("Nothing was proven yet. When the device checks in, each step appears here with what it prevents."),
    )


def applications(
    device: Mapping[str, Any], images: Mapping[str, Mapping[str, Any]], now: int
) -> tuple[ApplicationLine, ...]:
    """What is installed, as the device said at its last check-in, with what the catalog knows of each image.

    A state of a device that is no longer heard of is drawn as unknown, with the word it had.
    """
    current = life.standing(device) in ("attested", "update-only")
    lines = []
    for item in device["installed"]:
        image = images.get(item["image_id"])
        state = state_of(APPLICATION, item["state"])
        if life.standing(device) == "unattested":
            state = State(UNKNOWN, say("installed, by its own word"))
        elif not current:
            state = State(UNKNOWN, say("was {state}", state=state.word))
        hosts = list(image["allowed_connections"]) if image else []
        lines.append(
            ApplicationLine(
                image_label(item["name"], image["version"] if image else ""),
                state,
                short_id(item["component_id"]),
                short_id(item["image_id"]),
                moment(image["built_at"], now) if image else None,
                size(image["size"]) if image else say("not known"),
                joined(hosts) if hosts else (say("nothing") if image else say("not known")),
            )
        )
    return tuple(lines)


def mechanisms(device: Mapping[str, Any]) -> tuple[MechanismLine, ...]:
    """What contains applications on this host. Only the word ``enforced`` is good; anything else is a weakness."""
    lines = []
    for name, said in device["enforcement"]:
        word, _, why = said.partition(":")
        if said == "enforced":
            lines.append(MechanismLine(name, State(GOOD, say("enforced")), ""))
        elif word == "missing":
            lines.append(MechanismLine(name, State(ATTENTION, say("missing")), sentence(why)))
        else:
            lines.append(MechanismLine(name, State(UNKNOWN, word.strip() or say("not known")), sentence(why)))
    return tuple(lines)


def enforcement_sentence(device: Mapping[str, Any], *, only_weak: bool = False) -> str:
    """How much is enforced, and what is weaker: ``7 of 9 mechanisms enforced by linux ...; weaker here: nftables.``."""
    lines = mechanisms(device)
    if only_weak and all(line.state.kind == GOOD for line in lines):
        return ""
    if device["sandbox"] == WAITING:
        return say("No application runs until its sandbox holds; its reports say why.")
    if not lines:
        return say("The device has not yet said what contains its applications.")
    weak = [line.name for line in lines if line.state.kind != GOOD]
    host = device["sandbox"] or say("its host")
    text = say_count(
        len(lines),
        "{enforced} of {n} mechanism enforced by {host}, by its own self-test",
        "{enforced} of {n} mechanisms enforced by {host}, by its own self-test",
        enforced=len(lines) - len(weak),
        n=grouped(len(lines)),
        host=host,
    )
    return say("{text}; weaker here: {names}.", text=text, names=joined(weak)) if weak else sentence(text)


def history(
    check_ins: Sequence[Mapping[str, Any]],
    refusals: Sequence[Mapping[str, Any]],
    outcomes: Sequence[Mapping[str, Any]],
    now: int,
) -> tuple[HistoryLine, ...]:
    """Check-ins, refusals and update outcomes in one list, newest first; an image without a name by its id."""
    lines: list[HistoryLine] = []
    for item in check_ins:
        failed = [known(step["name"]) for step in item["steps"] if step["result"] == "fail"]
        detail = say("OS {os_version}", os_version=item["os_version"] or say("not known"))
        if failed:
            detail = say("failed: {names}", names=joined(failed))
        what = say("check-in, boot {boot_count}", boot_count=grouped(item["boot_count"]))
        _append(lines, item["at"], now, state_of(VERDICT, item["verdict"]), what, detail)
    for item in refusals:
        detail = item["message"]
        if item["count"] != 1:
            detail = say("{refusal} ({count} times)", refusal=detail, count=grouped(item["count"]))
        _append(lines, item["at"], now, State(BAD, say("refused")), item["code"], detail)
    for item in outcomes:
        what = say("update to {name}", name=item["name"] or short_id(item["image_id"]).short)
        _append(lines, item["at"], now, state_of(OUTCOME, item["outcome"]), what, item["reason"])
    return tuple(sorted(lines, key=lambda line: line.at.at, reverse=True))


def reports(items: Sequence[Mapping[str, Any]], now: int) -> tuple[ReportLine, ...]:
    """Error reports, newest first."""
    return tuple(
        ReportLine(
            state_of(EVENT, item["event_type"]),
            item["description"],
            f"{item['count']:,}",
            moment(item["start"], now),
            moment(item["end"], now),
            short_id(item["component_id"]) if item["component_id"] else None,
        )
        for item in items
    )


def _append(lines: list[HistoryLine], at: int, now: int, state: State, what: str, detail: str) -> None:
    if (when := moment(at, now)) is not None:
        lines.append(HistoryLine(when, state, what, detail))
