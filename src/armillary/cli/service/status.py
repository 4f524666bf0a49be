# SPDX-License-Identifier: Apache-2.0
"""``armillary status``: the health of a running service."""

from __future__ import annotations

from dataclasses import replace

import typer

from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import only, record, table
from armillary.cli.terminal.remote import CaOption, ServiceOption, TokenOption, connect

app = typer.Typer(help="Show the health of a running service.", rich_markup_mode=None, add_completion=False)


@app.command()
def status(
    service: ServiceOption = None, token: TokenOption = None, ca: CaOption = None, as_json: JsonOption = False
) -> None:
    """Show the health of a running service; exit 1 when a part of it is not well."""
    with connect(service, token, ca) as remote:
        found = remote.get("/status")
        found = {"service": remote.address, **found}
    facts = only("service", "status", "version", "uptime_s", "devices", "open_findings", "connected_devices")
    shown = record(found, row=facts).then("", table(found["checks"], ("name", "status", "detail"), empty=""))
    replace(shown, exit_code=0 if found["status"] == "ok" else 1).show(as_json=as_json)
