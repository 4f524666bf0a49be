# SPDX-License-Identifier: Apache-2.0
"""pymodbus, which is not ours: as a client of our server side, and as a server with two units for our link."""

from __future__ import annotations

import asyncio

import pytest
from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from tests.engines.equipment.peers import TcpPeer, permit, reading, reply_of

from armillary.engines.equipment.modbus_tcp import ModbusTcpLink
from armillary.engines.equipment.port import Link
from armillary.wire.equipment import modbus
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import ModbusTcp, Table
from armillary.wire.equipment.request import ModbusReply


def test_its_client_reads_and_writes_our_server_side():
    async def story() -> None:
        async with TcpPeer() as peer:
            client = AsyncModbusTcpClient("127.0.0.1", port=peer.port, framer=FramerType.SOCKET)
            assert await client.connect()
            assert (await client.read_holding_registers(7, count=3)).registers == [7, 8, 9]
            assert (await client.read_input_registers(0, count=125)).registers == list(range(125))
            assert (await client.read_coils(0, count=20)).bits[:20] == [each % 3 == 0 for each in range(20)]
            assert (await client.read_discrete_inputs(3, count=1)).bits[0] is True
            for written in (client.write_register(1, 500), client.write_registers(2, [1, 65535])):
                assert not (await written).isError()
            assert (await client.read_holding_registers(1, count=3)).registers == [500, 1, 65535]
            for written in (client.write_coil(1, True), client.write_coils(4, [True] * 9)):
                assert not (await written).isError()
            assert (await client.read_coils(1, count=12)).bits[:12] == [True, False, *[True] * 10]
            found = await client.read_device_information(read_code=1)
            assert found.information == {0: b"Armillary", 1: b"SIMULATED", 2: b"1"}
            for refused, code in (
                (client.read_holding_registers(299, count=2), 2),
                (client.readwrite_registers(read_address=0, read_count=1, write_address=0, values=[1]), 1),
                (client.mask_write_register(address=0), 1),
                (client.report_device_id(), 1),
            ):
                assert (await refused).exception_code == code
            client.close()

    asyncio.run(story())


def device(unit: int) -> SimDevice:
    words = [SimData(0, values=list(range(unit, 400 + unit)), datatype=DataType.REGISTERS)]
    bits = [SimData(0, values=[each % 3 == 0 for each in range(64)], datatype=DataType.BITS)]
    return SimDevice(unit, simdata=(bits, bits, words, words))


def test_our_link_reads_and_writes_its_server():
    async def identification(link: Link, unit: int) -> dict[int, bytes]:
        reply = await link.exchange(permit(modbus.identification_request(2), unit))
        assert isinstance(reply, ModbusReply)
        return modbus.read_identification(reply.pdu)[0]

    async def story() -> None:
        name = ModbusDeviceIdentification(info_name={"VendorName": "Nobody", "ProductCode": "P", "ModelName": "M"})
        server = ModbusTcpServer([device(1), device(2)], identity=name, address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        assert server.transport is not None
        port = server.transport.sockets[0].getsockname()[1]
        link = ModbusTcpLink(ModbusTcp(host="127.0.0.1", port=port, timeout_s=10.0))
        try:
            for unit in (1, 2):
                reply = await link.exchange(reading(7, 125, unit))
                assert reply.pdu == reply_of(7 + unit, 125)
                assert await identification(link, unit) == {0: b"Nobody", 1: b"P", 5: b"M"}
            await link.exchange(permit(modbus.write_registers_request(7, b"\x12\x34\x00\x01"), 2))
            assert (await link.exchange(reading(7, 2, 2))).pdu == bytes.fromhex("03 04 1234 0001")
            assert (await link.exchange(reading(7, 2, 1))).pdu == reply_of(8)
            bits = await link.exchange(permit(modbus.read_request(Table.COIL, 3, 9)))
            assert modbus.unpack_bits(modbus.register_bytes(bits.pdu), 9) == (True, False, False) * 3
            with pytest.raises(LinkError) as caught:
                await link.exchange(reading(399, 2))
            assert caught.value.refusal == 2
            assert link.counters.connects == 1
        finally:
            await link.close()
            await server.shutdown()

    asyncio.run(story())
