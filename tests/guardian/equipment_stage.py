# SPDX-License-Identifier: Apache-2.0
"""Simulated equipment in a thread of its own, for guardians that are other processes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from armillary.content import equipment as profiles
from armillary.sim.equipment.coffee import CoffeeMachine
from armillary.sim.equipment.faults import Fault
from armillary.sim.equipment.life import Life
from armillary.sim.equipment.modbus_server import ModbusMachine, TcpServer
from armillary.wire.equipment.modbus_framing import UnitPdu

FIRST_INPUT_REGISTER: Final = bytes((0x04, 0, 0))  # how a request begins that reads it: of the brewing temperature
REGISTERS_AT: Final = 2  # where an answer has them: behind the function and how many bytes they are
LOWEST_TENTHS: Final = 901  # 90.1 degrees; the profile takes up to 130


class NumberedMachine(ModbusMachine):
    """Says another brewing temperature each time, by which it is known again, and nothing any more once it is silent."""

    def __init__(self, life: Life) -> None:
        super().__init__(life, unit=1)
        self.said: list[float] = []
        self.is_silent = False

    def reply(self, request: UnitPdu) -> tuple[bytes, Fault | None] | None:
        made = None if self.is_silent else super().reply(request)
        if made is None or not request.pdu.startswith(FIRST_INPUT_REGISTER):
            return made
        answer, fault = made
        tenths = LOWEST_TENTHS + len(self.said)
        self.said.append(tenths / 10)
        return answer[:REGISTERS_AT] + tenths.to_bytes(2, "big") + answer[REGISTERS_AT + 2 :], fault


@dataclass(frozen=True)
class SimulatedCoffee:
    """A coffee machine over Modbus TCP."""

    life: Life
    port: int
    _machine: NumberedMachine

    def falls_silent(self) -> list[float]:
        """Answer nothing any more; the brewing temperatures that it has said, each once."""
        self._machine.is_silent = True
        return list(self._machine.said)


@contextlib.contextmanager
def coffee_machine(*, speed: float = 1.0, port: int = 0) -> Iterator[SimulatedCoffee]:
    """A coffee machine that answers until the block ends."""
    life = Life(profiles.load("coffee"), CoffeeMachine(7), speed=speed)
    machine = NumberedMachine(life)
    server = TcpServer(machine)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="coffee machine")
    thread.start()
    try:
        taken = asyncio.run_coroutine_threadsafe(server.start("127.0.0.1", port), loop).result(20)
        yield SimulatedCoffee(life, taken, machine)
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
