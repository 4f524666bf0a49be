# SPDX-License-Identifier: Apache-2.0
"""Device groups: what each gets, and when its devices look for updates and install them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame.confirmation import WIDE_DEVICES, Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, text
from armillary.console.frame.states import ATTENTION, State
from armillary.console.frame.words import counted, joined, moment, short_id, span
from armillary.console.operations.pages_rollout import new_href

LIST: Final = "/device-groups"
# Kind of the form that changes a group.
GROUP: Final = "change-group"
MAX_DESCRIPTION: Final = 100
# Update policy -> what its groups get.
POLICIES: Final[Mapping[str, str]] = MappingProxyType(
    {"UpdateAll": "OS and applications", "No3rdPartyAppUpdates": "OS only"}
)


def place(catalog: str, product: str, group: str, *more: str) -> str:
    """The address of a group, or of something below it."""
    return "/".join([LIST, *(quote(each, safe="") for each in (catalog, product, group)), *more])


def list_sheet(groups: Sequence[Mapping[str, Any]], catalogs: Sequence[str], catalog: str) -> Sheet:
    """The device groups of a catalog, or of all: ``catalog`` is empty then."""
    shown = [each for each in groups if catalog in ("", each["catalog"])]
    field = Field(name="catalog", label="Catalog", kind="select", value=catalog, choices=choices(catalogs, none="All"))
    return Sheet(
        place="Device groups",
        title=f"{counted(len(shown), 'device group')}{' in ' + catalog if catalog else ''}.",
        detail="Devices of a group get the same images, and the operating system of the same feed.",
        search=Form(post=LIST, label="Show", fields=(field,)) if len(catalogs) > 1 else None,
        sections=(
            Section(
                title="Device groups",
                columns=("Group", "Catalog", "OS feed", "Updates", "Deployment"),
                rows=[
                    (
                        text(
                            each["name"],
                            href=place(each["catalog"], each["product"], each["name"]),
                            reason=each["product"],
                        ),
                        text(each["catalog"]),
                        text(each["os_feed"]),
                        text(POLICIES.get(each["update_policy"], each["update_policy"])),
                        _deployment(each),
                    )
                    for each in shown
                ],
                none="No product yet: armillary product create",
                sorts=True,
            ),
        ),
        within="updates",
    )


def group_sheet(
    group: Mapping[str, Any],
    *,
    may_ask: bool,
    may_roll_out: bool = False,
    form: Form | None = None,
    may_delete: bool = False,
    now: int,
) -> Sheet:
    """One device group; ``may_ask``: the operator may have its devices check in now; ``form`` changes the group."""
    roll_out = Button(label="New roll-out", href=new_href(f"{group['catalog']}/{group['product']}/{group['name']}"))
    schedule, here = group["schedule"], _here(group)
    urgent = schedule["urgent_until"] is not None and schedule["urgent_until"] > now
    windows = joined(schedule["windows"]) if schedule["windows"] else ""
    when = f"in its windows ({windows})" if windows else "at any time"
    told = "Urgent: windows and deferrals do not hold. " + schedule["urgent_reason"]
    return Sheet(
        place="Device groups",
        heading=f"Device group {group['name']}",
        title=f"{counted(group['devices'], 'device')}, which may update {'at once' if urgent else when}.",
        detail=group["description"],
        crumbs=(
            (f"Device groups of {group['catalog']}", f"{LIST}?{urlencode({'catalog': group['catalog']})}"),
            (f"{group['product']} / {group['name']}", ""),
        ),
        buttons=(
            *((Button(label="Check in now", href=f"{here}/check-now", primary=True),) if may_ask else ()),
            *((roll_out,) if may_roll_out else ()),
            Button(label="Devices", href="/fleet?" + urlencode({"group": group["name"]})),
            Button(label="Crash dumps", href=here.replace(LIST, "/crash-dump-groups", 1)),
            *((Button(label="Delete", href=f"{here}/delete", danger=True),) if may_delete else ()),
        ),
        forms=(form,) if form is not None else (),
        notices=(("attention", told),) if urgent else (),
        facts=(
            ("OS feed", text(group["os_feed"])),
            ("Updates", text(POLICIES.get(group["update_policy"], group["update_policy"]))),
            ("Deployment", _deployment(group)),
            ("Created", Cell(at=moment(group["created_at"], now))),
        ),
        sections=(
            Section(
                title="When its devices update",
                note="set by armillary device-group set-schedule",
                columns=("Rule", "Value"),
                rows=schedule_rows(schedule, now),
                none="",
            ),
        ),
        within="updates",
    )


def schedule_rows(schedule: Mapping[str, Any], now: int) -> list[tuple[Cell, Cell]]:
    """A group's schedule, a rule a row."""
    interval, deferral = schedule["check_interval_s"], schedule["max_deferral_s"]
    rows = [
        (text("Checks in"), text("as the service asks" if interval is None else f"every {span(interval)}")),
        (
            text("Windows"),
            text(
                "; ".join(schedule["windows"]) or "at any time", reason=schedule["zone"] if schedule["windows"] else ""
            ),
        ),
        (text("Applications may put it off"), text(f"for {span(deferral)}" if deferral else "not at all")),
    ]
    if schedule["urgent_until"] is not None and schedule["urgent_until"] > now:
        ends = span(schedule["urgent_until"] - now)
        state = State(ATTENTION, f"for another {ends}")
        rows.append((text("Urgent"), Cell(state=state, reason=schedule["urgent_reason"])))
    return rows


def confirmation(group: Mapping[str, Any]) -> Confirmation:
    """What having a whole group check in does."""
    here, count = _here(group), group["devices"]
    return Confirmation(
        title=f"Have all devices of {group['name']} check in now?",
        touches=touching(
            f"{counted(count, 'device')} of {group['catalog']} / {group['product']} / {group['name']}.",
            "Each comes as soon as it hears of it: within seconds if it waits for a hint, else when it next asks for "
            "one. It then gets what it would have got at its next check-in.",
            "Maintenance windows and deferrals: they hold.",
            "Nothing to undo.",
        ),
        label="Check in now",
        word="check-now" if count > WIDE_DEVICES else "",
        wide=f"This asks {counted(count, 'device')} at once.",
        post=f"{here}/check-now",
        back=here,
    )


def change_form(group: Mapping[str, Any], feeds: Sequence[str], sent: Mapping[str, str], wrong: Wrong | None) -> Form:
    """The form that changes a device group."""
    fields = (
        Field(
            name="description",
            label="Description",
            value=group["description"],
            limits=limits(maxlength=MAX_DESCRIPTION),
        ),
        Field(name="os_feed", label="OS feed", kind="select", value=group["os_feed"], choices=choices(feeds)),
        Field(
            name="update_policy",
            label="Updates",
            kind="select",
            value=group["update_policy"],
            choices=tuple(POLICIES.items()),
        ),
    )
    return Form(
        post=place(group["catalog"], group["product"], group["name"], "change"),
        label="Save",
        title="Change",
        about="devices hear of it at their next check-in",
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
        anchor=GROUP,
    )


def deletion(group: Mapping[str, Any]) -> Confirmation:
    """What deleting a device group takes away."""
    here = place(group["catalog"], group["product"], group["name"])
    return Confirmation(
        title=f"Delete the device group {group['name']}?",
        touches=(
            ("Deletes", f"The device group {group['name']} of {group['product']}, with its schedule."),
            refused(group["devices"], "it has"),
            ("Leaves alone", f"The product {group['product']}, its other groups, and images."),
            ("Undo", "This cannot be undone; a group of this name can be made again."),
        ),
        label="Delete the device group",
        danger=True,
        post=f"{here}/delete",
        back=here,
    )


def refused(devices: int, whose: str) -> tuple[str, str]:
    """When a device group is not deleted: ``whose`` is who has ``devices``."""
    if devices:
        return ("Refused", f"{whose.capitalize()} {counted(devices, 'device')}: move them to another group first.")
    return ("Refused", f"If {whose} devices, a deployment or a roll-out by then.")


def _here(group: Mapping[str, Any]) -> str:
    return place(group["catalog"], group["product"], group["name"])


def _deployment(group: Mapping[str, Any]) -> Cell:
    return Cell(ident=short_id(group["deployment_id"])) if group["deployment_id"] else text("none")
