# SPDX-License-Identifier: Apache-2.0
"""Where the update of one device stands, and why it lacks what it should have. Pure: an answer in, a page out.

The first line is the reason in a sentence, below it what a person can do; then what the device has and should have, and
when it may update.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from armillary.console.device.pages_device_data import place
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import moment, short_id, span
from armillary.console.language.say import known, say, shaped
from armillary.console.operations.pages_group import place as group_place, schedule_rows

# What a reason says of the device: good, waiting by itself, or in need of somebody. The others need nobody.
_KINDS: Final[Mapping[str, State]] = MappingProxyType(
    {
        "up-to-date": State(GOOD, say("up to date")),
        **dict.fromkeys(
            ("nothing-deployed", "os-only", "unclaimed", "never-seen"), State(UNKNOWN, say("nothing is due"))
        ),
        **dict.fromkeys(
            ("silent", "revoked", "held", "failed-before", "os-reverted", "flash", "refused"),
            State(BAD, say("needs you")),
        ),
        **dict.fromkeys(
            ("update-only", "no-release", "wrong-chip", "os-by-hand", "no-room", "does-not-fit", "repository"),
            State(ATTENTION, say("look at it")),
        ),
    }
)
_WAITS: Final = State(ATTENTION, say("waits"))


def update_sheet(standing: Mapping[str, Any], now: int, *, may_ask: bool) -> Sheet:
    """The page; ``may_ask``: the operator may have the device check in now."""
    device_id = standing["device_id"]
    buttons = (Button(label=say("Check in now"), post=place(device_id, "check-now"), primary=True),) if may_ask else ()
    remedy = standing["remedy"]
    todo = say("What to do: {remedy}", remedy=shaped(known(remedy), _within))
    detail = say("{detail}. {todo}", detail=standing["detail"], todo=todo) if standing["detail"] else todo
    rows = [(text(say("Operating system")), text(standing["os_version"] or say("not known")), _wanted_os(standing))]
    lacking = ", ".join(standing["lacking"])
    if standing["deployment_id"] is not None:
        shown = text(say("all of the deployment")) if not lacking else text(say("lacks {lacking}", lacking=lacking))
        rows.append((text(say("Applications")), shown, _id(standing["deployment_id"])))
    return Sheet(
        place=say("Fleet"),
        title=known(standing["meaning"]),
        detail=detail,
        buttons=buttons,
        facts=_facts(standing, now),
        sections=(
            Section(
                title=say("What it has and should have"),
                columns=(say("Part"), say("Has"), say("Should have")),
                rows=rows,
                none="",
            ),
            Section(
                title=say("When it may update"),
                columns=(say("Rule"), say("Value")),
                rows=_schedule(standing, now),
                none=say("It is in no device group."),
                note=say("set by armillary device-group set-schedule"),
            ),
        ),
        every_s=15,
    )


def _within(remedy: str) -> str:
    """A sentence after a colon."""
    return f"{remedy[:1].lower()}{remedy[1:]}"


def _facts(standing: Mapping[str, Any], now: int) -> tuple[tuple[str, Cell], ...]:
    kind = _KINDS.get(standing["code"], _WAITS)
    found = [
        (say("State"), Cell(state=kind, reason=say("code {code} for scripts", code=standing["code"]))),
        (say("Device group"), _group(standing["group"])),
        (say("Last check-in"), Cell(at=moment(standing["last_check_in_at"], now), text=say("never"))),
    ]
    if standing["check_in_by"] is not None and standing["check_in_by"] > now:
        found.append((say("Next check-in"), text(say("within {time}", time=span(standing["check_in_by"] - now)))))
    if standing["until"] is not None and standing["until"] > now:
        found.append((say("Stays so"), text(say("for at most {time}", time=span(standing["until"] - now)))))
    if standing["rollout_id"] is not None:
        found.append((say("Roll-out"), text(say("the one that decides"), href=f"/updates/{standing['rollout_id']}")))
    return tuple(found)


def _group(found: Sequence[str] | None) -> Cell:
    return text(found[-1], href=group_place(*found)) if found else text(say("none"))


def _wanted_os(standing: Mapping[str, Any]) -> Cell:
    if not standing["wanted_os_version"]:
        return text(say("as it is"))
    told = say("the device does not update it by itself") if "os" not in (standing["abilities"] or ()) else ""
    return text(standing["wanted_os_version"], reason=told)


def _schedule(standing: Mapping[str, Any], now: int) -> list[tuple[Cell, Cell]]:
    schedule = standing["schedule"]
    if schedule is None:
        return []
    return schedule_rows(schedule, now)


def _id(value: str) -> Cell:
    return Cell(ident=short_id(value))
