# SPDX-License-Identifier: Apache-2.0
"""A device whose OS slots are started by a pretended firmware: updates, slots that fail, power that goes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st
from tests.device.boot.slot_machine import KERNELS, WRONG_BYTES, DiskFlash, End, Machine
from tests.device.install.offers import Booted, offer, os_package
from tests.fixtures.effort import examples
from tests.fixtures.pretended_uefi import Start

from armillary.device.boot.slot_choice import TRIES
from armillary.device.boot.startup import READ_TRIES
from armillary.errors import DataFolderError, RootOfTrustError
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
    machine.flash.durable[os_region("kernel", "b")] = os_package("kernel", 7) + b"no package"  # and it comes up
    machine.flash.durable[os_region("root-fs", "b")] = os_package("root-fs", 7)
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


def attested(folder: Path, *, security: Callable[[int], int]) -> Machine:
    """A machine whose OS in slot b the service has attested; the one before it is in slot a, and is its way back."""
    machine = Machine(folder, security=security)
    assert machine.start().install(offer(1, os=2))
    machine.attested(machine.start())
    return machine


# So many readings of a chain in a row are refused until an OS counts as bad: in each of the starts in which it is tried.
READINGS = READ_TRIES * (TRIES + 1)


def wrong_readings(count: int) -> Iterator[bool]:
    """So many readings of a chain, which has two packages, go wrong."""
    return iter([True, True] * count)


@pytest.mark.parametrize("wrong", range(1, READINGS))
def test_an_os_that_is_read_wrongly_is_tried_again(tmp_path: Path, wrong: int) -> None:
    machine = attested(tmp_path, security=lambda _version: 1)
    machine.misreads = wrong_readings(wrong)
    assert machine.start().os["kernel"] == NEW
    assert machine.given_up == []
    assert len(machine.refused) == wrong // 2, "one wrong reading costs no start"
    assert machine.flash.read("device/slot-tries") is None, "it came up: the count begins anew"


def test_an_os_that_is_always_read_wrongly_gives_way_to_the_one_before(tmp_path: Path) -> None:
    machine = attested(tmp_path, security=lambda _version: 1)
    machine.misreads = wrong_readings(READINGS)
    assert machine.start().os["kernel"] == OLD
    assert machine.given_up == ["slot b was started 3 times and did not come up, slot a did"]


@pytest.mark.parametrize("wrong", [1, READINGS, READINGS + 1, 5 * READINGS])
def test_an_os_that_is_read_wrongly_is_never_given_up_for_one_below_the_minimums(tmp_path: Path, wrong: int) -> None:
    machine = attested(tmp_path, security=lambda version: version)
    machine.misreads = wrong_readings(wrong)
    assert machine.start().os["kernel"] == NEW
    assert machine.given_up == []


@pytest.mark.parametrize("cuts", range(1, 3 * TRIES))
def test_power_that_goes_often_in_the_first_seconds_costs_no_os_that_is_the_only_one(tmp_path: Path, cuts: int) -> None:
    """It raised a security version: what is in the other slot comes up, and may not boot."""
    machine = attested(tmp_path, security=lambda version: version)
    machine.cuts = iter([Start.INIT_STOPS, Start.RUNS] * cuts)
    assert machine.start().os["kernel"] == NEW
    told = [each for each in machine.refused if "slot b was started 3 times" in each]
    assert bool(told) == (cuts > TRIES), "who cannot give it up says so"
    assert all("the OS before it may not boot either: kernel: older than the minimum" in each for each in told)


def test_the_minimums_of_the_root_of_trust_count_where_those_in_flash_are_an_old_copy(tmp_path: Path) -> None:
    machine = attested(tmp_path, security=lambda version: version)
    machine.flash.remove("device/minimums")
    machine.cuts = iter([Start.INIT_STOPS, Start.RUNS] * (TRIES + 1))
    assert machine.start().os["kernel"] == NEW


def test_a_trial_that_is_refused_is_no_way_to_an_os_that_may_not_boot(tmp_path: Path) -> None:
    """What it would be taken back to was damaged meanwhile: the one on trial, whole, is tried again."""
    machine = updated(tmp_path)
    machine.flash.durable[os_region("kernel", "a")] += b"damaged"
    machine.misreads = iter([WRONG_BYTES, WRONG_BYTES] * READ_TRIES)
    booted = machine.start()
    assert booted.os["kernel"] == NEW
    assert booted.installer.record.trial is not None
    assert machine.refused == [
        "kernel or root-fs: damaged; the OS before it may not boot either: kernel or root-fs: damaged"
    ]


@pytest.mark.parametrize("starts", [1, 2, TRIAL_STARTS - 1, TRIAL_STARTS, 10])
def test_an_os_on_trial_that_cannot_be_read_is_tried_again_while_it_has_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starts: int
) -> None:
    """A medium that does not give it says nothing of it: it is neither taken back nor barred for that."""
    machine = updated(tmp_path)
    left, read = [starts * READ_TRIES], DiskFlash.read

    def fails(flash: DiskFlash, region: str) -> bytes | None:
        if region == os_region("root-fs", "b") and left[0]:
            left[0] -= 1
            raise DataFolderError(f"{region}: Input/output error")
        return read(flash, region)

    monkeypatch.setattr(DiskFlash, "read", fails)
    record = (booted := machine.start()).installer.record
    if starts < TRIAL_STARTS:
        assert booted.os["kernel"] == NEW
        assert (record.trial is not None, record.outcomes, record.rejected) == (True, (), ())
        assert machine.refused == ["kernel or root-fs: damaged"] * starts
    else:
        assert booted.os["kernel"] == OLD
        assert {each.outcome for each in record.outcomes} == {"reverted"}
        assert record.rejected == ()


def test_an_os_on_trial_that_is_refused_gives_way_to_the_slot_that_was_measured(tmp_path: Path) -> None:
    """It is damaged, and comes up: nothing boots from slot a's packages while slot b runs (``Machine`` looks)."""
    machine = updated(tmp_path)
    machine.flash.durable[os_region("kernel", "b")] += b"damaged"
    booted = machine.start()
    assert booted.os["kernel"] == OLD
    assert machine.firmware.started == ["a", "a", "b", "a"], "at once, and nothing in between is a device"
    assert {each.reason for each in booted.installer.record.outcomes} == {"kernel or root-fs: damaged"}
    assert booted.installer.record.rejected, "what was read and is wrong is barred"
    assert machine.refused == ["kernel or root-fs: damaged; what was before it is in force"]


def test_an_os_on_trial_that_has_used_up_its_starts_gives_way_to_the_slot_that_was_measured(tmp_path: Path) -> None:
    """The start that takes it back is one of the slot on trial: it is no start of the OS before it."""
    machine = updated(tmp_path / "whole")
    machine.start()
    end = End(machine.verified_at, is_power=False)
    machine = updated(tmp_path / "machine")
    machine.ends = first_starts("b", end, TRIAL_STARTS)
    booted = machine.start()
    assert booted.os["kernel"] == OLD
    assert machine.processes[-2:] == ["b", "a"]
    [reason] = {each.reason for each in booted.installer.record.outcomes}
    assert reason.startswith(f"the device started {TRIAL_STARTS} times")
    assert machine.refused == ["the OS on trial was taken back; what was before it is in force"]


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


CUTS = st.lists(st.sampled_from([Start.KERNEL_STOPS, Start.INIT_STOPS, Start.RUNS]), max_size=10)
ENDS = st.lists(st.none() | st.builds(End, st.integers(1, 40), st.booleans()), max_size=10)


@dataclass(frozen=True)
class Trouble:
    """What happens in the starts that follow, each once."""

    cuts: list[Start]
    ends: list[End | None]
    misreads: list[bool]

    def befalls(self, machine: Machine) -> None:
        ends = iter(self.ends)
        machine.cuts, machine.ends, machine.misreads = (
            iter(self.cuts),
            lambda _slot: next(ends, None),
            iter(self.misreads),
        )
        machine.firmware.started.clear()

    @property
    def most_starts(self) -> int:
        """The machine settles within so many starts: what nothing befalls, and one round of both slots for each."""
        return 2 * MOST_STARTS_OF_A_TRIAL + 2 * (len(self.cuts) + len(self.ends) + len(self.misreads))


@dataclass(frozen=True)
class Year:
    """An update to a version, and later, when it has settled, a damage of the OS that runs."""

    version: int
    update: Trouble
    is_damaged: bool
    later: Trouble


TROUBLE = st.builds(Trouble, CUTS, ENDS, st.lists(st.booleans(), max_size=40))


def claims(machine: Machine, running: Booted) -> int:
    """The version of the kernel that runs, which is the one that the device claims."""
    version = KERNELS[running.os["kernel"]]
    assert machine.claimed == f"26.{version}"
    return version


@settings(max_examples=examples(100), deadline=None)
@given(
    broken=st.sets(st.integers(2, 6), max_size=3),
    rises=st.sets(st.integers(2, 6)),
    years=st.lists(st.builds(Year, st.integers(2, 6), TROUBLE, st.booleans(), TROUBLE), min_size=1, max_size=4),
)
def test_with_one_whole_os_that_it_may_boot_a_device_comes_up_with_it_and_claims_no_other(
    broken: set[int], rises: set[int], years: list[Year]
) -> None:
    """Kernels that never come up, cuts, ends, packages that are read wrongly or damaged, minimums that rise."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "efivars", security=lambda version: 1 + sum(each <= version for each in rises))
        machine.broken = {os_package("kernel", version): Start.INIT_STOPS for version in broken}
        running = machine.start()
        machine.attested(running)
        attested = {1}
        for number, year in enumerate(years, start=1):
            before, way_back = claims(machine, running), running.installer.record.way_back
            expected = {before, *({year.version} - broken)}
            takes_it = machine.security(year.version) >= machine.minimum
            is_updated = takes_it and running.install(offer(number, os=year.version))
            if way_back is not None and not is_updated:  # one that fails often enough gives way to the OS before it
                expected.add(int(way_back.os.version.removeprefix("26.") or 1))
            year.update.befalls(machine)
            running = machine.start(at_most=year.update.most_starts)
            record = running.installer.record
            takes_over = record.trial is not None and record.trial.takes_over
            if takes_over and KERNELS[running.os["kernel"]] not in attested:
                return  # it was refused, in whichever year: nothing tells its version, and no service attests it
            assert claims(machine, running) in expected
            machine.attested(running)
            settled_version = claims(machine, running)
            attested.add(settled_version)
            year.later.befalls(machine)
            way_back = running.installer.record.way_back
            may_go_back = way_back is not None and machine.security(before) >= machine.minimum
            if year.is_damaged and may_go_back and settled_version != before:
                machine.flash.durable[os_region("kernel", machine.slots.booted())] += b"damaged"
                running = machine.start(at_most=year.later.most_starts)
                assert claims(machine, running) == before
            else:
                running = machine.start(at_most=year.later.most_starts)
                assert claims(machine, running) == settled_version or may_go_back
            assert machine.security(claims(machine, running)) >= machine.minimum
            machine.attested(running)
