# SPDX-License-Identifier: Apache-2.0
"""The process of a device: its settings from the options of a command, its memory and signals around the device."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from armillary.capability.device_addresses import parse_device_addresses
from armillary.cli.device.events import print_event, write_event
from armillary.cli.release.board_file import load_board
from armillary.cli.terminal.output import note
from armillary.device.applications.serial_ports import parse_peripherals
from armillary.device.cellular.host_modem import host_modem
from armillary.device.private_network.naming import private_interface
from armillary.device.process import Device
from armillary.device.repository.sources import check_mirrors
from armillary.device.rest.settings import RestSettings, rest_settings
from armillary.device.settings import DeviceSettings
from armillary.engines.sandbox.network.held_calls import allow_descriptors
from armillary.roles.memory import give_back_memory, keep_one_heap
from armillary.update.install.trial import HEALTHY_S, TrialRules

# By then most devices have booted, tested their sandbox and checked in (seconds).
STARTED_S: Final = 5.0


def device_settings(
    *,
    trial: float = HEALTHY_S,
    mirror: Sequence[str] = (),
    peripheral: Sequence[str] = (),
    listen: Sequence[str] = (),
    board: str | None = None,
    private_network: str | None = None,
    modem_port: str | None = None,
    modem_interface: str | None = None,
    rest: RestSettings | str | None = None,
    rest_token_file: Path | None = None,
    rest_list_port: int | None = None,
    rest_interface: Sequence[str] = (),
    simulated_wifi: bool = False,
) -> DeviceSettings:
    """The settings that the options of ``armillary device boot`` say.

    Raises:
        ArmillaryError: one of them is wrong.
    """
    wired = None if board is None else load_board(board)
    of_board = {} if wired is None else {name: Path(node) for name, node in wired.serial_ports.items()}
    if not isinstance(rest, RestSettings):
        rest = rest_settings(
            rest,
            token_file=rest_token_file,
            list_port=rest_list_port,
            simulated_wifi=simulated_wifi,
            interfaces=rest_interface,
        )
    return DeviceSettings(
        trial=TrialRules(healthy_s=trial),
        mirrors=check_mirrors(mirror),
        addresses=parse_device_addresses(listen),
        rest=rest,
        serial_ports={**of_board, **parse_peripherals(peripheral)},
        board=wired,
        private_network=private_interface(private_network),
        uplink=host_modem(modem_port, modem_interface),
    )


def be_device(data: Path, settings: DeviceSettings | None = None, *, as_json: bool) -> None:
    """Be the device of a folder, until Ctrl-C; what happens goes to stdout as JSON lines, or to stderr as text."""
    device = Device(data, settings=settings or DeviceSettings())
    device.journal.listen(print_event if as_json else lambda entry: write_event(entry, sys.stderr.write))
    if as_json:
        device.journal.listen(_note_weaker)  # a person at the terminal must see it in every mode
    keep_one_heap()
    allow_descriptors()
    asyncio.run(_boot(device))


async def _boot(device: Device) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, device.stop)
    loop.add_signal_handler(signal.SIGTERM, device.stop)
    loop.add_signal_handler(signal.SIGUSR1, device.check_in_now)
    giving_back = asyncio.create_task(_give_back_memory(), name="give-back-memory")
    try:
        await device.run()
    finally:
        giving_back.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await giving_back


async def _give_back_memory() -> None:
    """Give back what the start alone needed, and from then on what each piece of work needed."""
    await asyncio.sleep(STARTED_S)
    await give_back_memory()


def _note_weaker(entry: dict[str, object]) -> None:
    weaker = entry.get("weaker")
    for sentence in weaker if isinstance(weaker, list) else ():
        note(f"weaker sandbox: {sentence}")
