# SPDX-License-Identifier: Apache-2.0
"""A core's mailbox over the device's channels: numbers for what is refused, turns for its partners, again after an end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.device.interface.asking import Asked
from tests.device.interface.test_channels import Device, connect
from tests.fixtures.waiting import until

from armillary.engines.real_time.within import memory_map, partners as partners_module
from armillary.engines.real_time.within.interface import Interface
from armillary.engines.real_time.within.mailbox import QUEUE_LIMIT, Mailbox
from armillary.engines.real_time.within.partners import Partners
from armillary.engines.sandbox.port import METHOD, ConnectionAttempt

pytestmark = pytest.mark.anyio

ONE, OTHER, THIRD, SILENT = (uuid.UUID(int=number) for number in range(1, 5))


class Core:
    """The mailbox of application 1, which names the second and the fourth."""

    def __init__(self, asked: Asked | None, *named: uuid.UUID) -> None:
        self.mailbox = Mailbox()
        loop = asyncio.get_running_loop()
        interface = Interface(None if asked is None else str(asked.path))
        self.partners = Partners(interface, self.mailbox, named, loop.time)

    def send(self, receiver: uuid.UUID, content: bytes) -> int:
        whole = receiver.bytes + content
        padded = whole + bytes(-len(whole) % 4)
        for place in range(0, len(padded), 4):
            self.mailbox.write(memory_map.TX_DATA, int.from_bytes(padded[place : place + 4], "little"))
        self.mailbox.write(memory_map.TX_SEND, len(whole))
        return self.result

    @property
    def result(self) -> int:
        found = self.mailbox.read(memory_map.TX_RESULT)
        assert found is not None
        return found

    def take(self) -> bytes:
        size = self.mailbox.read(memory_map.RX_SIZE) or 0
        words = [self.mailbox.read(memory_map.RX_DATA) or 0 for _ in range(0, size, 4)]
        return b"".join(word.to_bytes(4, "little") for word in words)[:size]

    async def until_result(self, number: int) -> None:
        await until(lambda: self.partners.exchange() or self.result == number, f"result {number}, not {self.result}")

    async def until_mail(self) -> bytes:
        await until(lambda: self.partners.exchange() or self.mailbox.has_mail, "a message")
        return self.take()


@pytest.fixture
async def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


@contextlib.asynccontextmanager
async def core_of(device: Device, *named: uuid.UUID) -> AsyncIterator[tuple[Core, Asked]]:
    async with device.run(1) as asked:
        core = Core(asked, *named)
        try:
            yield core, asked
        finally:
            for each in core.partners.streams:
                each.close()


async def test_messages_go_both_ways_with_the_id_of_the_other(device: Device) -> None:
    async with core_of(device, OTHER, SILENT) as (core, _), device.run(2) as other:
        assert core.send(OTHER, b"from the core") == errno.EINPROGRESS
        await core.until_result(0)
        end = await connect(other.client(), str(ONE))
        assert await end.take() == b"from the core"
        await end.send(b"to the core")
        assert await core.until_mail() == OTHER.bytes + b"to the core"
        end.close()


async def test_what_is_refused_is_a_number_and_a_stranger_is_reported(device: Device) -> None:
    async with core_of(device, OTHER, SILENT) as (core, asked):
        core.send(SILENT, b"x")
        await core.until_result(errno.EACCES)  # its manifest does not name the core
        core.send(OTHER, b"x")
        await core.until_result(0)
        core.send(THIRD, b"x")
        await core.until_result(errno.EACCES)
        await until(lambda: core.partners.exchange() or asked.events, "the report")
        event = asked.events[0]
        assert isinstance(event, ConnectionAttempt)
        assert (event.protocol, event.allowed) == (METHOD, False)
        assert str(THIRD) in event.host


async def test_a_core_that_tries_many_strangers_fills_no_log(device: Device) -> None:
    async with device.run(1) as asked:
        core = Core(asked)
        core.partners = Partners(Interface(str(asked.path)), core.mailbox, (), lambda: 7.0)
        for number in range(100, 150):
            core.send(uuid.UUID(int=number), b"x")
            await core.until_result(errno.EACCES)
        await until(lambda: core.partners.exchange() or asked.events, "the report")
        for _ in range(20):
            core.partners.exchange()
            await asyncio.sleep(0)
        assert len(asked.events) == 1, "the clock stands still"
        for each in core.partners.streams:
            each.close()


async def test_a_partner_that_does_not_read_gives_eagain_and_holds_nobody_up(device: Device) -> None:
    async with core_of(device, OTHER) as (core, _), device.run(2) as other:
        end = await connect(other.client(), str(ONE))
        refused = 0
        for _ in range(10_000):
            core.send(OTHER, b"x" * 1024)
            await until(lambda: core.partners.exchange() or core.result != errno.EINPROGRESS, "an answer")
            refused = refused + 1 if core.result == errno.EAGAIN else 0
            if refused > 100:
                break
        assert core.result == errno.EAGAIN
        await end.send(b"still heard")
        assert await core.until_mail() == OTHER.bytes + b"still heard"
        end.close()


async def test_a_core_that_takes_nothing_is_sent_no_more_than_it_has_room_for(device: Device) -> None:
    async with core_of(device, OTHER) as (core, _), device.run(2) as other:
        end = await connect(other.client(), str(ONE))
        for number in range(QUEUE_LIMIT + 2):
            await end.send(b"%d" % number)
        await until(lambda: core.partners.exchange() or not core.mailbox.has_room, "a full mailbox")
        taken = [await core.until_mail() for _ in range(QUEUE_LIMIT + 2)]
        assert taken == [OTHER.bytes + b"%d" % number for number in range(QUEUE_LIMIT + 2)]
        end.close()


async def test_after_an_end_there_is_a_channel_again(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partners_module, "ENDED_S", 0.0)
    async with core_of(device, OTHER) as (core, _):
        for content in (b"first", b"second"):
            async with device.run(2) as other:
                core.send(OTHER, content)
                await core.until_result(0)
                end = await connect(other.client(), str(ONE))
                assert await end.take() == content
                end.close()
            await until(lambda: core.partners.exchange() or _ended(core), "the end is noticed")


def _ended(core: Core) -> bool:
    [partner] = core.partners._partners.values()
    return partner.stream is None or partner.asked


async def test_without_an_interface_nothing_is_sent() -> None:
    core = Core(None, OTHER)
    core.send(OTHER, b"x")
    core.partners.exchange()
    assert core.result == errno.ENOTCONN
    assert core.partners.streams == []
