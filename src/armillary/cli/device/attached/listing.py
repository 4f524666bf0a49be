# SPDX-License-Identifier: Apache-2.0
"""``armillary device list-attached``: the devices in folders of this host, and where each answers tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.device.attached.asking import HELP
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import noun, table
from armillary.device.state.configuration import REGION, DeviceConfiguration, load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.status import read_status
from armillary.engines.flash.file import FileFlash
from armillary.errors import ArmillaryError, DataFolderError

COLUMNS = ("data", "device_id", "chip", "state", "url")
EMPTY = "No device there. Make one: armillary device create --data DIR."
_SHOWN_DIGITS = 12  # as other lists of devices

app = noun(HELP)
app.callback()(lambda: None)


@app.command("list-attached")
def list_attached(
    within: Annotated[
        Path, typer.Option("--in", metavar="DIR", help="Folder that has the devices' data folders, or is one.")
    ] = Path(),
    as_json: JsonOption = False,
) -> None:
    """List the devices in folders of this host.

    Of one that runs with its own API (armillary device boot --rest) it says where that is.
    """
    try:
        folders = sorted([within, *(each for each in within.iterdir() if each.is_dir())])
    except OSError as error:
        raise DataFolderError(f"{within}: {error.strerror}", remedy="Name a folder of yours with --in.") from error
    table(_devices(folders), COLUMNS, empty=EMPTY, row=_row).show(as_json=as_json)


def _devices(folders: list[Path]) -> Iterator[dict[str, Any]]:
    """What is known of each device; a folder that is no device's, or another user's, has none."""
    for path in folders:
        folder = DeviceFolder(path)
        try:
            if not folder.is_finished() or FileFlash(folder.flash).read(REGION) is None:
                continue
            configuration = _configuration(folder)
            runs = folder.holder() is not None
            status = (read_status(folder.status) or {}) if runs else {}
        except (ArmillaryError, OSError, ValueError):
            continue
        state = str(status.get("state", "starting")) if runs else "stopped"
        yield {
            "data": str(path),
            "device_id": "" if configuration is None else configuration.device_id,
            "chip": "" if configuration is None else configuration.chip,
            "state": "damaged" if configuration is None else state,
            "url": str((status.get("rest") or {}).get("url", "")),
        }


def _configuration(folder: DeviceFolder) -> DeviceConfiguration | None:
    """The record of a finished device, None where it is damaged."""
    try:
        return load_configuration(FileFlash(folder.flash))
    except DataFolderError:
        return None


def _row(device: dict[str, Any]) -> dict[str, Any]:
    return {**device, "device_id": device["device_id"][:_SHOWN_DIGITS], "url": device["url"] or "-"}
