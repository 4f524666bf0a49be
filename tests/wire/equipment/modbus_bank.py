# SPDX-License-Identifier: Apache-2.0
"""A Modbus server's tables in memory, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from armillary.wire.equipment.modbus import ExceptionCode, ServerRefusalError
from armillary.wire.equipment.profile import Table


class MemoryBank:
    """``size`` bits and registers in each table; register ``n`` holds ``n`` at first, every third bit is set."""

    def __init__(self, size: int = 300, objects: Mapping[int, bytes] | None = None) -> None:
        self.size = size
        self.bits = {table: [index % 3 == 0 for index in range(size)] for table in (Table.COIL, Table.DISCRETE)}
        self.words = {table: list(range(size)) for table in (Table.HOLDING, Table.INPUT)}
        self.objects = objects if objects is not None else {0: b"Armillary", 1: b"SIMULATED", 2: b"1"}

    def read_bits(self, table: Table, address: int, count: int) -> Sequence[bool]:
        self._inside(address, count)
        return self.bits[table][address : address + count]

    def read_registers(self, table: Table, address: int, count: int) -> bytes:
        self._inside(address, count)
        return b"".join(word.to_bytes(2) for word in self.words[table][address : address + count])

    def write_coils(self, address: int, states: Sequence[bool]) -> None:
        self._inside(address, len(states))
        self.bits[Table.COIL][address : address + len(states)] = states

    def write_registers(self, address: int, words: bytes) -> None:
        self._inside(address, len(words) // 2)
        values = [int.from_bytes(words[place : place + 2]) for place in range(0, len(words), 2)]
        self.words[Table.HOLDING][address : address + len(values)] = values

    def identification(self) -> Mapping[int, bytes]:
        return self.objects

    def _inside(self, address: int, count: int) -> None:
        if address + count > self.size:
            raise ServerRefusalError(ExceptionCode.ILLEGAL_ADDRESS)
