# SPDX-License-Identifier: Apache-2.0
"""The command ``armillary up``: its options and their help. ``start.py`` runs it, and reads plain ones itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.service.start import start
from armillary.cli.terminal.json_option import JsonOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def up(  # noqa: PLR0917 - each is an option of the command line
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder of this service's data.")] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings, TOML.")] = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Address to listen on; loopback by default.")
    ] = None,
    public_host: Annotated[
        str | None, typer.Option("--public-host", metavar="NAME", help="Name devices and people reach this service by.")
    ] = None,
    api_port: Annotated[
        int | None, typer.Option("--api-port", metavar="PORT", help="Operator API and console; 0 is a free one.")
    ] = None,
    device_port: Annotated[
        int | None, typer.Option("--device-port", metavar="PORT", help="Device endpoint; 0 is a free one.")
    ] = None,
    hub_port: Annotated[
        int | None, typer.Option("--hub-port", metavar="PORT", help="MQTT over TLS; 0 is a free one.")
    ] = None,
    websocket_port: Annotated[
        str | None,
        typer.Option(
            "--websocket-port",
            metavar="PORT",
            help="The hub a second time, for clients that know 443 only; off is none.",
        ),
    ] = None,
    broker_port: Annotated[
        str | None,
        typer.Option("--broker-port", metavar="PORT", help="General MQTT broker over TLS; 0 is a free one, off none."),
    ] = None,
    bridge_port: Annotated[
        str | None,
        typer.Option(
            "--bridge-port", metavar="PORT", help="Devices that speak hawkBit's DDI; 0 is a free one, off none."
        ),
    ] = None,
    device_workers: Annotated[
        str | None,
        typer.Option(
            "--device-workers", metavar="N", help="Processes for the device endpoint; auto is one a core, 0 none."
        ),
    ] = None,
    series_database: Annotated[
        str | None, typer.Option("--series-database", metavar="URL", help="PostgreSQL database of the hub's series.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run security service, hub, operator API and console until Ctrl-C.

    The first start makes keys, an OS release for each chip profile and one administrator token, which is printed once.
    """
    start(
        {
            "data": data,
            "config": config,
            "host": host,
            "public_host": public_host,
            "api_port": api_port,
            "device_port": device_port,
            "hub_port": hub_port,
            "websocket_port": websocket_port,
            "broker_port": broker_port,
            "bridge_port": bridge_port,
            "device_workers": device_workers,
            "series_database": series_database,
            "log_level": log_level,
            "as_json": as_json,
        }
    )
