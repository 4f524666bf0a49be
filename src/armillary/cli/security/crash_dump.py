# SPDX-License-Identifier: Apache-2.0
"""``armillary crash-dump``: what was in registers and on the stack of native applications that crashed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from armillary.cli.terminal.device_reference import AnyDeviceOption, short_id
from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.readable import readable_of
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import LimitOption, OnlyCatalogOption, OutputFileOption, YesOption, confirm
from armillary.cli.terminal.short_ids import CRASH_DUMP, with_short

app = noun("Crash dumps of native applications, where device groups collect them.")

COLUMNS = ("dump_id", "received_at", "device_id", "signal", "image_id", "stack", "size")
FACTS = (
    "dump_id", "device_id", "crashed_at", "received_at", "cause", "signal_code", "fault", "machine", "component_id",
    "image_id", "boot_count", "stack", "stack_begin", "stack_bytes",
)  # fmt: skip
FRAME_COLUMNS = ("function", "module", "offset", "build_id")
REGISTER_COLUMNS = ("name", "value", "at")
POINTER_COLUMNS = ("address", "value", "at")

DumpOption = Annotated[
    str, typer.Option("--dump", metavar="ID", help="Crash dump: its id, or four or more first digits."), CRASH_DUMP
]


@remote_command(app, "list")
def list_dumps(
    remote: RemoteService,
    catalog: OnlyCatalogOption = None,
    device: AnyDeviceOption = None,
    image: Annotated[str | None, typer.Option("--image", "-i", metavar="ID", help="Only of this image.")] = None,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="WORD", help="device, signal, received_at, size...; falling with - before it."),
    ] = None,
    limit: LimitOption = None,
) -> Shown:
    """List crash dumps, newest first."""
    found = remote.pages("/crash-dumps", limit=limit, catalog=catalog, device=device, image=image, sort=sort)
    empty = "No crash dumps. Collect them: armillary device-group update --crash-dumps on"
    return table(list(found), COLUMNS, row=_listed, empty=empty)


def _listed(found: Mapping[str, Any]) -> dict[str, Any]:
    row = with_short(readable_of(*COLUMNS)(found), "dump_id", "image_id")
    return {**row, "device_id": short_id(row["device_id"])}


@remote_command(app, "show")
def show(remote: RemoteService, dump: DumpOption, catalog: OnlyCatalogOption = None) -> Shown:
    """Show a crash dump with the names of its places.

    Names come from symbols (armillary crash symbols add). Who reads it is in the audit log.
    """
    found = remote.get(f"/crash-dumps/{segment(dump)}", catalog=catalog)
    pointers = found["pointers"]
    return record(found, row=readable_of(*FACTS)).then(
        "Where it was, innermost first:",
        table(found["frames"], FRAME_COLUMNS, row=readable_of(*FRAME_COLUMNS), empty="Nothing was captured."),
        "Registers:",
        table(found["registers"], REGISTER_COLUMNS, row=readable_of(*REGISTER_COLUMNS), empty="None."),
        "Pointers into modules on the stack:",
        table(pointers, POINTER_COLUMNS, row=readable_of(*POINTER_COLUMNS), empty="None."),
    )


@remote_command(app, "get")
def get(
    remote: RemoteService,
    dump: DumpOption,
    output_file: OutputFileOption,
    catalog: OnlyCatalogOption = None,
) -> None:
    """Write a crash dump to a file, as the device sent it.

    The format is in docs/reference/device-protocol.md. Who reads it is in the audit log.
    """
    data = b"".join(remote.download(f"/crash-dumps/{segment(dump)}/content", catalog=catalog))
    write_file(output_file, data)
    note(f"{len(data)} bytes of crash dump {dump} are written")


@remote_command(app, "delete")
def delete(remote: RemoteService, dump: DumpOption, catalog: OnlyCatalogOption = None, yes: YesOption = False) -> None:
    """Delete a crash dump."""
    confirm(f"Delete crash dump {dump}?", yes=yes)
    remote.delete(f"/crash-dumps/{segment(dump)}", catalog=catalog)
    note(f"crash dump {dump} is deleted")
