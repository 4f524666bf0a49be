# SPDX-License-Identifier: Apache-2.0
"""Simulated equipment in a thread of its own, for guardians that are other processes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from armillary.content import equipment as profiles
from armillary.sim.equipment.coffee import CoffeeMachine
from armillary.sim.equipment.life import Life
from armillary.sim.equipment.modbus_server import ModbusMachine, TcpServer


@dataclass(frozen=True)
class SimulatedCoffee:
    """A coffee machine over Modbus TCP."""

    life: Life
    port: int


@contextlib.contextmanager
def coffee_machine(*, speed: float = 1.0, port: int = 0) -> Iterator[SimulatedCoffee]:
    """A coffee machine that answers until the block ends."""
    life = Life(profiles.load("coffee"), CoffeeMachine(7), speed=speed)
    server = TcpServer(ModbusMachine(life, unit=1))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="coffee machine")
    thread.start()
    try:
        taken = asyncio.run_coroutine_threadsafe(server.start("127.0.0.1", port), loop).result(20)
        yield SimulatedCoffee(life, taken)
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
