# SPDX-License-Identifier: Apache-2.0
"""A slot with a whole OS is enough: the device comes to run it, whatever its records know and however a trial ends."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.device.boot.slot_machine import KERNELS, End, Machine
from tests.device.boot.test_slot_choice import MOST_STARTS_OF_A_TRIAL, NEW, OLD, Trouble, first_starts, settled, updated
from tests.device.cut_flash import PowerCutError
from tests.device.install.offers import OS_COMPONENTS, STORE, Booted, offer, os_package
from tests.fixtures.effort import examples
from tests.fixtures.pretended_uefi import Start

from armillary.device.boot.slot_choice import TRIES
from armillary.device.install.installer import RECORD_REGIONS
from armillary.device.install.taking_back import AGAIN_S, TakingBack
from armillary.device.state.journal import Journal
from armillary.device.state.reports import FAULT, Incident
from armillary.errors import RootOfTrustError
from armillary.update.install.component import SLOTS, os_region, other_slot
from armillary.update.install.plan import plan_install
from armillary.update.install.steps import TRIAL_STARTS
from armillary.update.install.transaction import InstallState
from armillary.update.install.trial import TakeBack

UNHEALTHY = TakeBack("no attested check-in within 14400 s of the new OS", bars=False)


class Judge:
    """Takes back what is on trial, as the running device does."""

    def __init__(self, booted: Booted) -> None:
        self.reports: list[Incident] = []
        self.now = 100.0
        self._taking_back = TakingBack(
            booted.installer, booted.verify, Journal(None, lambda: 0), self.reports.append, lambda: self.now
        )

    def take_back(self, *, is_reached: bool) -> float:
        return self._taking_back.settle(UNHEALTHY, is_reached=is_reached)


def damage(machine: Machine, slot: str, component: str = "kernel") -> None:
    """Nothing that the machine starts: its package."""
    machine.flash.durable[os_region(component, slot)] += b"damaged"


def lose_record(machine: Machine, *copies: bytes | None) -> None:
    for region, content in zip(RECORD_REGIONS, copies, strict=True):
        machine.flash.durable.pop(region, None)
        if content is not None:
            machine.flash.durable[region] = content


def test_a_trial_whose_starts_are_used_up_stays_while_the_os_before_may_not_boot(tmp_path: Path) -> None:
    whole = updated(tmp_path / "whole")
    whole.start()
    machine = updated(tmp_path / "machine")
    damage(machine, "a")
    machine.ends = first_starts("b", End(whole.verified_at), TRIAL_STARTS)
    booted = machine.start()
    assert booted.os["kernel"] == NEW
    assert machine.started.stays == ("what is on trial has used up its starts and stays: kernel or root-fs: damaged")
    trial = booted.installer.record.trial
    assert trial is not None
    assert trial.starts_left == 0
    machine.flash.durable[os_region("kernel", "a")] = OLD  # it was read wrongly, and is well again
    assert machine.start().os["kernel"] == OLD


def test_a_trial_that_fails_while_it_runs_stays_where_the_os_before_may_not_boot(tmp_path: Path) -> None:
    machine = updated(tmp_path)
    booted = machine.start()
    damage(machine, "a")
    judge = Judge(booted)
    assert judge.take_back(is_reached=False) == AGAIN_S
    assert booted.installer.state is InstallState.TRIAL
    [report] = judge.reports
    assert report.event_type == FAULT
    assert report.description == (
        f"the update failed its trial: {UNHEALTHY.reason}; it stays, since what was before it does not verify: "
        "kernel or root-fs: damaged"
    )
    judge.now += AGAIN_S - 1
    assert judge.take_back(is_reached=True) == 1, "packages are not read all the time"
    judge.now += 1
    machine.flash.durable[os_region("kernel", "a")] = OLD
    assert judge.take_back(is_reached=False) == 0
    assert machine.start().os["kernel"] == OLD


def test_a_trial_that_fails_where_its_service_is_reached_stays_for_good_and_takes_the_next_update(
    tmp_path: Path,
) -> None:
    machine = updated(tmp_path)
    booted = machine.start()
    damage(machine, "a")
    judge = Judge(booted)
    assert judge.take_back(is_reached=True) == 0
    assert [report.event_type for report in judge.reports] == [FAULT]
    assert {(each.outcome, "does not verify" in each.reason) for each in booted.installer.record.outcomes} == {
        ("failed", True)
    }
    booted = machine.start()
    assert booted.os["kernel"] == NEW
    booted.installer.acknowledge(booted.installer.record.outcomes)
    assert booted.install(offer(2, os=3))
    assert machine.start().os["kernel"] == os_package("kernel", 3)


def test_what_stayed_does_not_put_off_the_end_of_the_next_trial(tmp_path: Path) -> None:
    machine = updated(tmp_path)
    booted = machine.start()
    damage(machine, "a")
    judge = Judge(booted)
    assert judge.take_back(is_reached=False) == AGAIN_S
    booted.installer.confirm()
    assert booted.install(offer(2, (0, 1)))
    assert judge.take_back(is_reached=True) == 0
    assert booted.installer.state is InstallState.REVERTED


def test_a_root_of_trust_that_does_not_answer_ends_no_trial(tmp_path: Path) -> None:
    machine = updated(tmp_path)
    booted = machine.start()
    machine.root_fails = RootOfTrustError("the TPM does not answer", remedy="none")
    assert Judge(booted).take_back(is_reached=True) == AGAIN_S
    assert booted.installer.state is InstallState.TRIAL


def test_what_is_taken_back_to_an_os_that_does_not_come_up_any_more_is_in_force_again(tmp_path: Path) -> None:
    machine = updated(tmp_path)
    booted = machine.start()
    machine.broken = {OLD: Start.INIT_STOPS}
    assert Judge(booted).take_back(is_reached=True) == 0
    booted = machine.start()
    assert booted.os["kernel"] == NEW
    assert booted.installer.record.os.version == "26.2", "it is known which one that is"
    assert machine.given_up == ["slot a was started 3 times and did not come up, slot b did"]


def test_an_os_on_trial_with_damaged_images_is_not_taken_back_to_one_that_may_not_boot(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "efivars")
    assert machine.start().install(offer(1, (0, 1), os=2))
    damage(machine, "a")
    [region] = [each for each in machine.flash.durable if each.startswith("applications/")]
    machine.flash.durable[region] = b"damaged"
    booted = machine.start()
    assert booted.os["kernel"] == NEW
    assert booted.installer.state is InstallState.TRIAL
    machine.flash.durable[os_region("kernel", "a")] = OLD
    assert machine.start().installer.state is InstallState.REVERTED
    assert machine.start().os["kernel"] == OLD


LOST = [(None, None), (b"torn", None), (None, b"torn"), (b"torn", b"torn")]


@pytest.mark.parametrize("copies", LOST)
@pytest.mark.parametrize("runs", SLOTS)
def test_a_record_that_is_lost_and_names_an_os_that_may_not_boot_costs_no_whole_one(
    tmp_path: Path, runs: str, copies: Any
) -> None:
    """The first start after the loss is of the older OS, since power went in the first seconds of the other one's."""
    machine = Machine(tmp_path / "efivars", security=lambda version: version)
    machine.attested(machine.start())
    for number, version in enumerate((2, 4) if runs == "a" else (2,)):
        machine.start().install(offer(number, os=version))
        machine.attested(machine.start())
    assert machine.slots.booted() == runs
    before = machine.minimum
    lose_record(machine, *copies)
    machine.cuts = iter([Start.INIT_STOPS])
    booted = machine.start(at_most=4 * TRIES)
    assert machine.slots.booted() == runs
    assert machine.minimum == before == KERNELS[booted.os["kernel"]]
    assert machine.claimed == f"26.{before}", "it is attested with what it was attested with before"
    assert machine.start().installer.record.os.version == f"26.{before}"


@pytest.mark.parametrize("copies", [(None, None), (b"torn", None)])
@pytest.mark.parametrize("runs", SLOTS)
def test_an_os_whose_record_is_lost_is_named_as_it_was_attested(tmp_path: Path, runs: str, copies: Any) -> None:
    """Of slot a no record is made, since it is in force without one."""
    machine = Machine(tmp_path / "efivars")
    machine.attested(machine.start())
    for number, version in enumerate((2, 4) if runs == "a" else (2,)):
        assert machine.start().install(offer(number, os=version))
        machine.attested(machine.start())
    before = machine.claimed
    lose_record(machine, *copies)
    booted = machine.start()
    assert (machine.slots.booted(), machine.claimed) == (runs, before)
    assert booted.installer.record.os.version == before, "an application may ask for its ABI"
    assert booted.installer.record.os.abi == int(before.removeprefix("26."))


def test_a_record_that_was_made_anew_names_the_root_that_is_mounted(tmp_path: Path) -> None:
    """The kernel alone was updated, and the record is lost."""
    machine = settled(tmp_path)
    machine.attested(updated_again(machine, 3))
    lose_record(machine, None, None)
    booted = machine.start()
    assert booted.os["kernel"] == os_package("kernel", 3)
    assert {name: booted.installer.record.os_slot(name) for name in OS_COMPONENTS} == {"kernel": "a", "root-fs": "b"}


def test_a_record_that_was_made_anew_of_nothing_names_the_root_that_is_mounted(tmp_path: Path) -> None:
    """What runs is damaged when its record is lost; the kernel in the other slot takes the root beside this one."""
    machine = settled(tmp_path)
    machine.attested(updated_again(machine, 3))
    lose_record(machine, b"torn", b"torn")
    damage(machine, "b")
    machine.slots.start_next("b", settled="a")
    booted = machine.start()
    assert machine.has_guessed
    assert booted.os == {"kernel": os_package("kernel", 3), "root-fs": os_package("root-fs", 3)}


def test_no_start_erases_an_os_that_no_record_names(tmp_path: Path) -> None:
    machine = settled(tmp_path)
    updated_again(machine, 4).installer.confirm()
    assert machine.slots.booted() == "a"
    lose_record(machine, None, None)
    assert machine.start().os["kernel"] == os_package("kernel", 4)
    machine.broken = {os_package("kernel", 4): Start.INIT_STOPS}
    assert machine.start().os["kernel"] == NEW


def updated_again(machine: Machine, version: int) -> Booted:
    booted = machine.start()
    booted.installer.acknowledge(booted.installer.record.outcomes)
    assert booted.install(offer(version, os=version))
    return machine.start()


def test_an_os_that_no_record_names_is_run_where_the_one_in_force_does_not_come_up(tmp_path: Path) -> None:
    """All of an update is in its slots, and power goes before the switch; then the OS that runs breaks.

    It was never attested, so no version of it is known; it takes the offer of what it runs, and claims it then.
    """
    machine = settled(tmp_path)
    booted = machine.start()
    booted.installer.acknowledge(booted.installer.record.outcomes)
    plan = plan_install(booted.installer.record, offer(2, os=4), booted.places)
    assert plan is not None
    for staged in booted.installer.missing(plan):
        booted.installer.keep(staged.target, STORE[staged.target.image_id])
    booted.installer.stage(plan)
    assert booted.installer.record.way_back is None
    assert machine.start().os["kernel"] == NEW
    machine.broken = {NEW: Start.INIT_STOPS}
    booted = machine.start()
    assert booted.os["kernel"] == os_package("kernel", 4)
    assert machine.given_up == ["slot b was started 3 times and did not come up, slot a did"]
    for _ in range(2):  # the service does not attest it
        assert booted.installer.state is InstallState.TRIAL
        assert machine.claimed == "26.1"
        assert Judge(booted).take_back(is_reached=True) == 0
        booted = machine.start()
        assert booted.os["kernel"] == os_package("kernel", 4)
    assert booted.installer.state is InstallState.IDLE
    assert booted.install(offer(3, os=4))
    assert machine.started.is_behind(booted.installer.record), "it starts again, and claims what it runs then"
    booted = machine.start()
    assert machine.claimed == "26.4"
    machine.attested(booted)
    assert not machine.started.is_behind(booted.installer.record)


def usable(machine: Machine) -> set[int]:
    """Versions of the OSes on the disk that may boot, their packages whole and no minimum above them, and come up."""
    found = set()
    for slot in SLOTS:
        kernel = machine.flash.durable.get(os_region("kernel", slot), b"")
        version = KERNELS.get(kernel)
        if version is None or kernel in machine.broken or machine.security(version) < machine.minimum:
            continue
        root = os_package("root-fs", version)
        roots = [machine.flash.durable.get(os_region("root-fs", each), b"") for each in (slot, other_slot(slot))]
        mounted = next((each for each in roots if each.startswith(root)), b"")
        if mounted == root:
            found.add(version)
    return found


@dataclass(frozen=True)
class Blow:
    """What befalls the disk between two starts: of what runs, of the other slot, or of the record."""

    damaged: str  # A component of a slot ("running kernel"), or none
    stops: str  # Whose kernel does not come up from now on, or none
    copies: tuple[bytes | None, ...]  # Of the record; () where it is well

    def falls(self, machine: Machine, slot: str) -> None:
        """On a machine whose slot ``slot`` ran last."""
        slots = {"running": slot, "other": other_slot(slot)}
        if self.damaged:
            which, component = self.damaged.split()
            region = os_region(component, slots[which])
            if region in machine.flash.durable:
                machine.flash.durable[region] += b"damaged"
        if self.stops:
            kernel = machine.flash.durable.get(os_region("kernel", slots[self.stops]), b"")
            machine.broken[kernel] = Start.INIT_STOPS
        if self.copies:
            lose_record(machine, *self.copies)


COMPONENTS = [f"{which} {component}" for which in ("running", "other") for component in OS_COMPONENTS]
BLOWS = st.builds(
    Blow,
    st.sampled_from(["", "", *COMPONENTS]),
    st.sampled_from(["", "", "", "running", "other"]),
    st.sampled_from([(), (), *LOST]),
)
CUTS = st.lists(st.sampled_from([Start.KERNEL_STOPS, Start.INIT_STOPS, Start.RUNS]), max_size=8)
ENDS = st.lists(st.none() | st.builds(End, st.integers(1, 40), st.booleans()), max_size=8)
TROUBLE = st.builds(Trouble, CUTS, ENDS, st.lists(st.booleans(), max_size=20))


@dataclass(frozen=True)
class Season:
    """An update, what befalls it before its first start and later, and how its trial ends."""

    version: int
    cut_at: int | None  # Operation of the installation at which power goes
    before: Blow
    trouble: Trouble
    ends: str  # of the trial
    after: Blow
    later: Trouble


SEASONS = st.builds(
    Season,
    st.integers(2, 7),
    st.none() | st.none() | st.integers(1, 60),
    BLOWS,
    TROUBLE,
    st.sampled_from(["attested", "refused", "no contact", "left"]),
    BLOWS,
    TROUBLE,
)


class Life:
    """A machine that is started again and again, and has to come up while it has an OS that can."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.running = machine.start()
        machine.attested(self.running)
        self.attested = {1}
        self.settled = {1}  # Versions that may be in force without a trial

    def goes_on(self, trouble: Trouble) -> bool:
        """Start it; False where it has no OS any more."""
        possible, lowest = usable(self.machine), self.machine.minimum
        if not possible:
            return False
        trouble.befalls(self.machine)
        self.running = self.machine.start(at_most=trouble.most_starts + 2 * MOST_STARTS_OF_A_TRIAL)
        if self.machine.has_guessed:
            return False  # it has come up; with which root file system is not known
        version = KERNELS[self.running.os["kernel"]]
        assert version in possible
        if version in self.attested:
            assert self.machine.claimed == f"26.{version}", "it claims no other"
        if self.running.installer.record.trial is None:
            assert version in self.settled, "nothing that no check-in attested is in force for good"
        assert self.machine.minimum == lowest
        return True

    def falls(self, blow: Blow) -> None:
        """Befall the disk. A record that is made anew has no trial: what ran stays, or what comes up instead."""
        blow.falls(self.machine, self.machine.slots.booted())
        if blow.copies:
            self.settled.update(usable(self.machine))

    def is_updated(self, season: Season, number: int) -> None:
        if self.machine.security(season.version) < self.machine.minimum:
            return  # the device takes no such update
        if season.cut_at is not None:
            self.machine.flash.cut_at = self.machine.flash.operations + season.cut_at
        try:
            self.running.install(offer(number, os=season.version))
        except PowerCutError:
            pass
        finally:
            self.machine.flash.cut_at = None

    def ends_trial(self, how: str) -> None:
        version = KERNELS[self.running.os["kernel"]]
        if how == "attested" and self.machine.claimed == f"26.{version}":
            self.machine.attested(self.running)
            self.attested.add(version)
            self.settled.add(version)
        elif how != "left" and self.running.installer.record.trial is not None:
            judge = Judge(self.running)
            judge.take_back(is_reached=how != "no contact")
            if any("; it stays" in each.description for each in judge.reports):
                self.settled.add(version)  # what its service brings next heals it


NOTHING = Trouble([], [], [])


@settings(max_examples=examples(400), deadline=None)
@given(rises=st.sets(st.integers(2, 7)), seasons=st.lists(SEASONS, min_size=1, max_size=4))
def test_while_one_slot_has_an_os_that_may_boot_and_comes_up_the_device_comes_to_run_it(
    rises: set[int], seasons: list[Season]
) -> None:
    """Damage in either slot, kernels that stop, lost records, cuts and misreadings, and any end of a trial."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "efivars", security=lambda version: 1 + sum(each <= version for each in rises))
        life = Life(machine)
        for number, season in enumerate(seasons, start=1):
            life.is_updated(season, number)
            life.falls(season.before)
            if not life.goes_on(season.trouble):
                return
            life.ends_trial(season.ends)
            life.falls(season.after)
            for trouble in (season.later, NOTHING):
                if not life.goes_on(trouble):
                    return
