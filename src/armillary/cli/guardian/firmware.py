# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian firmware``: sign a firmware's hash, have equipment take it; ``armillary guardian consent``."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.guardian.command import call
from armillary.cli.guardian.device_arguments import DeviceArgument, EquipmentArgument
from armillary.cli.guardian.recipe import KEY_LIMIT_BYTES, outcome_of
from armillary.cli.terminal.files import read_file, write_file
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, note, noun, record
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.errors import InvalidArgumentError
from armillary.wire.equipment.faults import EquipmentCallError
from armillary.wire.equipment.files.firmware_file import MAX_FIRMWARE_BYTES, FirmwareFile, read_firmware
from armillary.wire.equipment.files.signing import read_private_key, sign
from armillary.wire.equipment.signed_file import FIRMWARE, MAX_ENVELOPE_BYTES, read_envelope

app = noun("Firmware of equipment: sign, push, show.")

# One direct method carries 128 KiB of JSON; a guardian takes 64 KiB of bytes at once.
PIECE_BYTES = 48 * 1024
ImageArgument = Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="The firmware itself.")]


@app.command("sign")
def sign_firmware(
    file: ImageArgument,
    profile: Annotated[str, typer.Option("--profile", metavar="NAME", help="Profile of the equipment: guard/coffee.")],
    version: Annotated[int, typer.Option("--version", min=1, metavar="N", help="What the equipment will show.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Private key that guardians trust, PEM.")],
    out: Annotated[Path, typer.Option("--output-file", "-o", metavar="FILE", help="Signed file to write.")],
    as_json: JsonOption = False,
) -> None:
    """Sign a firmware: its hash, size and version."""
    content = read_file(file, limit=MAX_FIRMWARE_BYTES)
    found = FirmwareFile(
        profile=profile, version=version, size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    payload = found.payload
    read_firmware(payload)
    write_file(out, sign(FIRMWARE, payload, read_private_key(read_file(key, limit=KEY_LIMIT_BYTES))))
    record({"file": str(out), "version": version, "size": found.size, "sha256": found.sha256}).show(as_json=as_json)


@remote_command(app, "push")
def push(
    remote: RemoteService,
    device: DeviceArgument,
    equipment: EquipmentArgument,
    file: ImageArgument,
    signed: Annotated[Path, typer.Option("--signed", metavar="FILE", help="What sign has written.")],
) -> Shown:
    """Send a firmware to a guardian.

    It installs that when the equipment is ready and a person there has agreed.
    """
    envelope = read_file(signed, limit=MAX_ENVELOPE_BYTES)
    found = read_firmware(read_envelope(envelope).payload)
    content = read_file(file, limit=MAX_FIRMWARE_BYTES)
    if hashlib.sha256(content).hexdigest() != found.sha256:
        raise InvalidArgumentError(
            f"{file}: expected the firmware that {signed} is of (version {found.version}, {found.size} bytes), "
            "got another file",
            remedy="Name the file that was signed, or sign this one: armillary guardian firmware sign.",
        )
    wanted = {
        "version": found.version,
        "sha256": found.sha256,
        "size": found.size,
        "file": file.name,
        "envelope": envelope.decode("ascii"),
    }
    remote.patch(f"/devices/{segment(device)}/twin", {"desired": {"firmware": wanted}}, module=equipment)
    offset = 0
    while offset < len(content):
        data = base64.b64encode(content[offset : offset + PIECE_BYTES]).decode("ascii")
        piece = {"sha256": found.sha256, "offset": offset, "data": data}
        taken = int(call(remote, device, equipment, "putFirmware", piece)["received"])
        if taken <= offset:
            raise EquipmentCallError(
                f"{equipment}: putFirmware has {taken} bytes after those at {offset}",
                remedy="Push it again; if it stays so, look at the guardian: armillary guardian show.",
            )
        offset = taken
    note("The guardian installs it when the equipment is ready: armillary guardian firmware show.")
    return record({"equipment": equipment, "version": found.version, "bytes": len(content)})


@remote_command(app, "show")
def show(remote: RemoteService, device: DeviceArgument, equipment: EquipmentArgument) -> Shown:
    """Show what became of a firmware."""
    return record(outcome_of(remote, device, equipment, "firmware"))
