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
from armillary.console.frame.words import counted, joined, moment, sentence, short_id, span
from armillary.console.language.say import apart, say
from armillary.console.operations.pages_rollout import new_href

LIST: Final = "/device-groups"
# Kind of the form that changes a group.
GROUP: Final = "change-group"
MAX_DESCRIPTION: Final = 100
# Update policy -> what its groups get.
POLICIES: Final[Mapping[str, str]] = MappingProxyType(
    {"UpdateAll": say("OS and applications"), "No3rdPartyAppUpdates": say("OS only")}
)


def place(catalog: str, product: str, group: str, *more: str) -> str:
    """The address of a group, or of something below it."""
    return "/".join([LIST, *(quote(each, safe="") for each in (catalog, product, group)), *more])


def list_sheet(groups: Sequence[Mapping[str, Any]], catalogs: Sequence[str], catalog: str) -> Sheet:
    """The device groups of a catalog, or of all: ``catalog`` is empty then."""
    shown = [each for each in groups if catalog in ("", each["catalog"])]
    field = Field(
        name="catalog", label=say("Catalog"), kind="select", value=catalog, choices=choices(catalogs, none=say("All"))
    )
    return Sheet(
        place=say("Device groups"),
        title=say("{groups} in {catalog}.", groups=counted(len(shown), "device group"), catalog=catalog)
        if catalog
        else say("{groups}.", groups=counted(len(shown), "device group")),
        detail=say("Devices of a group get the same images, and the operating system of the same feed."),
        search=Form(post=LIST, label=say("Show"), fields=(field,)) if len(catalogs) > 1 else None,
        sections=(
            Section(
                title=say("Device groups"),
                columns=(say("Group"), say("Catalog"), say("OS feed"), say("Updates"), say("Deployment")),
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
                none=say("No product yet: armillary product create"),
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
    roll_out = Button(
        label=say("New roll-out"), href=new_href(f"{group['catalog']}/{group['product']}/{group['name']}")
    )
    schedule, here = group["schedule"], _here(group)
    urgent = schedule["urgent_until"] is not None and schedule["urgent_until"] > now
    windows = joined(schedule["windows"]) if schedule["windows"] else ""
    when = say("in its windows ({windows})", windows=windows) if windows else say("at any time")
    told = say("Urgent: windows and deferrals do not hold. {reason}", reason=schedule["urgent_reason"])
    return Sheet(
        place=say("Device groups"),
        heading=say("Device group {name}", name=group["name"]),
        title=say(
            "{devices}, which may update {when}.",
            devices=counted(group["devices"], "device"),
            when=say("at once") if urgent else when,
        ),
        detail=group["description"],
        crumbs=(
            (
                say("Device groups of {catalog}", catalog=group["catalog"]),
                f"{LIST}?{urlencode({'catalog': group['catalog']})}",
            ),
            (f"{group['product']} / {group['name']}", ""),
        ),
        buttons=(
            *((Button(label=say("Check in now"), href=f"{here}/check-now", primary=True),) if may_ask else ()),
            *((roll_out,) if may_roll_out else ()),
            Button(label=say("Devices"), href="/fleet?" + urlencode({"group": group["name"]})),
            Button(label=say("Crash dumps"), href=here.replace(LIST, "/crash-dump-groups", 1)),
            *((Button(label=say("Delete"), href=f"{here}/delete", danger=True),) if may_delete else ()),
        ),
        forms=(form,) if form is not None else (),
        notices=(("attention", told),) if urgent else (),
        facts=(
            (say("OS feed"), text(group["os_feed"])),
            (say("Updates"), text(POLICIES.get(group["update_policy"], group["update_policy"]))),
            (say("Deployment"), _deployment(group)),
            (say("Created"), Cell(at=moment(group["created_at"], now))),
        ),
        sections=(
            Section(
                title=say("When its devices update"),
                note=say("set by armillary device-group set-schedule"),
                columns=(say("Rule"), say("Value")),
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
        (
            text(say("Checks in")),
            text(say("as the service asks") if interval is None else say("every {interval}", interval=span(interval))),
        ),
        (
            text(say("Windows")),
            text(
                apart(schedule["windows"], "; ") or say("at any time"),
                reason=schedule["zone"] if schedule["windows"] else "",
            ),
        ),
        (
            text(say("Applications may put it off")),
            text(say("for {deferral}", deferral=span(deferral)) if deferral else say("not at all")),
        ),
    ]
    if schedule["urgent_until"] is not None and schedule["urgent_until"] > now:
        ends = span(schedule["urgent_until"] - now)
        state = State(ATTENTION, say("for another {ends}", ends=ends))
        rows.append((text(say("Urgent")), Cell(state=state, reason=schedule["urgent_reason"])))
    return rows


def confirmation(group: Mapping[str, Any]) -> Confirmation:
    """What having a whole group check in does."""
    here, count = _here(group), group["devices"]
    return Confirmation(
        title=say("Have all devices of {name} check in now?", name=group["name"]),
        touches=touching(
            say(
                "{devices} of {catalog} / {product} / {name}.",
                devices=counted(count, "device"),
                catalog=group["catalog"],
                product=group["product"],
                name=group["name"],
            ),
            say(
                "Each comes as soon as it hears of it: within seconds if it waits for a hint, else when it next "
                "asks for one. It then gets what it would have got at its next check-in."
            ),
            say("Maintenance windows and deferrals: they hold."),
            say("Nothing to undo."),
        ),
        label=say("Check in now"),
        word="check-now" if count > WIDE_DEVICES else "",
        wide=say("This asks {devices} at once.", devices=counted(count, "device")),
        post=f"{here}/check-now",
        back=here,
    )


def change_form(group: Mapping[str, Any], feeds: Sequence[str], sent: Mapping[str, str], wrong: Wrong | None) -> Form:
    """The form that changes a device group."""
    fields = (
        Field(
            name="description",
            label=say("Description"),
            value=group["description"],
            limits=limits(maxlength=MAX_DESCRIPTION),
        ),
        Field(name="os_feed", label=say("OS feed"), kind="select", value=group["os_feed"], choices=choices(feeds)),
        Field(
            name="update_policy",
            label=say("Updates"),
            kind="select",
            value=group["update_policy"],
            choices=tuple(POLICIES.items()),
        ),
    )
    return Form(
        post=place(group["catalog"], group["product"], group["name"], "change"),
        label=say("Save"),
        title=say("Change"),
        about=say("devices hear of it at their next check-in"),
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
        anchor=GROUP,
    )


def deletion(group: Mapping[str, Any]) -> Confirmation:
    """What deleting a device group takes away."""
    here = place(group["catalog"], group["product"], group["name"])
    return Confirmation(
        title=say("Delete the device group {name}?", name=group["name"]),
        touches=(
            (
                say("Deletes"),
                say(
                    "The device group {name} of {product}, with its schedule.",
                    name=group["name"],
                    product=group["product"],
                ),
            ),
            refused(group["devices"], say("it has")),
            (
                say("Leaves alone"),
                say("The product {product}, its other groups, and images.", product=group["product"]),
            ),
            (say("Undo"), say("This cannot be undone; a group of this name can be made again.")),
        ),
        label=say("Delete the device group"),
        danger=True,
        post=f"{here}/delete",
        back=here,
    )


def refused(devices: int, whose: str) -> tuple[str, str]:
    """When a device group is not deleted: ``whose`` is who has ``devices``."""
    if devices:
        return (
            say("Refused"),
            sentence(
                say(
                    "{whose} {devices}: move them to another group first",
                    whose=whose,
                    devices=counted(devices, "device"),
                )
            ),
        )
    return (say("Refused"), say("If {whose} devices, a deployment or a roll-out by then.", whose=whose))


def _here(group: Mapping[str, Any]) -> str:
    return place(group["catalog"], group["product"], group["name"])


def _deployment(group: Mapping[str, Any]) -> Cell:
    return Cell(ident=short_id(group["deployment_id"])) if group["deployment_id"] else text(say("none"))
