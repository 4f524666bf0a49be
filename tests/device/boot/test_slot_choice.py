# SPDX-License-Identifier: Apache-2.0
"""A device whose OS slots are started by a pretended firmware: updates, slots that fail, power that goes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st
from tests.device.boot.slot_machine import End, Machine
from tests.device.install.offers import offer, os_package
from tests.fixtures.pretended_uefi import Start

from armillary.device.boot.slot_choice import TRIES
from armillary.errors import RootOfTrustError
from armillary.update.install.component import os_region
from armillary.update.install.steps import TRIAL_STARTS

OLD, NEW = os_package("kernel", 1), os_package("kernel", 2)
# Each start that is counted for an OS on trial, and the one that takes it back, may follow tries that got less far; one
# more start follows where it named itself.
MOST_STARTS_OF_A_TRIAL = (TRIAL_STARTS + 1) * TRIES + TRIAL_STARTS


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "efivars")


def updated(folder: Path) -> Machine:
    """A machine that has installed an OS into slot b, which no start has tried yet."""
    machine = Machine(folder)
    assert machine.start().install(offer(1, os=2))
    return machine


def settled(folder: Path) -> Machine:
    """A machine whose OS in slot b is confirmed, and runs; the one before it is in slot a."""
    machine = updated(folder)
    machine.start().installer.confirm()
    machine.start()
    return machine


def always(slot: str, end: End) -> Callable[[str], End | None]:
    """Every start of this slot ends there."""
    return {slot: end}.get


def first_starts(slot: str, end: End, count: int) -> Callable[[str], End | None]:
    """So many starts of this slot end there, later ones do not."""
    left = [count]

    def end_of(running: str) -> End | None:
        left[0] -= running == slot
        return end if running == slot and left[0] >= 0 else None

    return end_of


def test_an_update_is_started_and_stays(machine: Machine) -> None:
    booted = machine.start()
    assert booted.install(offer(1, os=2))
    booted = machine.start()
    assert booted.os["kernel"] == os_package("kernel", 2)
    booted.installer.confirm()
    assert machine.start().os["kernel"] == os_package("kernel", 2)
    assert machine.firmware.started == ["a", "a", "b", "b"]  # one start of the old slot arms the new one


@pytest.mark.parametrize("how", [Start.REFUSED, Start.KERNEL_STOPS, Start.INIT_STOPS])
def test_an_update_that_never_runs_is_taken_back_after_three_starts(machine: Machine, how: Start) -> None:
    machine.broken = {os_package("kernel", 2): how}
    assert machine.start().install(offer(1, os=2))
    booted = machine.start()
    assert booted.os["kernel"] == os_package("kernel", 1)
    assert machine.firmware.started.count("b") == TRIES
    outcomes = {(each.outcome, each.reason) for each in booted.installer.record.outcomes}
    assert outcomes == {("reverted", "slot b was started 3 times and did not come up, slot a did")}
    assert machine.given_up == ["slot b was started 3 times and did not come up, slot a did"]


@pytest.mark.parametrize("how", [Start.REFUSED, Start.INIT_STOPS])
def test_an_os_that_breaks_later_gives_way_to_the_one_before(machine: Machine, how: Start) -> None:
    assert machine.start().install(offer(1, os=2))
    machine.start().installer.confirm()
    machine.broken = {os_package("kernel", 2): how}
    assert machine.start().os["kernel"] == os_package("kernel", 1)


def test_a_first_os_that_breaks_has_none_before_it_and_is_not_given_up(machine: Machine) -> None:
    machine.firmware.slots().start_next("a", settled="a")
    machine.flash.durable[os_region("kernel", "b")] = os_package("kernel", 7)  # no record names it, and it comes up
    machine.broken = {OLD: Start.INIT_STOPS}
    with pytest.raises(AssertionError, match="never settled"):
        machine.start(at_most=2 * TRIES)
    machine.broken = {}
    assert machine.start().os["kernel"] == OLD


@pytest.mark.parametrize("is_power", [True, False])
def test_an_os_on_trial_that_always_ends_at_the_same_operation_is_taken_back(tmp_path: Path, is_power: bool) -> None:
    """Whether the power goes there or its device process ends: every operation up to the last write that names it."""
    whole = updated(tmp_path / "whole")
    whole.start()
    for operation in range(1, whole.named_at + 1):
        machine = updated(tmp_path / f"{operation}")
        machine.ends = always("b", End(operation, is_power))
        booted = machine.start()
        assert booted.os["kernel"] == OLD
        assert {each.outcome for each in booted.installer.record.outcomes} == {"reverted"}
        assert machine.firmware.started.count("b") <= max(TRIES, TRIAL_STARTS) + 1, operation


@pytest.mark.parametrize("is_power", [True, False])
def test_a_settled_os_that_always_ends_before_it_is_verified_gives_way(tmp_path: Path, is_power: bool) -> None:
    whole = settled(tmp_path / "whole")
    for operation in range(1, whole.verified_at + 1):
        machine = settled(tmp_path / f"{operation}")
        before = machine.firmware.started.count("b")
        machine.ends = always("b", End(operation, is_power))
        assert machine.start().os["kernel"] == OLD
        assert machine.firmware.started.count("b") - before == TRIES + 1, operation


@pytest.mark.parametrize("times", range(1, 2 * TRIES + 2))
def test_no_cuts_make_a_device_give_up_the_only_os_that_it_may_boot(tmp_path: Path, times: int) -> None:
    """The minimum was raised by the new OS: the one before it is no way back."""
    machine = settled(tmp_path)
    machine.minimum = 2
    machine.ends = first_starts("b", End(machine.verified_at), times)
    assert machine.start().os["kernel"] == NEW


def test_an_os_on_trial_that_is_refused_gives_way_to_the_slot_that_was_measured(tmp_path: Path) -> None:
    """It is damaged, and comes up: nothing boots from slot a's packages while slot b runs (``Machine`` looks)."""
    machine = updated(tmp_path)
    machine.flash.durable[os_region("kernel", "b")] += b"damaged"
    assert machine.start().os["kernel"] == OLD
    assert machine.firmware.started[-1] == "a"


def test_a_settled_os_is_not_given_up_for_a_root_of_trust_that_fails(tmp_path: Path) -> None:
    machine = settled(tmp_path)
    machine.root_fails = RootOfTrustError("the TPM does not answer", remedy="none")
    with pytest.raises(AssertionError, match="never settled"):
        machine.start(at_most=2 * TRIES)
    machine.root_fails = None
    assert machine.start().os["kernel"] == NEW
    assert machine.firmware.started[-2 * TRIES :] == ["b"] * 2 * TRIES


@pytest.mark.parametrize("cut", [Start.KERNEL_STOPS, Start.INIT_STOPS])
def test_power_that_goes_twice_in_the_first_seconds_costs_no_update(machine: Machine, cut: Start) -> None:
    assert machine.start().install(offer(1, os=2))
    machine.cuts = iter([Start.RUNS, cut, Start.RUNS, cut])  # the old slot runs and names the new one
    assert machine.start().os["kernel"] == os_package("kernel", 2)


def test_a_damaged_count_begins_anew(machine: Machine) -> None:
    machine.flash.durable["device/slot-tries"] = b"\xff\xff"
    assert machine.start().install(offer(1, os=2))
    machine.flash.durable["device/slot-tries"] = b"\x82\x61b\x63abc"
    assert machine.start().os["kernel"] == os_package("kernel", 2)


@example(
    broken={5: Start.KERNEL_STOPS}, updates=[2, 5], cuts=[[], [Start.KERNEL_STOPS]], ends=[]
)  # the slot that was settled before the first update gets the second
@settings(max_examples=100, deadline=None)
@given(
    broken=st.dictionaries(st.integers(2, 6), st.sampled_from([Start.REFUSED, Start.KERNEL_STOPS, Start.INIT_STOPS])),
    updates=st.lists(st.integers(2, 6), min_size=1, max_size=4),
    cuts=st.lists(
        st.lists(st.sampled_from([Start.KERNEL_STOPS, Start.INIT_STOPS, Start.RUNS]), max_size=6), max_size=4
    ),
    ends=st.lists(st.none() | st.builds(End, st.integers(1, 40), st.booleans()), max_size=30),
)
def test_whatever_fails_and_whenever_power_goes_it_comes_up(
    broken: dict[int, Start], updates: list[int], cuts: list[list[Start]], ends: list[End | None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "efivars")
        machine.broken = {os_package("kernel", version): how for version, how in broken.items()}
        running = machine.start()
        machine.ends = lambda _slot: ends.pop(0) if ends else None
        for number, version in enumerate(updates, start=1):
            running.install(offer(number, os=version))
            machine.cuts = iter(cuts[number - 1] if number <= len(cuts) else ())
            other = "b" if machine.firmware.started[-1] == "a" else "a"
            before = machine.firmware.started.count(other)
            running = machine.start()
            assert running.os["kernel"] not in machine.broken
            assert machine.firmware.started.count(other) - before <= MOST_STARTS_OF_A_TRIAL
            if running.installer.record.trial is not None:
                running.installer.confirm()
