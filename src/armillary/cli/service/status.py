# SPDX-License-Identifier: Apache-2.0
"""``armillary status``: the health of a running service."""

from __future__ import annotations

import typer

from armillary.cli.terminal.output import JsonOption, note, print_record, print_table
from armillary.cli.terminal.remote import CaOption, ServiceOption, TokenOption, connect

app = typer.Typer(help="Show the health of a running service.", rich_markup_mode=None, add_completion=False)


@app.command()
def status(
    service: ServiceOption = None, token: TokenOption = None, ca: CaOption = None, as_json: JsonOption = False
) -> None:
    """Show the health of a running service; exit 1 when a part of it is not well."""
    with connect(service, token, ca) as remote:
        found = remote.get("/status")
        address = remote.address
    if as_json:
        print_record({"service": address, **found}, as_json=True)
    else:
        facts = ("status", "version", "uptime_s", "devices", "open_findings", "connected_devices")
        print_record({"service": address, **{name: found[name] for name in facts}}, as_json=False)
        note("")
        print_table(found["checks"], ("name", "status", "detail"), as_json=False, empty="")
    if found["status"] != "ok":
        raise typer.Exit(1)
