# SPDX-License-Identifier: Apache-2.0
"""A device whose OS slots are started by a pretended firmware: updates, slots that fail, power that goes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st
from tests.device.cut_flash import CutFlash
from tests.device.install.offers import Booted, boot, made, offer, os_package
from tests.fixtures.pretended_uefi import PretendedUefi, Start

from armillary.device.boot.slot_choice import TRIES, agree_on_slot
from armillary.device.install.installer import Installer
from armillary.engines.flash.os_disk import OsDisk
from armillary.errors import BootRefusedError
from armillary.update.install.component import os_region


class DiskFlash(CutFlash):
    """Tells the disk before a slot is written, as ``PartitionFlash`` does."""

    def __init__(self, durable: dict[str, bytes], disk: OsDisk) -> None:
        super().__init__(durable)
        self.disk = disk

    def rename(self, source: str, target: str) -> None:
        self.disk.before_write(target)
        super().rename(source, target)


class Machine:
    """One device: flash, firmware, and what comes of each kernel."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.firmware = PretendedUefi(folder)
        self.disk = OsDisk({}, self.firmware.slots(), "kernel")
        self.flash = DiskFlash(made(), self.disk)
        self.broken: dict[bytes, Start] = {}
        self.given_up: list[str] = []
        self.cuts: Iterator[Start] = iter(())  # Where the power goes in the starts that follow; RUNS: it does not

    def outcome(self, slot: str) -> Start:
        kernel = self.flash.read(os_region("kernel", slot))
        if kernel is None:
            return Start.REFUSED
        cut = next(self.cuts, Start.RUNS)
        return self.broken.get(kernel, Start.RUNS) if cut is Start.RUNS else cut

    def start(self) -> Booted:
        """Start until the slot that runs is the wanted one, and boot it."""
        for _ in range(20):
            slot = self.firmware.start(self.outcome)
            installer = Installer(self.flash, lambda: 0)
            if agree_on_slot(self.flash, installer, self.firmware.slots(), "kernel", on_given_up=self.given_up.append):
                booted = boot(self.flash)
                assert booted.os["kernel"] == self.flash.read(os_region("kernel", slot)), "it runs what it measured"
                return booted
        raise AssertionError("the device never settled")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "efivars")


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


def test_a_first_os_that_breaks_has_none_before_it(machine: Machine) -> None:
    machine.firmware.slots().start_next("a", settled="a")
    machine.flash.write(os_region("kernel", "b"), os_package("kernel", 7))  # something that no record names comes up
    machine.broken = {os_package("kernel", 1): Start.INIT_STOPS}
    with pytest.raises(BootRefusedError, match="slot a was started 3 times"):
        machine.start()


@pytest.mark.parametrize("cut", [Start.KERNEL_STOPS, Start.INIT_STOPS])
def test_power_that_goes_twice_in_the_first_seconds_costs_no_update(machine: Machine, cut: Start) -> None:
    assert machine.start().install(offer(1, os=2))
    machine.cuts = iter([Start.RUNS, cut, Start.RUNS, cut])  # the old slot runs and names the new one
    assert machine.start().os["kernel"] == os_package("kernel", 2)


def test_a_damaged_count_begins_anew(machine: Machine) -> None:
    machine.flash.write("device/slot-tries", b"\xff\xff")
    assert machine.start().install(offer(1, os=2))
    machine.flash.write("device/slot-tries", b"\x82\x61b\x63abc")
    assert machine.start().os["kernel"] == os_package("kernel", 2)


@example(
    broken={5: Start.KERNEL_STOPS}, updates=[2, 5], cuts=[[], [Start.KERNEL_STOPS]]
)  # the slot that was settled before the first update gets the second
@settings(max_examples=100, deadline=None)
@given(
    broken=st.dictionaries(st.integers(2, 6), st.sampled_from([Start.REFUSED, Start.KERNEL_STOPS, Start.INIT_STOPS])),
    updates=st.lists(st.integers(2, 6), min_size=1, max_size=4),
    cuts=st.lists(
        st.lists(st.sampled_from([Start.KERNEL_STOPS, Start.INIT_STOPS, Start.RUNS]), max_size=6), max_size=4
    ),
)
def test_whatever_fails_and_whenever_power_goes_it_comes_up(
    broken: dict[int, Start], updates: list[int], cuts: list[list[Start]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "efivars")
        machine.broken = {os_package("kernel", version): how for version, how in broken.items()}
        running = machine.start()
        for number, version in enumerate(updates, start=1):
            running.install(offer(number, os=version))
            machine.cuts = iter(cuts[number - 1] if number <= len(cuts) else ())
            running = machine.start()
            assert running.os["kernel"] not in machine.broken
            if running.installer.record.trial is not None:
                running.installer.confirm()
