# SPDX-License-Identifier: Apache-2.0
"""Actions: what waits for a person, what was done and to which devices; playbooks; the form of a new one. Pure.

An action says what it would touch before it does: the form leads to a page that asks with the counts of now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame.confirmation import WIDE_DEVICES, Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, filled, limits
from armillary.console.frame.sheet import SEEN_EVERY_S, Button, Cell, Section, Sheet, device, next_href, number, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, grouped, moment, sentence, short_id
from armillary.console.language.say import apart, say, say_count, shaped
from armillary.console.security.finding_words import kind_words
from armillary.console.security.pages_advisories import place as advisory_place

LIST: Final = "/actions"
# Column -> what the source sorts all pages by.
BY_SOURCE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Action": "kind",
        "State": "state",
        "Devices": "devices",
        "Done": "done",
        "Asked by": "asked_by",
        "When": "asked_at",
    }
)
NEW: Final = "/new-action"
# Verb of a button -> the change that one has to be allowed.
CHANGES: Final[Mapping[str, str]] = MappingProxyType(
    {"approve": "approve_action", "cancel": "cancel_action", "undo": "undo_action"}
)
# verb of a page that asks -> the word on its button.
VERBS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "approve": say("Approve"),
        "cancel": say("Cancel"),
        "undo": say("Undo"),
        "enable": say("Enable"),
        "disable": say("Disable"),
    }
)
STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "proposed": State(ATTENTION, say("proposed")),
        "waiting": State(ATTENTION, say("waits for a second person")),
        "running": State(UNKNOWN, say("running")),
        "paused": State(BAD, say("paused: too many devices")),
        "done": State(GOOD, say("done")),
        "cancelled": State(UNKNOWN, say("cancelled")),
        "expired": State(UNKNOWN, say("expired")),
        "undone": State(UNKNOWN, say("undone")),
        "failed": State(BAD, say("failed")),
    }
)
# In these it waits for a person; in these and while it runs it can be stopped.
DECIDING: Final = ("proposed", "waiting", "paused")
_UNDOABLE: Final = ("done", "failed", "cancelled", "expired")
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "halt": say("halt roll-outs"),
        "quarantine": say("quarantine devices"),
        "deploy-fix": say("deploy the fix to the affected devices"),
        "re-attest": say("ask devices to attest now"),
        "roll-back": say("roll back roll-outs"),
        "notify": say("tell the notification channels"),
        "revoke": say("revoke devices"),
    }
)
# What a form can aim at -> how it is named there.
TARGETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "finding": say("a finding, by its id"),
        "advisory": say("an advisory, by its id"),
        "image": say("an image, by its id"),
        "device_group": say("a device group, PRODUCT/GROUP"),
        "rollout": say("a roll-out, by its id"),
        "devices": say("devices, by their ids"),
    }
)
_LIFE_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {"": say("somebody's release"), "1 hour": say("1 hour"), "1 day": say("1 day"), "7 days": say("7 days")}
)
LIVES: Final[Mapping[str, int]] = MappingProxyType({"": 0, "1 hour": 3600, "1 day": 86_400, "7 days": 604_800})


def place(action_id: str, *more: str) -> str:
    """The address of an action, or of something done with it."""
    return "/".join([LIST, quote(action_id, safe=""), *more])


def new_href(target: str, value: str, kind: str = "") -> str:
    """The form of an action that is aimed at something."""
    given = {"target": target, "value": value, "kind": kind}
    return f"{NEW}?{urlencode({name: each for name, each in given.items() if each})}"


def list_sheet(
    page: Mapping[str, Any],
    playbooks: Mapping[str, Any],
    *,
    asked: str,
    may_make: bool,
    may_switch: bool,
    is_part: bool,
    now: int,
) -> Sheet:
    """A page of actions in a state, "living" or ("") in any; and the playbooks."""
    waiting = [each for each in page["items"] if each["state"] in DECIDING]
    links: list[tuple[str, str, bool]] = [
        (say("not ended"), f"{LIST}?state=living", asked == "living"),
        (say("all"), LIST, not asked),
    ]
    links += [(each.word, f"{LIST}?{urlencode({'state': word})}", word == asked) for word, each in STATES.items()]
    return Sheet(
        place=say("Actions"),
        title=say("Older actions.") if is_part else _list_sentence(page["items"], waiting, asked),
        detail=say("Each says what it would touch before it does, is in the audit log, and is undone where it can be."),
        links=tuple(links),
        buttons=(Button(label=say("New action"), href=NEW),) if may_make else (),
        notices=(("bad", say("A playbook cannot be read: {fault}", fault=playbooks["fault"])),)
        if playbooks["fault"]
        else (),
        sections=(
            Section(
                title=say("Actions"),
                note=say("newest first"),
                columns=(
                    say("Action"),
                    say("State"),
                    say("Devices"),
                    say("Done"),
                    say("Asked by"),
                    say("When"),
                    say("Why"),
                ),
                rows=[_row(each, now) for each in page["items"]],
                none=say("None."),
                next_href=next_href(LIST, page["next"], {"state": asked} if asked else {}),
                sorts=True,
            ),
            Section(
                title=say("Playbooks"),
                note=say("what is done or proposed about a finding by itself"),
                columns=(
                    say("Playbook"),
                    say("Used"),
                    say("About"),
                    say("From severity"),
                    say("Does"),
                    *((say("Action"),) if may_switch else ()),
                ),
                rows=[_playbook(each, may_switch=may_switch) for each in playbooks["items"]],
                none=say("None."),
            ),
        ),
        every_s=SEEN_EVERY_S,
        within="security",
    )


def action_sheet(
    found: Mapping[str, Any],
    devices: Mapping[str, Any],
    labels: Mapping[str, str],
    *,
    catalog: str,
    may: Mapping[str, bool],
    who: str,
    now: int,
) -> Sheet:
    """One action with a page of its ``devices``; ``may``: verb -> whether the operator ``who`` is allowed it."""
    here = place(found["action_id"])
    return Sheet(
        place=say("Actions"),
        heading=say("{kind} of {asked_by}", kind=found["kind"], asked_by=found["asked_by"]),
        title=sentence(
            say("{what}: {standing}", what=KINDS.get(found["kind"], found["kind"]), standing=_standing(found))
        ),
        detail=sentence(found["said"]) or say("It {does}.", does=found["does"]),
        crumbs=((say("Actions"), LIST), (found["kind"], "")),
        buttons=tuple(
            Button(label=VERBS[verb], href=f"{here}/{verb}", primary=verb == "approve", danger=verb != "approve")
            for verb in verbs_of(found, who)
            if may[verb]
        ),
        facts=_facts(found, catalog, now),
        sections=(
            Section(
                title=say("Devices"),
                note=say(
                    "{done} done, {skipped} skipped, {undone} undone of {devices}",
                    done=grouped(found["done"]),
                    skipped=grouped(found["skipped"]),
                    undone=grouped(found["undone"]),
                    devices=grouped(found["devices"]),
                ),
                columns=(say("Device"), say("Stands"), say("When"), say("Why skipped")),
                rows=[
                    (
                        device(each["device_id"], labels),
                        text(each["state"]),
                        Cell(at=moment(each["done_at"], now), text=say("not yet")),
                        text(each["said"] or say("it was not")),
                    )
                    for each in devices["items"]
                ],
                none=say("It touches no device."),
                next_href=next_href(here, devices["next"]),
            ),
            Section(
                title=say("Effects"),
                columns=(say("What"), say("Which")),
                rows=[
                    (text(name.replace("_", " ")), Cell(text=str(value), code=True))
                    for name, value in found["effects"].items()
                ],
                none=say("None besides these devices."),
            ),
        ),
        every_s=SEEN_EVERY_S if found["state"] in ("running", *DECIDING) else 0,
        within="security",
    )


def _facts(found: Mapping[str, Any], catalog: str, now: int) -> tuple[tuple[str, Cell], ...]:
    return (
        (say("State"), Cell(state=STATES.get(found["state"], State(UNKNOWN, found["state"])))),
        (say("Aimed at"), _target(found)),
        (say("Reason"), text(found["reason"] or say("none given"))),
        (
            say("Asked by"),
            text(
                found["asked_by"],
                reason=say("playbook {playbook}", playbook=found["playbook"]) if found["playbook"] else "",
            ),
        ),
        (say("Asked"), Cell(at=moment(found["asked_at"], now))),
        (say("Approved by"), text(found["approved_by"] or say("nobody"))),
        (
            say("Expires"),
            Cell(at=moment(found["expires_at"], now)) if found["state"] in DECIDING else text(say("no more")),
        ),
        (say("Catalog"), text(catalog or say("the whole service"))),
        (say("Undo"), text(say("possible") if found["can_be_undone"] else say("not possible"))),
        (say("Id"), Cell(ident=short_id(found["action_id"]))),
    )


def about_section(items: Sequence[Mapping[str, Any]], now: int) -> Section:
    """Actions about something, for its page."""
    return Section(
        title=say("Actions"),
        note=say("that were done or proposed about it"),
        columns=(say("Action"), say("State"), say("Devices"), say("Done"), say("Asked by"), say("When"), say("Why")),
        rows=[_row(each, now) for each in items],
        none=say("None."),
    )


def verbs_of(found: Mapping[str, Any], who: str) -> tuple[str, ...]:
    """What the operator ``who`` can do with an action as it stands; who asked for it cannot be its second person."""
    verbs = []
    is_own = found["state"] == "waiting" and found["asked_by"] == who
    if found["state"] in DECIDING and not is_own:
        verbs.append("approve")
    if found["state"] in (*DECIDING, "running"):
        verbs.append("cancel")
    if found["state"] in _UNDOABLE and found["can_be_undone"] and (found["done"] or found["effects"]):
        verbs.append("undo")
    return tuple(verbs)


def verb_confirmation(found: Mapping[str, Any], verb: str) -> Confirmation:
    """What approving, cancelling or undoing an action does."""
    left = found["devices"] - found["done"] - found["skipped"]
    wide = found["devices"] > WIDE_DEVICES
    says = {
        "approve": (
            say("{devices} that it has not touched yet.", devices=counted(left, "device")),
            say("It begins or goes on, and {does}.", does=found["does"]),
            say("Undo takes it back.") if found["can_be_undone"] else say("This cannot be undone."),
        ),
        "cancel": (
            say("{devices} that it has not touched yet.", devices=counted(left, "device")),
            say("It stops where it is; what it did stays."),
            say("Undo reverts what it did.") if found["can_be_undone"] else say("What it did cannot be undone."),
        ),
        "undo": (
            say("{devices} that it touched.", devices=counted(found["done"], "device")),
            say("What it did is reverted."),
            say("Do it again."),
        ),
    }[verb]
    touches, does, undo = says
    return Confirmation(
        title=say("{verb}: {what}?", verb=VERBS[verb], what=KINDS.get(found["kind"], found["kind"])),
        touches=touching(touches, does, say("Everything else."), undo),
        label=VERBS[verb],
        danger=verb != "cancel",
        word=verb if wide else "",
        wide=say("This affects {devices}.", devices=counted(found["devices"], "device")),
        post=place(found["action_id"], verb),
        back=place(found["action_id"]),
    )


def new_sheet(catalogs: Sequence[str], sent: Mapping[str, str], wrong: Wrong | None, *, whole: bool) -> Sheet:
    """The form of an action; ``whole``: who asks speaks for all catalogs."""
    owners = (*((("", say("the whole service")),) if whole else ()), *((each, each) for each in catalogs))
    fields = (
        Field(name="kind", label=say("What"), kind="select", choices=tuple(KINDS.items())),
        Field(name="target", label=say("Aimed at"), kind="select", choices=tuple(TARGETS.items())),
        Field(name="value", label=say("Which"), required=True, limits=limits(maxlength=2000)),
        Field(name="catalog", label=say("Catalog"), kind="select", choices=owners),
        Field(name="reason", label=say("Reason"), required=True, limits=limits(maxlength=200)),
        Field(
            name="ends",
            label=say("A quarantine ends after"),
            kind="select",
            choices=tuple(_LIFE_WORDS.items()),
        ),
    )
    return Sheet(
        place=say("Actions"),
        heading=say("New action"),
        title=say("What is to be done?"),
        detail=say("The next page says what it would touch now. To raise a floor: armillary action run raise-floor"),
        crumbs=((say("Actions"), LIST), (say("New"), "")),
        forms=(
            Form(
                post=NEW,
                label=say("Preview"),
                title=say("The action"),
                fields=filled(fields, sent) if sent else fields,
                error=wrong,
                primary=True,
            ),
        ),
        within="security",
    )


def preview_confirmation(found: Mapping[str, Any], sent: Mapping[str, str], labels: Mapping[str, str]) -> Confirmation:
    """The page that says what an action would do now, and asks; ``found`` is its preview."""
    devices = found["devices"]
    named = ", ".join(labels.get(each, each[:12]) for each in found["first"][:5])
    touches = [say("{devices} of {fleet}.", devices=counted(devices, "device"), fleet=grouped(found["fleet"]))]
    does = [say("It {does}.", does=found["does"]), *(sentence(each) for each in found["words"])]
    if named:
        touches.append(say("First: {named}.", named=named))
    if found["needs_second_person"]:
        does.append(say("A second person has to approve it."))
    wide = devices > WIDE_DEVICES
    return Confirmation(
        title=shaped(KINDS.get(found["kind"], found["kind"]), _asked),
        touches=touching(
            apart(touches, " "),
            apart(does, " "),
            say("Every other device."),
            sentence(say("cannot be undone: {undo}", undo=found["undo"]))
            if found["undo"]
            else say("Undo on the action's page."),
        ),
        label=say("Do it"),
        danger=True,
        word=found["kind"] if wide else "",
        wide=say("This affects {devices}.", devices=counted(devices, "device")),
        post=LIST,
        back=f"{NEW}?{urlencode({name: sent.get(name, '') for name in SENT})}",
        hidden=(*((name, sent.get(name, "")) for name in SENT), ("devices", str(devices))),
    )


def _asked(text: str) -> str:
    return f"{sentence(text).removesuffix('.')}?"


SENT: Final = ("kind", "target", "value", "catalog", "reason", "ends")


def _row(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    playbook = say("playbook {playbook}", playbook=each["playbook"]) if each["playbook"] else ""
    return (
        text(KINDS.get(each["kind"], each["kind"]), href=place(each["action_id"]), reason=each["reason"]),
        Cell(state=STATES.get(each["state"], State(UNKNOWN, each["state"]))),
        number(grouped(each["devices"])),
        number(grouped(each["done"])),
        text(each["asked_by"], reason=playbook),
        Cell(at=moment(each["asked_at"], now)),
        text(each["said"] or say("nothing more")),
    )


def _playbook(each: Mapping[str, Any], *, may_switch: bool) -> tuple[Cell, ...]:
    name = each["name"]
    used = State(GOOD, say("used")) if each["is_enabled"] else State(UNKNOWN, say("not used"))
    cells = (
        text(each["title"], reason=each["description"]),
        Cell(state=used, reason=say("as an operator said") if each["said_by_operator"] else say("as it is shipped")),
        text(apart([kind_words(kind) for kind in each["kinds"]])),
        text(each["severity"]),
        text(_steps(each)),
    )
    verb = "disable" if each["is_enabled"] else "enable"
    return (*cells, text(VERBS[verb], href=f"/playbooks/{quote(name, safe='')}/{verb}")) if may_switch else cells


def playbook_confirmation(each: Mapping[str, Any], verb: str) -> Confirmation:
    """What using a playbook, or using it no more, does."""
    does = (
        say("New findings are answered: {steps}.", steps=_steps(each))
        if verb == "enable"
        else say("It answers no finding any more.")
    )
    return Confirmation(
        title=say("{verb} the playbook {title}?", verb=VERBS[verb], title=each["title"]),
        touches=touching(
            say("Findings that come from now on."),
            does,
            say("Actions that were asked for before, and other playbooks."),
            say("Disable it.") if verb == "enable" else say("Enable it."),
        ),
        label=VERBS[verb],
        post=f"/playbooks/{quote(each['name'], safe='')}/{verb}",
        back=LIST,
        danger=verb == "enable" and any(step["is_automatic"] for step in each["steps"]),
    )


def _steps(playbook: Mapping[str, Any]) -> str:
    """``halt (by itself), quarantine (proposed)``."""
    words = {True: say("by itself"), False: say("proposed")}
    return apart(
        [say("{kind} ({how})", kind=step["kind"], how=words[step["is_automatic"]]) for step in playbook["steps"]]
    )


_TARGET_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "finding": say("finding"),
        "advisory": say("advisory"),
        "image": say("image"),
        "device_group": say("device group"),
        "rollout": say("roll-out"),
    }
)


def _target(found: Mapping[str, Any]) -> Cell:
    (name, value), *_ = found["target"].items()
    said = _TARGET_WORDS.get(name, name.replace("_", " "))
    match name:
        case "finding":
            return text(said, href=f"/findings/{value}")
        case "advisory":
            return text(str(value), href=advisory_place(str(value)), reason=said)
        case "rollout":
            return text(said, href=f"/updates/{value}")
        case "devices":
            return text(counted(len(value), "device"))
        case _:
            return text(str(value), reason=said)


def _standing(found: Mapping[str, Any]) -> str:
    word = STATES.get(found["state"], State(UNKNOWN, found["state"])).word
    if not found["devices"]:
        return word
    return say(
        "{word}, {done} of {devices} done",
        word=word,
        done=grouped(found["done"]),
        devices=counted(found["devices"], "device"),
    )


def _list_sentence(items: Sequence[Mapping[str, Any]], waiting: Sequence[Mapping[str, Any]], asked: str) -> str:
    if waiting:
        what = KINDS.get(waiting[0]["kind"], waiting[0]["kind"])
        return say_count(
            len(waiting),
            "{many} action waits for a person; the newest: {what}, asked for by {asked_by}.",
            "{many} actions wait for a person; the newest: {what}, asked for by {asked_by}.",
            many=grouped(len(waiting)),
            what=what,
            asked_by=waiting[0]["asked_by"],
        )
    if not items:
        return say("No action is like this.") if asked not in ("", "living") else say("No action waits for anybody.")
    return say("{actions}, none waits for a person.", actions=counted(len(items), "action"))
