# SPDX-License-Identifier: Apache-2.0
"""Simulated machines on their wires: TCP, and pseudo-terminals with RTU and frames; and what they do wrong when told."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.sim.equipment.laid_out import COFFEE, DISPENSER

from armillary.errors import HostError, InvalidArgumentError
from armillary.sim.equipment.coffee import CoffeeMachine
from armillary.sim.equipment.dispenser import Dispenser
from armillary.sim.equipment.faults import REBOOT_S, Fault
from armillary.sim.equipment.framed_server import FramedServer
from armillary.sim.equipment.life import Life
from armillary.sim.equipment.modbus_server import ModbusMachine, RtuServer, TcpServer
from armillary.sim.serial.pseudo_terminal import PseudoTerminal
from armillary.wire.equipment.framed_serial import ACKNOWLEDGED, REFUSED, FrameDecoder, acknowledgement, encode_frame
from armillary.wire.equipment.modbus import read_request
from armillary.wire.equipment.modbus_framing import crc16, rtu_frame, tcp_frame
from armillary.wire.equipment.profile import FramedSerial, Table
from armillary.wire.equipment.request import Frame

UNIT = 7
READ = read_request(Table.INPUT, 0, 2)
GOOD_BYTES = 6  # of the reply's PDU
QUIET_S = 0.3


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def over_tcp(life: Life) -> AsyncIterator[Callable[[int, bytes], Awaitable[bytes]]]:
    server = TcpServer(ModbusMachine(life, unit=UNIT))
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(transaction: int, frame: bytes) -> bytes:
        writer.write(frame or tcp_frame(transaction, UNIT, READ))
        try:
            return await asyncio.wait_for(reader.read(300), QUIET_S)
        except TimeoutError:
            return b"nothing"

    yield ask
    writer.close()
    await server.close()


def test_requests_over_tcp_are_answered_for_their_unit_alone() -> None:
    async def play() -> None:
        async with over_tcp(Life(COFFEE, CoffeeMachine(1))) as ask:
            reply = await ask(5, b"")
            assert reply[:7] == tcp_frame(5, UNIT, bytes(GOOD_BYTES))[:7]
            assert len(reply) == 7 + GOOD_BYTES
            assert await ask(6, tcp_frame(6, UNIT + 1, READ)) == b"nothing"
            assert await ask(7, tcp_frame(7, UNIT, bytes([8, 0, 0, 0, 0]))) == tcp_frame(7, UNIT, bytes([0x88, 1]))
            assert await ask(8, b"GET / HTTP/1.0\r\n\r\n") == b""  # no Modbus: the connection ends

    asyncio.run(play())


@pytest.mark.parametrize("fault", [each for each in Fault if each not in (Fault.LATE, Fault.REBOOT)])
def test_a_planned_fault_spoils_one_reply_and_the_next_is_good(fault: Fault) -> None:
    async def play() -> tuple[bytes, bytes]:
        life = Life(COFFEE, CoffeeMachine(1))
        async with over_tcp(life) as ask:
            life.told(f"fault {fault}")
            return await ask(1, b""), await ask(2, b"")

    spoiled, good = asyncio.run(play())
    whole = tcp_frame(1, UNIT, bytes(GOOD_BYTES))
    assert good[:8] == tcp_frame(2, UNIT, READ[:1] + bytes(GOOD_BYTES - 1))[:8]
    assert {
        Fault.SILENCE: spoiled == b"nothing",
        Fault.DAMAGED: spoiled[2:4] == b"\xff\x00",
        Fault.FOREIGN: spoiled[:2] != whole[:2],
        Fault.LENGTH: len(spoiled) == len(whole) and spoiled[8] != GOOD_BYTES - 2,
        Fault.HALF: len(spoiled) == len(whole) // 2,
        Fault.BUSY: spoiled[7:] == bytes([READ[0] | 0x80, 6]),
    }[fault]


def test_a_reboot_ends_the_connection_and_is_silent_for_a_while() -> None:
    async def play() -> None:
        clock = Clock()
        life = Life(COFFEE, CoffeeMachine(1), monotonic=clock)
        async with over_tcp(life) as ask:
            life.told("fault reboot")
            assert await ask(1, b"") == b""
        async with over_tcp(life) as ask:
            assert await ask(2, b"") == b""
            clock.now += REBOOT_S
        async with over_tcp(life) as ask:
            assert len(await ask(3, b"")) == 7 + GOOD_BYTES

    asyncio.run(play())


@asynccontextmanager
async def other_end(line: PseudoTerminal) -> AsyncIterator[tuple[asyncio.StreamReader, Callable[[bytes], None]]]:
    own = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(own)
    reader = asyncio.StreamReader()
    asyncio.get_running_loop().add_reader(own, lambda: reader.feed_data(os.read(own, 4096)))
    yield reader, lambda data: [os.write(own, data), None][1]
    asyncio.get_running_loop().remove_reader(own)
    os.close(own)


def test_requests_over_a_line_are_answered_with_a_crc(tmp_path: Path) -> None:
    async def play() -> None:
        life = Life(COFFEE, CoffeeMachine(1))
        line = PseudoTerminal(tmp_path / "machine")
        assert (tmp_path / "machine").resolve() == line.path
        server = RtuServer(ModbusMachine(life, unit=UNIT), line)
        server.start()
        async with other_end(line) as (reader, write):
            for spoil, holds in (("", True), ("fault damaged", False), ("", True)):
                if spoil:
                    life.told(spoil)
                write(rtu_frame(UNIT, READ))
                reply = await asyncio.wait_for(reader.readexactly(3 + GOOD_BYTES), 5)
                assert (crc16(reply) == 0) is holds
        await server.close()
        assert not (tmp_path / "machine").is_symlink()

    asyncio.run(play())


def test_a_link_to_a_line_replaces_a_link_and_nothing_else(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file of somebody's")
    with pytest.raises(HostError, match="File exists"):
        PseudoTerminal(taken)
    assert taken.read_text() == "a file of somebody's"


class Partner:
    """Who speaks frames with a dispenser."""

    def __init__(self, reader: asyncio.StreamReader, write: Callable[[bytes], None]) -> None:
        self.reader, self.write = reader, write
        self.decoder = FrameDecoder(max_payload=32)
        self.frames: list[Frame] = []

    async def next(self) -> Frame:
        while not self.frames:
            self.frames += self.decoder.feed(await asyncio.wait_for(self.reader.read(300), 5))
        return self.frames.pop(0)


@asynccontextmanager
async def dispenser(life: Life) -> AsyncIterator[Partner]:
    line = PseudoTerminal()
    assert isinstance(DISPENSER.link, FramedSerial)
    server = FramedServer(life, DISPENSER.link, line)
    server.start()
    async with other_end(line) as (reader, write):
        yield Partner(reader, write)
    await server.close()


def test_a_dispenser_sends_by_itself_until_it_is_acknowledged() -> None:
    async def play() -> None:
        async with dispenser(Life(DISPENSER, Dispenser(1))) as partner:
            first, again = await partner.next(), await partner.next()
            assert first == again  # nobody answered
            assert (first.kind, len(first.payload), first.payload[3]) == (2, 4, 1)
            partner.write(encode_frame(acknowledgement(Frame(again.kind, again.sequence + 7, b""))))
            assert await partner.next() == first  # another frame was acknowledged
            partner.write(encode_frame(acknowledgement(again)))
            partner.write(encode_frame(Frame(0x82, 9, b"")))  # it answers, then says how it is
            answered = await partner.next()
            assert (answered.kind, answered.sequence) == (ACKNOWLEDGED, 9)
            assert (await partner.next()).sequence == first.sequence + 1

    asyncio.run(play())


def test_a_dispenser_answers_with_the_value_that_stands() -> None:
    async def play() -> None:
        machine = Dispenser(1)
        async with dispenser(Life(DISPENSER, machine)) as partner:
            status = await partner.next()
            partner.write(encode_frame(acknowledgement(status)))
            for request, kind, answer in (
                (Frame(0x81, 1, (120).to_bytes(2, "little")), ACKNOWLEDGED, (120).to_bytes(2, "little")),
                (Frame(0x81, 2, b"\x01"), REFUSED, b"\x02"),
                (Frame(0x99, 3, b""), REFUSED, b"\x01"),
            ):
                partner.write(encode_frame(request))
                while (found := await partner.next()).kind not in (ACKNOWLEDGED, REFUSED):
                    partner.write(encode_frame(acknowledgement(found)))
                assert (found.kind, found.sequence, found.payload) == (kind, request.sequence, answer)
            assert machine.settings() == {"setDose": 1.2}

    asyncio.run(play())


LINES_THAT_SAY_NOTHING = (
    *("", "explode", "brew now", "fault", "fault nonsense", "fault late many", "a b c d"),
    *("cleaning nan", "cleaning inf", "cleaning 1e400", "filter -inf", "fault late inf", "fault late nan", "brew 1e9"),
)


@pytest.mark.parametrize("line", LINES_THAT_SAY_NOTHING)
def test_a_line_that_says_nothing_is_refused(line: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Life(COFFEE, CoffeeMachine(1)).told(line)


def test_show_tells_what_the_machine_is_like_and_what_was_done_to_it() -> None:
    clock = Clock()
    life = Life(COFFEE, CoffeeMachine(1), speed=10, monotonic=clock)
    assert life.told("show")["settings"] == {"setBrewTemp": 92.5, "startClean": False}
    life.machine.command("setBrewTemp", 140.0)
    clock.now += 6
    assert "boiled dry" in life.told("show")["harmed"]
