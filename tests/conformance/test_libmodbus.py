# SPDX-License-Identifier: Apache-2.0
"""The links of Modbus against a server on libmodbus (C), over TCP and over a pair of serial ports: read, written, faulted.

Each server has a network namespace of its own, so the tests need root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.libmodbus_server import PORT, SIZE, UNIT, Fault, libmodbus_rtu, libmodbus_tcp, serial_pair
from tests.fixtures.namespaces import Namespace, network_namespace
from tests.fixtures.processes import OwnProcess

from armillary.engines.equipment.opening import open_link
from armillary.engines.equipment.port import Link
from armillary.guard.permit import Permit
from armillary.wire.equipment import modbus
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import LinkSettings, ModbusRtu, ModbusTcp, Table
from armillary.wire.equipment.request import ModbusReply, ModbusRequest

PATIENT_S = 10.0
SHORT_S = 0.1


@dataclass
class Machine:
    """A server in its namespace and how to reach it."""

    namespace: Namespace
    settings: LinkSettings
    ports: dict[str, Path]
    server: Callable[[], AbstractContextManager[OwnProcess]]

    def link(self, **changes: Any) -> Link:
        settings = replace(self.settings, **{"timeout_s": PATIENT_S, **changes})
        return open_link(settings, self.ports, {}, folder=Path("/nowhere"))

    def run(self, story: Callable[[Link], Any], **changes: Any) -> Link:
        async def whole() -> Link:
            link = self.link(**changes)
            try:
                await story(link)
            finally:
                await link.close()
            return link

        return self.namespace.run(whole())


@contextmanager
def over_tcp(folder: Path) -> Iterator[Machine]:
    with network_namespace() as namespace:
        settings = ModbusTcp(host="127.0.0.1", port=PORT, unit=UNIT)
        yield Machine(namespace, settings, {}, lambda: libmodbus_tcp(namespace))


@contextmanager
def over_serial(folder: Path) -> Iterator[Machine]:
    with network_namespace() as namespace, serial_pair(folder) as (ours, theirs):
        settings = ModbusRtu(port="UART2", baud=115200, parity="N", unit=UNIT)
        yield Machine(namespace, settings, {"UART2": ours}, lambda: libmodbus_rtu(namespace, theirs))


@pytest.fixture(params=[over_tcp, over_serial], ids=["tcp", "rtu"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    with request.param(tmp_path) as made:
        yield made


async def ask(link: Link, pdu: bytes) -> bytes:
    reply = await link.exchange(Permit(ModbusRequest(UNIT, pdu)))
    assert isinstance(reply, ModbusReply)
    return reply.pdu


async def registers(link: Link, address: int, count: int = 2, table: Table = Table.HOLDING) -> list[int]:
    words = modbus.register_bytes(await ask(link, modbus.read_request(table, address, count)))
    return [int.from_bytes(words[place : place + 2]) for place in range(0, len(words), 2)]


async def bits(link: Link, address: int, count: int, table: Table) -> tuple[bool, ...]:
    reply = await ask(link, modbus.read_request(table, address, count))
    return modbus.unpack_bits(modbus.register_bytes(reply), count)


async def fails(link: Link, pdu: bytes) -> LinkError:
    with pytest.raises(LinkError) as caught:
        await ask(link, pdu)
    return caught.value


def test_every_function_reads_and_writes(machine: Machine):
    async def story(link: Link) -> None:
        for table in (Table.HOLDING, Table.INPUT):
            assert await registers(link, 7, 3, table) == [7, 8, 9]
            assert await registers(link, 100, 125, table) == list(range(100, 225))
        for table in (Table.COIL, Table.DISCRETE):
            assert await bits(link, 0, SIZE, table) == tuple(each % 3 == 0 for each in range(SIZE))
            assert await bits(link, 3, 1, table) == (True,)
        await ask(link, modbus.write_register_request(5, 0x1234))
        await ask(link, modbus.write_registers_request(6, bytes.fromhex("0001 FFFF")))
        assert await registers(link, 5, 4) == [0x1234, 1, 0xFFFF, 8]
        await ask(link, modbus.write_registers_request(0, bytes(246)))
        assert await registers(link, 0, 124) == [0] * 123 + [123]
        await ask(link, modbus.write_coil_request(1, on=True))
        await ask(link, modbus.write_coils_request(2, [False, False, True, True, True, True, False, False, True]))
        assert await bits(link, 0, 11, Table.COIL) == (*[True] * 2, *[False] * 2, *[True] * 4, False, False, True)
        await ask(link, modbus.write_coil_request(1, on=False))
        assert await bits(link, 1, 1, Table.COIL) == (False,)

    with machine.server():
        link = machine.run(story)
    counters = link.counters
    assert counters.exchanges == counters.replies == 18
    assert (counters.connects, counters.foreign, counters.damaged) == (1, 0, 0)


def test_what_it_refuses_is_named_and_the_link_stays(machine: Machine):
    async def story(link: Link) -> None:
        assert (await fails(link, modbus.read_request(Table.INPUT, SIZE - 1, 2))).refusal == 2
        assert (await fails(link, modbus.write_register_request(SIZE, 0))).refusal == 2
        if isinstance(machine.settings, ModbusTcp):  # On a serial line libmodbus cannot cut what it does not know
            assert (await fails(link, modbus.identification_request())).refusal == 1
        assert (await fails(link, modbus.read_request(Table.HOLDING, Fault.BUSY, 1))).refusal == 6
        assert await registers(link, 7) == [7, 8]

    with machine.server():
        link = machine.run(story)
    assert (link.counters.exceptions, link.counters.connects) == (link.counters.exchanges - 1, 1)


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.GARBAGE, Fault.OTHER_UNIT, Fault.HALF])
def test_what_is_no_reply_is_a_fault_and_the_next_one_is_right(machine: Machine, fault: Fault):
    async def story(link: Link) -> None:
        error = await fails(link, modbus.read_request(Table.HOLDING, fault, 2))
        assert error.reason in ("timeout", "damaged"), error
        link._settings = replace(link._settings, timeout_s=PATIENT_S)  # type: ignore[attr-defined]
        for address in (7, 300):
            assert await registers(link, address) == [address, address + 1]

    with machine.server():
        # Bytes that are no frame are no reply as soon as they are there: it is waited for them.
        link = machine.run(story, timeout_s=PATIENT_S if fault is Fault.GARBAGE else SHORT_S)
    assert link.counters.replies == 2


def test_a_late_reply_is_not_the_one_to_the_next_request(machine: Machine):
    count = 60  # The reply comes after 1.2 s: later than the timeout, well before a serial link gives it up at 2 s.

    async def story(link: Link) -> None:
        error = await fails(link, modbus.read_request(Table.HOLDING, Fault.LATE, count))
        assert error.reason == "timeout"
        link._settings = replace(link._settings, timeout_s=PATIENT_S)  # type: ignore[attr-defined]
        for address in (7, 300):
            assert await registers(link, address, count) == list(range(address, address + count))
        assert link.counters.timeouts == 1

    with machine.server():
        machine.run(story, timeout_s=1.0)


def test_a_reply_that_comes_twice_is_taken_once(machine: Machine):
    async def story(link: Link) -> None:
        for address in (Fault.TWICE, 300, Fault.TWICE, 7):
            assert await registers(link, address) == [address, address + 1]
        assert link.counters.foreign >= 2

    with machine.server():
        machine.run(story)


def test_a_machine_that_dies_and_comes_back_is_read_again(machine: Machine):
    async def dies(link: Link) -> None:
        assert await registers(link, 7) == [7, 8]
        assert (await fails(link, modbus.read_request(Table.HOLDING, Fault.ENDS, 1))).reason in (
            "unreachable",
            "timeout",
        )
        assert (await fails(link, modbus.read_request(Table.HOLDING, 7, 1))).reason in ("unreachable", "timeout")

    async def whole() -> None:
        link = machine.link(timeout_s=SHORT_S)
        with machine.server():
            await dies(link)
        link._settings = replace(link._settings, timeout_s=PATIENT_S)  # type: ignore[attr-defined]
        with machine.server():
            async with asyncio.timeout(PATIENT_S):
                while not (again := await _tried(link)):
                    await asyncio.sleep(0.05)
        assert again == [300, 301]
        await link.close()

    machine.namespace.run(whole())


async def _tried(link: Link) -> list[int]:
    try:
        return await registers(link, 300)
    except LinkError:
        return []
