# SPDX-License-Identifier: Apache-2.0
"""Verbs of ``armillary device`` for the permissions of a device on this host: manufacturing state, capability file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary.cli.device.attached.asking import AskedDevice, attached_command
from armillary.cli.device.device_remote import capability
from armillary.cli.terminal.device_options import DataOption
from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, note, noun, record
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import CaOption, ServiceOption, TokenOption, connect, segment
from armillary.cli.terminal.remote_names import YesOption, confirm
from armillary.device.state.clock import DeviceClock
from armillary.device.state.configuration import DeviceConfiguration, load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.permission import (
    AllowedState,
    advance_state,
    allowed_state,
    load_state,
    remove_capability,
    select_capability,
)
from armillary.engines.flash.file import FileFlash
from armillary.errors import ConflictError
from armillary.identity.manufacturing import state_named
from armillary.wire.image import capability_file

# States that a device can be moved to.
NextState = Literal["Module1Complete", "DeviceComplete"]

manufacturing_state = noun("Manufacturing state of a device on this host.")


@manufacturing_state.command("show")
def show_state(data: DataOption, as_json: JsonOption = False) -> None:
    """Show the manufacturing state, and what it allows."""
    _print(_allowed(*_device(data)), as_json=as_json)


@manufacturing_state.command("update")
def update_state(
    data: DataOption,
    state: Annotated[
        NextState, typer.Option("--manufacturing-state", "--state", help="State to move forward to, for good.")
    ],
    service: ServiceOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Move the manufacturing state forward, for good.

    The service is told first, then the device. Cut short, the same command goes on.
    """
    flash, configuration = _device(data)
    wanted, present = state_named(state), load_state(flash)
    if present is wanted:
        note("the device is in this state already")
    else:
        confirm(f"Move the device from {present.value} to {wanted.value}? There is no way back.", yes=yes)
        with connect(service or configuration.operator_api, token, ca) as remote:
            place = f"/devices/{segment(configuration.device_id)}"
            if remote.get(place)["manufacturing_state"] != wanted.value:
                remote.post(f"{place}/manufacturing-state", {"state": wanted.value})
        with _held(data):
            advance_state(flash, wanted)
    _print(_allowed(flash, configuration), as_json=as_json)


@capability.command("select")
def select(
    data: DataOption,
    file: Annotated[Path, typer.Option("--capability-file", "--file", metavar="FILE", help="File; - is stdin.")],
    as_json: JsonOption = False,
) -> None:
    """Verify a capability file and put it in force.

    It must be signed by the device's service, for this device, at most 30 days ago.
    """
    flash, configuration = _device(data)
    content = read_file(file, limit=capability_file.FILE_BYTES)
    now = DeviceClock(flash).now()
    with _held(data):
        select_capability(flash, configuration, content, now=now)
    _print(_allowed(flash, configuration), as_json=as_json)


@attached_command(capability, "apply")
def apply(
    device: AskedDevice,
    file: Annotated[Path, typer.Option("--capability-file", "--file", metavar="FILE", help="File; - is stdin.")],
) -> Shown:
    """Put a capability file in force at a running device.

    The device is asked by its own API. The file must be signed by its service, for this device, at most 30 days ago.
    """
    answer = device.call("PUT", "device/capabilities", read_file(file, limit=capability_file.FILE_BYTES))
    return record(answer, row=_in_force)


def _in_force(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a device says is in force, for people: capabilities by the names that the service issues them by."""
    issued = {number: name for name, number in capability_file.API_NAMES.items()}
    known = {**capability_file.CAPABILITIES, **issued}
    return {"in force": [f"{known.get(each, 'unknown')} ({each})" for each in answer["device_capabilities"]]}


@capability.command("remove")
def remove(data: DataOption, as_json: JsonOption = False) -> None:
    """Forget the capability file that is in force."""
    flash, configuration = _device(data)
    with _held(data):
        remove_capability(flash)
    _print(_allowed(flash, configuration), as_json=as_json)


@capability.command("show-attached")
def show_attached(data: DataOption, as_json: JsonOption = False) -> None:
    """Show what the capability file in force allows."""
    _print(_allowed(*_device(data)), as_json=as_json)


def _device(data: Path) -> tuple[FileFlash, DeviceConfiguration]:
    folder = DeviceFolder(data)
    folder.check()
    flash = FileFlash(folder.flash)
    return flash, load_configuration(flash)


def _held(data: Path) -> Any:
    folder = DeviceFolder(data)
    if folder.holder() is not None:
        raise ConflictError(f"{data}: the device runs", remedy="Stop it first; it starts in the new state.")
    return folder.hold()


def _allowed(flash: FileFlash, configuration: DeviceConfiguration) -> AllowedState:
    return allowed_state(flash, configuration, now=DeviceClock(flash).now())


def _print(found: AllowedState, *, as_json: bool) -> None:
    allowed = {name: getattr(found.permissions, name) for name in found.permissions.__slots__}
    facts = {
        "manufacturing_state": found.state.value,
        "capabilities": list(found.capabilities),
        "expires_at": found.expires_at,
        "refused": found.refused,
        **allowed,
    }
    record(facts, row=readable).show(as_json=as_json)
