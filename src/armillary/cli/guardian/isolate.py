# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian isolate``: hold the equipment's side of a guardian and its uplink apart on this host."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, json_text, note, noun, record
from armillary.engines.isolation.firewall import remove_rules
from armillary.engines.isolation.interfaces import equipment_address
from armillary.engines.isolation.keeping import Keeping
from armillary.errors import HostError, InvalidArgumentError
from armillary.guard.isolation.addressing import dhcp_configuration
from armillary.guard.isolation.filtering import ruleset
from armillary.guard.isolation.plan import Isolation, parse_lease, plan_isolation

verbs = noun()

EquipmentOption = Annotated[
    str | None, typer.Option("--equipment", metavar="IFACE", help="Interface that the equipment is connected to.")
]
UplinkOption = Annotated[
    str | None, typer.Option("--uplink", metavar="IFACE", help="Interface over which the guardian reaches its service.")
]
LeaseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--lease",
        metavar="MAC=ADDRESS",
        help="Fixed address of one machine, such as 02:00:00:00:00:02=10.9.0.2. Repeatable. With leases nobody else is "
        "heard on the equipment's side.",
    ),
]


@verbs.command("isolate")
def isolate(
    equipment: EquipmentOption = None,
    uplink: UplinkOption = None,
    lease: LeaseOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show and check everything, change nothing.")] = False,
    rules_only: Annotated[
        bool, typer.Option("--rules-only", help="Set the rules and end: no addresses, no time.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the rules away.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Keep the equipment off every network, until Ctrl-C.

    Sets nftables rules: nothing is forwarded, the equipment reaches the guardian's address and time alone, the uplink
    gets answers and nothing else. Gives listed machines their addresses (dnsmasq) and all the time (SNTP). The rules
    stay when it ends. Needs root.

    An open session to this host over either side ends: the rules let in answers only.
    """
    if dry_run + rules_only + remove > 1:
        raise typer.BadParameter("--dry-run, --rules-only and --remove exclude one another")
    if remove:
        _need_root()
        remove_rules()
        record({"removed": True}).show(as_json=as_json)
        return
    if equipment is None or uplink is None:
        raise typer.BadParameter("--equipment and --uplink are needed: the two interfaces to hold apart")
    plan = _plan(equipment, uplink, lease or [])
    if dry_run:
        _show(plan, as_json=as_json)
        return
    _need_root()
    keeping = Keeping(plan, _tell_json if as_json else _tell)
    keeping.check()
    if rules_only:
        keeping.set_rules()
        record(_described(plan)).show(as_json=as_json)
        return
    asyncio.run(_keep(keeping, plan, as_json=as_json))


def _plan(equipment: str, uplink: str, leases: list[str]) -> Isolation:
    """The plan for this host's interfaces; InvalidArgumentError or HostError where there can be none."""
    given = [parse_lease(text) for text in leases]
    if len({mac for mac, _ in given}) != len(given):
        raise InvalidArgumentError(
            "--lease: expected each MAC address once", remedy="Give each machine one address: a MAC address has one."
        )
    address = equipment_address(equipment, uplink)
    return plan_isolation(equipment=equipment, uplink=uplink, address=address, leases=dict(given))


def _described(plan: Isolation) -> dict[str, object]:
    return {
        "equipment": plan.equipment,
        "uplink": plan.uplink,
        "address": str(plan.address),
        "leases": {mac: str(address) for mac, address in plan.leases.items()},
    }


def _show(plan: Isolation, *, as_json: bool) -> None:
    """Everything that would be set, looked at by the kernel and dnsmasq where this process may ask them."""
    if os.geteuid() == 0:
        Keeping(plan, _tell).check()
    else:
        note("Not root: the kernel has not looked at these rules.")
    addresses = dhcp_configuration(plan) if plan.leases else ""
    found = {**_described(plan), "nftables": ruleset(plan), "dnsmasq": addresses}
    Shown(found, lambda: _write(ruleset(plan) + addresses)).show(as_json=as_json)


async def _keep(keeping: Keeping, plan: Isolation, *, as_json: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)

    def ready() -> None:
        if as_json:
            _tell_json("ready", _described(plan))
        else:
            record(_described(plan)).show(as_json=False)
            sys.stdout.flush()

    await keeping.run(stopped, ready=ready)
    note("The rules stay: the sides are still apart. Take them away: armillary guardian isolate --remove")


def _write(text: str) -> None:
    sys.stdout.write(text)


def _need_root() -> None:
    if os.geteuid() != 0:
        raise HostError(
            "isolation needs root: it changes what this host's network lets through",
            remedy="sudo armillary guardian isolate ..., or --dry-run to see what it would set.",
        )


def _tell(event: str, facts: Mapping[str, object]) -> None:
    note(f"{event}: " + ", ".join(f"{name} {value}" for name, value in facts.items()))


def _tell_json(event: str, facts: Mapping[str, object]) -> None:
    sys.stdout.write(json_text({"event": event, **facts}) + "\n")
    sys.stdout.flush()
