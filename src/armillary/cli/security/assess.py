# SPDX-License-Identifier: Apache-2.0
"""``armillary assess``: the seven properties of highly secured devices, of one device or of all."""

from __future__ import annotations

from typing import Annotated

import typer

from armillary.cli.terminal.device_reference import DEVICE_HELP, resolve_device
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, only, record, table
from armillary.cli.terminal.remote import CaOption, RemoteService, ServiceOption, TokenOption, connect, segment
from armillary.cli.terminal.remote_names import OnlyCatalogOption
from armillary.errors import InvalidArgumentError

app = typer.Typer(
    help="Say which of the seven properties of secured devices hold.", rich_markup_mode=None, add_completion=False
)

DeviceToAssess = Annotated[str | None, typer.Option("--device", "-d", metavar="DEVICE", help=DEVICE_HELP)]
FleetFlag = Annotated[bool, typer.Option("--fleet", help="All devices, or those of --catalog; as without --device.")]


@app.command()
def assess(
    device: DeviceToAssess = None,
    fleet: FleetFlag = False,
    catalog: OnlyCatalogOption = None,
    service: ServiceOption = None,
    token: TokenOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which of the seven properties of secured devices hold.

    Each is present, absent, stale or out of scope, with the reason, and with --json the routes that show the evidence.
    """
    if device is not None and fleet:
        raise InvalidArgumentError("expected --device or --fleet, got both", remedy="Leave one of them out.")
    with connect(service, token, ca) as remote:
        shown = _of_fleet(remote, catalog) if device is None else _of_device(remote, device, catalog)
    shown.show(as_json=as_json)


def _of_device(remote: RemoteService, device: str, catalog: str | None) -> Shown:
    found = remote.get(f"/devices/{segment(resolve_device(remote, device, catalog))}/assessment")
    rows = ({"property": each["title"], **each} for each in found["properties"])
    head = record(found, row=only("device_id", "tier", "health"))
    return head.then("", table(rows, ("property", "state", "says"), empty=""))


def _of_fleet(remote: RemoteService, catalog: str | None) -> Shown:
    found = remote.get("/assessment", catalog=catalog)
    rows = (
        {"property": each["title"], "state": one["state"], "devices": one["devices"], "says": one["says"]}
        for each in found["properties"]
        for one in each["reasons"]
    )
    head = record(found, row=only("devices", "tiers"))
    return head.then("", table(rows, ("property", "state", "devices", "says"), empty="There is no device."))
