# SPDX-License-Identifier: Apache-2.0
"""The Modbus tables of a simulated machine, laid out by its profile: a bank for ``wire/equipment/modbus.py``.

What is written is done, whatever the value: the machine has no guard of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from armillary.sim.equipment.firmware import FirmwareWindow
from armillary.sim.equipment.layout import value_of, word_count, words_of
from armillary.sim.equipment.machine import FirmwareTaking, Machine, RecipeTaking
from armillary.wire.equipment.modbus import ExceptionCode, ObjectId, ServerRefusalError
from armillary.wire.equipment.profile import Command, ModbusAddress, Point, Profile, Table

# Addresses between two values that are no further apart than this answer 0, as most controllers do.
FILLED_GAP: Final = 16
SIMULATED: Final = "SIMULATED"
MAX_IDENTITY_BYTES: Final = 60  # of one object: all of them fit into one reply
LONGEST_VALUE_WORDS: Final = 4


class Registers:
    """The tables of one machine.

    Args:
        profile: Where each value is.
        machine: Whose values they are.
        nameless: The device identification names neither maker nor model: a machine that nobody knows.
    """

    def __init__(self, profile: Profile, machine: Machine, *, nameless: bool = False) -> None:
        self._profile = profile
        self._machine = machine
        self._nameless = nameless
        self._points: dict[Table, dict[int, Point]] = {table: {} for table in Table}
        self._commands: dict[tuple[Table, int], Command] = {}
        self._kept: dict[int, int] = {}  # holding registers that are written: recipes, the window of firmware
        self._slot = 0  # of the recipe that was written last
        for point in profile.all_points:
            if isinstance(point.address, ModbusAddress):
                self._points[point.address.table][point.address.address] = point
        for command in profile.commands:
            if isinstance(command.address, ModbusAddress):
                self._commands[command.address.table, command.address.address] = command
        self._fill_slots()
        self._there = {table: _filled(self._addresses(table)) for table in Table}
        self._window: FirmwareWindow | None = None
        if profile.firmware is not None:
            self._window = FirmwareWindow(profile.firmware, runs=self._raw(profile.firmware.version))

    def _fill_slots(self) -> None:
        """A machine leaves the factory with its recipe in every slot; what it has no word for is as low as may be."""
        area = self._profile.recipe
        if area is None or not isinstance(self._machine, RecipeTaking):
            return
        known = self._machine.recipe()
        for slot in range(area.slots):
            for each in area.fields:
                at = area.address + slot * area.words + each.offset
                words = words_of(each.raw, known.get(each.name, each.low), each.scale)
                self._kept |= {at + index: word for index, word in enumerate(words)}

    def _raw(self, point_name: str) -> int:
        point = next(each for each in self._profile.all_points if each.name == point_name)
        value = self._machine.values()[point_name]
        return words_of(point.raw, value, point.scale, point.offset)[0]

    def read_bits(self, table: Table, address: int, count: int) -> Sequence[bool]:
        """Coils or discrete inputs."""
        return [bool(word) for word in self._image(table, address, count)]

    def read_registers(self, table: Table, address: int, count: int) -> bytes:
        """Holding or input registers, two bytes each, big-endian."""
        return b"".join(word.to_bytes(2, "big") for word in self._image(table, address, count))

    def _image(self, table: Table, start: int, count: int) -> list[int]:
        """What the addresses hold now; a value that begins before ``start`` or ends after it is cut."""
        self._require(table, start, count)
        values, settings = self._machine.values(), self._machine.settings()
        held: dict[int, int] = {}
        if table is Table.HOLDING:
            held |= {address: self._kept.get(address, 0) for address in range(start, start + count)}
        for (where, address), command in self._commands.items():
            if where is table and command.name in settings:
                words = words_of(command.raw, settings[command.name], command.scale, command.offset)
                held |= dict(enumerate(words, address))
        for address, point in self._points[table].items():
            if start - LONGEST_VALUE_WORDS < address < start + count and point.name in values:
                words = words_of(point.raw, values[point.name], point.scale, point.offset)
                held |= dict(enumerate(words, address))
        return [held.get(address, 0) for address in range(start, start + count)]

    def write_registers(self, address: int, words: bytes) -> None:
        """Set holding registers, and do what the commands among them say."""
        written = [int.from_bytes(words[at : at + 2], "big") for at in range(0, len(words), 2)]
        span = range(address, address + len(written))
        self._require(Table.HOLDING, address, len(written))
        self._kept |= dict(enumerate(written, address))
        for (table, first), command in self._commands.items():
            last = first + word_count(command.raw) - 1
            if table is Table.HOLDING and first in span and last in span:
                own = written[first - address : last + 1 - address]
                self._machine.command(command.name, value_of(command.raw, own, command.scale, command.offset))
        recipe = self._profile.recipe
        if recipe is not None and recipe.address <= address < recipe.address + recipe.words * recipe.slots:
            self._slot = (address - recipe.address) // recipe.words

    def write_coils(self, address: int, states: Sequence[bool]) -> None:
        """Set coils, and do what the commands among them say."""
        self._require(Table.COIL, address, len(states))
        for place, on in enumerate(states, address):
            self._take_coil(place, on=on)

    def _take_coil(self, address: int, *, on: bool) -> None:
        command = self._commands.get((Table.COIL, address))
        if command is not None:
            self._machine.command(command.name, on)
        if on and self._profile.recipe is not None and address == self._profile.recipe.commit_coil:
            self._take_recipe()
        if on and self._window is not None and isinstance(self._machine, FirmwareTaking):
            version = self._window.take_coil(address, self._kept)
            if version is not None:
                self._machine.run_firmware(self._version(version))

    def _version(self, raw: int) -> float:
        """The value of the version's point that a raw number stands for."""
        name = "" if self._profile.firmware is None else self._profile.firmware.version
        point = next(each for each in self._profile.all_points if each.name == name)
        return value_of(point.raw, [raw], point.scale, point.offset)

    def _take_recipe(self) -> None:
        recipe = self._profile.recipe
        if recipe is None or not isinstance(self._machine, RecipeTaking):
            raise ServerRefusalError(ExceptionCode.SERVER_FAILURE)
        first = recipe.address + self._slot * recipe.words
        fields = {}
        for each in recipe.fields:
            at = first + each.offset
            words = [self._kept.get(address, 0) for address in range(at, at + word_count(each.raw))]
            fields[each.name] = value_of(each.raw, words, each.scale)
        self._machine.take_recipe(self._slot, fields)

    def identification(self) -> Mapping[int, bytes]:
        """Who the machine is; each says in it that it is simulated."""
        profile = self._profile
        found = {
            ObjectId.VENDOR_NAME: SIMULATED if self._nameless else f"{profile.manufacturer} ({SIMULATED})",
            ObjectId.PRODUCT_CODE: SIMULATED,
            ObjectId.REVISION: "1.0",
        }
        if not self._nameless:
            found |= {ObjectId.PRODUCT_NAME: f"{SIMULATED} {profile.title}", ObjectId.MODEL_NAME: profile.model}
        return {int(number): text.encode("utf-8")[:MAX_IDENTITY_BYTES] for number, text in found.items()}

    def _require(self, table: Table, start: int, count: int) -> None:
        if not all(address in self._there[table] for address in range(start, start + count)):
            raise ServerRefusalError(ExceptionCode.ILLEGAL_ADDRESS)

    def _addresses(self, table: Table) -> set[int]:
        found: set[int] = set()
        for address, point in self._points[table].items():
            found |= set(range(address, address + word_count(point.raw)))
        for (where, address), command in self._commands.items():
            if where is table:
                found |= set(range(address, address + word_count(command.raw)))
        recipe, firmware = self._profile.recipe, self._profile.firmware
        if recipe is not None:
            slots = set(range(recipe.address, recipe.address + recipe.words * recipe.slots))
            found |= {Table.HOLDING: slots, Table.COIL: {recipe.commit_coil}}.get(table, set())
        if firmware is not None:
            window = set(range(firmware.address, firmware.address + firmware.words))
            window |= {firmware.offset_address, firmware.offset_address + 1}
            coils = {firmware.write_coil, firmware.commit_coil, firmware.revert_coil}
            found |= {Table.HOLDING: window, Table.COIL: coils}.get(table, set())
        return found


def _filled(addresses: Iterable[int]) -> frozenset[int]:
    """The addresses with the small gaps between them."""
    found = set(addresses)
    for one, following in pairwise(sorted(found)):
        if following - one <= FILLED_GAP:
            found |= set(range(one, following))
    return frozenset(found)
