# SPDX-License-Identifier: Apache-2.0
"""The updates pages: what is rolling out, how is it going, how do I stop it? Pure: API answers in, view models out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from armillary.console.frame.confirmation import WIDE_DEVICES, Action, Confirmation, touching
from armillary.console.frame.states import ATTENTION, BAD, GOOD, ROLLOUT, ROLLOUT_DEVICE, State, state_of
from armillary.console.frame.words import (
    Called,
    Moment,
    Share,
    ShortId,
    called,
    counted,
    grouped,
    joined,
    moment,
    percent,
    sentence,
    shares,
    short_id,
    span,
)
from armillary.console.language.say import say
from armillary.console.operations.rollout_words import groups_of, name_of, rollout_sentence, whole_of
from armillary.rollout.state import TRANSITIONS
from armillary.rollout.tally import FAILED, LEFT
from armillary.wire.image.naming import label_of

# Where a roll-out is prepared (``console/new_rollout``).
NEW: Final = "/new-rollout"
# Order of the parts of a bar: what is done, what moves, what went wrong, what has not begun.
PARTS = ("confirmed", "restored", "offered", "started", "reverted", "failed", "timed-out", "left", "waiting")


@dataclass(frozen=True, slots=True)
class ActionWords:
    """How one action is offered, explained and confirmed."""

    label: str
    does: str
    leaves: str
    undo: str
    danger: bool


# action -> the event it is in the roll-out's state table, which decides when it is possible.
EVENTS: Mapping[str, str] = MappingProxyType(
    {"approve": "approve", "halt": "hold", "resume": "resume", "roll-back": "roll-back"}
)

# Buttons stand in this order, in the same place, on every roll-out; what is not allowed now is shown as disabled. Only
# Approve is there while it is needed alone.
ACTIONS: Mapping[str, ActionWords] = MappingProxyType(
    {
        "approve": ActionWords(
            say("Approve"),
            say("The roll-out begins with its first cohort."),
            say("Nobody has been offered anything so far."),
            say("Halt stops it again."),
            False,
        ),
        "halt": ActionWords(
            say("Halt"),
            say("No further device is offered this deployment."),
            say("Devices that are installing now finish; nothing is reverted."),
            say("Resume continues where it stopped."),
            True,
        ),
        "resume": ActionWords(
            say("Resume"),
            say("Devices are offered this deployment again, cohort by cohort, under the same gates."),
            say("Devices already updated are not touched."),
            say("Halt stops it again."),
            False,
        ),
        "roll-back": ActionWords(
            say("Roll back"),
            say("Every device that got this deployment is offered what it had before."),
            say("Devices that never got it are not touched."),
            say("This cannot be resumed; a new roll-out can bring the deployment back."),
            True,
        ),
    }
)
# event of a roll-out's history -> what a person calls it.
HAPPENED: Mapping[str, str] = MappingProxyType(
    {
        "approve": say("approved"),
        "hold": say("halted"),
        "resume": say("resumed"),
        "roll-back": say("roll-back begun"),
        "restored": say("rolled back"),
        "finish": say("completed"),
        "cancel": say("cancelled"),
    }
)


@dataclass(frozen=True, slots=True)
class RolloutLine:
    """One row of the list."""

    href: str
    name: str
    group: str
    state: State
    bar: tuple[Share, ...]
    done: str
    devices: str
    failed: str
    cohort: str
    created: Moment | None
    changed: Moment | None
    reason: str


@dataclass(frozen=True, slots=True)
class CohortLine:
    """One cohort: its share of the group, its devices, and where they stand."""

    number: int
    reach: str
    devices: str
    state: State
    bar: tuple[Share, ...]
    done: str
    failed: str


@dataclass(frozen=True, slots=True)
class RolloutPage:
    """One roll-out."""

    id: ShortId
    sentence: str
    detail: str
    state: State
    bar: tuple[Share, ...]
    cohorts: tuple[CohortLine, ...]
    gates: tuple[str, ...]
    images: tuple[str, ...]
    actions: tuple[Action, ...]
    group: str
    deployment: ShortId | None
    release: ShortId | None
    previous: ShortId | None
    created: Moment | None
    created_by: str
    changed: Moment | None
    events: tuple[EventLine, ...]


@dataclass(frozen=True, slots=True)
class EventLine:
    """One thing that happened to a roll-out: stays whatever became of it."""

    at: Moment | None
    actor: str
    what: str
    reason: str
    finding: str


@dataclass(frozen=True, slots=True)
class TroubleLine:
    """One device that did not take the deployment."""

    device: Called
    cohort: int
    state: State
    at: Moment | None
    reason: str


def new_href(target: str = "", images: Sequence[str] = ()) -> str:
    """Where a roll-out is prepared for a device group (``CATALOG/PRODUCT/GROUP``), with images chosen."""
    query = {"target": target, "images": ",".join(images)}
    kept = {name: value for name, value in query.items() if value}
    return NEW + (f"?{urlencode(kept)}" if kept else "")


def rollout_line(rollout: Mapping[str, Any], now: int) -> RolloutLine:
    """One row of the list."""
    counts, failed = rollout["counts"], rollout["failed"]
    whole = whole_of(counts)
    steps = len(rollout["policy"]["cohorts"]) + len(rollout["policy"]["rings"])
    cohort = rollout["cohort"] + 1
    return RolloutLine(
        href=f"/updates/{rollout['rollout_id']}",
        name=name_of(rollout),
        group=groups_of(rollout),
        state=rollout_state(rollout),
        bar=_bar(counts, failed),
        done=percent(counts.get("confirmed", 0), whole),
        devices=grouped(whole),
        failed=grouped(failed) if failed else say("none"),
        cohort=say("{cohort} of {steps}", cohort=cohort, steps=steps)
        if cohort
        else say("none of {steps}", steps=steps),
        created=moment(rollout["created_at"], now),
        changed=moment(rollout["changed_at"], now),
        reason=rollout["reason"],
    )


def rollout_page(rollout: Mapping[str, Any], *, may_act: bool, role: str, now: int, who: str = "") -> RolloutPage:
    """One roll-out in full; ``role`` is said where ``who`` may not act.

    ``cohorts`` of the API's roll-out hold ``name``, ``counts`` and ``failed``; what happened by a finding has its
    ``finding_status``.
    """
    state = rollout_state(rollout)
    changed = moment(rollout["changed_at"], now)
    return RolloutPage(
        id=short_id(rollout["rollout_id"]),
        sentence=rollout_sentence(rollout),
        detail=sentence(rollout["reason"]),
        state=state,
        bar=_bar(rollout["counts"], rollout["failed"]),
        cohorts=tuple(_cohort(rollout, index, cohort) for index, cohort in enumerate(rollout["cohorts"])),
        gates=gates(rollout["policy"]),
        images=tuple(label_of(image) for image in rollout.get("images", ())),
        actions=actions(rollout, may_act=may_act, role=role, who=who),
        group=groups_of(rollout),
        deployment=short_id(rollout["deployment_id"]) if rollout["deployment_id"] else None,
        release=short_id(rollout["release_id"]) if rollout.get("release_id") else None,
        previous=short_id(rollout["previous_deployment_id"]) if rollout["previous_deployment_id"] else None,
        created=moment(rollout["created_at"], now),
        created_by=rollout["created_by"],
        changed=changed,
        events=tuple(
            EventLine(
                moment(event["at"], now),
                event["actor"],
                HAPPENED.get(event["event"], event["event"]),
                sentence(event["reason"]),
                # where the list of that status has its line
                f"/findings?status={event['finding_status']}#f-{event['finding_id']}" if event["finding_id"] else "",
            )
            for event in rollout["history"]
        ),
    )


def rollout_state(rollout: Mapping[str, Any]) -> State:
    """How the roll-out is drawn: one in which devices failed is not good, nor one that runs and says why it waits."""
    state = state_of(ROLLOUT, rollout["state"])
    if rollout["failed"] and state.kind == GOOD:
        return State(ATTENTION, say("{state}, with failures", state=state.word))
    waits = rollout["state"] == "running" and rollout["reason"]
    return State(ATTENTION, say("{state}, starts nobody yet", state=state.word)) if waits else state


def actions(rollout: Mapping[str, Any], *, may_act: bool, role: str, who: str = "") -> tuple[Action, ...]:
    """Halt, Resume, Roll back: always three, always in this order; a button that cannot act says why."""
    possible = TRANSITIONS.get(rollout["state"], {})
    made = []
    for verb, words in ACTIONS.items():
        if verb == "approve" and rollout["state"] != "proposed":
            continue
        refused = ""
        if not may_act:
            refused = say("your role, {role}, may not change roll-outs", role=role)
        elif verb == "approve" and who.casefold() == rollout["created_by"].casefold():
            refused = say("you made it; a second person approves it")
        elif EVENTS[verb] not in possible:
            refused = say("the roll-out is {state}", state=state_of(ROLLOUT, rollout["state"]).word)
        made.append(Action(words.label, f"/updates/{rollout['rollout_id']}/{verb}", words.danger, refused))
    return tuple(made)


def confirmation(rollout: Mapping[str, Any], verb: str) -> Confirmation:
    """What ``verb`` touches on this roll-out; asks for the word when it is wide.

    Halt never asks: it is the safe direction, and seconds count.

    Raises:
        KeyError: ``verb`` is no action.
    """
    words = ACTIONS[verb]
    counts = rollout["counts"]
    reached = sum(count for state, count in counts.items() if state not in ("waiting", LEFT))
    touched = {
        "approve": counts.get("waiting", 0),
        "halt": counts.get("waiting", 0) + counts.get("started", 0),
        "resume": counts.get("waiting", 0) + counts.get("started", 0),
        "roll-back": reached,
    }[verb]
    says = {
        "approve": say("{devices} may be offered the update, cohort by cohort", devices=counted(touched, "device")),
        "halt": say("{devices} not yet offered the update stay on what they have", devices=counted(touched, "device")),
        "resume": say("{devices} still to go may be offered the update", devices=counted(touched, "device")),
        "roll-back": say(
            "{devices} reached so far are offered the deployment before", devices=counted(touched, "device")
        ),
    }[verb]
    return Confirmation(
        title=say("{action} {name} on {group}?", action=words.label, name=name_of(rollout), group=groups_of(rollout)),
        touches=touching(sentence(says), words.does, words.leaves, words.undo),
        label=words.label,
        danger=words.danger,
        word=verb if touched > WIDE_DEVICES and verb != "halt" else "",
        wide=say("This affects {devices}.", devices=counted(touched, "device")),
        post=f"/updates/{rollout['rollout_id']}/{verb}",
        back=f"/updates/{rollout['rollout_id']}",
        reason=True,
    )


def gates(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """The policy's numbers as sentences."""
    soak, least = span(policy["soak_s"]), counted(policy["min_failures"], "failure")
    says = [
        say(
            "The next cohort starts when {success_percent} % of the newest is confirmed, and is so for {soak}.",
            success_percent=policy["success_percent"],
            soak=soak,
        ),
        say(
            "It halts by itself at {least} or more, when over {failure_percent} % of finished devices failed.",
            least=least,
            failure_percent=policy["failure_percent"],
        ),
        say(
            "A device that has not confirmed {timeout_s} after it may begin counts as failed.",
            timeout_s=span(policy["timeout_s"]),
        ),
    ]
    says += [
        say(
            "{name} goes before the percentages: all devices of {groups}.",
            name=ring["name"],
            groups=joined(ring["groups"]),
        )
        for ring in policy["rings"]
        if ring["groups"]
    ]
    if policy["hold_on_severity"]:
        named = counted(policy["min_failures"], "different device")
        floor = say("severity {hold_on_severity} or above", hold_on_severity=policy["hold_on_severity"])
        says.append(
            say(
                "An open finding of {floor} that names {named} of it (all, while fewer have started) halts it.",
                floor=floor,
                named=named,
            )
        )
    if policy["false_hold_percent"]:
        says.append(say("It halts when devices fail more often than with the release before."))
    if policy["lease_s"]:
        says.append(
            say(
                "What a device was offered it may install for {lease_s}; then it asks again.",
                lease_s=span(policy["lease_s"]),
            )
        )
    if policy["roll_back_on_hold"]:
        says.append(say("When it halts by itself it also rolls back."))
    return tuple(says)


def troubles(items: Sequence[Mapping[str, Any]], names: Mapping[str, str], now: int) -> tuple[TroubleLine, ...]:
    """Devices of a roll-out that failed, with why."""
    return tuple(
        TroubleLine(
            called(item["device_id"], names.get(item["device_id"], "")),
            item["cohort"] + 1,
            _trouble(item),
            moment(item["finished_at"] or item["started_at"], now),
            item["reason"],
        )
        for item in items
        if item["failure"]
    )


def _trouble(item: Mapping[str, Any]) -> State:
    failure = state_of(ROLLOUT_DEVICE, item["failure"])
    return (
        State(failure.kind, say("{failure}, then rolled back", failure=failure.word))
        if item["state"] == "restored"
        else failure
    )


def _cohort(rollout: Mapping[str, Any], index: int, cohort: Mapping[str, Any]) -> CohortLine:
    counts, failed = cohort["counts"], cohort["failed"]
    whole = sum(counts.values())
    if index > rollout["cohort"]:  # how many devices the groups of a ring have is not known before
        state = State("unknown", say("not started"))
    elif not whole:
        state = State("unknown", say("no device"))
    elif failed:
        state = State("attention", say("with failures"))
    elif counts.get("confirmed", 0) == whole:
        state = State("good", say("done"))
    elif counts.get("restored", 0) == whole:
        state = State("attention", say("rolled back"))
    else:
        state = State("unknown", say("running"))
    return CohortLine(
        number=index + 1,
        reach=cohort["name"].replace("%", " %"),
        devices=grouped(whole),
        state=state,
        bar=_bar(counts, failed),
        done=percent(counts.get("confirmed", 0), whole),
        failed=grouped(failed) if failed else say("none"),
    )


def _bar(counts: Mapping[str, int], failed: int) -> tuple[Share, ...]:
    """The parts of a bar; devices that failed and were restored are a part of their own."""
    back = min(counts.get("restored", 0), failed - sum(counts.get(word, 0) for word in FAILED))
    counts = {**counts, "restored": counts.get("restored", 0) - back}
    known = [(state_of(ROLLOUT_DEVICE, word), counts.get(word, 0)) for word in PARTS]
    known.insert(2, (State(BAD, say("failed, rolled back")), back))
    known += [(state_of(ROLLOUT_DEVICE, word), count) for word, count in counts.items() if word not in PARTS]
    return shares([(state.word, state.kind, count) for state, count in known if count])
