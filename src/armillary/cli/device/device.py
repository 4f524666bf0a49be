# SPDX-License-Identifier: Apache-2.0
"""``armillary device``: verbs for a device on this host, beside those that ask the service (``in_service``)."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from armillary.cli.device import boot, create, device_log, in_service
from armillary.cli.device.attached import attached
from armillary.cli.device.device_sideload import sideload
from armillary.cli.device.device_state import manufacturing_state
from armillary.cli.device.here import devices_here
from armillary.cli.terminal.device_options import DataOption
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import (
    Shown,
    adopt,
    note,
    print_error,
    print_json,
    record,
    table,
)
from armillary.cli.terminal.progress import waiting
from armillary.cli.terminal.remote import CaOption, ServiceOption, TokenOption, connect
from armillary.device.boot.recovery import recover as recover_device
from armillary.device.checkin.checkin import describe_steps
from armillary.device.process import Device
from armillary.device.state.configuration import load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.status import read_status
from armillary.engines.flash.file import FileFlash
from armillary.errors import ArmillaryError, HostError, NotFoundError

app = devices_here()
adopt(app, create.app, boot.app, device_log.verbs)

CHECK_IN_DEADLINE_S = 60.0  # longer than a check-in's own time limits
POLL_S = 0.05


@app.command("status")
def status(data: DataOption, as_json: JsonOption = False) -> None:
    """Show what a device on this host says of itself."""
    folder = DeviceFolder(data)
    folder.check()
    found = _status(folder)
    found["alive"] = folder.holder() is not None
    last = found.get("last_check_in") or {}
    sandbox = found.get("sandbox") or {}
    shown = {
        "device_id": found.get("device_id"),
        "state": found["state"] if found["alive"] else f"{found['state']}, process ended",
        "chip": found.get("chip"),
        "os_version": found.get("os_version"),
        "boot_count": found.get("boot_count"),
        "trust_tier": found.get("trust_tier"),
        "sandbox": sandbox.get("name"),
        "verdict": last.get("verdict") or last.get("message"),
        "installation": found.get("installation"),
        "reason": found.get("reason"),
    }
    applications = found.get("applications") or []
    ports = found.get("serial_ports") or []
    serial = (
        f"serial port {port['name']}: {port['node'] or 'no node'}{', missing: ' if port['missing'] else ''}"
        f"{port['missing'] or ''}"
        for port in ports
    )
    core = ("core",) if any(each.get("core") for each in applications) else ()
    columns = ("name", "state", *core, "on_trial", "image_id", "component_id")
    below = ("", table(applications, columns, empty="")) if applications else ()
    weaker = (f"weaker: {sentence}" for sentence in sandbox.get("weaker", ()))
    profile = found.get("power_profile")
    power = () if profile is None else (_profile_line(profile),)
    network = found.get("private_network")
    served = () if network is None else _served_lines(network)
    modem = found.get("cellular")
    cellular = () if modem is None else (_cellular_line(modem),)
    held = (line for application in applications for line in _held_lines(application))
    Shown(found).then(record(shown), *weaker, *serial, *served, *cellular, *power, *below, *held).show(as_json=as_json)


def _served_lines(network: Mapping[str, Any]) -> Iterator[str]:
    """What applications have served at the private network, and what holds them to it."""
    if not network["serves"]:
        yield f"private network {network['interface']}: no application serves anything"
    if network["hardware_address"] is not None:
        yield f"private network {network['interface']}: hardware address {network['hardware_address']} at each boot"
    for each in network["serves"]:
        yield f"private network: {each['service']} for {each['component_id']}, held by {each['held_by']}"


def _cellular_line(modem: Mapping[str, Any]) -> str:
    network = ", ".join((modem["operator"], modem["technology"], f"{modem['signalDbm']} dBm"))
    heard = "" if modem["signalDbm"] is None else f", {network}"
    return f"cellular: {modem['meaning']}{heard} ({modem['model'] or 'no modem'})"


def _profile_line(profile: Mapping[str, Any]) -> str:
    how = f"held by {profile['held_by']}" if "held_by" in profile else f"recorded: {profile['recorded']}"
    return f"power profile: {profile['profile']} for {profile['component_id']}, {how}"


def _held_lines(application: Mapping[str, Any]) -> Iterator[str]:
    """How much of what an application was granted is held to it, and what is not."""
    held_by = application.get("held_by") or []
    if held_by:
        held = sum(each["held"] for each in held_by)
        yield f"{application['name']}: {held} of {len(held_by)} bounds held"
    for each in held_by:
        if not each["held"]:
            what = f"{each['granted']} {each['value']}".strip()
            yield f"{application['name']}: not held: {what} by {each['mechanism']}: {each['why']}"


@app.command("check-in")
def check_in(data: DataOption, as_json: JsonOption = False) -> None:
    """Make the running device check in now."""
    _show_appraisal(_signalled_check_in(DeviceFolder(data)), as_json=as_json)


@app.command("attest")
def attest(data: DataOption, as_json: JsonOption = False) -> None:
    """Prove the device once and show every step.

    A device that runs is asked to check in; one that does not is booted for this, without applications.
    """
    folder = DeviceFolder(data)
    folder.check()
    if folder.holder() is not None:
        found = _signalled_check_in(folder)
    else:
        reply = asyncio.run(Device(data).prove_once())
        found = {
            "accepted": True,
            "verdict": reply.verdict,
            "purpose": reply.purpose,
            "next_check_in_s": reply.next_check_in_s,
            "steps": describe_steps(reply),
        }
    _show_appraisal(found, as_json=as_json)


@app.command("recover")
def recover(
    data: DataOption,
    service: ServiceOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Restore a device's boot components.

    They come from the newest release for its chip; identity and applications stay. A device that was told a time from
    the future believes the present one again.
    """
    folder = DeviceFolder(data)
    folder.check()
    address = service or load_configuration(FileFlash(folder.flash)).operator_api
    with connect(address, token, ca) as remote:
        restored = recover_device(folder, create.factory_of(remote), now=int(time.time()))
    record({"restored": list(restored)}).show(as_json=as_json)
    note(f"Start it: armillary device boot --data {data}")


app.add_typer(manufacturing_state, name="manufacturing-state")
app.add_typer(sideload, name="sideload")
adopt(app, attached.app, in_service.app)


def _signalled_check_in(folder: DeviceFolder) -> dict[str, Any]:
    """Send SIGUSR1 to the device's process and wait for its next check-in to end."""
    folder.check()
    process = folder.holder()
    if process is None:
        raise NotFoundError(
            f"{folder.root}: the device does not run", remedy="Start it: armillary device boot --data DIR."
        )
    before = _check_in_number(_status(folder))
    os.kill(process, signal.SIGUSR1)
    deadline = time.monotonic() + CHECK_IN_DEADLINE_S
    with waiting("the device's check-in", CHECK_IN_DEADLINE_S):
        while time.monotonic() < deadline:
            found = _status(folder)
            if _check_in_number(found) > before and found.get("last_check_in"):
                return dict(found["last_check_in"])
            if folder.holder() != process:
                break
            time.sleep(POLL_S)
    raise HostError(
        f"the device did not check in within {CHECK_IN_DEADLINE_S:.0f} s",
        remedy="Look at its log: armillary device log --data DIR. A process that was stopped (SIGSTOP) answers nobody.",
    )


def _check_in_number(status: Mapping[str, Any]) -> tuple[int, int]:
    """Tells check-ins apart, also where the device starts again for what it was offered: then it counts anew."""
    return status.get("boot_count") or 0, status.get("check_ins") or 0


def _show_appraisal(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif found.get("accepted"):
        record({name: found.get(name) for name in ("verdict", "purpose", "next_check_in_s")}).print_text()
        note("")
        rows = [{**step, "step": f"({step['number']})"} for step in found["steps"]]
        table(rows, ("step", "result", "name", "detail"), empty="The service named no steps.").print_text()
    if not found.get("accepted"):
        refusal = ArmillaryError(
            str(found.get("message")), remedy=str(found.get("remedy") or ""), code=str(found.get("code"))
        )
        print_error(refusal)
        raise typer.Exit(1)
    if found.get("verdict") != "attested":
        raise typer.Exit(1)


def _status(folder: DeviceFolder) -> dict[str, Any]:
    found = read_status(folder.status)
    if found is None:
        raise NotFoundError(
            f"{folder.root}: the device never ran", remedy=f"Start it: armillary device boot --data {folder.root}"
        )
    return found
