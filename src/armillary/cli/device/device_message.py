# SPDX-License-Identifier: Apache-2.0
"""``armillary device message``: messages to a device, and their outcomes."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.given import pairs_of
from armillary.cli.terminal.output import Shown, note, noun, only, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import YesOption, confirm
from armillary.cli.terminal.times import seconds_of

COLUMNS = ("message_id", "state", "size", "ack", "deliveries", "max_deliveries")

# Which outcomes are kept.
Ack = Literal["none", "positive", "negative", "full"]

message = noun("Messages to a device.")


@remote_command(message, "send")
def _send(
    remote: RemoteService,
    device: DeviceOption,
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT", help="The body as text.")] = None,
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="The body from a file.")] = None,
    property_: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="A property, repeatable.")
    ] = None,
    ack: Annotated[Ack, typer.Option("--ack", help="Which outcomes to keep for message list.")] = "none",
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="For how long it is tried, such as 30m; 48h at most.")
    ] = "1h",
    content_type: Annotated[str, typer.Option("--content-type", metavar="TYPE", help="Such as application/json.")] = "",
) -> Shown:
    """Send a message to a device.

    It waits for a device that is not connected, until it expires.
    """
    body: dict[str, Any] = {
        "properties": pairs_of("--property", property_),
        "ack": ack,
        "lifetime_s": seconds_of(expires),
        "content_type": content_type,
    }
    if (text is None) == (file is None):
        raise typer.BadParameter("give either --text or --file")
    if file is not None:
        body["body_base64"] = base64.b64encode(file.read_bytes()).decode()
    else:
        body["text"] = text
    return record(remote.post(f"/devices/{segment(device)}/messages", body), row=only(*COLUMNS))


@remote_command(message, "list")
def _list(remote: RemoteService, device: DeviceOption) -> Shown:
    """List messages and their outcomes.

    What waits for the device, and the outcomes that were asked for with --ack.
    """
    found = remote.get(f"/devices/{segment(device)}/messages")["items"]
    return table(found, COLUMNS, row=readable, empty="Nothing waits, and no outcome was asked for.")


@remote_command(message, "purge")
def _purge(remote: RemoteService, device: DeviceOption, yes: YesOption = False) -> None:
    """Take back everything that waits for a device."""
    confirm(f"Take back every message that waits for device {device[:12]}...?", yes=yes)
    found = remote.delete(f"/devices/{segment(device)}/messages")
    note(f"{found['purged']} message{'s' if found['purged'] != 1 else ''} purged")
