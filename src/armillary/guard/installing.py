# SPDX-License-Identifier: Apache-2.0
"""Judges what is installed in equipment, recipes and firmware, and turns it into the requests that carry it out.

Both come from files whose signature was verified before (``armillary.wire.equipment.signed_file``); a signature says
who made a file, not that now is the time for it. So the interlock is checked before each request is permitted, each
number of a recipe is in its range, and a firmware goes through its window alone.

The caller sends the permits in their order and stops at the first that fails; it reads back each write of registers
(``guard/reading_back.py``) before the coil that commits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from armillary.guard.allow_list import (
    COIL_VALUES,
    FIRMWARE,
    RECIPE,
    WRITE_COIL,
    AllowList,
    ReadSpan,
    recipe_pieces,
    write_head,
)
from armillary.guard.commanding import check_consent, check_rate, checked_value, raw_value
from armillary.guard.deciding import decide
from armillary.guard.permit import Permit
from armillary.guard.raw_range import register_layout
from armillary.guard.situation import Moment, Situation, check_interlock, refuse
from armillary.wire.equipment.profile import (
    Command,
    FirmwareArea,
    ModbusAddress,
    Profile,
    RecipeArea,
    RecipeField,
    Table,
)
from armillary.wire.equipment.request import ModbusRequest

REVERT_S: Final = 600.0  # Longer than equipment takes to start; shorter than its next working day

Writes = tuple[Permit[ModbusRequest], ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is to stand in one slot: exactly the fields of the profile's recipe area."""

    slot: int
    values: Mapping[str, object]  # By field, as they came


class FirmwareStep(Enum):
    """What follows when all pieces of a firmware are in the equipment."""

    COMMIT = "commit"  # Start it
    REVERT = "revert"  # Start the one before


def judge_recipe(profile: Profile, allow: AllowList, recipe: Recipe, situation: Situation, now: Moment) -> Writes:
    """Return the permits that write a slot; :func:`judge_commit` follows. The situation's history is changed by it.

    Raises:
        GuardRefusedError: ``read-only`` (the equipment takes none), ``span``, ``not-listed``, ``value``, ``rate`` or
            ``interlock``.
    """
    area = profile.recipe
    if area is None:
        refuse("read-only", "the profile has no recipes")
    if isinstance(recipe.slot, bool) or not isinstance(recipe.slot, int) or not 0 <= recipe.slot < area.slots:
        refuse("span", f"a recipe goes to slot 0 to {area.slots - 1}")
    names = {each.name for each in area.fields}
    if recipe.values.keys() != names:
        refuse("not-listed", f"a recipe has exactly the fields {', '.join(sorted(names))}")
    unit, writes = _unit(allow), []
    for span, fields in recipe_pieces(area, recipe.slot):
        start = fields[0].offset
        data = bytearray(2 * span.count)
        for each in fields:
            layout = register_layout(each.raw, 2 * (each.offset - start))
            data[layout.offset : layout.offset + layout.size] = layout.encode(
                _raw_field(each, recipe.values[each.name])
            )
        writes.append(ModbusRequest(unit, write_head(span) + bytes(data)))
    check_rate(RECIPE, area.every_s, situation, now)
    check_interlock(profile, area.when, situation.readings, now)
    permits = tuple(decide(allow, request) for request in writes)
    situation.history.last[RECIPE] = now.monotonic
    return permits


def judge_commit(profile: Profile, allow: AllowList, situation: Situation, now: Moment) -> Permit[ModbusRequest]:
    """Return the permit for the coil that commits a recipe, once its slot was written and read back.

    Raises:
        GuardRefusedError: ``read-only`` or ``interlock``: the equipment is no longer in the state for it.
    """
    if profile.recipe is None:
        refuse("read-only", "the profile has no recipes")
    check_interlock(profile, profile.recipe.when, situation.readings, now)
    return decide(allow, _coil(_unit(allow), profile.recipe.commit_coil))


def judge_firmware(profile: Profile, size: int, situation: Situation, now: Moment) -> None:
    """Judge the beginning of an installation of so many bytes. A consent is used up.

    Raises:
        GuardRefusedError: ``read-only`` (the equipment takes none), ``length``, ``interlock`` or ``consent``.
    """
    area = _firmware(profile)
    if not 0 < size <= area.limit_bytes:
        refuse("length", f"a firmware has 1 to {area.limit_bytes} bytes, not {size}")
    check_interlock(profile, area.when, situation.readings, now)
    if area.local_consent:
        check_consent(FIRMWARE, situation, now)
        situation.history.consents.pop(FIRMWARE, None)


def judge_piece(
    profile: Profile, allow: AllowList, offset: int, piece: bytes, situation: Situation, now: Moment
) -> Writes:
    """Return the permits for one piece: the window, its offset in the firmware, and the coil that takes it.

    A last piece that is shorter than the window is filled up with zeros.

    Raises:
        GuardRefusedError: ``read-only``, ``length``, ``span`` or ``interlock``.
    """
    area = _firmware(profile)
    window = 2 * area.words
    if not 0 < len(piece) <= window:
        refuse("length", f"a piece has 1 to {window} bytes, not {len(piece)}")
    if offset % window or not 0 <= offset <= area.limit_bytes - len(piece):
        refuse("span", f"a piece begins at a multiple of {window} and ends at {area.limit_bytes}, not at {offset}")
    check_interlock(profile, area.when, situation.readings, now)
    unit = _unit(allow)
    place = write_head(ReadSpan(3, area.offset_address, 2)) + offset.to_bytes(4, "big")
    requests = (
        ModbusRequest(unit, write_head(ReadSpan(3, area.address, area.words)) + piece.ljust(window, b"\0")),
        ModbusRequest(unit, place),
        _coil(unit, area.write_coil),
    )
    return tuple(decide(allow, request) for request in requests)


def judge_step(
    profile: Profile, allow: AllowList, step: FirmwareStep, situation: Situation, now: Moment
) -> Permit[ModbusRequest]:
    """Return the permit that starts the new firmware, or the one before. The situation's history is changed by it.

    Equipment whose new firmware does not work may be in no state that the profile knows. So for :data:`REVERT_S`
    after the new one was started the one before may be started whatever the state: who agreed to the new one agreed
    to its return.

    Raises:
        GuardRefusedError: ``read-only`` or ``interlock``.
    """
    area = _firmware(profile)
    started = situation.history.last.get(FIRMWARE)
    if step is FirmwareStep.COMMIT or started is None or not 0 <= now.monotonic - started <= REVERT_S:
        check_interlock(profile, area.when, situation.readings, now)
    if step is FirmwareStep.COMMIT:
        situation.history.last[FIRMWARE] = now.monotonic
    return decide(allow, _coil(_unit(allow), area.commit_coil if step is FirmwareStep.COMMIT else area.revert_coil))


def recipe_spans(area: RecipeArea, slot: int) -> tuple[ReadSpan, ...]:
    """The reads that bring what stands in a slot."""
    return tuple(span for span, _ in recipe_pieces(area, slot))


def _firmware(profile: Profile) -> FirmwareArea:
    if profile.firmware is None:
        refuse("read-only", "the profile has no firmware area")
    return profile.firmware


def _raw_field(item: RecipeField, asked: object) -> float:
    """The raw number of a recipe's field; judged as the value of a command."""
    command = Command(
        name=item.name,
        address=ModbusAddress(Table.HOLDING, 0),
        raw=item.raw,
        scale=item.scale,
        unit=item.unit,
        low=item.low,
        high=item.high,
    )
    value = checked_value(command, asked)
    return raw_value(command, 0 if value is None else value)


def _coil(unit: int, coil: int) -> ModbusRequest:
    return ModbusRequest(unit, bytes([WRITE_COIL]) + coil.to_bytes(2, "big") + COIL_VALUES[True])


def _unit(allow: AllowList) -> int:
    if allow.unit is None:
        refuse("unit", "recipes and firmware are written over Modbus")
    return allow.unit
