# SPDX-License-Identifier: Apache-2.0
"""mbpoll, a C client on libmodbus, reads and writes our simulated machines over TCP and over a serial line."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable

import pytest

from armillary.sim.equipment.machines import Play, begin
from armillary.sim.equipment.modbus_server import ModbusMachine, RtuServer, TcpServer
from armillary.sim.serial.pseudo_terminal import PseudoTerminal

MBPOLL = shutil.which("mbpoll")
pytestmark = pytest.mark.skipif(
    MBPOLL is None, reason="no mbpoll, a foreign client; to enable: sudo apt-get install mbpoll"
)
LIMIT_S = 30
INPUT, HOLDING, DISCRETE, COIL = "3", "4", "1", "0"  # As mbpoll calls the tables
Poll = Callable[..., Awaitable[list[str]]]


async def over_tcp(machine: ModbusMachine, story: Callable[[Poll], Awaitable[None]]) -> None:
    server = TcpServer(machine)
    port = await server.start("127.0.0.1", 0)
    await story(client(["-m", "tcp", "-p", str(port)], "127.0.0.1"))
    await server.close()


async def over_a_line(machine: ModbusMachine, story: Callable[[Poll], Awaitable[None]]) -> None:
    line = PseudoTerminal()
    server = RtuServer(machine, line)
    server.start()
    await story(client(["-m", "rtu", "-b", "19200", "-P", "none"], str(line.path)))
    await server.close()


def client(options: list[str], place: str) -> Poll:
    """Returns the values that mbpoll prints, or why there are none."""

    async def poll(table: str, address: int, count: int = 1, *values: int, unit: int = 1) -> list[str]:
        reading = [] if values else ["-c", str(count)]
        asked = ["-0", "-1", "-a", str(unit), "-t", table, "-r", str(address), *reading]
        command = [MBPOLL, *options, *asked, place, *map(str, values)]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
        failed = re.search(r"(?:Read|Write) .* failed: (.*)", done.stderr)
        return [failed[1]] if failed else re.findall(r"^\[\d+\]:\s+(\S+)", done.stdout, re.MULTILINE) or [done.stdout]

    return poll


@pytest.mark.parametrize("way", [over_tcp, over_a_line])
def test_a_machine_is_read_and_written(way: Callable[..., Awaitable[None]]):
    life = begin("coffee", Play())
    places = {each.name: each.address for each in (*life.profile.points, *life.profile.commands)}

    async def story(poll: Poll) -> None:
        temperature = places["brewTemp"].address
        (shown,) = await poll(INPUT, temperature)
        assert 0 < int(shown) < 1500
        assert len(await poll(INPUT, temperature, 8)) == 8
        assert await poll(DISCRETE, places["simulated"].address) == ["1"]
        wished = places["setBrewTemp"].address
        assert "Written 1 references." in (await poll(HOLDING, wished, 1, 913))[0]
        assert await poll(HOLDING, wished) == ["913"]
        assert await poll(HOLDING, 60000) == ["Illegal data address"]
        assert await poll(INPUT, temperature, unit=9) == ["Connection timed out"]
        assert len(await poll(INPUT, temperature)) == 1

    asyncio.run(way(ModbusMachine(life, unit=1), story))
