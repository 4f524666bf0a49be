# SPDX-License-Identifier: Apache-2.0
"""``armillary device log``: the log of a device on this host, or what a device sends when it is asked for it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.device.events import print_event, write_event
from armillary.cli.terminal.device_reference import AnyDeviceOption, resolve_device
from armillary.cli.terminal.output import inert, note, noun, print_json
from armillary.cli.terminal.progress import waiting
from armillary.cli.terminal.remote import CaOption, RemoteService, ServiceOption, TokenOption, connect, segment
from armillary.device.state.journal import read_journal
from armillary.device.state.layout import DeviceFolder
from armillary.errors import HostError

# Between two looks for the answer.
POLL_S = 0.5
WAIT_S = 60

verbs = noun()


@verbs.command("log")
def log(
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="The data folder of a device on this host.")
    ] = None,
    device: AnyDeviceOption = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="With --device: ask it for its log now, and wait for the answer.")
    ] = False,
    wait_s: Annotated[
        int, typer.Option("--wait", min=0, max=86_400, metavar="SECONDS", help="How long to wait for the answer.")
    ] = WAIT_S,
    last: Annotated[int | None, typer.Option("--last", min=1, metavar="N", help="Print only the last entries.")] = None,
    service: ServiceOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines; with --device one JSON object with all lines.")
    ] = False,
) -> None:
    """Show the log of a device.

    Boots, check-ins, updates, output of applications; oldest first. With --data from this host; with --device what it
    sent to the service when it was last asked. Who asks and who reads it is in the audit log.
    """
    if (data is None) == (device is None):
        raise typer.BadParameter("give either --data or --device")
    if data is not None:
        if ask:
            raise typer.BadParameter(
                "--ask goes with --device: the log of a device on this host is read from its folder"
            )
        _show_local(data, last, as_json=as_json)
        return
    with connect(service, token, ca) as remote:
        known = resolve_device(remote, str(device))
        if ask:
            _ask(remote, known, wait_s)
        found = remote.get(f"/devices/{segment(known)}/log/lines")
    _show_sent(found, last, as_json=as_json)


def _show_local(data: Path, last: int | None, *, as_json: bool) -> None:
    folder = DeviceFolder(data)
    folder.check()
    entries = list(read_journal(folder.log))
    for entry in entries[-last:] if last else entries:
        if as_json:
            print_event(entry)
        else:
            write_event(entry, sys.stdout.write)


def _ask(remote: RemoteService, device_id: str, wait_s: int) -> None:
    """Ask the device, unless a request waits already, and wait for the answer. Raises HostError where none comes."""
    path = f"/devices/{segment(device_id)}/log"
    if remote.get(path)["state"] != "waiting":
        remote.post(path)
    deadline = time.monotonic() + wait_s
    with waiting("the device's log"):
        while remote.get(path)["state"] == "waiting":
            if time.monotonic() >= deadline:
                raise HostError(
                    f"the device has not answered within {wait_s} s",
                    remedy="It answers when it checks in. Look again later: armillary device log --device ID.",
                )
            time.sleep(POLL_S)


def _show_sent(found: dict[str, Any], last: int | None, *, as_json: bool) -> None:
    lines = found["lines"][-last:] if last else found["lines"]
    if as_json:
        print_json({**found, "lines": lines})
        return
    for line in lines:
        sys.stdout.write(inert(line) + "\n")
    came = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(found["answered_at"]))
    older = f"; it has {found['left_out']} older lines" if found["left_out"] else ""
    note(f"asked for by {found['asked_by']}, came {came} UTC, unverified{older}")
