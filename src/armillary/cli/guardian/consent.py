# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian consent``: what a person at the equipment does, on the device itself."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.guardian.device_arguments import EquipmentArgument
from armillary.cli.terminal.files import explained
from armillary.cli.terminal.output import note, noun
from armillary.errors import NotFoundError
from armillary.guard.situation import CONSENT_S
from armillary.guardian.configuration import EQUIPMENT_NAME
from armillary.guardian.consent import FOLDER

verbs = noun()


@verbs.command("consent")
def consent(
    equipment: EquipmentArgument,
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="Command, or firmware.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder of the device on this host.")],
) -> None:
    """Agree to one command, at the device.

    Some commands need a person who sees the machine. No message can say so: it is said here, and holds for a minute and
    for one command.
    """
    from armillary.device.state.layout import DeviceFolder  # noqa: PLC0415 - other verbs know no device
    from armillary.engines.sandbox.storage.use import opened_storage  # noqa: PLC0415 - the same

    for name in (equipment, command):
        if not EQUIPMENT_NAME.fullmatch(name):
            raise NotFoundError(f"{name!r:.60} is no name", remedy="Look at armillary guardian profile show.")
    found = False
    for each in sorted(DeviceFolder(data).mutable.glob("*")):
        if not each.is_dir():
            continue
        with opened_storage(each) as storage:
            found = _agree(storage, f"{equipment}.{command}") or found
    if not found:
        raise NotFoundError(f"{data}: no guardian runs on this device", remedy="Deploy one: armillary guardian image.")
    note(f"agreed to {command} of {equipment}, for {CONSENT_S:.0f} s")


def _agree(storage: Path, name: str) -> bool:
    """Put an empty file into a guardian's storage; whether it is one's.

    Applications write there: a link that one of them put in the way is replaced, and followed by nobody.
    """
    try:
        folder = os.open(storage / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        with explained(storage / FOLDER / name, "cannot be written"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder))
    finally:
        os.close(folder)
    return True
