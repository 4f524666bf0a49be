# SPDX-License-Identifier: Apache-2.0
"""``armillary device boot``: the process of a device. It loads what a device runs with, and no other verb."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from armillary.capability.device_addresses import parse_device_addresses
from armillary.cli.device.attached.serving import RestOptions
from armillary.cli.device.events import print_event, write_event
from armillary.cli.device.here import devices_here
from armillary.cli.release.board_file import load_board
from armillary.cli.terminal.device_options import DataOption
from armillary.cli.terminal.output import note
from armillary.cli.terminal.together import local_command
from armillary.device.applications.serial_ports import parse_peripherals
from armillary.device.private_network.naming import private_interface
from armillary.device.process import Device
from armillary.device.repository.sources import check_mirrors
from armillary.device.settings import DeviceSettings
from armillary.update.install.trial import HEALTHY_S, TrialRules

app = devices_here()


@local_command(app, "boot")
def boot(
    data: DataOption,
    trial: Annotated[
        float, typer.Option("--trial", min=0.1, metavar="SECONDS", help="How long new applications must stay healthy.")
    ] = HEALTHY_S,
    mirror: Annotated[
        list[str] | None,
        typer.Option("--mirror", metavar="URL", help="A copy of the update repository, http or https. Repeatable."),
    ] = None,
    peripheral: Annotated[
        list[str] | None,
        typer.Option(
            "--peripheral",
            metavar="Uart:NAME=NODE",
            help="Node of this host for a serial port of the board, such as Uart:UART2=/dev/ttyS1. Repeatable.",
        ),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            "--listen",
            metavar="ADDRESS",
            help="Address of this host at which server ports of applications are reached: 127.0.0.1 when not given, "
            ":: for all. Once for IPv4, once for IPv6.",
        ),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="BOARD", help="Board whose peripherals applications get: a name or a file."),
    ] = None,
    private_network: Annotated[
        str | None,
        typer.Option(
            "--private-network",
            metavar="INTERFACE",
            help="Interface of this host at which applications may serve addresses (DHCP) and the time (SNTP).",
        ),
    ] = None,
    rest: RestOptions = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events to stdout as JSON lines.")] = False,
) -> None:
    """Be the device, until Ctrl-C.

    Verified boot, then applications and check-ins.
    """
    wired = None if board is None else load_board(board)
    of_board = {} if wired is None else {name: Path(node) for name, node in wired.serial_ports.items()}
    settings = DeviceSettings(
        trial=TrialRules(healthy_s=trial),
        mirrors=check_mirrors(mirror or ()),
        addresses=parse_device_addresses(listen or ()),
        rest=rest,
        serial_ports={**of_board, **parse_peripherals(peripheral or ())},
        board=wired,
        private_network=private_interface(private_network),
    )
    be_device(data, settings, as_json=as_json)


def be_device(data: Path, settings: DeviceSettings | None = None, *, as_json: bool) -> None:
    """Be the device of a folder, until Ctrl-C; what happens goes to stdout as JSON lines, or to stderr as text."""
    device = Device(data, settings=settings or DeviceSettings())
    device.journal.listen(print_event if as_json else lambda entry: write_event(entry, sys.stderr.write))
    if as_json:
        device.journal.listen(_note_weaker)  # a person at the terminal must see it in every mode
    asyncio.run(_boot(device))


async def _boot(device: Device) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, device.stop)
    loop.add_signal_handler(signal.SIGTERM, device.stop)
    loop.add_signal_handler(signal.SIGUSR1, device.check_in_now)
    await device.run()


def _note_weaker(entry: dict[str, object]) -> None:
    weaker = entry.get("weaker")
    for sentence in weaker if isinstance(weaker, list) else ():
        note(f"weaker sandbox: {sentence}")
