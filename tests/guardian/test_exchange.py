# SPDX-License-Identifier: Apache-2.0
"""The one way to equipment: the guard decides about each request, whoever in the guardian made it."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from armillary.content.equipment import load
from armillary.engines.equipment.port import Link
from armillary.guard.compiling import compile_profile
from armillary.guard.permit import Permit
from armillary.guardian.exchange import Exchange
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.modbus import write_register_request
from armillary.wire.equipment.request import ModbusReply, ModbusRequest, Request


class Line:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Request] = []

    async def exchange(self, permit: Permit[Request]) -> ModbusReply:
        self.sent.append(permit.request)
        return ModbusReply(b"")


def test_what_is_not_listed_does_not_leave_the_guardian() -> None:
    compiled, line = compile_profile(load("coffee")), Line()
    exchange = Exchange(compiled.allow, cast("Link", line))
    listed = compiled.blocks[0].request
    asyncio.run(exchange.send(listed))
    with pytest.raises(GuardRefusedError) as refused:
        asyncio.run(exchange.send(ModbusRequest(1, write_register_request(101, 1))))
    assert line.sent == [listed]
    assert exchange.refused == {refused.value.rule: 1}
