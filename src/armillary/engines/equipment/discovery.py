# SPDX-License-Identifier: Apache-2.0
"""Asks an unknown machine on Modbus what it answers, at a bounded pace, and never writes.

Of each unit: whether it answers at all, its device identification, the addresses of each table, and a second look at
those that answered. Every request has its permit from ``guard/discovery/permitting.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from armillary.engines.equipment.port import Link
from armillary.guard.discovery.drafting import UnitFound
from armillary.guard.discovery.permitting import permit_look
from armillary.guard.discovery.searching import BLOCK, TableFound, TableSearch
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.modbus import (
    ExceptionCode,
    identification_request,
    read_identification,
    read_request,
    register_bytes,
    unpack_bits,
)
from armillary.wire.equipment.profile import Table
from armillary.wire.equipment.request import ModbusReply, ModbusRequest

# Requests to one unit: all addresses of all tables alone would be 262,144; a machine has hundreds.
MAX_REQUESTS: Final = 20_000
# Replies of an identification that are asked for: it has at most 256 objects, some a reply.
MAX_IDENTIFICATION_REPLIES: Final = 32
MAX_TEXT_BYTES: Final = 200
# A gateway says of units that are not there.
_ABSENT: Final = frozenset({ExceptionCode.GATEWAY_PATH, ExceptionCode.GATEWAY_TARGET})
# Connections that end without a reply, one after the other: until a table is left, and until there is nobody.
_HANG_UPS_OF_A_TABLE: Final = 3
_HANG_UPS: Final = 16
_AFTER_HANG_UP_S: Final = 0.5
# Tries at a unit that may be there: a frame may be lost.
_TRIES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for."""

    units: Sequence[int]
    first: int = 0
    last: int = 1023
    tables: tuple[Table, ...] = tuple(Table)
    requests_per_s: float = 50.0


class Discovery:
    """Looks at the units behind one place.

    Args:
        search: What is looked for.
        open_unit: Makes the link to a unit.
    """

    def __init__(self, search: Search, open_unit: Callable[[int], Link]) -> None:
        self.requests = 0
        self.damaged = 0  # Something came that is no Modbus: another speed or parity, perhaps
        self._search = search
        self._open_unit = open_unit
        self._next_at = 0.0
        self._hung_up = 0  # Connections in a row
        self._answered = False  # Anything, ever

    async def units(self) -> AsyncIterator[UnitFound]:
        """Each unit that answers, when all that is looked for of it is known.

        Raises:
            LinkError: ``unreachable``: there is nobody at the place.
        """
        for unit in self._search.units:
            link = self._open_unit(unit)
            try:
                if await self._is_there(link, unit):
                    yield await self._look(link, unit)
            finally:
                await link.close()

    async def _is_there(self, link: Link, unit: int) -> bool:
        for _ in range(_TRIES):
            try:
                await self._ask(link, unit, read_request(Table.HOLDING, 0, 1))
            except LinkError as error:
                if error.reason == "unreachable":
                    raise
                if error.reason == "refused":
                    return error.refusal not in _ABSENT
                self.damaged += error.reason == "damaged"
            else:
                return True
        return False

    async def _look(self, link: Link, unit: int) -> UnitFound:
        begun = self.requests
        identification = await self._identification(link, unit)
        tables = []
        for table in self._search.tables:
            search, hung_up = TableSearch(table, self._search.first, self._search.last), self._hung_up
            while (wanted := search.wanted) is not None and self.requests - begun < MAX_REQUESTS:
                await self._advance(link, unit, table, search, wanted)
                if self._hung_up - hung_up >= _HANG_UPS_OF_A_TABLE:
                    break
            tables.append(search.found())
        later = await self._second_look(link, unit, tables)
        return UnitFound(unit, identification, tuple(tables), later)

    async def _advance(self, link: Link, unit: int, table: Table, search: TableSearch, wanted: tuple[int, int]) -> None:
        try:
            reply = await self._ask(link, unit, read_request(table, *wanted))
        except LinkError as error:
            if error.reason == "unreachable":
                raise
            if error.reason == "refused" and error.refusal is not None:
                search.refused(error.refusal)
            else:
                search.unanswered()
            return
        search.answered(register_bytes(reply))

    async def _second_look(self, link: Link, unit: int, tables: Sequence[TableFound]) -> dict[tuple[Table, int], int]:
        later: dict[tuple[Table, int], int] = {}
        for found in tables:
            for span in found.answers:
                for first in range(span.first, span.end, BLOCK):
                    count = min(BLOCK, span.end - first)
                    try:
                        data = register_bytes(await self._ask(link, unit, read_request(found.table, first, count)))
                    except LinkError as error:
                        if error.reason == "unreachable":
                            raise
                        continue  # It does not answer as one read, or not now
                    for index in range(count):
                        later[found.table, first + index] = _value(found.table, data, index)
        return later

    async def _identification(self, link: Link, unit: int) -> dict[int, str]:
        """The objects that the unit has, as text; empty where it does not know the function."""
        objects: dict[int, bytes] = {}
        following: int | None = 0
        read_code = 3  # Extended; a device answers with as much of it as it has (§6.21)
        for _ in range(MAX_IDENTIFICATION_REPLIES):
            if following is None:
                break
            try:
                reply = await self._ask(link, unit, identification_request(read_code, following))
            except LinkError as error:
                if error.reason == "unreachable":
                    raise
                if read_code == 1 or objects:
                    break
                read_code = 1
                continue
            more, following = read_identification(reply)
            if not more.keys() - objects.keys():  # The same again would never end
                break
            objects |= more
        return {each: data[:MAX_TEXT_BYTES].decode("utf-8", "replace") for each, data in sorted(objects.items())}

    async def _ask(self, link: Link, unit: int, pdu: bytes) -> bytes:
        permit = permit_look(ModbusRequest(unit, pdu))
        loop = asyncio.get_running_loop()
        if (left := self._next_at - loop.time()) > 0:
            await asyncio.sleep(left)
        self._next_at = max(self._next_at, loop.time()) + 1 / self._search.requests_per_s
        self.requests += 1
        try:
            reply = await link.exchange(permit)
        except LinkError as error:
            if error.reason != "unreachable":
                self._answered, self._hung_up = True, 0
                raise
            self._hung_up += 1
            if not self._answered or self._hung_up > _HANG_UPS:
                raise
            # Some hang up at what they do not know, and are there again.
            self._next_at = loop.time() + _AFTER_HANG_UP_S
            raise LinkError("timeout", error.message) from error
        self._answered, self._hung_up = True, 0
        if not isinstance(reply, ModbusReply):
            raise LinkError("foreign", f"{type(reply).__name__} is no reply of Modbus")
        return reply.pdu


def _value(table: Table, data: bytes, index: int) -> int:
    if table in (Table.COIL, Table.DISCRETE):
        return int(unpack_bits(data, index + 1)[index])
    return int.from_bytes(data[2 * index : 2 * index + 2])
