# SPDX-License-Identifier: Apache-2.0
"""What loads cores for a device: what it takes, what it refuses, when it holds a core. No QEMU runs here."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.fixtures.core_images import elf, vectors
from tests.fixtures.waiting import until

from armillary.device_image.cores.attached import words
from armillary.device_image.cores.board import memory_with
from armillary.device_image.cores.faults import ended_by_itself, fault_of
from armillary.device_image.cores.loader import Loader
from armillary.device_image.cores.machine import RING_SIZE, CoreMachine, Ring
from armillary.engines.real_time.within.memory_map import TCM
from armillary.errors import HostError, WireError
from armillary.wire.device.core_channel import (
    FAULT,
    FIRMWARE_LIMIT_BYTES,
    STILL_LIMIT_S,
    Frame,
    FrameReader,
    Kind,
    encode,
)
from armillary.wire.device.core_fault import parse_fault
from armillary.wire.image.firmware import read_firmware

pytestmark = pytest.mark.anyio

FIRMWARE = elf([(TCM.begin, vectors(reset=TCM.begin + 65) + b"\x30\xbf\xfd\xe7")], entry=TCM.begin)
ONE, TWO = b"session1", b"session2"


@dataclass
class Core:
    """A core that does nothing; its end comes when it is told."""

    told: list[Frame] = field(default_factory=list)
    sends: tuple[Frame, ...] = ()
    fault: Any = None
    is_held: bool = False
    ends: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, frame: Frame) -> None:
        self.told.append(frame)

    async def until_end(self, on_frame: Any) -> Any:
        for each in self.sends:
            await on_frame(each)
        await self.ends.wait()
        return self.fault

    async def stop(self) -> None:
        self.is_held = True


class Stage:
    """A loader, the cores that it started, and what it said."""

    def __init__(self, **core: Any) -> None:
        self.now = 0.0
        self.cores: list[Core] = []
        self.said: list[Frame] = []
        reader = FrameReader(sessions=True)

        async def write(data: bytes) -> None:
            self.said += [each for each in reader.feed(data) if isinstance(each, Frame)]

        async def start(*_: Any) -> Any:
            self.cores.append(Core(**core))
            return self.cores[-1]

        self.loader = Loader(b"", write, monotonic=lambda: self.now, start=start)

    async def load(self, session: bytes, data: bytes = FIRMWARE, digest: bytes | None = None) -> None:
        for place in range(0, len(data), 1000):
            await self.loader.hear(Frame(Kind.LOAD, data[place : place + 1000], session))
        await self.loader.hear(Frame(Kind.START, digest or hashlib.sha256(data).digest(), session))
        await asyncio.sleep(0)

    def kinds(self) -> list[Kind]:
        return [each.kind for each in self.said]


async def test_firmware_is_started_and_its_frames_are_carried_both_ways() -> None:
    stage = Stage(sends=(Frame(Kind.OUTPUT, b"hello"), Frame(Kind.TAKEN)))
    await stage.load(ONE)
    assert stage.kinds() == [Kind.STARTED, Kind.OUTPUT, Kind.TAKEN]
    assert {each.session for each in stage.said} == {ONE}
    assert b"stand-in" in stage.said[0].body
    mail = bytes(16) + b"x"
    for kind, body in ((Kind.MAIL, mail), (Kind.RESULT, bytes(4)), (Kind.STILL, b"")):
        await stage.loader.hear(Frame(kind, body, ONE))
    for kind, body in ((Kind.MAIL, b"short"), (Kind.RESULT, b""), (Kind.SEND, mail), (Kind.MAIL, bytes(2000))):
        await stage.loader.hear(Frame(kind, body, ONE))  # none of these is for a core
    assert stage.cores[0].told == [Frame(Kind.MAIL, mail), Frame(Kind.RESULT, bytes(4))]
    stage.cores[0].ends.set()
    await until(lambda: Kind.ENDED in stage.kinds(), "the end")
    assert stage.said[-1] == Frame(Kind.ENDED, b"", ONE)


async def test_a_core_that_does_not_start_is_refused_and_the_next_try_is_a_start() -> None:
    stage = Stage()
    start = stage.loader._start
    for error in (OSError(12, "Cannot allocate memory"), HostError("no QEMU", remedy="Install it.")):

        async def fail(*_: Any, error: Exception = error) -> Any:
            raise error

        stage.loader._start = fail
        await stage.load(ONE)
        assert stage.said[-1] == Frame(Kind.REFUSED, f"the core does not start here: {error}".encode(), ONE)
    stage.loader._start = start
    await stage.load(ONE)
    assert stage.kinds() == [Kind.REFUSED, Kind.REFUSED, Kind.STARTED]


async def test_frames_of_another_session_are_not_looked_at_and_a_new_one_holds_the_core_before() -> None:
    stage = Stage()
    await stage.load(ONE)
    for kind in (Kind.STOP, Kind.MAIL, Kind.START):
        await stage.loader.hear(Frame(kind, bytes(20), TWO))
    assert (stage.cores[0].is_held, stage.cores[0].told) == (False, [])
    await stage.load(TWO)
    assert [each.is_held for each in stage.cores] == [True, False]
    await stage.loader.hear(Frame(Kind.STOP, session=TWO))
    assert stage.cores[1].is_held
    assert Kind.ENDED not in stage.kinds(), "who stops a core does not hear of its end"


@pytest.mark.parametrize(
    ("data", "digest", "reason"),
    [
        (FIRMWARE, bytes(32), "expected SHA-256 0000"),
        (b"#!/bin/sh\n", None, "expected an ELF file"),
        (elf([(0x1000_0000, vectors())]), None, "expected segments in TCM"),
        (elf([(TCM.begin, vectors(reset=TCM.begin + 5)[:8])], entry=TCM.begin), None, "a vector table of 16 words"),
        (bytes(FIRMWARE_LIMIT_BYTES + 1), None, "expected at most 4194304 bytes"),
    ],
)
async def test_what_is_no_firmware_for_these_cores_is_refused(data: bytes, digest: bytes | None, reason: str) -> None:
    stage = Stage()
    await stage.load(ONE, data, digest)
    assert not stage.cores
    assert stage.kinds()[0] == Kind.REFUSED
    assert reason in stage.said[0].body.decode()
    await stage.load(TWO)
    assert stage.kinds()[-1] == Kind.STARTED, "the next one runs"


async def test_a_device_that_is_silent_has_its_core_held() -> None:
    stage = Stage()
    await stage.load(ONE)
    stage.now = STILL_LIMIT_S - 1
    await stage.loader.hear(Frame(Kind.STILL, session=ONE))
    stage.now += STILL_LIMIT_S
    await stage.loader.look()
    assert not stage.cores[0].is_held
    stage.now += 1
    await stage.loader.look()
    assert stage.cores[0].is_held


async def test_a_fault_is_told_as_an_emulated_core_tells_it() -> None:
    fault = fault_of(FAULT.pack(3, 0x82, 0, 1, 0x6000_0000, TCM.begin, 7, 8), read_firmware(FIRMWARE, (TCM,)))
    stage = Stage(fault=fault)
    await stage.load(ONE)
    stage.cores[0].ends.set()
    await until(lambda: Kind.ENDED in stage.kinds(), "the end")
    assert parse_fault(stage.said[-1].body.decode()) == fault
    assert (fault.kind, fault.address, fault.pc, fault.lr, fault.sp) == ("BusFault", 0x6000_0000, TCM.begin, 7, 8)


def test_a_fault_of_another_length_is_none_and_qemus_last_words_have_registers() -> None:
    with pytest.raises(WireError, match="expected 32 bytes, got 5"):
        fault_of(b"fault", read_firmware(FIRMWARE, (TCM,)))
    found = ended_by_itself("lockup", "R12=00000000 R13=00130000 R14=fffffff9 R15=00100040\n")
    assert (found.kind, found.pc, found.lr, found.sp) == ("HardFault", 0x100040, 0xFFFFFFF9, 0x130000)
    assert ended_by_itself("lockup", "R15=zz").pc == 0


def test_the_memory_has_firmware_under_the_boards_exceptions_and_its_own_tick() -> None:
    board = bytearray(0x20_1000)
    board[0x20_0000:0x20_0010] = b"".join(each.to_bytes(4, "little") for each in (0, 0xA1, 0xB1, 0xC1))
    table = vectors(reset=TCM.begin + 65)[:60] + (0xDDDD).to_bytes(4, "little")
    firmware = read_firmware(elf([(TCM.begin, table + b"\x30\xbf\xfd\xe7")], entry=TCM.begin), (TCM,))
    memory = memory_with(bytes(board), firmware)
    found = [int.from_bytes(memory[place : place + 4], "little") for place in range(TCM.begin, TCM.begin + 64, 4)]
    assert found == [0x0013_0000, TCM.begin + 65, 0xA1, 0xB1, *[0xC1] * 11, 0xDDDD]
    assert int.from_bytes(memory[0x20_0000:0x20_0004], "little") == TCM.begin
    assert len(memory) == len(board)


def test_a_ring_takes_what_it_has_room_for_whatever_the_core_says_that_it_has_read() -> None:
    memory = mmap.mmap(-1, 64 + RING_SIZE)
    ring = Ring(memory)
    assert ring.write(b"x" * (RING_SIZE - 3))
    assert not ring.write(b"abc"), "all or nothing"
    memory[4:8] = (RING_SIZE - 3).to_bytes(4, "little")  # it has read all
    assert ring.write(b"abcdef")
    assert (memory[64 + RING_SIZE - 3 : 64 + RING_SIZE], memory[64:67]) == (b"abc", b"def")
    assert int.from_bytes(memory[0:4], "little") == 3
    memory[4:8] = b"\xff" * 4
    assert not ring.write(b"x" * RING_SIZE)


async def test_a_core_that_does_not_read_what_it_is_sent_is_ended() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600", stdout=-1, stderr=-1)
    try:
        core = CoreMachine(read_firmware(FIRMWARE, (TCM,)), process, Ring(mmap.mmap(-1, 64 + RING_SIZE)))
        for _ in range(2 * RING_SIZE // len(encode(Frame(Kind.RESULT, bytes(4))))):
            core.tell(Frame(Kind.RESULT, bytes(4)))
        fault = await core.until_end(lambda _: None)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert fault is not None
    assert (fault.kind, fault.reason) == ("HardFault", "it does not read what it is sent")


def test_a_machine_is_told_of_a_named_channel_for_each_core(tmp_path: Any) -> None:
    text = " ".join(words(tmp_path, 2))
    assert text.startswith("-device virtio-serial-pci,id=cores -chardev socket,id=core0,path=")
    assert "name=armillary.core.0" in text
    assert "name=armillary.core.1" in text
