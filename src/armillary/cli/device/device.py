# SPDX-License-Identifier: Apache-2.0
"""``armillary device``: verbs for a device on this host, beside those that ask the service (``in_service``)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import typer

from armillary.cli.device import in_service
from armillary.cli.device.device_sideload import sideload
from armillary.cli.device.device_state import manufacturing_state
from armillary.cli.terminal.device_options import ChipOption, DataOption, SandboxName, StateName
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import (
    Shown,
    adopt,
    inert,
    json_text,
    note,
    noun,
    print_error,
    print_json,
    record,
    table,
)
from armillary.cli.terminal.remote import CaOption, RemoteService, ServiceOption, TokenOption, connect
from armillary.device.applications.serial_ports import parse_peripherals
from armillary.device.boot.provision import Factory, provision
from armillary.device.boot.recovery import recover as recover_device
from armillary.device.checkin.checkin import describe_steps
from armillary.device.process import Device
from armillary.device.repository.sources import check_mirrors
from armillary.device.running import DeviceSettings
from armillary.device.state.configuration import load_configuration
from armillary.device.state.journal import read_journal
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.status import read_status
from armillary.engines.flash.file import FileFlash
from armillary.engines.sandbox.selection import open_sandbox
from armillary.errors import ArmillaryError, HostError, NotFoundError
from armillary.identity.manufacturing import state_named
from armillary.roles.log import log_to_stderr
from armillary.update.install.trial import HEALTHY_S, TrialRules

app = noun("Devices: on this host and in the service.")

CHECK_IN_DEADLINE_S = 60.0  # longer than a check-in's own time limits
POLL_S = 0.05


@app.callback()
def devices() -> None:
    """Devices: on this host and in the service."""
    log_to_stderr()


RootOfTrustName = Literal["software", "tpm2"]


@app.command("create")
def create(
    data: DataOption,
    service: ServiceOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
    chip: ChipOption = "mt3620",
    root_of_trust: Annotated[
        RootOfTrustName, typer.Option("--root-of-trust", help="What keeps the device's secret.")
    ] = "software",
    sandbox: Annotated[SandboxName, typer.Option("--sandbox", help="What contains its applications.")] = "linux",
    tpm: Annotated[
        str | None, typer.Option("--tpm", metavar="TPM", help="With tpm2: such as device:/dev/tpmrm0.")
    ] = None,
    manufacturing_state: Annotated[
        StateName, typer.Option("--manufacturing-state", help="State it is made in; it only moves forward.")
    ] = "DeviceComplete",
    as_json: JsonOption = False,
) -> None:
    """Make a device in a new folder.

    Makes its secret, gets its identity certificate and its OS from the service. The token is an
    operator's, or an enrolment token: then the device is claimed as well. A creation that was cut
    short is continued by the same command.
    """
    if root_of_trust == "tpm2" and manufacturing_state != "DeviceComplete":
        raise typer.BadParameter("a device with a TPM is made DeviceComplete: leave --manufacturing-state out")
    with connect(service, token, ca) as remote:
        configuration = provision(
            DeviceFolder(data),
            chip=chip,
            root_of_trust=root_of_trust,
            sandbox=sandbox,
            operator_api=remote.address,
            factory=_factory(remote, manufacturing_state),
            tpm=tpm,
            state=state_named(manufacturing_state),
            tpm_factory=lambda route, body: remote.post(f"/factory/{route}", body),
        )
    if root_of_trust == "tpm2":
        note("Its key is in the TPM: trust tier tpm. What that proves: docs/concepts/roots-of-trust.md.")
    else:
        note("Its secret is a file on this host: trust tier software, not hardware.")
    for sentence in open_sandbox(sandbox).self_test().weaker:
        note(f"weaker sandbox: {sentence}")
    facts = {name: getattr(configuration, name) for name in ("device_id", "chip", "os_version")}
    record({**facts, "data": str(data)}).show(as_json=as_json)


@app.command("boot")
def boot(
    data: DataOption,
    trial: Annotated[
        float, typer.Option("--trial", min=0.1, metavar="SECONDS", help="How long new applications must stay healthy.")
    ] = HEALTHY_S,
    mirror: Annotated[
        list[str] | None,
        typer.Option("--mirror", metavar="URL", help="A copy of the update repository, http or https. Repeatable."),
    ] = None,
    peripheral: Annotated[
        list[str] | None,
        typer.Option(
            "--peripheral",
            metavar="Uart:NAME=NODE",
            help="Node of this host for a serial port of the board, such as Uart:UART2=/dev/ttyS1. Repeatable.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events to stdout as JSON lines.")] = False,
) -> None:
    """Be the device, until Ctrl-C.

    Verified boot, then applications and check-ins.
    """
    settings = DeviceSettings(
        trial=TrialRules(healthy_s=trial),
        mirrors=check_mirrors(mirror or ()),
        serial_ports=parse_peripherals(peripheral or ()),
    )
    device = Device(data, settings=settings)
    device.journal.listen(_print_event_json if as_json else lambda entry: _event_text(entry, sys.stderr.write))
    if as_json:
        device.journal.listen(_note_weaker)  # a person at the terminal must see it in every mode
    asyncio.run(_boot(device))


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
    columns = ("name", "state", "on_trial", "image_id", "component_id")
    below = ("", table(applications, columns, empty="")) if applications else ()
    weaker = (f"weaker: {sentence}" for sentence in sandbox.get("weaker", ()))
    Shown(found).then(record(shown), *weaker, *serial, *below).show(as_json=as_json)


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


@app.command("log")
def log(
    data: DataOption,
    last: Annotated[int | None, typer.Option("--last", min=1, metavar="N", help="Print only the last entries.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Show the log of a device on this host.

    Boots, check-ins, updates, output of applications; oldest first.
    """
    folder = DeviceFolder(data)
    folder.check()
    entries = list(read_journal(folder.log))
    for entry in entries[-last:] if last else entries:
        if as_json:
            _print_event_json(entry)
        else:
            _event_text(entry, sys.stdout.write)


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
        restored = recover_device(folder, _factory(remote), now=int(time.time()))
    record({"restored": list(restored)}).show(as_json=as_json)
    note(f"Start it: armillary device boot --data {data}")


app.add_typer(manufacturing_state, name="manufacturing-state")
app.add_typer(sideload, name="sideload")
adopt(app, in_service.app)


def _factory(remote: RemoteService, state: StateName = "DeviceComplete") -> Factory:
    def manufacture(csr: str, chip: str) -> Any:
        body = {"csr": csr, "chip": chip}
        if state != "DeviceComplete":
            body["manufacturing_state"] = state
        return remote.post("/factory/devices", body)

    return manufacture


async def _boot(device: Device) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, device.stop)
    loop.add_signal_handler(signal.SIGTERM, device.stop)
    loop.add_signal_handler(signal.SIGUSR1, device.check_in_now)
    await device.run()


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
    while time.monotonic() < deadline:
        found = _status(folder)
        if _check_in_number(found) > before and found.get("last_check_in"):
            return dict(found["last_check_in"])
        if folder.holder() != process:
            break
        time.sleep(POLL_S)
    raise HostError(
        f"the device did not check in within {CHECK_IN_DEADLINE_S:.0f} s",
        remedy="Look at its log: armillary device log --data DIR.",
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


def _note_weaker(entry: dict[str, object]) -> None:
    weaker = entry.get("weaker")
    for sentence in weaker if isinstance(weaker, list) else ():
        note(f"weaker sandbox: {sentence}")


def _print_event_json(entry: dict[str, object]) -> None:
    sys.stdout.write(json_text(entry) + "\n")
    sys.stdout.flush()


def _event_text(entry: dict[str, object], write: Callable[[str], object]) -> None:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(str(entry.get("at", 0)))))
    fields = "  ".join(
        f"{name}={_short(value)}"
        for name, value in entry.items()
        if name not in ("at", "event", "weaker", "components")
    )
    write(inert(f"{at}  {entry.get('event')}  {fields}".rstrip()) + "\n")
    weaker = entry.get("weaker")
    for sentence in weaker if isinstance(weaker, list) else ():
        write(inert(f"{at}  weaker sandbox: {sentence}") + "\n")


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value)
    return text if len(text) <= 200 else text[:200] + "…"
