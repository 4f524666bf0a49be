# SPDX-License-Identifier: Apache-2.0
"""A machine in QEMU whose only network is that of a simulated modem: its card has a link while the session is up."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from armillary.device.machine.network import MODEM_CARD
from armillary.device_image.virtual_machine import MachineSettings, VirtualMachine, running
from armillary.engines.modem.opening import VIRTUAL_PORT
from armillary.errors import HostError
from armillary.sim.modem.link import QemuLink
from armillary.sim.modem.modem import SimulatedModem
from armillary.sim.modem.serving import ServedModem, SocketLine

WHAT: Final = "a simulated modem: no radio, no SIM, no operator"
_LINE, _CONTROL, _CARD = "line", "control", "network"  # the card's name is that of its network in hardware.py
_LISTENS_WITHIN_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.05


@contextlib.contextmanager
def running_with_modem(settings: MachineSettings) -> Iterator[tuple[VirtualMachine, ServedModem]]:
    """Switch a machine on, and its modem with it; both are off when the block ends.

    Raises:
        HostError, DataFolderError, InvalidArgumentError: as :func:`running` does; or QEMU does not take the card's
            cable out.
    """
    with tempfile.TemporaryDirectory(prefix="armillary-modem-") as name:
        folder = Path(name)
        with running(replace(settings, attached=(*settings.attached, *words(folder)))) as machine:
            link = QemuLink(folder / _CONTROL, _CARD)
            _wait_for(folder / _CONTROL, machine)
            link.switch(False)
            modem = SimulatedModem(session_changed=lambda is_up: _follow(link, is_up=is_up))
            with ServedModem(modem, SocketLine(folder / _LINE)) as served:
                yield machine, served


def words(folder: Path) -> tuple[str, ...]:
    """How QEMU is told of the modem's port, of its card, and of the socket by which the card's link is switched."""
    return (
        *("-global", f"virtio-net-pci.mac={MODEM_CARD}"),
        *("-qmp", f"unix:{folder / _CONTROL},server=on,wait=off"),
        *("-device", "virtio-serial-pci,id=modem"),
        *("-chardev", f"socket,id=modem-line,path={folder / _LINE},server=on,wait=off"),
        *("-device", f"virtserialport,bus=modem.0,chardev=modem-line,name={VIRTUAL_PORT}"),
    )


def _follow(link: QemuLink, *, is_up: bool) -> None:
    with contextlib.suppress(HostError):  # the machine is off: nobody misses the link
        link.switch(is_up)


def _wait_for(socket: Path, machine: VirtualMachine) -> None:
    ends_at = time.monotonic() + _LISTENS_WITHIN_S
    while not socket.exists():
        if not machine.is_on or time.monotonic() > ends_at:
            said = " ".join(machine.lines(within_s=1.0))
            raise HostError(f"QEMU does not start: {said:.300}", remedy="Look at what it says of its arguments.")
        time.sleep(_LOOK_EVERY_S)
