# SPDX-License-Identifier: Apache-2.0
"""The link of Modbus over a serial line, at a pseudo terminal: late replies, damage, echo, silence, several units."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.engines.equipment.peers import Act, Asked, PtyPeer, fails, permit, reading, reply_of, sends, silent
from tests.fixtures.effort import examples
from tests.fixtures.waiting import until

from armillary.engines.equipment import modbus_rtu
from armillary.engines.equipment.modbus_rtu import ModbusRtuLink, RtuBus
from armillary.engines.equipment.serial_line import LineShape, SerialLine
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.modbus_framing import rtu_frame
from armillary.wire.equipment.profile import ModbusRtu
from armillary.wire.equipment.request import FrameRequest

PATIENT_S = 20.0
SHORT_S = 0.02
SETTINGS = ModbusRtu(port="UART2", baud=115200, timeout_s=PATIENT_S)


def run(
    test: Callable[[PtyPeer, ModbusRtuLink], Awaitable[None]], *acts: Act, hears_itself: bool = False, **changes: Any
) -> None:
    async def whole() -> None:
        async with PtyPeer(*acts, echo=hears_itself) as peer:
            link = ModbusRtuLink(replace(SETTINGS, **changes), RtuBus(SerialLine(peer.path, LineShape(115200, "E", 1))))
            try:
                await test(peer, link)
            finally:
                await link.close()

    asyncio.run(whole())


def patient(link: ModbusRtuLink) -> None:
    link._settings = replace(link._settings, timeout_s=PATIENT_S)


def wait_long(link: ModbusRtuLink) -> None:
    """Late replies are waited for as long as no test runs."""
    until_ = asyncio.get_running_loop().time() + 1000
    link._bus._late = {key: replace(late, until=until_) for key, late in link._bus._late.items()}


async def works(link: ModbusRtuLink, address: int = 7, unit: int = 1) -> None:
    """The next exchange with an honest peer brings its own reply."""
    patient(link)
    assert (await link.exchange(reading(address, unit=unit))).pdu == reply_of(address)


def test_replies_come_and_writes_are_read_back():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await works(link)
        assert (await link.exchange(permit(bytes.fromhex("06 0007 1234")))).pdu == bytes.fromhex("06 0007 1234")
        assert (await link.exchange(reading(7, 1))).pdu == bytes.fromhex("03 02 1234")
        assert len((await link.exchange(reading(0, 125))).pdu) == 252
        assert link.counters.exchanges == link.counters.replies == 4
        assert link.counters.connects == 1

    run(test)


def test_a_refusal_says_the_exception():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        assert (await fails(link, "refused", reading(299))).refusal == 2
        await works(link)
        assert link.counters.exceptions == 1

    run(test)


@pytest.mark.parametrize(
    "late", [rtu_frame(1, reply_of(100)), rtu_frame(1, b"\x83\x06")], ids=["with values", "a refusal"]
)
def test_a_late_reply_is_not_the_one_to_the_next_request(late: bytes):
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await fails(link, "timeout")
        wait_long(link)
        patient(link)
        asked = asyncio.create_task(link.exchange(reading(7)))
        await asyncio.sleep(0)
        peer.send(late)
        assert (await asked).pdu == reply_of(7)
        assert link.counters.timeouts == 1

    run(test, silent, timeout_s=SHORT_S)


def test_late_replies_of_several_units_are_all_waited_for():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        for unit in (1, 2):
            await fails(link, "timeout", reading(100, unit=unit))
        wait_long(link)
        for unit in (1, 2):
            patient(link)
            asked = asyncio.create_task(link.exchange(reading(7, unit=unit)))
            await asyncio.sleep(0)
            peer.send(rtu_frame(unit, reply_of(100)))
            assert (await asked).pdu == reply_of(7)

    run(test, silent, silent, timeout_s=SHORT_S)


def test_a_late_reply_that_came_meanwhile_is_not_waited_for():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await fails(link, "timeout")
        wait_long(link)
        peer.send(rtu_frame(1, reply_of(100)))
        await until(lambda: link.counters.foreign, "the late reply")
        await works(link)

    run(test, silent, timeout_s=SHORT_S)


def test_without_the_time_for_late_replies_it_would_be_taken(monkeypatch: pytest.MonkeyPatch):
    """Control of the test before."""
    monkeypatch.setattr(modbus_rtu, "LATE_TIMES", -1000.0)
    late = rtu_frame(1, reply_of(100))

    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await fails(link, "timeout")
        patient(link)
        peer.acts.append(lambda asked: late + asked.good)
        assert (await link.exchange(reading(7))).pdu == reply_of(100)

    run(test, silent, timeout_s=SHORT_S)


def test_a_unit_that_does_not_answer_holds_up_no_other():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await fails(link, "timeout")
        wait_long(link)
        await works(link, unit=2)

    run(test, silent, timeout_s=SHORT_S)


@pytest.mark.parametrize(
    "foreign",
    [
        rtu_frame(2, reply_of(100)),
        rtu_frame(1, b"\x04" + reply_of(100)[1:]),
        rtu_frame(1, reply_of(100, 3)),
        rtu_frame(2, b"\x83\x01"),
    ],
    ids=["unit", "function", "length", "refusal"],
)
def test_what_belongs_to_others_is_passed_over(foreign: bytes):
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await works(link)
        assert link.counters.foreign == 1

    run(test, lambda asked: foreign + asked.good)


def test_what_comes_behind_a_reply_is_counted():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await works(link)
        await works(link, 9)
        assert link.counters.foreign == 1

    run(test, lambda asked: asked.good + asked.good)


def spoilt(place: int) -> Act:
    return lambda asked: asked.good[:place] + bytes([asked.good[place] ^ 0x10]) + asked.good[place + 1 :]


@pytest.mark.parametrize(
    "act", [*(spoilt(place) for place in (2, 3, -3, -2)), sends(b"\0" * 300), lambda asked: asked.good[:-1]]
)
def test_damage_is_no_reply(act: Act):
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await fails(link, "damaged")
        await works(link)
        assert link.counters.damaged == 1

    run(test, act, timeout_s=SHORT_S)


def test_noise_before_a_reply_is_outwaited():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        asked = asyncio.create_task(link.exchange(reading(7)))
        await until(lambda: peer.requests, "the request")
        peer.send(b"\xff\x55\xaa\x00\x01\x02")
        heard = time.monotonic()
        await until(lambda: time.monotonic() - heard > 2 * modbus_rtu.BROKEN_OFF_S, "silence")
        peer.send(rtu_frame(1, reply_of(7)))
        assert (await asked).pdu == reply_of(7)
        assert link.counters.damaged == 1

    run(test, silent)


def test_an_adapter_that_hears_itself():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await works(link)
        # The reply to such a write looks like what was sent.
        assert (await link.exchange(permit(bytes.fromhex("06 0007 1234")))).pdu == bytes.fromhex("06 0007 1234")
        assert peer.bank.words["holding"][7] == 0x1234

    run(test, hears_itself=True, echo=True)


def test_an_echo_that_differs_is_somebody_else_who_sends():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        assert "another sender" in str(await fails(link, "damaged"))

    # What comes is no echo of the request, but a right reply stands behind it.
    run(test, lambda asked: b"\xff" * 8 + asked.good, echo=True, timeout_s=SHORT_S)


def test_an_echo_that_was_not_expected_is_named():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        assert "set echo" in str(await fails(link, "damaged"))

    run(test, silent, hears_itself=True, timeout_s=SHORT_S)


def test_a_line_that_is_never_silent_is_not_spoken_to():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await works(link)
        link._settings = replace(link._settings, timeout_s=SHORT_S, gap_s=0.5)
        heard = len(peer.heard)

        async def chatter() -> None:
            while True:
                peer.send(b"\x55")
                await asyncio.sleep(0.001)

        task = asyncio.create_task(chatter())
        assert "never silent" in str(await fails(link, "damaged"))
        assert len(peer.heard) == heard
        task.cancel()

    run(test)


def test_silence_comes_before_each_request():
    sent: list[float] = []

    def noted(asked: Asked) -> bytes:
        sent.append(time.monotonic())
        return asked.good

    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        link._settings = replace(link._settings, gap_s=0.05)
        for address in (7, 8, 9):
            assert (await link.exchange(reading(address))).pdu == reply_of(address)
        assert min(b - a for a, b in pairwise(sent)) >= 0.05

    run(test, noted, noted, noted)


def test_a_port_that_is_pulled_out_is_opened_again():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await works(link)
        peer.acts.append(silent)
        asked = asyncio.create_task(link.exchange(reading(9)))
        await until(lambda: len(peer.requests) == 2, "the request")
        peer.hang_up()
        with pytest.raises(LinkError) as caught:
            await asked
        assert caught.value.reason == "unreachable"
        assert link.counters.disconnects == 1
        async with PtyPeer() as other:
            link._bus._line.path = other.path
            await works(link)
        assert link.counters.connects == 2

    run(test)


def test_links_share_a_bus_and_the_last_closes_it():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        other = ModbusRtuLink(SETTINGS, link._bus)
        replies = await asyncio.gather(
            *(each.exchange(reading(7, unit=unit)) for unit, each in ((1, link), (2, other), (3, other)))
        )
        assert {each.pdu for each in replies} == {reply_of(7)}
        assert sorted(each.unit for each in peer.requests) == [1, 2, 3]
        await link.close()
        assert link._bus._line.is_open
        await other.close()
        await other.close()
        assert not link._bus._line.is_open

    run(test)


def test_an_exchange_that_is_given_up_leaves_no_reply_for_the_next():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        asked = asyncio.create_task(link.exchange(reading(100)))
        await until(lambda: peer.requests, "the request")
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        following = asyncio.create_task(link.exchange(reading(7)))
        await asyncio.sleep(0)
        peer.send(rtu_frame(1, reply_of(100)))
        assert (await following).pdu == reply_of(7)

    run(test, silent)


def test_requests_of_other_protocols_are_not_carried():
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        await fails(link, "refused", Permit(FrameRequest(1, b"")))
        assert peer.heard == b""

    run(test)


pieces = st.one_of(
    st.binary(max_size=100),
    st.builds(
        rtu_frame,
        st.sampled_from([2, 3, 247]),
        st.sampled_from([reply_of(100), b"\x83\x02", b"\x06\x00\x01\x00\x02", b"\x64abc"]),
    ),
    st.sampled_from([rtu_frame(1, reply_of(100))[:-1], rtu_frame(1, reply_of(100, 9)), rtu_frame(1, b"\x84\x02")]),
)


@settings(max_examples=examples(100))
@given(st.lists(pieces, max_size=4))
def test_whatever_comes_an_exchange_is_right_or_fails_and_the_next_is_in_step(hostile: list[bytes]):
    async def test(peer: PtyPeer, link: ModbusRtuLink) -> None:
        peer.acts.append(sends(b"".join(hostile)))
        try:
            reply = await link.exchange(reading(100))
        except LinkError:
            pass
        else:  # By chance a whole reply to what was asked
            assert len(reply.pdu) == 6
            assert reply.pdu[:2] == b"\x03\x04"
        await until(lambda: not peer.acts, "all of it is sent")
        await works(link)

    run(test, timeout_s=SHORT_S / 4)
