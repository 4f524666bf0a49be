# SPDX-License-Identifier: Apache-2.0
"""Attacks on the guard of a coffee machine: commands and frames that would hurt it.

Each attack is refused by its rule; and with the one check taken out that stops it, it goes through.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.fixtures.guarded_machine import COFFEE, GuardedMachine
from tests.fixtures.mutants import mutant_of

from armillary.guard import commanding, deciding, situation
from armillary.guard.allow_list import AllowList
from armillary.guard.compiling import compile_profile
from armillary.guard.raw_range import RawRange
from armillary.guard.situation import CommandHistory
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.profile import Command, ModbusAddress, Table
from armillary.wire.equipment.reading import Quality
from armillary.wire.equipment.request import ModbusRequest

Without = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Attack:
    """What somebody does, the rule that refuses it, and how the check is taken out."""

    does: Callable[[GuardedMachine], object]
    rule: str
    without: Without


# -- commands ------------------------------------------------------------------------------------------------------


def replay(machine: GuardedMachine) -> object:
    """A command that was seen on its way is sent again, while it is still fresh."""
    seen = machine.command("setBrewTemp", 93, expires_at=machine.unix + 300)
    machine.judge(seen)
    machine.wait(61)
    machine.read(brewTempSetting=93.0)
    return machine.judge(seen)


def retry_of_a_refused_command(machine: GuardedMachine) -> object:
    """A command that the state of the machine forbade is sent again when the state is another."""
    machine.read(state="brewing")
    seen = machine.command("setBrewTemp", 93)
    with pytest.raises(GuardRefusedError, match="state is brewing"):
        machine.judge(seen)
    machine.read(state="idle")
    return machine.judge(seen)


def held_back(machine: GuardedMachine) -> object:
    """A command is held back on its way and handed on when nobody thinks of it any more."""
    seen = machine.command("setBrewTemp", 93)
    machine.wait(61)
    return machine.judge(seen)


def made_to_be_kept(machine: GuardedMachine) -> object:
    """A command that is good for a day is kept by whoever sees it."""
    return machine.ask("setBrewTemp", 93, expires_at=machine.unix + 86_400)


def clock_set_back(machine: GuardedMachine) -> object:
    """A command that was held back is handed on after the guardian's clock was set back."""
    seen = machine.command("setBrewTemp", 93)
    machine.wait(61)
    machine.ask("setBrewTemp", 92.5)
    machine.wait(60)
    machine.read(brewTempSetting=92.5)
    machine.unix -= 120
    machine.read(state="idle")
    return machine.judge(seen)


def clock_not_known(machine: GuardedMachine) -> object:
    """A guardian that has just started takes what somebody kept, as it does not know the time."""
    machine.synced = False
    return machine.ask("setBrewTemp", 93)


def too_often(machine: GuardedMachine) -> object:
    """The heater is set to and fro."""
    machine.ask("setBrewTemp", 93)
    machine.wait(1)
    machine.read(brewTempSetting=93.0)
    return machine.ask("setBrewTemp", 92)


def clock_set_forwards(machine: GuardedMachine) -> object:
    """The wall clock is set forwards, so that an hour seems to have passed."""
    machine.ask("setBrewTemp", 93)
    machine.wait(1)
    machine.unix += 3600
    machine.read(state="idle", brewTempSetting=93.0)
    return machine.ask("setBrewTemp", 92)


def large_step(machine: GuardedMachine) -> object:
    """The temperature is set from one end of its range to the other."""
    machine.read(brewTempSetting=85.0)
    return machine.ask("setBrewTemp", 96)


def step_from_an_old_value(machine: GuardedMachine) -> object:
    """Two small steps in opposite directions, the second from what stood before the first: 94, then 90."""
    machine.read(brewTempSetting=92.0)
    machine.ask("setBrewTemp", 94)
    machine.unix, machine.monotonic = machine.unix + 60.5, machine.monotonic + 60.5
    machine.read(state="idle")
    return machine.ask("setBrewTemp", 90)


def interlock_on_a_stale_reading(machine: GuardedMachine) -> object:
    """The line is cut while the machine is idle; what stands there is the last it said."""
    machine.read(state="idle", quality=Quality.STALE)
    return machine.ask("setBrewTemp", 93)


def interlock_on_an_old_reading(machine: GuardedMachine) -> object:
    """The poll stands still, and the last reading says that the machine is idle."""
    machine.unix, machine.monotonic = machine.unix + 30, machine.monotonic + 30
    machine.read(brewTempSetting=92.0)
    return machine.ask("setBrewTemp", 93)


def one_consent_for_two(machine: GuardedMachine) -> object:
    """Somebody at the machine agreed once, and it is cleaned twice."""
    machine.history.last.clear()
    machine.agree("startClean")
    machine.ask("startClean")
    machine.history.last.clear()
    return machine.ask("startClean")


def kept_history(_: CommandHistory, nonce: str, expires_at: float, now: object) -> None:
    """Spends nothing."""


def without_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    spend = CommandHistory.spend

    def forgetful(history: CommandHistory, *given: Any) -> None:
        spend(history, *given)
        history.floor = 0.0

    monkeypatch.setattr(CommandHistory, "spend", forgetful)


def rate_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(name: str, every_s: float, state: situation.Situation, now: situation.Moment) -> None:
        last = state.history.last.get(name)
        if last is not None and now.unix - last < every_s:
            situation.refuse("rate", name)

    monkeypatch.setattr(commanding, "check_rate", check)


def since_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = situation.standing_value
    monkeypatch.setattr(commanding, "standing_value", lambda *given: honest(*given[:4], None))


def quality_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = mutant_of(situation, "seen.reading.quality is not Quality.GOOD", "False")
    monkeypatch.setattr(commanding, "check_interlock", mutant.check_interlock)


class Sticky(dict[str, float]):
    """Consents that nobody uses up."""

    def pop(self, *_: object) -> None:  # type: ignore[override]
        return None


def consents_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = GuardedMachine.__post_init__

    def sticky(machine: GuardedMachine) -> None:
        begin(machine)
        machine.history.consents = Sticky()

    monkeypatch.setattr(GuardedMachine, "__post_init__", sticky)


def taken_out(name: str) -> Without:
    """Without one function of the judgement."""
    return lambda monkeypatch: monkeypatch.setattr(commanding, name, lambda *_: None)


def with_constant(module: Any, name: str, value: float) -> Without:
    return lambda monkeypatch: monkeypatch.setattr(module, name, value)


def always_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = mutant_of(commanding, "if not now.synced:", "if False:")
    monkeypatch.setattr(commanding, "check_fresh", mutant.check_fresh)


COMMANDS = {
    "replay": Attack(replay, "replayed", lambda patch: patch.setattr(CommandHistory, "spend", kept_history)),
    "retry": Attack(
        retry_of_a_refused_command, "replayed", lambda patch: patch.setattr(CommandHistory, "spend", kept_history)
    ),
    "held back": Attack(held_back, "expired", taken_out("check_fresh")),
    "made to be kept": Attack(made_to_be_kept, "expired", with_constant(commanding, "EXPIRY_MAX_S", 1e9)),
    "clock set back": Attack(clock_set_back, "expired", without_floor),
    "clock not known": Attack(clock_not_known, "expired", always_synced),
    "too often": Attack(too_often, "rate", taken_out("check_rate")),
    "clock set forwards": Attack(clock_set_forwards, "rate", rate_by_the_wall_clock),
    "large step": Attack(large_step, "step", taken_out("_check_step")),
    "step from an old value": Attack(step_from_an_old_value, "step", since_is_forgotten),
    "stale interlock": Attack(interlock_on_a_stale_reading, "interlock", quality_is_forgotten),
    "old interlock": Attack(interlock_on_an_old_reading, "interlock", with_constant(situation, "FRESH_PERIODS", 1e6)),
    "one consent for two": Attack(one_consent_for_two, "consent", consents_stay),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_hostile_command_is_refused_by_its_rule(name: str) -> None:
    attack = COMMANDS[name]
    with pytest.raises(GuardRefusedError) as refused:
        attack.does(GuardedMachine())
    assert refused.value.rule == attack.rule


@pytest.mark.parametrize("name", COMMANDS)
def test_without_its_check_a_hostile_command_goes_through(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = COMMANDS[name]
    attack.without(monkeypatch)
    assert attack.does(GuardedMachine())


# -- frames --------------------------------------------------------------------------------------------------------

HOT = (990).to_bytes(2, "big")  # 99.0 degrees, where 96 is the highest
SET = bytes([6, 0, 100]) + (930).to_bytes(2, "big")
RECIPE = bytes([16, 0, 200, 0, 12, 24]) + b"".join(
    word.to_bytes(2, "big") for word in (12, 930, 35, 250, 900, 180, 420, 360, 270, 400, 600, 1)
)
FLOATING = compile_profile(
    replace(
        COFFEE.profile,
        commands=(Command(name="set", address=ModbusAddress(Table.HOLDING, 300), raw="f32be", low=0.0, high=10.0),),
    )
).allow


def floating(number: float) -> bytes:
    return bytes([16, 300 >> 8, 300 & 255, 0, 2, 4]) + struct.pack(">f", number)


def mutant(old: str, new: str) -> Without:
    return lambda monkeypatch: monkeypatch.setattr(deciding, "decide", mutant_of(deciding, old, new).decide)


def every_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RawRange, "holds", lambda *_: True)


UNLISTED = mutant(
    "if rule is None:\n        _refuse_unlisted(allow, pdu)\n", "if rule is None:\n        return 'any'\n"
)
VALUE = mutant("if not item.holds(number):", "if False:")
# By the words of the attack: the frame, the rule, the check that is taken out
FRAMES: dict[str, tuple[int, bytes, str, Without]] = {
    "out of range": (1, bytes([6, 0, 100]) + HOT, "value", VALUE),
    "broadcast": (0, SET, "unit", mutant("if request.unit != allow.unit:", "if False:")),
    "another machine's unit": (2, SET, "unit", mutant("if request.unit != allow.unit:", "if False:")),
    "a write hidden in a read (23)": (
        1,
        bytes([23, 0, 100, 0, 1, 0, 100, 0, 1, 2]) + HOT,
        "function",
        UNLISTED,
    ),
    "a mask that sets bits (22)": (1, bytes([22, 0, 100, 0, 0]) + HOT, "function", UNLISTED),
    "diagnostics that silence it (8)": (1, bytes([8, 0, 4, 0, 0]), "function", UNLISTED),
    "a file record (21)": (1, bytes([21, 9, 6, 0, 1, 0, 0, 0, 1, 0, 0]), "function", UNLISTED),
    "an encapsulated transport (43)": (1, bytes([43, 14, 1, 0]), "function", UNLISTED),
    "a write where only reads are listed": (1, bytes([6, 0, 200]) + HOT, "span", UNLISTED),
    "a write around a listed one": (1, bytes([16, 0, 99, 0, 2, 4, 0, 0]) + HOT, "span", UNLISTED),
    "a write by another function": (1, bytes([16, 0, 100, 0, 1, 2]) + HOT, "span", UNLISTED),
    "more bytes than it says": (1, RECIPE + b"\0\0", "length", mutant("if len(message) != rule.length:", "if False:")),
    "more bytes than a register has": (1, SET + b"\0\0", "length", mutant("len(message) != rule.length", "False")),
    "a byte count that lies": (1, RECIPE[:5] + b"\x1a" + RECIPE[6:] + b"\0\0", "count", UNLISTED),
    "a coil that is neither true nor false": (
        1,
        bytes([5, 0, 10, 0x12, 0x34]),
        "value",
        mutant("rule.choices is not None and data not in rule.choices", "False"),
    ),
    "a number that is none": (1, floating(float("nan")), "value", every_number),
    "a number without end": (1, floating(float("inf")), "value", every_number),
    "a zero with a sign": (1, floating(-0.0), "value", every_number),
    "a number just beyond its limit": (1, floating(10.000001), "value", every_number),
}


def judged(name: str) -> object:
    unit, pdu, _, _ = FRAMES[name]
    allow: AllowList = FLOATING if pdu.startswith(bytes([16, 300 >> 8, 300 & 255])) else COFFEE.allow
    return deciding.decide(allow, ModbusRequest(unit, pdu))


def test_the_honest_frames_beside_them_are_permitted() -> None:
    for pdu in (SET, RECIPE, bytes([5, 0, 10, 0xFF, 0])):
        assert deciding.decide(COFFEE.allow, ModbusRequest(1, pdu)).command
    for number in (0.0, 5.5, 10.0):
        assert deciding.decide(FLOATING, ModbusRequest(1, floating(number))).command == "set"


@pytest.mark.parametrize("name", FRAMES)
def test_a_hostile_frame_is_refused_by_its_rule(name: str) -> None:
    with pytest.raises(GuardRefusedError) as refused:
        judged(name)
    assert refused.value.rule == FRAMES[name][2]


@pytest.mark.parametrize("name", FRAMES)
def test_without_its_check_a_hostile_frame_goes_through(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FRAMES[name][3](monkeypatch)
    assert judged(name)


# -- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), True, "93", "93; rm", 10**400, -93, 96.0001, [93], {"value": 93}, b"\x5d", None],
)
def test_values_that_no_profile_means_never_become_a_frame(value: object) -> None:
    with pytest.raises(GuardRefusedError) as refused:
        GuardedMachine().ask("setBrewTemp", value)
    assert refused.value.rule == "value"


def test_behind_the_check_of_a_value_the_frame_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the first check a value out of range is refused by its frame; without both it goes out."""
    monkeypatch.setattr(commanding, "checked_value", lambda _, asked: asked)
    monkeypatch.setattr(commanding, "_check_step", lambda *_: None)
    with pytest.raises(GuardRefusedError) as refused:
        GuardedMachine().ask("setBrewTemp", 99.0)
    assert refused.value.rule == "value"
    monkeypatch.setattr(RawRange, "holds", lambda *_: True)
    permit = GuardedMachine().ask("setBrewTemp", 99.0)
    assert permit.request == ModbusRequest(1, bytes([6, 0, 100]) + HOT)
