# SPDX-License-Identifier: Apache-2.0
"""Writes what the guard has permitted, and reads each write of registers back before the next."""

from __future__ import annotations

from collections.abc import Iterable

from armillary.guard.permit import Permit
from armillary.guard.reading_back import check_read_back, read_back
from armillary.guardian.serving import Served
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import Condition
from armillary.wire.equipment.request import ModbusRequest


async def write(served: Served, permits: Iterable[Permit[ModbusRequest]]) -> None:
    """Carry out writes in their order.

    Raises:
        LinkError: the equipment did not answer; some may be written.
        ReadBackError: something else stands.
    """
    for permit in permits:
        await served.exchange.carry_out(permit)
        read = read_back(served.compiled.allow, permit)
        if read is not None:
            check_read_back(permit, await served.exchange.carry_out(read))


async def look(served: Served, conditions: Iterable[Condition]) -> None:
    """Read the points of an interlock now, so that it is judged by what is and not by what was at the last poll."""
    for condition in conditions:
        try:
            await served.poller.read(condition.point)
        except LinkError:
            return  # The guard finds no fresh reading and refuses
