# SPDX-License-Identifier: Apache-2.0
"""The command ``armillary device boot``: its options and their help. ``start.py`` runs it, and reads plain ones itself.

It loads what a device runs with, and no other verb.
"""

from __future__ import annotations

import math
from typing import Annotated, Final

import typer

from armillary.cli.device.attached.serving import RestOptions
from armillary.cli.device.here import devices_here
from armillary.cli.device.own_process import be_device, device_settings
from armillary.cli.device.start import MIN_TRIAL_S
from armillary.cli.device_image.machine_options import MachineOptions
from armillary.cli.terminal.device_options import DataOption
from armillary.cli.terminal.together import local_command
from armillary.update.install.trial import HEALTHY_S

ModemPortOption = Annotated[
    str | None,
    typer.Option(
        "--modem-port",
        metavar="NODE",
        help="Port of this host that a cellular modem takes AT commands at, or qmi:NODE for QMI: the device keeps its "
        "session up.",
    ),
]
ModemInterfaceOption = Annotated[
    str | None,
    typer.Option(
        "--modem-interface", metavar="NAME", help="With --modem-port: interface that the session comes out of."
    ),
]

# Options of a device that is a process of this host, in the order in which they are looked at.
OF_PROCESS: Final = (
    *("--mirror", "--peripheral", "--listen", "--private-network"),
    *("--modem-port", "--modem-interface", "--rest", "--trial"),
)

app = devices_here()


@local_command(app, "boot")
def boot(
    data: DataOption,
    trial: Annotated[
        float,
        typer.Option(
            "--trial", min=MIN_TRIAL_S, metavar="SECONDS", help="How long new applications must stay healthy."
        ),
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
    modem_port: ModemPortOption = None,
    modem_interface: ModemInterfaceOption = None,
    rest: RestOptions = None,
    machine: MachineOptions = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print events to stdout as JSON lines.")] = False,
) -> None:
    """Be the device, until Ctrl-C.

    Verified boot, then applications and check-ins. With --machine it is a machine in QEMU that boots the
    device image, and its console is shown.
    """
    if not math.isfinite(trial):
        raise typer.BadParameter(f"--trial: expected seconds, got {trial}")
    if machine is not None:
        has_trial = trial != HEALTHY_S
        _check_no_process(mirror, peripheral, listen, private_network, modem_port, modem_interface, rest, has_trial)
        from armillary.cli.device_image.machine import be_machine  # noqa: PLC0415 - most devices are processes
        from armillary.cli.release.board_file import board_bytes  # noqa: PLC0415 - as above

        be_machine(data, machine, board=None if board is None else board_bytes(board), as_json=as_json)
        return
    settings = device_settings(
        trial=trial,
        mirror=mirror or (),
        peripheral=peripheral or (),
        listen=listen or (),
        board=board,
        rest=rest,
        private_network=private_network,
        modem_port=modem_port,
        modem_interface=modem_interface,
    )
    be_device(data, settings, as_json=as_json)


def _check_no_process(*given: object) -> None:
    """BadParameter for an option that a machine does not hear of: its device is told by enrolment and service."""
    for name, value in zip(OF_PROCESS, given, strict=True):
        if value:
            raise typer.BadParameter(f"{name} is for a device that is a process here: leave it out with --machine")
