# SPDX-License-Identifier: Apache-2.0
"""The options of ``armillary device boot`` by which a device serves its own API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.together import Together
from armillary.device.rest.settings import RestSettings, rest_settings

_OPTIONS: dict[str, tuple[Any, object]] = {
    "rest": (
        Annotated[
            str | None,
            typer.Option(
                "--rest",
                metavar="ADDRESS:PORT",
                help="Serve the device's own API for tools on this host, such as at 127.0.0.1:8443.",
            ),
        ],
        None,
    ),
    "rest_token_file": (
        Annotated[
            Path | None,
            typer.Option(
                "--rest-token-file",
                metavar="FILE",
                help="A secret that every request to the API has to show; needed at an address that others reach.",
            ),
        ],
        None,
    ),
    "rest_list_port": (
        Annotated[
            int | None,
            typer.Option(
                "--rest-list-port",
                min=0,
                max=65535,
                metavar="PORT",
                help="Serve the plain list of devices, by which Azure Sphere's tools find one; theirs is 48938.",
            ),
        ],
        None,
    ),
    "rest_interface": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--rest-interface",
                metavar="NAME",
                help="An interface of this host that the API may switch on and off. Repeatable.",
            ),
        ],
        None,
    ),
    "simulated_wifi": (
        Annotated[bool, typer.Option("--simulated-wifi", help="With --rest: have a pretended Wi-Fi radio, wlan0.")],
        False,
    ),
}


def _settings(
    _: object,
    *,
    rest: str | None,
    rest_token_file: Path | None,
    rest_list_port: int | None,
    rest_interface: list[str] | None,
    simulated_wifi: bool,
) -> RestSettings | None:
    return rest_settings(
        rest,
        token_file=rest_token_file,
        list_port=rest_list_port,
        simulated_wifi=simulated_wifi,
        interfaces=rest_interface or (),
    )


RestOptions = Annotated[RestSettings | None, Together(_OPTIONS, _settings)]
