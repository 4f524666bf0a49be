# SPDX-License-Identifier: Apache-2.0
"""Where the update of one device stands, and why it lacks what it should have. Pure: an answer in, a page out.

The first line is the reason in a sentence, below it what a person can do; then what the device has and should have, and
when it may update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from armillary.console.device.pages_device_data import place
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import moment, short_id, span
from armillary.console.language.say import Text, known, say, shaped
from armillary.console.operations.pages_group import place as group_place, schedule_rows
from armillary.wire.device.update_reason import INTERVAL

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
        **dict.fromkeys(("fetching", "fetched", "trial"), State(ATTENTION, say("updating"))),
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
            *_steps(standing, now),
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
    found.extend(_next_check_in(standing, now))
    if standing["fetch"] is not None:
        found.append((say("Fetched"), _fetched(standing["fetch"])))
    if standing["until"] is not None and standing["until"] > now:
        found.append((say("Stays so"), text(say("for at most {time}", time=span(standing["until"] - now)))))
    if standing["rollout_id"] is not None:
        found.append((say("Roll-out"), text(say("the one that decides"), href=f"/updates/{standing['rollout_id']}")))
    return tuple(found)


def _next_check_in(standing: Mapping[str, Any], now: int) -> Iterator[tuple[Text, Cell]]:
    """What the device checks in after, and when at the latest."""
    by, is_usual = standing["check_in_by"], standing["check_in_after"] == INTERVAL
    left = None if by is None or by <= now else span(by - now)
    if not is_usual:
        latest = "" if left is None else say("within {time} at the latest", time=left)
        yield say("Next check-in"), text(known(standing["check_in_meaning"]), reason=latest)
    elif left is not None:
        yield say("Next check-in"), text(say("within {time}", time=left))


def _fetched(fetch: Mapping[str, Any]) -> Cell:
    names = ", ".join(part["name"] for part in fetch["sent"])
    return text(say("{done} of {all} parts", done=len(fetch["sent"]), all=fetch["parts"]), reason=names)


def _steps(standing: Mapping[str, Any], now: int) -> tuple[Section, ...]:
    """What the service has seen of an offer's way to the device, the earliest first."""
    fetch = standing["fetch"]
    if fetch is None:
        return ()
    steps = [(say("offered"), standing["last_check_in_at"]), (say("begun to fetch"), fetch["begun_at"])]
    steps += [(say("{name} fetched", name=part["name"]), part["sent_at"]) for part in fetch["sent"]]
    return (
        Section(
            title=say("How far it is"),
            columns=(say("Step"), say("When")),
            rows=[(text(step), Cell(at=moment(at, now), text="")) for step, at in steps],
            none="",
            note=say("as the service has seen it"),
        ),
    )


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
