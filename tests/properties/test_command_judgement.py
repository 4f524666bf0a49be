# SPDX-License-Identifier: Apache-2.0
"""Any sequence of commands, waits, clocks that are set, lost readings and restarts: what the guard permits of them.

The model knows what really happened: true time, true value, when the last write was. It is written from the promise,
not from the guard.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.fixtures.effort import examples
from tests.fixtures.guarded_machine import GuardedMachine

from armillary.guard.commanding import EXPIRY_MAX_S, CommandRequest
from armillary.guard.situation import NONCES_MAX, restored
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.reading import Quality
from armillary.wire.equipment.request import ModbusRequest

SET_EVERY_S, SET_STEP, CLEAN_EVERY_S = 60.0, 2.0, 3600.0  # Of the coffee machine's profile


MOSTLY = st.sampled_from([True, True, True, False])


class Commands(RuleBasedStateMachine):
    """One machine, its guard, and somebody who gives, keeps and repeats commands."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = GuardedMachine()
        self.true_state, self.true_value = "idle", 92.0
        self.kept: list[CommandRequest] = []
        self.permits: Counter[str] = Counter()  # By nonce
        self.written: dict[str, float] = {}  # Command -> true monotonic time of its last write
        self.true_unix = self.machine.unix  # What the hub's clock says
        self.latest = 0.0  # The latest time by the guardian's clock at which a command was permitted

    @rule(change=st.integers(-30, 30), ready=MOSTLY, after_s=st.sampled_from([0.0, 1.0, 59.0, 60.0, 61.0]))
    def set_temperature(self, change: int, ready: bool, after_s: float) -> None:
        self.prepare(ready, after_s)
        value = round(self.true_value + change / 10, 1)
        self.give(self.machine.command("setBrewTemp", value, expires_at=self.true_unix + 60))

    @rule(value=st.sampled_from([None, True, "93", float("nan"), 84.9, 96.1, 140]))
    def set_nonsense(self, value: object) -> None:
        self.prepare(ready=True, after_s=61.0)
        self.give(self.machine.command("setBrewTemp", value, expires_at=self.true_unix + 60))

    @rule(
        lifetime=st.sampled_from([-1.0, 10.0, EXPIRY_MAX_S, EXPIRY_MAX_S + 1, 86_400.0]),
        ready=MOSTLY,
        after_s=st.sampled_from([0.0, 61.0, 3600.0]),
    )
    def clean(self, lifetime: float, ready: bool, after_s: float) -> None:
        self.prepare(ready, after_s)
        self.give(self.machine.command("startClean", expires_at=self.true_unix + lifetime))

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0, 3), ready=MOSTLY, after_s=st.sampled_from([0.0, 61.0]))
    def repeat(self, which: int, ready: bool, after_s: float) -> None:
        """One of the last commands that were seen on their way is sent again."""
        self.prepare(ready, after_s)
        self.judge(self.kept[-1 - which % len(self.kept)])

    @rule(value=st.sampled_from([90.0, 92.0, 94.0]))
    def keep_back(self, value: float) -> None:
        """A command is held back on its way: the guard has not seen it."""
        self.kept.append(self.machine.command("setBrewTemp", value, expires_at=self.true_unix + EXPIRY_MAX_S))

    @rule(seconds=st.sampled_from([0.1, 1.0, 30.0, 59.0, 61.0, 400.0, 3700.0]))
    def wait(self, seconds: float) -> None:
        self.wait_for(seconds)

    @rule(seconds=st.sampled_from([-7200.0, -120.0, -30.0, 30.0, 120.0, 7200.0]))
    def set_clock(self, seconds: float) -> None:
        self.machine.unix += seconds

    @rule()
    def clock_is_right(self) -> None:
        self.machine.unix, self.machine.synced = self.true_unix, True

    @rule()
    def clock_is_unknown(self) -> None:
        self.machine.synced = False

    @rule()
    def poll(self) -> None:
        self.machine.read(state=self.true_state, brewTempSetting=self.true_value)

    @rule()
    def lose_the_line(self) -> None:
        values = {name: seen.reading.value for name, seen in self.machine.readings.items()}
        self.machine.read(quality=Quality.STALE, **values)

    @rule(state=st.sampled_from(["idle", "heating", "brewing", "cleaning"]))
    def equipment_works(self, state: str) -> None:
        self.true_state = state

    @rule()
    def agree(self) -> None:
        self.machine.agree("startClean")

    @rule()
    def process_restarts(self) -> None:
        machine = self.machine
        machine.history = restored(machine.history.document(machine.now), machine.now, same_boot=True)
        machine.readings.clear()

    def prepare(self, ready: bool, after_s: float) -> None:
        """Time passes; ``ready``: then the machine is idle, read, and somebody at it agrees."""
        self.wait_for(after_s)
        if ready:
            self.true_state = "idle"
            self.poll()
            self.agree()

    def wait_for(self, seconds: float) -> None:
        self.machine.unix += seconds
        self.machine.monotonic += seconds
        self.true_unix += seconds

    def give(self, request: CommandRequest) -> None:
        self.kept.append(request)
        self.judge(request)

    def judge(self, request: CommandRequest) -> None:
        machine = self.machine
        consented = "startClean" in machine.history.consents
        try:
            permit = machine.judge(request)
        except GuardRefusedError:
            return
        assert machine.synced
        assert machine.unix < request.expires_at <= machine.unix + EXPIRY_MAX_S
        assert request.expires_at > self.latest
        self.latest = max(self.latest, machine.unix)
        self.permits[request.nonce] += 1
        every = SET_EVERY_S if request.name == "setBrewTemp" else CLEAN_EVERY_S
        assert machine.monotonic - self.written.get(request.name, -1e9) >= every
        self.written[request.name] = machine.monotonic
        seen = machine.readings["state"]
        assert seen.reading.quality is Quality.GOOD
        assert machine.monotonic - seen.monotonic <= 2.0
        assert seen.reading.value in ("idle", "heating")
        assert isinstance(permit.request, ModbusRequest)
        if request.name == "startClean":
            assert consented
            assert "startClean" not in machine.history.consents
            return
        value = int.from_bytes(permit.request.pdu[3:], "big") / 10
        assert 85.0 <= value <= 96.0
        assert abs(value - self.true_value) <= SET_STEP + 1e-9  # From what truly stands, whatever was read when
        self.true_value = value

    @invariant()
    def each_nonce_is_permitted_once(self) -> None:
        assert all(times == 1 for times in self.permits.values())

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.machine.history.nonces) <= NONCES_MAX


TestCommands = Commands.TestCase
TestCommands.settings = settings(max_examples=examples(200), stateful_step_count=40, deadline=None)
