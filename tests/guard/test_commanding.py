# SPDX-License-Identifier: Apache-2.0
"""Commands: each check by itself, in order; what is permitted is the one frame that the profile lists."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.guarded_machine import COFFEE, NOON, GuardedMachine, nonce

from armillary.content.equipment import load
from armillary.guard.commanding import CommandRequest, check_fresh, judge_command, read_command
from armillary.guard.compiling import compile_profile
from armillary.guard.deciding import decide
from armillary.guard.situation import NONCES_MAX, CommandHistory, Moment, Situation, lost, restored
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.profile import Command, NodeAddress, OpcUa
from armillary.wire.equipment.reading import Quality
from armillary.wire.equipment.request import FrameRequest, ModbusRequest, NodesRead, NodeWrite


@pytest.fixture
def machine() -> GuardedMachine:
    return GuardedMachine()


def rule_of(machine: GuardedMachine, name: str, value: object = None, **changes: object) -> str:
    """The rule by which a command is refused."""
    with pytest.raises(GuardRefusedError) as refused:
        machine.ask(name, value, **changes)
    return refused.value.rule


def test_a_good_command_is_one_frame(machine):
    permit = machine.ask("setBrewTemp", 93.5)
    assert permit.command == "setBrewTemp"
    assert permit.request == ModbusRequest(1, bytes([6, 0, 100, 935 >> 8, 935 & 255]))


def test_a_command_without_a_value_writes_what_is_fixed(machine):
    machine.agree("startClean")
    assert machine.ask("startClean").request == ModbusRequest(1, bytes([5, 0, 10, 0xFF, 0]))


def test_what_the_profile_does_not_have_is_refused(machine):
    assert rule_of(machine, "setSteamTemp", 120) == "not-listed"
    cable = compile_profile(load("cable"))
    assert rule_of(GuardedMachine(compiled=cable), "setBrewTemp", 93) == "read-only"


@pytest.mark.parametrize(
    "value", [None, True, "93", float("nan"), float("inf"), -float("inf"), 10**400, [93], {}, b"93", 84.9, 96.1, -93]
)
def test_a_value_of_another_type_or_out_of_range_is_refused(machine, value):
    assert rule_of(machine, "setBrewTemp", value) == "value"


def test_a_command_without_a_value_takes_none(machine):
    machine.agree("startClean")
    assert rule_of(machine, "startClean", True) == "value"


def test_a_value_that_rounds_out_of_range_never_gets_there(machine):
    """85.04 is in 85 to 96, and so is what 0.1 makes of it; a range that ends between two steps ends inside."""
    assert machine.ask("setBrewTemp", 90.04).request.pdu[3:] == (900).to_bytes(2, "big")
    edge = replace(COFFEE.profile.commands[0], low=91.04)
    profile = replace(COFFEE.profile, commands=(edge,))
    narrow = GuardedMachine(compiled=replace(compile_profile(profile), profile=profile))
    assert rule_of(narrow, "setBrewTemp", 91.04) == "value"
    assert narrow.ask("setBrewTemp", 91.06)


def test_commands_end_and_are_not_kept(machine):
    assert rule_of(machine, "setBrewTemp", 93, expires_at=machine.unix) == "expired"
    assert rule_of(machine, "setBrewTemp", 93, expires_at=machine.unix + 300.1) == "expired"
    assert rule_of(machine, "setBrewTemp", 93, expires_at=float("nan")) == "expired"
    assert machine.ask("setBrewTemp", 93, expires_at=machine.unix + 300)


def test_without_the_time_no_command_is_fresh(machine):
    machine.synced = False
    assert rule_of(machine, "setBrewTemp", 93) == "expired"


def test_a_nonce_is_used_once_whatever_came_of_it(machine):
    refused = machine.command("setBrewTemp", 140)
    for rule in ("value", "replayed"):
        with pytest.raises(GuardRefusedError) as error:
            machine.judge(refused)
        assert error.value.rule == rule
    assert rule_of(machine, "setBrewTemp", 93, nonce=refused.nonce) == "replayed"


def test_two_commands_keep_their_distance_by_the_clock_that_is_not_set(machine):
    machine.ask("setBrewTemp", 93)
    machine.wait(59)
    assert rule_of(machine, "setBrewTemp", 93) == "rate"
    machine.unix += 3600  # Somebody sets the wall clock forwards
    assert rule_of(machine, "setBrewTemp", 93) == "rate"
    machine.wait(1)
    assert machine.ask("setBrewTemp", 93)


def test_a_refused_command_does_not_delay_the_next(machine):
    assert rule_of(machine, "setBrewTemp", 99) == "value"
    assert machine.ask("setBrewTemp", 93)


def test_a_step_is_from_what_stands(machine):
    assert rule_of(machine, "setBrewTemp", 94.1) == "step"
    assert machine.ask("setBrewTemp", 94.0)
    machine.wait(60)
    machine.read(brewTempSetting=94.0)
    assert machine.ask("setBrewTemp", 96.0)


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.RANGE, Quality.BAD])
def test_without_a_good_reading_of_what_stands_nothing_is_set(machine, quality):
    machine.read(brewTempSetting=None if quality is Quality.BAD else 92.0, quality=quality)
    assert rule_of(machine, "setBrewTemp", 93) == "step"


def test_what_stands_is_read_again_after_each_write(machine):
    machine.ask("setBrewTemp", 93)
    machine.unix, machine.monotonic = machine.unix + 60, machine.monotonic + 60
    machine.read(state="idle")
    assert rule_of(machine, "setBrewTemp", 93) == "step"
    machine.read(brewTempSetting=93.0)
    assert machine.ask("setBrewTemp", 93)


def test_an_interlock_holds_by_a_good_and_fresh_reading(machine):
    machine.read(state="brewing")
    assert rule_of(machine, "setBrewTemp", 93) == "interlock"
    for quality in (Quality.STALE, Quality.RANGE):
        machine.read(state="idle", quality=quality)
        assert rule_of(machine, "setBrewTemp", 93) == "interlock"
    machine.read(state="heating")
    assert machine.ask("setBrewTemp", 93)


def test_a_reading_is_fresh_for_two_periods_and_a_second(machine):
    seen = machine.readings["state"].monotonic
    for age, is_fresh in ((2.0, True), (2.1, False), (-0.1, False)):
        machine.history = CommandHistory()
        machine.monotonic = seen + age
        machine.read(brewTempSetting=92.0)
        if is_fresh:
            assert machine.ask("setBrewTemp", 93)
        else:
            assert rule_of(machine, "setBrewTemp", 93) == "interlock"


def test_a_point_that_was_never_read_holds_no_interlock(machine):
    del machine.readings["state"]
    assert rule_of(machine, "setBrewTemp", 93) == "interlock"


def test_a_consent_is_of_a_minute_and_for_one_command(machine):
    assert rule_of(machine, "startClean") == "consent"
    machine.agree("startClean")
    machine.wait(60.5)
    assert rule_of(machine, "startClean") == "consent"
    machine.agree("startClean")
    assert machine.ask("startClean")
    machine.wait(3600)
    assert rule_of(machine, "startClean") == "consent"


def test_a_frame_carries_its_command_and_the_dose_starts_from_what_the_dispenser_says():
    dispenser = GuardedMachine(compiled=compile_profile(load("dispenser")))
    assert rule_of(dispenser, "setDose", 1.0) == "step"
    dispenser.read(doseSetting=0.8)
    permit = dispenser.ask("setDose", 1.2)
    assert permit.request == FrameRequest(0x81, (120).to_bytes(2, "little"))
    assert dispenser.ask("identify").request == FrameRequest(0x82, b"")
    assert rule_of(dispenser, "identify") == "rate"


@pytest.mark.parametrize(
    ("raw", "value", "variant", "written"),
    [("f64be", 1.25, "Double", 1.25), ("f32be", 0.1, "Float", 0.10000000149011612), ("u16", 3.2, "UInt16", 3)],
)
def test_a_node_is_written_with_the_type_of_its_kind(raw, value, variant, written):
    command = Command(name="set", address=NodeAddress("ns=2;s=Set"), raw=raw, low=0.0, high=10.0)
    on = Command(name="switch", address=NodeAddress("ns=2;s=On"))
    profile = replace(load("cable"), link=OpcUa(url="opc.tcp://10.9.0.2:4840"), arrays=(), points=(), events=())
    profile = replace(profile, commands=(command, on), derived=(), alarms=())
    compiled = compile_profile(profile)
    machine = GuardedMachine(compiled=compiled)
    assert machine.ask("set", value).request == NodeWrite("ns=2;s=Set", written, variant)
    assert machine.ask("switch", value=False).request == NodeWrite("ns=2;s=On", False, "Boolean")
    assert rule_of(machine, "switch", 1) == "value"
    for request, rule in (
        (NodeWrite("ns=2;s=Other", written, variant), "not-listed"),
        (NodeWrite("ns=2;s=Set", written, "String"), "length"),
        (NodeWrite("ns=2;s=Set", 11 if variant == "UInt16" else 11.0, variant), "value"),
        (NodeWrite("ns=2;s=Set", "1", variant), "value"),
        (NodeWrite("ns=2;s=On", 1, "Boolean"), "value"),
        (NodesRead(("ns=0;i=2253",)), "not-listed"),
        (NodesRead(()), "count"),
    ):
        with pytest.raises(GuardRefusedError) as refused:
            decide(compiled.allow, request)
        assert refused.value.rule == rule


PAYLOAD = {"value": 93.0, "nonce": nonce(1), "expires": "2026-11-28T08:00:00Z"}


def test_a_payload_is_read():
    assert read_command("setBrewTemp", PAYLOAD) == CommandRequest("setBrewTemp", 93.0, nonce(1), 1795852800.0)
    assert read_command("x", {**PAYLOAD, "expires": "2026-11-28T08:00:00.5Z"}).expires_at == 1795852800.5


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        (None, "value"),
        ([], "value"),
        ("{}", "value"),
        ({**PAYLOAD, "force": True}, "value"),
        ({"value": 93.0}, "expired"),
        ({**PAYLOAD, "nonce": "short"}, "expired"),
        ({**PAYLOAD, "nonce": nonce(1) + "\n"}, "expired"),
        ({**PAYLOAD, "nonce": 1}, "expired"),
        ({**PAYLOAD, "expires": 1795852800}, "expired"),
        ({**PAYLOAD, "expires": "2026-11-28T08:00:00"}, "expired"),
        ({**PAYLOAD, "expires": "2026-11-28T08:00:00+14:00"}, "expired"),
        ({**PAYLOAD, "expires": "2026-13-28T08:00:00Z"}, "expired"),
        ({**PAYLOAD, "expires": "٢٠٢٦-11-28T08:00:00Z"}, "expired"),
    ],
)
def test_a_payload_of_another_form_is_refused(payload, rule):
    with pytest.raises(GuardRefusedError) as refused:
        read_command("setBrewTemp", payload)
    assert refused.value.rule == rule


def test_nonces_are_bounded_and_forgotten_when_their_command_is_over(machine):
    for _ in range(NONCES_MAX):
        assert rule_of(machine, "setBrewTemp", 140) == "value"
    assert rule_of(machine, "setBrewTemp", 93) == "rate"
    machine.wait(60)
    assert machine.ask("setBrewTemp", 93)
    assert len(machine.history.nonces) == 1


def test_the_history_outlives_the_process(machine):
    replayed = machine.command("setBrewTemp", 93)
    machine.judge(replayed)
    machine.wait(30)
    machine.history = restored(machine.history.document(machine.now), machine.now, same_boot=True)
    with pytest.raises(GuardRefusedError, match="given before"):
        machine.judge(replayed)
    machine.wait(29)
    assert rule_of(machine, "setBrewTemp", 93) == "rate"
    machine.wait(1)
    assert machine.ask("setBrewTemp", 93)


@pytest.mark.parametrize(("synced", "rule"), [(True, None), (False, "rate")])
def test_after_a_start_of_the_machine_time_counts_as_far_as_it_is_known(machine, synced, rule):
    machine.ask("setBrewTemp", 93)
    document = machine.history.document(machine.now)
    machine.unix, machine.monotonic = machine.unix + 61, 5.0
    machine.history = restored(document, Moment(machine.unix, 5.0, synced=synced), same_boot=False)
    machine.read(state="idle", brewTempSetting=93.0)
    if rule is None:
        assert machine.ask("setBrewTemp", 93)
    else:
        assert rule_of(machine, "setBrewTemp", 93) == rule


def test_a_guardian_that_lost_its_history_waits_for_each_interval_once(machine):
    """And what may have been given before is not given again, over a restart as well."""
    before = machine.command("setBrewTemp", 93)
    machine.wait(61)
    machine.history = lost(machine.now)
    machine.history = restored(machine.history.document(machine.now), machine.now, same_boot=True)
    machine.wait(1)
    assert rule_of(machine, "setBrewTemp", 93) == "rate"
    machine.agree("startClean")
    assert rule_of(machine, "startClean") == "rate"
    machine.unix -= 10
    with pytest.raises(GuardRefusedError, match="clock was set back"):
        machine.judge(replace(before, expires_at=machine.unix + 5))
    machine.unix += 10
    machine.wait(59)
    assert machine.ask("setBrewTemp", 93)


def test_a_clock_that_is_set_back_and_used_revives_no_command():
    """The latest time counts also after a command by an earlier one: nonces that were over by then are forgotten."""
    situation = Situation(readings={}, history=CommandHistory())
    for unix, expires, number in ((1900.0, 1950.0, 1), (2000.0, 2100.0, 2), (1800.0, 2050.0, 3)):
        check_fresh(nonce(number), expires, situation, Moment(unix, unix, synced=True))
    assert nonce(1) not in situation.history.nonces
    with pytest.raises(GuardRefusedError, match="clock was set back"):
        check_fresh(nonce(1), 1950.0, situation, Moment(1800.0, 2200.0, synced=True))


@pytest.mark.parametrize(
    "document", [{}, {"last": []}, {"last": {"x": "1"}, "nonces": {}, "unix": 1, "monotonic": 1, "floor": True}]
)
def test_a_damaged_history_is_no_history(document):
    with pytest.raises(ValueError, match="a history has"):
        restored(document, Moment(NOON, 1.0, synced=True), same_boot=True)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.floats(84, 97).map(lambda number: round(number, 2)),
)


@given(value=VALUES, age=st.floats(0, 4), state=st.sampled_from(["idle", "heating", "brewing", "fault"]))
def test_what_is_permitted_keeps_every_bound_of_the_profile(value, age, state):
    machine = GuardedMachine()
    machine.read(state=state)
    machine.unix, machine.monotonic = machine.unix + age, machine.monotonic + age
    machine.read(brewTempSetting=91.0)
    bad = isinstance(value, (bool, str)) or value is None or not 85 <= value <= 96 or not abs(value - 91.0) <= 2.04
    if bad or age > 2 or state in ("brewing", "fault"):
        assert rule_of(machine, "setBrewTemp", value) in {"value", "step", "interlock"}
        return
    permit = machine.ask("setBrewTemp", value)
    assert isinstance(permit.request, ModbusRequest)
    assert 890 <= int.from_bytes(permit.request.pdu[3:], "big") <= 930


def test_judging_without_a_permit_changes_only_the_nonces(machine):
    situation = Situation(readings={}, history=CommandHistory())
    with pytest.raises(GuardRefusedError):
        judge_command(machine.profile, machine.allow, machine.command("setBrewTemp", 93), situation, machine.now)
    assert not situation.history.last
    assert len(situation.history.nonces) == 1
