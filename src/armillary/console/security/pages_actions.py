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
from armillary.console.security.pages_advisories import place as advisory_place

LIST: Final = "/actions"
NEW: Final = "/new-action"
# Verb of a button -> the change that one has to be allowed.
CHANGES: Final[Mapping[str, str]] = MappingProxyType(
    {"approve": "approve_action", "cancel": "cancel_action", "undo": "undo_action"}
)
STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "proposed": State(ATTENTION, "proposed"),
        "waiting": State(ATTENTION, "waits for a second person"),
        "running": State(UNKNOWN, "running"),
        "paused": State(BAD, "paused: too many devices"),
        "done": State(GOOD, "done"),
        "cancelled": State(UNKNOWN, "cancelled"),
        "expired": State(UNKNOWN, "expired"),
        "undone": State(UNKNOWN, "undone"),
        "failed": State(BAD, "failed"),
    }
)
# In these it waits for a person; in these and while it runs it can be stopped.
DECIDING: Final = ("proposed", "waiting", "paused")
_UNDOABLE: Final = ("done", "failed", "cancelled", "expired")
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "halt": "halt roll-outs",
        "quarantine": "quarantine devices",
        "deploy-fix": "deploy the fix to the affected devices",
        "re-attest": "ask devices to attest now",
        "roll-back": "roll back roll-outs",
        "notify": "tell the notification channels",
        "revoke": "revoke devices",
    }
)
# What a form can aim at -> how it is named there.
TARGETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "finding": "a finding, by its id",
        "advisory": "an advisory, by its id",
        "image": "an image, by its id",
        "device_group": "a device group, PRODUCT/GROUP",
        "rollout": "a roll-out, by its id",
        "devices": "devices, by their ids",
    }
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
    links = [("not ended", f"{LIST}?state=living", asked == "living"), ("all", LIST, not asked)]
    links += [(each.word, f"{LIST}?{urlencode({'state': word})}", word == asked) for word, each in STATES.items()]
    return Sheet(
        place="Actions",
        title="Older actions." if is_part else _list_sentence(page["items"], waiting, asked),
        detail="Each says what it would touch before it does, is in the audit log, and is undone where it can be.",
        links=tuple(links),
        buttons=(Button(label="New action", href=NEW),) if may_make else (),
        notices=(("bad", f"A playbook cannot be read: {playbooks['fault']}"),) if playbooks["fault"] else (),
        sections=(
            Section(
                title="Actions",
                note="newest first",
                columns=("Action", "State", "Devices", "Done", "Asked by", "When", "Why"),
                rows=[_row(each, now) for each in page["items"]],
                none="None.",
                next_href=next_href(LIST, page["next"], {"state": asked} if asked else {}),
                sorts=True,
            ),
            Section(
                title="Playbooks",
                note="what is done or proposed about a finding by itself",
                columns=("Playbook", "Used", "About", "From severity", "Does", *(("Action",) if may_switch else ())),
                rows=[_playbook(each, may_switch=may_switch) for each in playbooks["items"]],
                none="None.",
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
        place="Actions",
        heading=f"{found['kind']} of {found['asked_by']}",
        title=f"{sentence(KINDS.get(found['kind'], found['kind']))[:-1]}: {_standing(found)}.",
        detail=sentence(found["said"]) or f"It {found['does']}.",
        crumbs=(("Actions", LIST), (found["kind"], "")),
        buttons=tuple(
            Button(label=verb.capitalize(), href=f"{here}/{verb}", primary=verb == "approve", danger=verb != "approve")
            for verb in verbs_of(found, who)
            if may[verb]
        ),
        facts=(
            ("State", Cell(state=STATES.get(found["state"], State(UNKNOWN, found["state"])))),
            ("Aimed at", _target(found)),
            ("Reason", text(found["reason"] or "none given")),
            ("Asked by", text(found["asked_by"], reason=f"playbook {found['playbook']}" if found["playbook"] else "")),
            ("Asked", Cell(at=moment(found["asked_at"], now))),
            ("Approved by", text(found["approved_by"] or "nobody")),
            ("Expires", Cell(at=moment(found["expires_at"], now)) if found["state"] in DECIDING else text("no more")),
            ("Catalog", text(catalog or "the whole service")),
            ("Undo", text("possible" if found["can_be_undone"] else "not possible")),
            ("Id", Cell(ident=short_id(found["action_id"]))),
        ),
        sections=(
            Section(
                title="Devices",
                note=f"{grouped(found['done'])} done, {grouped(found['skipped'])} skipped, "
                f"{grouped(found['undone'])} undone of {grouped(found['devices'])}",
                columns=("Device", "Stands", "When", "Why skipped"),
                rows=[
                    (
                        device(each["device_id"], labels),
                        text(each["state"]),
                        Cell(at=moment(each["done_at"], now), text="not yet"),
                        text(each["said"] or "it was not"),
                    )
                    for each in devices["items"]
                ],
                none="It touches no device.",
                next_href=next_href(here, devices["next"]),
            ),
            Section(
                title="Effects",
                columns=("What", "Which"),
                rows=[
                    (text(name.replace("_", " ")), Cell(text=str(value), code=True))
                    for name, value in found["effects"].items()
                ],
                none="None besides these devices.",
            ),
        ),
        every_s=SEEN_EVERY_S if found["state"] in ("running", *DECIDING) else 0,
        within="security",
    )


def about_section(items: Sequence[Mapping[str, Any]], now: int) -> Section:
    """Actions about something, for its page."""
    return Section(
        title="Actions",
        note="that were done or proposed about it",
        columns=("Action", "State", "Devices", "Done", "Asked by", "When", "Why"),
        rows=[_row(each, now) for each in items],
        none="None.",
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
            f"{counted(left, 'device')} that it has not touched yet.",
            f"It begins or goes on, and {found['does']}.",
            "Undo takes it back." if found["can_be_undone"] else "This cannot be undone.",
        ),
        "cancel": (
            f"{counted(left, 'device')} that it has not touched yet.",
            "It stops where it is; what it did stays.",
            "Undo reverts what it did." if found["can_be_undone"] else "What it did cannot be undone.",
        ),
        "undo": (f"{counted(found['done'], 'device')} that it touched.", "What it did is reverted.", "Do it again."),
    }[verb]
    touches, does, undo = says
    return Confirmation(
        title=f"{verb.capitalize()}: {KINDS.get(found['kind'], found['kind'])}?",
        touches=touching(touches, does, "Everything else.", undo),
        label=verb.capitalize(),
        danger=verb != "cancel",
        word=verb if wide else "",
        wide=f"This affects {counted(found['devices'], 'device')}.",
        post=place(found["action_id"], verb),
        back=place(found["action_id"]),
    )


def new_sheet(catalogs: Sequence[str], sent: Mapping[str, str], wrong: Wrong | None, *, whole: bool) -> Sheet:
    """The form of an action; ``whole``: who asks speaks for all catalogs."""
    owners = (*((("", "the whole service"),) if whole else ()), *((each, each) for each in catalogs))
    fields = (
        Field(name="kind", label="What", kind="select", choices=tuple(KINDS.items())),
        Field(name="target", label="Aimed at", kind="select", choices=tuple(TARGETS.items())),
        Field(name="value", label="Which", required=True, limits=limits(maxlength=2000)),
        Field(name="catalog", label="Catalog", kind="select", choices=owners),
        Field(name="reason", label="Reason", required=True, limits=limits(maxlength=200)),
        Field(
            name="ends",
            label="A quarantine ends after",
            kind="select",
            choices=tuple((each, each or "somebody's release") for each in LIVES),
        ),
    )
    return Sheet(
        place="Actions",
        heading="New action",
        title="What is to be done?",
        detail="The next page says what it would touch now. To raise a floor: armillary action run raise-floor",
        crumbs=(("Actions", LIST), ("New", "")),
        forms=(
            Form(
                post=NEW,
                label="Preview",
                title="The action",
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
    first = f"First: {named}." if named else ""
    second = "A second person has to approve it. " if found["needs_second_person"] else ""
    words = " ".join(sentence(each) for each in found["words"])
    wide = devices > WIDE_DEVICES
    return Confirmation(
        title=f"{sentence(KINDS.get(found['kind'], found['kind']))[:-1]}?",
        touches=touching(
            f"{counted(devices, 'device')} of {grouped(found['fleet'])}. {first}".strip(),
            f"It {found['does']}. {words} {second}".strip(),
            "Every other device.",
            sentence(f"cannot be undone: {found['undo']}") if found["undo"] else "Undo on the action's page.",
        ),
        label="Do it",
        danger=True,
        word=found["kind"] if wide else "",
        wide=f"This affects {counted(devices, 'device')}.",
        post=LIST,
        back=f"{NEW}?{urlencode({name: sent.get(name, '') for name in SENT})}",
        hidden=(*((name, sent.get(name, "")) for name in SENT), ("devices", str(devices))),
    )


SENT: Final = ("kind", "target", "value", "catalog", "reason", "ends")


def _row(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    playbook = f"playbook {each['playbook']}" if each["playbook"] else ""
    return (
        text(KINDS.get(each["kind"], each["kind"]), href=place(each["action_id"]), reason=each["reason"]),
        Cell(state=STATES.get(each["state"], State(UNKNOWN, each["state"]))),
        number(grouped(each["devices"])),
        number(grouped(each["done"])),
        text(each["asked_by"], reason=playbook),
        Cell(at=moment(each["asked_at"], now)),
        text(each["said"] or "nothing more"),
    )


def _playbook(each: Mapping[str, Any], *, may_switch: bool) -> tuple[Cell, ...]:
    name = each["name"]
    used = State(GOOD, "used") if each["is_enabled"] else State(UNKNOWN, "not used")
    cells = (
        text(each["title"], reason=each["description"]),
        Cell(state=used, reason="as an operator said" if each["said_by_operator"] else "as it is shipped"),
        text(", ".join(kind.replace("-", " ") for kind in each["kinds"])),
        text(each["severity"]),
        text(_steps(each)),
    )
    verb = "disable" if each["is_enabled"] else "enable"
    return (*cells, text(verb.capitalize(), href=f"/playbooks/{quote(name, safe='')}/{verb}")) if may_switch else cells


def playbook_confirmation(each: Mapping[str, Any], verb: str) -> Confirmation:
    """What using a playbook, or using it no more, does."""
    does = f"New findings are answered: {_steps(each)}." if verb == "enable" else "It answers no finding any more."
    return Confirmation(
        title=f"{verb.capitalize()} the playbook {each['title']}?",
        touches=touching(
            "Findings that come from now on.",
            does,
            "Actions that were asked for before, and other playbooks.",
            "Disable it." if verb == "enable" else "Enable it.",
        ),
        label=verb.capitalize(),
        post=f"/playbooks/{quote(each['name'], safe='')}/{verb}",
        back=LIST,
        danger=verb == "enable" and any(step["is_automatic"] for step in each["steps"]),
    )


def _steps(playbook: Mapping[str, Any]) -> str:
    """``halt (by itself), quarantine (proposed)``."""
    words = {True: "by itself", False: "proposed"}
    return ", ".join(f"{step['kind']} ({words[step['is_automatic']]})" for step in playbook["steps"])


def _target(found: Mapping[str, Any]) -> Cell:
    (name, value), *_ = found["target"].items()
    said = name.replace("_", " ")
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
    return f"{word}, {grouped(found['done'])} of {counted(found['devices'], 'device')} done"


def _list_sentence(items: Sequence[Mapping[str, Any]], waiting: Sequence[Mapping[str, Any]], asked: str) -> str:
    if waiting:
        what = KINDS.get(waiting[0]["kind"], waiting[0]["kind"])
        many = counted(len(waiting), "action waits", "actions wait")
        return f"{many} for a person; the newest: {what}, asked for by {waiting[0]['asked_by']}."
    if not items:
        return "No action is like this." if asked not in ("", "living") else "No action waits for anybody."
    return f"{counted(len(items), 'action')}, none waits for a person."
