# SPDX-License-Identifier: Apache-2.0
"""Discovery of machines over real links: found exactly, never written to, at a bounded pace, whatever they do."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from tests.engines.equipment.peers import Act, PtyPeer, TcpPeer, sends, silent
from tests.fixtures.ports import reserved_port

from armillary.engines.equipment.discovery import Discovery, Search
from armillary.engines.equipment.modbus_rtu import RtuBus
from armillary.engines.equipment.opening import open_link
from armillary.engines.equipment.port import Link
from armillary.guard.discovery.drafting import UnitFound
from armillary.guard.discovery.searching import Span
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.modbus import exception_reply
from armillary.wire.equipment.modbus_framing import tcp_frame
from armillary.wire.equipment.profile import LinkSettings, ModbusRtu, ModbusTcp, Table

FAST = 100_000.0
READS = {1, 2, 3, 4, 43}


def search(**changes: Any) -> Search:
    return Search(**{"units": (1,), "last": 319, "requests_per_s": FAST, **changes})


async def discovered(wanted: Search, settings: LinkSettings, *ports: Path) -> tuple[list[UnitFound], Discovery]:
    buses: dict[Path, RtuBus] = {}

    def open_unit(unit: int) -> Link:
        names = dict(zip(("UART2",), ports, strict=False))
        return open_link(settings, names, {"unit": unit}, folder=Path("/nowhere"), buses=buses)

    made = Discovery(wanted, open_unit)
    return [each async for each in made.units()], made


def tcp(peer: TcpPeer, timeout_s: float = 20.0) -> ModbusTcp:
    return ModbusTcp(host="127.0.0.1", port=peer.port, timeout_s=timeout_s)


def test_a_machine_is_found_as_it_is_and_nothing_is_written():
    async def story() -> None:
        async with TcpPeer() as peer:
            peer.bank.objects = {0: b"Nobody", 1: b"X-1", 4: "Öfen".encode(), 0x80: b"v" * 240}
            (found,), discovery = await discovered(search(), tcp(peer))
            assert found.identification == {0: "Nobody", 1: "X-1", 4: "Öfen", 0x80: "v" * 200}
            tables = {each.table: each for each in found.tables}
            for table in (Table.HOLDING, Table.INPUT):
                assert tables[table].answers == (Span(0, tuple(range(300))),)
                assert tables[table].refused == 20
            for table in (Table.COIL, Table.DISCRETE):
                assert tables[table].answers == (Span(0, tuple(int(each % 3 == 0) for each in range(300))),)
            assert {each.pdu[0] for each in peer.requests} == READS
            assert discovery.requests == len(peer.requests)

    asyncio.run(story())


def test_what_changes_between_two_looks_is_seen():
    async def story() -> None:
        async with TcpPeer() as peer:
            answer_first = len(range(0, 320, 16))

            def changes(asked: Any) -> bytes:
                peer.bank.words[Table.INPUT][7] += 1
                return asked.good

            peer.acts = deque([changes] * (answer_first + 60))
            (found,), _ = await discovered(search(tables=(Table.INPUT,)), tcp(peer))
            (table,) = found.tables
            assert found.changed(Table.INPUT, table.answers[0]) == [7]

    asyncio.run(story())


def test_units_that_answer_are_found_on_a_serial_line():
    def alone(asked: Any) -> bytes:
        return asked.good if asked.request.unit in (3, 5) else b""

    async def story() -> None:
        async with PtyPeer() as peer:
            peer.acts = deque([alone] * 2000)
            settings = ModbusRtu(port="UART2", baud=115200, timeout_s=0.05, gap_s=0.0)
            found, _ = await discovered(search(units=range(1, 7), last=20, tables=(Table.INPUT,)), settings, peer.path)
            assert [each.unit for each in found] == [3, 5]
            assert found[0].tables[0].answers == (Span(0, tuple(range(21))),)

    asyncio.run(story())


def test_functions_that_are_not_known_are_named():
    def holding_only(asked: Any) -> bytes:
        request = asked.request
        if request.pdu[0] == 3:
            return asked.good
        return tcp_frame(request.transaction, request.unit, exception_reply(request.pdu[0], 1))

    async def story() -> None:
        async with TcpPeer() as peer:
            peer.acts = deque([holding_only] * 2000)
            (found,), _ = await discovered(search(), tcp(peer))
            assert {each.table for each in found.tables if each.known} == {Table.HOLDING}
            assert found.identification == {}

    asyncio.run(story())


def gateway(asked: Any) -> bytes:
    return tcp_frame(asked.request.transaction, asked.request.unit, exception_reply(asked.request.pdu[0], 11))


@pytest.mark.parametrize("act", [silent, gateway], ids=["silent", "a gateway says so"])
def test_units_that_are_not_there_are_not_found(act: Act):
    async def story() -> None:
        async with TcpPeer() as peer:
            peer.acts = deque([act] * 100)
            found, discovery = await discovered(search(units=(1, 2)), tcp(peer, 0.02))
            assert found == []
            assert discovery.requests <= 4

    asyncio.run(story())


def test_noise_on_a_line_is_counted():
    async def story() -> None:
        async with PtyPeer(*[sends(b"\x55" * 40)] * 10) as peer:
            settings = ModbusRtu(port="UART2", baud=115200, timeout_s=0.02)
            found, discovery = await discovered(search(), settings, peer.path)
            assert (found, discovery.damaged) == ([], 2)

    asyncio.run(story())


def test_a_machine_that_hangs_up_at_what_it_does_not_know_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("armillary.engines.equipment.discovery._AFTER_HANG_UP_S", 0.2)

    async def story() -> None:
        async with TcpPeer() as peer:

            def hangs_up(asked: Any) -> bytes:
                if asked.request.pdu[0] in (3, 4):
                    return asked.good
                asyncio.get_running_loop().call_soon(peer.hang_up)
                return b""

            peer.acts = deque([hangs_up] * 2000)
            wanted = search(last=79, tables=(Table.COIL, Table.INPUT))
            (found,), _ = await discovered(wanted, tcp(peer, 0.2))
            tables = {each.table: each for each in found.tables}
            assert (tables[Table.COIL].silent, tables[Table.COIL].not_asked) == (48, 32)
            assert tables[Table.INPUT].answers == (Span(0, tuple(range(80))),)

    asyncio.run(story())


def test_nobody_there_is_an_error():
    async def story() -> None:
        with pytest.raises(LinkError) as caught:
            await discovered(search(), ModbusTcp(host="127.0.0.1", port=reserved_port()))
        assert caught.value.reason == "unreachable"

    asyncio.run(story())


def test_an_identification_without_end_ends():
    def same(asked: Any) -> bytes:
        request = asked.request
        if request.pdu[0] != 43:
            return asked.good
        reply = bytes.fromhex("2B 0E") + request.pdu[2:3] + bytes.fromhex("81 FF 00 01 00 01 41")
        return tcp_frame(request.transaction, request.unit, reply)

    async def story() -> None:
        async with TcpPeer() as peer:
            peer.acts = deque([same] * 500)
            (found,), _ = await discovered(search(last=15, tables=(Table.INPUT,)), tcp(peer))
            assert found.identification == {0: "A"}

    asyncio.run(story())


def test_requests_keep_their_pace():
    async def story() -> None:
        async with TcpPeer() as peer:
            begun = time.monotonic()
            _, discovery = await discovered(search(last=15, tables=(Table.INPUT,), requests_per_s=50.0), tcp(peer))
            assert time.monotonic() - begun >= (discovery.requests - 1) / 50.0
            assert discovery.requests > 3

    asyncio.run(story())
