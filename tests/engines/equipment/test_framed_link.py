# SPDX-License-Identifier: Apache-2.0
"""The link of framed serial: requests and their answers, frames that come by themselves, acknowledgements."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples
from tests.fixtures.waiting import until

from armillary.engines.equipment import framed_link
from armillary.engines.equipment.framed_link import FramedLink
from armillary.engines.equipment.serial_line import LineShape, SerialLine
from armillary.errors import WireError
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.framed_serial import (
    ACKNOWLEDGED,
    FrameDecoder,
    acknowledgement,
    encode_frame,
    refusal,
)
from armillary.wire.equipment.profile import FramedSerial
from armillary.wire.equipment.request import Frame, FrameRequest, ModbusRequest

PATIENT_S = 20.0
SETTINGS = FramedSerial(port="UART2", baud=115200, timeout_s=PATIENT_S)
REQUEST = Permit(FrameRequest(0x81, b"\x28\x00"))


class Dispenser:
    """Equipment behind a pseudo terminal, whose frames the test sends."""

    def __init__(self) -> None:
        self.heard: list[Frame] = []
        self._frames = FrameDecoder(max_payload=32)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = Path(os.ttyname(self._slave))
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def send(self, *frames: Frame) -> None:
        self.send_bytes(b"".join(map(encode_frame, frames)))

    def send_bytes(self, data: bytes) -> None:
        os.write(self._master, data)

    async def hears(self, count: int = 1) -> Frame:
        await until(lambda: len(self.heard) >= count, "a frame from the guardian")
        return self.heard[count - 1]

    def close(self) -> None:
        if self._slave >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)
            self._slave = -1

    def _read(self) -> None:
        self.heard += self._frames.feed(os.read(self._master, 4096))


def run(test: Callable[[Dispenser, FramedLink], Awaitable[None]], **changes: Any) -> None:
    async def whole() -> None:
        dispenser = Dispenser()
        link = FramedLink(replace(SETTINGS, **changes), SerialLine(dispenser.path, LineShape(115200, "N", 1)))
        try:
            await test(dispenser, link)
        finally:
            await link.close()
            dispenser.close()

    asyncio.run(whole())


async def begun(link: FramedLink) -> asyncio.Task[Frame]:
    """A task that receives; the port is open, so that nothing is lost that is sent now."""
    task = asyncio.create_task(link.receive())
    await until(lambda: link._line.is_open or task.done(), "the port is open")
    return task


def test_a_request_is_answered_with_the_value_that_stands():
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        asked = asyncio.create_task(link.exchange(REQUEST))
        request = await dispenser.hears()
        assert (request.kind, request.payload) == (0x81, b"\x28\x00")
        # Late answers to others, and a frame of its own, come in between.
        dispenser.send(
            acknowledgement(Frame(0x81, request.sequence - 1 & 0xFF, b"")),
            Frame(1, 9, b"own"),
            acknowledgement(request, b"\x28\x00"),
        )
        assert await asked == Frame(ACKNOWLEDGED, request.sequence, b"\x28\x00")
        assert link.counters.foreign == 1
        assert link.counters.received == 1
        assert await link.receive() == Frame(1, 9, b"own")

    run(test)


def test_a_refusal_says_its_reason():
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        asked = asyncio.create_task(link.exchange(REQUEST))
        dispenser.send(refusal(await dispenser.hears(), 3))
        with pytest.raises(LinkError) as caught:
            await asked
        assert (caught.value.reason, caught.value.refusal) == ("refused", 3)
        assert link.counters.exceptions == 1

    run(test)


def test_a_request_is_sent_again_with_its_number_and_then_given_up():
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        with pytest.raises(LinkError) as caught:
            await link.exchange(REQUEST)
        assert caught.value.reason == "timeout"
        await dispenser.hears(framed_link.ATTEMPTS)
        assert len(set(dispenser.heard)) == 1
        link._settings = replace(SETTINGS)
        asked = asyncio.create_task(link.exchange(REQUEST))
        request = await dispenser.hears(framed_link.ATTEMPTS + 1)
        # The answer to the one before is not taken for this one's.
        dispenser.send(refusal(dispenser.heard[0], 1), acknowledgement(request))
        assert (await asked).sequence == request.sequence
        assert len(dispenser.heard) == framed_link.ATTEMPTS + 1

    run(test, timeout_s=0.01)


def test_a_frame_is_acknowledged_when_the_next_is_asked_for():
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        first = await begun(link)
        sent = Frame(1, 200, b"\x01\x02")
        dispenser.send(sent)
        assert await first == sent
        assert dispenser.heard == []  # Not kept yet, as far as the link knows
        second = await begun(link)
        assert await dispenser.hears() == acknowledgement(sent)
        dispenser.send(Frame(1, 201, b""))
        assert (await second).sequence == 201

    run(test)


def test_a_frame_that_is_sent_again_is_acknowledged_again_and_handed_on_once():
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        first, sent = await begun(link), Frame(1, 200, b"\x01\x02")
        dispenser.send(sent, sent)
        assert await first == sent
        second = await begun(link)
        assert await dispenser.hears() == acknowledgement(sent)
        dispenser.send(sent)  # The acknowledgement was lost
        assert await dispenser.hears(2) == acknowledgement(sent)
        other = Frame(1, 200, b"after a restart")
        dispenser.send(other)
        assert await second == other
        assert link.counters.foreign == 2
        assert link.counters.received == 2

    run(test)


def test_a_frame_that_is_sent_again_before_it_is_kept_is_not_acknowledged_yet():
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        first, sent, after = await begun(link), Frame(1, 200, b"\x01\x02"), Frame(1, 201, b"\x03")
        dispenser.send(sent)
        assert await first == sent
        dispenser.send(sent)
        await until(lambda: link.counters.foreign == 1, "the frame to come again")
        second = await begun(link)  # It is kept now
        dispenser.send(after)
        assert await second == after
        third = await begun(link)
        await until(lambda: acknowledgement(after) in dispenser.heard, "the next acknowledgement")
        assert dispenser.heard == [acknowledgement(sent), acknowledgement(after)]
        third.cancel()

    run(test)


def test_more_than_can_wait_is_dropped_without_acknowledgement(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(framed_link, "MAX_WAITING_FRAMES", 2)

    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        link._open()
        dispenser.send(*(Frame(1, number, b"") for number in range(5)))
        await until(lambda: link.counters.foreign == 3, "three are dropped")
        received = [await link.receive(), await link.receive()]
        assert [each.sequence for each in received] == [0, 1]
        assert [each.sequence for each in dispenser.heard] <= [0]

    run(test)


def test_a_link_that_acknowledges_nothing_waits_for_nothing():
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        sent = await link.exchange(REQUEST)
        assert await dispenser.hears() == sent
        same = Frame(1, 1, b"")
        dispenser.send(same, same)
        assert [await link.receive(), await link.receive()] == [same, same]
        assert len(dispenser.heard) == 1

    run(test, acknowledged=False)


def test_damage_is_counted_and_the_next_frame_is_read():
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        task = await begun(link)
        spoilt = bytearray(encode_frame(Frame(1, 1, b"abc")))
        spoilt[5] ^= 1
        dispenser.send_bytes(bytes(spoilt) + encode_frame(Frame(1, 2, b"abc")))
        assert (await task).sequence == 2
        assert link.counters.damaged == 1

    run(test)


def test_a_port_that_is_gone_ends_waiting_and_is_opened_again():
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        waiting, asked = await begun(link), asyncio.create_task(link.exchange(REQUEST))
        await dispenser.hears()
        dispenser.close()
        for each in (waiting, asked):
            with pytest.raises(LinkError) as caught:
                await each
            assert caught.value.reason == "unreachable"
        other = Dispenser()
        link._line.path = other.path
        again = await begun(link)
        await until(lambda: link.counters.connects == 2, "the port is opened again")
        other.send(Frame(1, 7, b""))
        assert await again == Frame(1, 7, b"")
        other.close()

    run(test)


@pytest.mark.parametrize("request_", [FrameRequest(ACKNOWLEDGED, b""), ModbusRequest(1, b"\x03\0\0\0\1")])
def test_requests_that_are_none_are_not_carried(request_: Any):
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        with pytest.raises(LinkError) as caught:
            await link.exchange(Permit(request_))
        assert caught.value.reason == "refused"

    run(test)


def test_a_flag_that_is_the_escape_is_refused():
    with pytest.raises(WireError):
        FramedLink(replace(SETTINGS, escape=0x7E), SerialLine(Path("/dev/null"), LineShape(9600, "N", 1)))


@settings(max_examples=examples(100))
@given(
    st.lists(
        st.binary(max_size=60)
        | st.builds(
            encode_frame,
            st.builds(Frame, st.sampled_from([0x06, 0x15, 0x01]), st.integers(5, 255), st.binary(max_size=8)),
        ),
        max_size=5,
    )
)
def test_whatever_comes_an_exchange_is_right_or_fails_and_the_next_is_in_step(hostile: list[bytes]):
    async def test(dispenser: Dispenser, link: FramedLink) -> None:
        first = asyncio.create_task(link.exchange(REQUEST))  # Its number is 1, which nothing hostile has
        await dispenser.hears()
        dispenser.send_bytes(b"".join(hostile))
        with pytest.raises(LinkError) as caught:
            await first
        assert caught.value.reason == "timeout"
        link._settings = SETTINGS
        asked = asyncio.create_task(link.exchange(REQUEST))
        await until(lambda: any(each.sequence == 2 for each in dispenser.heard), "the second request")
        dispenser.send_bytes(b"\x7e")  # Ends what was half sent
        dispenser.send(acknowledgement(Frame(0x81, 2, b""), b"right"))
        assert (await asked).payload == b"right"

    run(test, timeout_s=0.001)
