# SPDX-License-Identifier: Apache-2.0
"""The simulated machines by name, each with the profile that it is laid out by, and their servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from armillary.content.equipment import load
from armillary.errors import InvalidArgumentError
from armillary.sim.equipment.cable import SensingCable
from armillary.sim.equipment.coffee import CoffeeMachine
from armillary.sim.equipment.dispenser import Dispenser
from armillary.sim.equipment.framed_server import FramedServer
from armillary.sim.equipment.life import Life
from armillary.sim.equipment.machine import Machine
from armillary.sim.equipment.modbus_server import ModbusMachine, RtuServer, TcpServer
from armillary.sim.serial.pseudo_terminal import PseudoTerminal
from armillary.wire.equipment.profile import FramedSerial, ModbusRtu, ModbusTcp, Profile

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Play:
    """What a simulated machine is started with."""

    seed: int = 1
    every_s: float = 0.0  # how often somebody uses it by himself; 0: never
    speed: float = 1.0  # seconds that pass in it in one
    nameless: bool = False


MACHINES: Final[Mapping[str, Callable[[Play], Machine]]] = {
    "coffee": lambda play: CoffeeMachine(play.seed, every_s=play.every_s),
    "dispenser": lambda play: Dispenser(play.seed, every_s=play.every_s),
    "cable": lambda play: SensingCable(play.seed),
}


class Server(Protocol):
    """Serves a machine until it is closed."""

    async def close(self) -> None:
        """Stop."""
        ...


def begin(name: str, play: Play, profile: Profile | None = None) -> Life:
    """A machine that runs. Raises InvalidArgumentError if there is none of this name."""
    if name not in MACHINES:
        raise InvalidArgumentError(f"no machine {name!r:.40}", remedy=f"Use one of: {', '.join(MACHINES)}.")
    return Life(profile or load(name), MACHINES[name](play), speed=play.speed)


async def serve_tcp(life: Life, port: int, *, nameless: bool = False) -> tuple[Server, dict[str, Any]]:
    """Serve Modbus TCP on this host; port 0 takes a free one. Returns the server, and where it is.

    Raises:
        InvalidArgumentError: the machine speaks no Modbus.
        OSError: the port is taken.
    """
    link = life.profile.link
    if not isinstance(link, (ModbusTcp, ModbusRtu)):
        raise InvalidArgumentError(f"{life.profile.title} speaks no Modbus", remedy="Serve it with --pty PATH.")
    server = TcpServer(ModbusMachine(life, unit=link.unit, nameless=nameless))
    return server, {"host": LOOPBACK, "port": await server.start(LOOPBACK, port), "unit": link.unit}


def serve_line(life: Life, path: Path | None, *, nameless: bool = False) -> tuple[Server, dict[str, Any]]:
    """Serve on a pseudo-terminal, with a link to it at ``path``. Returns the server, and where it is.

    Raises:
        HostError: nothing can be put at ``path``.
    """
    line = PseudoTerminal(path)
    link = life.profile.link
    if isinstance(link, FramedSerial):
        framed = FramedServer(life, link, line)
        framed.start()
        return framed, {"port": str(line.path)}
    unit = link.unit if isinstance(link, (ModbusTcp, ModbusRtu)) else 1
    server = RtuServer(ModbusMachine(life, unit=unit, nameless=nameless), line)
    server.start()
    return server, {"port": str(line.path), "unit": unit}
