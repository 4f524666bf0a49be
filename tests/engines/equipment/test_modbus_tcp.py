# SPDX-License-Identifier: Apache-2.0
"""The link of Modbus TCP: what it takes for a reply, and that it is in step again whatever came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings, strategies as st
from tests.engines.equipment.peers import Act, Asked, TcpPeer, fails, permit, reading, reply_of, sends, silent
from tests.fixtures.effort import examples
from tests.fixtures.ports import reserved_port
from tests.fixtures.waiting import until

from armillary.engines.equipment import modbus_tcp
from armillary.engines.equipment.modbus_tcp import ModbusTcpLink
from armillary.engines.equipment.port import LinkCounters
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.modbus_framing import tcp_frame
from armillary.wire.equipment.profile import ModbusTcp
from armillary.wire.equipment.request import NodesRead

# A time within which a peer in the same loop has answered, on any host.
PATIENT_S = 20.0
SHORT_S = 0.02


def run(test: Callable[[TcpPeer, ModbusTcpLink], Awaitable[None]], *acts: Act, timeout_s: float = PATIENT_S) -> None:
    async def whole() -> None:
        async with TcpPeer(*acts) as peer:
            link = ModbusTcpLink(ModbusTcp(host="127.0.0.1", port=peer.port, timeout_s=timeout_s))
            try:
                await test(peer, link)
            finally:
                await link.close()

    asyncio.run(whole())


async def works(link: ModbusTcpLink, address: int = 7) -> None:
    """The next exchange with an honest peer brings its own reply."""
    link._settings = replace(link._settings, timeout_s=PATIENT_S)
    assert (await link.exchange(reading(address))).pdu == reply_of(address)


def test_replies_come_over_one_connection():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        for address in (5, 9, 200):
            await works(link, address)
        assert peer.connections == link.counters.connects == 1
        assert link.counters.exchanges == link.counters.replies == 3
        assert len({each.transaction for each in peer.requests}) == 3

    run(test)


def test_writes_are_confirmed_and_read_back():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        assert (await link.exchange(permit(bytes.fromhex("06 0007 1234")))).pdu == bytes.fromhex("06 0007 1234")
        assert (await link.exchange(reading(7, 1))).pdu == bytes.fromhex("03 02 1234")

    run(test)


def test_transaction_numbers_wrap_and_are_never_0():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        link._transaction = 65534
        for _ in range(3):
            await works(link)
        assert [each.transaction for each in peer.requests] == [65535, 1, 2]

    run(test)


def test_a_refusal_says_the_exception_and_keeps_the_connection():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        error = await fails(link, "refused", reading(299))
        assert error.refusal == 2
        await works(link)
        assert peer.connections == 1
        assert link.counters.exceptions == 1

    run(test)


def test_a_late_reply_is_not_the_one_to_the_next_request():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        await fails(link, "timeout", reading(100))
        late = peer.requests[-1]
        link._settings = replace(link._settings, timeout_s=PATIENT_S)
        # The late one comes right before the one that waits, and again after it.
        stale = tcp_frame(late.transaction, late.unit, reply_of(100))
        peer.acts.append(lambda asked: stale + asked.good + stale)
        assert (await link.exchange(reading(7))).pdu == reply_of(7)
        await works(link, 8)
        assert peer.connections == 1
        assert link.counters.timeouts == 1
        assert link.counters.foreign == 2

    run(test, silent, timeout_s=SHORT_S)


class Wire:
    """A connection whose other side answers when the test says so."""

    def write(self, _: bytes) -> None:
        """Nobody reads it."""

    def abort(self) -> None:
        raise AssertionError("one timeout is no reason to disconnect")


def test_each_request_has_its_own_time_whenever_the_one_before_was_sent():
    """By a clock of the test's own."""
    clock = SimpleNamespace(now=100.0)

    async def test() -> None:
        asyncio.get_running_loop().time = lambda: clock.now  # type: ignore[method-assign]
        connection = modbus_tcp._Connection(LinkCounters())
        connection.connection_made(Wire())  # type: ignore[arg-type]

        async def answered(transaction: int, timeout_s: float) -> None:
            asking = asyncio.create_task(connection.ask(transaction, reading(7).request, timeout_s))
            await turns()
            connection.data_received(tcp_frame(transaction, 1, reply_of(7)))
            assert await asking == reply_of(7)

        async def waits(transaction: int, timeout_s: float) -> None:
            """Is given up after its time, and not before."""
            asking = asyncio.create_task(connection.ask(transaction, reading(7).request, timeout_s))
            await turns()
            clock.now += timeout_s * 0.9
            await turns()
            assert not asking.done()
            clock.now += timeout_s * 0.2
            await turns()
            with pytest.raises(LinkError, match=f"no reply within {timeout_s:g} s"):
                await asking

        await answered(1, 1.0)
        clock.now += 0.5
        await waits(2, 1.0)  # While what was set for the one before is due
        await answered(3, 20.0)
        await waits(4, 1.0)  # Long before what was set for the one before is due
        clock.now += 100.0
        await turns()
        await answered(5, 1.0)

    asyncio.run(test())


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_without_transaction_numbers_the_late_reply_would_be_taken():
    """Control of the test before: the number alone is what keeps the late one out."""

    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        assert (await link.exchange(reading(7))).pdu == reply_of(100)

    run(test, lambda asked: tcp_frame(asked.request.transaction, asked.request.unit, reply_of(100)) + asked.good)


@pytest.mark.parametrize(
    "foreign",
    [
        lambda asked: tcp_frame(asked.request.transaction + 1, asked.request.unit, reply_of(100)) + asked.good,
        lambda asked: tcp_frame(asked.request.transaction, asked.request.unit + 1, reply_of(100)) + asked.good,
        lambda asked: tcp_frame(asked.request.transaction ^ 0x8000, 0, b"\x83\x01") + asked.good,
    ],
)
def test_replies_of_other_transactions_and_units_are_passed_over(foreign: Act):
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        await works(link)
        assert link.counters.foreign == 1

    run(test, foreign)


LIES: list[tuple[str, Act]] = [
    ("foreign", lambda asked: tcp_frame(asked.request.transaction, asked.request.unit, b"\x04\x04" + asked.good[9:])),
    ("damaged", lambda asked: tcp_frame(asked.request.transaction, asked.request.unit, b"\x03\x02" + asked.good[9:])),
    (
        "damaged",
        lambda asked: tcp_frame(asked.request.transaction, asked.request.unit, b"\x03\x04" + asked.good[9:] + b"\0\0"),
    ),
    ("damaged", lambda asked: tcp_frame(asked.request.transaction, asked.request.unit, b"\x03")),
    ("damaged", lambda asked: tcp_frame(asked.request.transaction, asked.request.unit, b"\x83\x02\x00")),
    ("damaged", lambda asked: asked.good[:2] + b"\x00\x01" + asked.good[4:]),
    ("damaged", lambda asked: asked.good[:4] + b"\xff\xff" + asked.good[6:]),
    ("damaged", lambda asked: asked.good[:4] + b"\x00\x00" + asked.good[6:]),
    ("damaged", sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
]


@pytest.mark.parametrize(("reason", "act"), LIES)
def test_a_reply_that_lies_is_none_and_ends_its_connection(reason: str, act: Act):
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        await fails(link, reason)
        await works(link)
        assert peer.connections == 2
        assert link.counters.damaged + link.counters.foreign == 1

    run(test, act)


def test_half_a_reply_ends_its_connection():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        await fails(link, "timeout")
        await works(link)
        assert peer.connections == 2

    run(test, lambda asked: asked.good[:9], timeout_s=SHORT_S)


def test_half_a_reply_that_comes_between_two_requests_ends_its_connection():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        await works(link)
        assert link._connection is not None
        peer.send(tcp_frame(1, 1, reply_of(7))[:9])
        await until(lambda: link._connection.half_done, "the half")
        await works(link, 9)
        assert peer.connections == 2

    run(test)


def test_a_reply_may_come_byte_by_byte():
    async def dribble(peer: TcpPeer, frame: bytes) -> None:
        for each in frame:
            peer.send(bytes([each]))
            await asyncio.sleep(0)

    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        asked = asyncio.create_task(link.exchange(reading(7)))
        await until(lambda: peer.requests, "the request")
        await dribble(peer, tcp_frame(peer.requests[0].transaction, 1, reply_of(7)))
        assert (await asked).pdu == reply_of(7)

    run(test, silent)


def test_equipment_that_reboots_is_connected_anew():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        await works(link)
        peer.acts.append(silent)
        asked = asyncio.create_task(link.exchange(reading(9)))
        await until(lambda: len(peer.requests) == 2, "the request")
        peer.stop()
        with pytest.raises(LinkError, match="connection") as caught:
            await asked
        assert caught.value.reason == "unreachable"
        await fails(link, "unreachable")
        await peer.listen(peer.port)
        link._backoff.worked()
        await works(link)
        assert link.counters.connects == link.counters.disconnects + 1 == 2

    run(test)


def test_nobody_there_is_tried_less_and_less_often():
    async def test() -> None:
        link = ModbusTcpLink(ModbusTcp(host="127.0.0.1", port=reserved_port()))
        assert "refused" in str(await fails(link, "unreachable"))
        assert "refused" in str(await fails(link, "unreachable"))
        assert "next attempt" in str(await fails(link, "unreachable"))
        assert link.counters.connects == link.counters.exchanges == 0
        nameless = ModbusTcpLink(ModbusTcp(host="nobody.invalid"))
        assert "Unknown error" not in str(await fails(nameless, "unreachable"))

    asyncio.run(test())


def test_a_machine_that_was_switched_off_is_connected_anew_after_some_timeouts():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        for _ in range(3):
            await fails(link, "timeout")
        await works(link)
        assert peer.connections == 2

    run(test, silent, silent, silent, timeout_s=SHORT_S)


@pytest.mark.parametrize("asked", [True, False])
def test_a_flood_ends_its_connection(asked: bool):
    flood = tcp_frame(0, 9, reply_of(0)) * (modbus_tcp.MAX_FOREIGN_FRAMES + 1)

    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        if asked:
            peer.acts.append(sends(flood))
            await fails(link, "foreign")
        else:
            await works(link)
            peer.send(flood)
            await until(lambda: link.counters.disconnects, "the flood ends the connection")
        await works(link)
        assert peer.connections == 2

    run(test)


def test_an_exchange_that_is_given_up_leaves_no_reply_for_the_next():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        asked = asyncio.create_task(link.exchange(reading(100)))
        await until(lambda: peer.requests, "the request")
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        peer.send(tcp_frame(peer.requests[0].transaction, 1, reply_of(100)))
        await works(link)

    run(test, silent)


def test_exchanges_wait_for_one_another():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        replies = await asyncio.gather(*(link.exchange(reading(address)) for address in range(20)))
        assert [each.pdu for each in replies] == [reply_of(address) for address in range(20)]

    run(test)


def test_requests_of_other_protocols_are_not_carried():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        await fails(link, "refused", Permit(NodesRead(("ns=2;s=x",))))
        assert peer.requests == []

    run(test)


def test_closing_twice_is_closing():
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        await works(link)
        await link.close()
        await link.close()
        await works(link)

    run(test)


pieces = st.one_of(
    st.binary(max_size=300),
    st.builds(tcp_frame, st.integers(0, 65535), st.integers(0, 255), st.binary(min_size=1, max_size=253)),
    st.just(tcp_frame(1, 1, reply_of(100))[:-1]),
)


@settings(max_examples=examples(200))
@given(st.lists(pieces, max_size=5), st.booleans())
def test_whatever_comes_an_exchange_is_right_or_fails_and_the_next_is_in_step(hostile: list[bytes], hangs_up: bool):
    async def test(peer: TcpPeer, link: ModbusTcpLink) -> None:
        def act(_: Asked) -> bytes:
            if hangs_up:
                asyncio.get_running_loop().call_soon(peer.hang_up)
            return b"".join(hostile)

        peer.acts.append(act)
        try:
            reply = await link.exchange(reading(100))
        except LinkError:
            pass
        else:  # By chance a whole reply to what was asked
            assert len(reply.pdu) == 6
            assert reply.pdu[:2] == b"\x03\x04"
        await until(lambda: not peer.acts, "all of it is sent")
        for _ in range(5):  # Turns of the loop in which it comes
            await asyncio.sleep(0)
        await works(link)

    run(test, timeout_s=SHORT_S / 4)
