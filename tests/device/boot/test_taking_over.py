# SPDX-License-Identifier: Apache-2.0
"""What takes the place of an OS that did not come up is on trial, with that one to go back to."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device.boot.slot_machine import Machine
from tests.device.boot.test_slot_choice import NEW, OLD, settled, updated
from tests.device.boot.test_way_back import UNHEALTHY, Judge
from tests.device.install.offers import STORE, Booted, offer, os_package
from tests.fixtures.pretended_uefi import Start

from armillary.device.boot.running_os import RunningOs
from armillary.device.boot.slot_choice import TRIES
from armillary.update.install.component import os_region
from armillary.update.install.plan import plan_install
from armillary.update.install.steps import TRIAL_STARTS
from armillary.update.install.transaction import InstallState


def taken_over(folder: Path) -> tuple[Machine, Booted]:
    """A machine that went back to the OS in slot a, which is sound; power has gone in four of its starts since."""
    machine = updated(folder)
    assert Judge(machine.start()).take_back(is_reached=False) == 0
    assert machine.start().os["kernel"] == OLD
    cut_early(machine, "a", TRIES + 1)
    booted = machine.start()
    assert booted.os["kernel"] == NEW
    return machine, booted


def cut_early(machine: Machine, slot: str, count: int) -> None:
    """Power goes in the first seconds of so many starts of this slot."""
    left, outcome = [count], machine.outcome

    def cut(started: str) -> Start:
        how = outcome(started)
        if started != slot or how is not Start.RUNS or not left[0]:
            return how
        left[0] -= 1
        return Start.INIT_STOPS

    machine.outcome = cut  # type: ignore[method-assign]


def test_what_takes_over_is_on_trial_and_goes_back_to_what_was_given_up(tmp_path: Path) -> None:
    machine, booted = taken_over(tmp_path)
    record = booted.installer.record
    assert record.trial is not None
    assert record.trial.takes_over
    before = record.outcomes
    assert Judge(booted).take_back(is_reached=False) == 0
    booted = machine.start()
    assert (booted.os["kernel"], machine.claimed) == (OLD, "26.1")
    assert booted.installer.state is not InstallState.TRIAL
    assert booted.installer.record.outcomes == before, "the service hears nothing of an offer that is none"


def test_what_takes_over_is_confirmed_by_an_attested_check_in(tmp_path: Path) -> None:
    machine, booted = taken_over(tmp_path)
    before = booted.installer.record
    machine.attested(booted)
    record = machine.start().installer.record
    assert (record.trial, record.outcomes) == (None, before.outcomes)
    assert record.way_back is not None
    assert {image.slot for image in record.way_back.images} <= {"a"}
    assert booted.install(offer(2, os=3))


def test_what_takes_over_and_is_started_in_vain_goes_back(tmp_path: Path) -> None:
    machine, _booted = taken_over(tmp_path)
    machine.broken = {NEW: Start.INIT_STOPS}
    booted = machine.start()
    assert booted.os["kernel"] == OLD
    assert booted.installer.record.trial is None


def test_what_takes_over_after_its_first_starts_were_in_vain_claims_what_it_is(tmp_path: Path) -> None:
    machine = updated(tmp_path)
    cut_early(machine, "b", TRIES)
    assert machine.start().os["kernel"] == OLD
    cut_early(machine, "a", TRIES + 1)
    booted = machine.start()
    assert (booted.os["kernel"], machine.claimed) == (NEW, "26.2")
    machine.attested(booted)


def test_what_takes_over_again_stays_where_its_service_is_reached_and_takes_the_next_update(tmp_path: Path) -> None:
    """The service does not attest it, and what was given up for it never comes up any more."""
    machine, booted = taken_over(tmp_path)
    machine.broken = {OLD: Start.INIT_STOPS}
    for _ in range(2):  # without contact it goes back and forth
        assert Judge(booted).take_back(is_reached=False) == 0
        booted = machine.start()
        assert booted.os["kernel"] == NEW
    assert Judge(booted).take_back(is_reached=True) == 0
    booted = machine.start()
    assert booted.os["kernel"] == NEW
    judge = Judge(booted)
    assert judge.take_back(is_reached=True) == 0
    assert [report.description for report in judge.reports] == [
        f"the update failed its trial: {UNHEALTHY.reason}; it stays, since what was before it did not come up again"
    ]
    booted = machine.start()
    assert booted.installer.state is not InstallState.TRIAL
    assert booted.install(offer(2, os=3))
    assert machine.start().os["kernel"] == os_package("kernel", 3)


def test_a_confirmed_os_that_takes_over_later_goes_back_once_more(tmp_path: Path) -> None:
    machine, booted = taken_over(tmp_path)
    machine.broken = {OLD: Start.INIT_STOPS}
    assert Judge(booted).take_back(is_reached=True) == 0
    booted = machine.start()
    assert booted.installer.record.rejected
    machine.attested(booted)
    assert booted.installer.record.rejected == ()


def test_an_attested_os_from_which_another_takes_over_again_is_gone_back_to_again(tmp_path: Path) -> None:
    """Months later power goes in the first seconds of four more of its starts; the service does not attest the other."""
    machine, booted = taken_over(tmp_path)
    for _ in range(2):
        assert booted.os["kernel"] == NEW
        judge = Judge(booted)
        assert judge.take_back(is_reached=True) == 0
        assert [report.event_type for report in judge.reports] == ["InstallReverted"]
        booted = machine.start()
        assert (booted.os["kernel"], machine.claimed) == (OLD, "26.1")
        assert booted.installer.record.rejected
        machine.attested(booted)
        assert booted.installer.record.rejected == ()
        cut_early(machine, "a", TRIES + 1)
        booted = machine.start()


def test_an_attested_os_is_gone_back_to_in_a_night_of_power_cuts(tmp_path: Path) -> None:
    """What took over was started too often before a service was reached: that says nothing of the other."""
    machine, booted = taken_over(tmp_path)
    for _ in range(TRIAL_STARTS + 1):
        booted = machine.start()
    assert (booted.os["kernel"], booted.installer.record.trial) == (OLD, None)
    cut_early(machine, "a", TRIES + 1)
    booted = machine.start()
    assert booted.os["kernel"] == NEW
    assert Judge(booted).take_back(is_reached=True) == 0
    assert machine.start().os["kernel"] == OLD


def test_a_deployment_on_trial_is_not_barred_for_the_os_that_takes_over_meanwhile(tmp_path: Path) -> None:
    machine = updated(tmp_path)
    assert Judge(machine.start()).take_back(is_reached=False) == 0
    booted = machine.start()
    booted.installer.acknowledge(booted.installer.record.outcomes)
    booted = machine.start()
    assert booted.install(offer(7, (0, 1)))
    cut_early(machine, "a", TRIES + 1)
    booted = machine.start()
    assert booted.os["kernel"] == NEW
    assert booted.installer.record.applications == ()
    assert Judge(booted).take_back(is_reached=True) == 0
    [told] = booted.installer.record.outcomes
    assert (told.offer_id, told.outcome) == (offer(7).offer_id, "reverted")
    assert told.image_id in {image.image_id for image in offer(7, (0, 1)).images}, "and not one of an OS"
    booted = machine.start()
    booted.installer.acknowledge(booted.installer.record.outcomes)
    booted = machine.start()
    assert booted.os["kernel"] == OLD
    assert booted.install(offer(7, (0, 1)))


def test_what_takes_over_goes_back_to_what_was_given_up_and_not_to_a_way_back_that_was_refused(tmp_path: Path) -> None:
    machine = settled(tmp_path)
    in_force = machine.start().os
    machine.flash.durable[os_region("kernel", "a")] = os_package("kernel", 3)  # over the same root
    machine.flash.durable[os_region("root-fs", "a")] = b"torn"
    machine.cuts = iter([Start.INIT_STOPS, Start.RUNS] * (TRIES + 1))
    booted = machine.start()
    assert booted.os["kernel"] == os_package("kernel", 3)
    trial = booted.installer.record.trial
    assert trial is not None
    assert trial.previous_os.version == "26.2"
    assert Judge(booted).take_back(is_reached=False) == 0
    assert machine.start().os == in_force


def test_what_runs_is_not_read_where_the_way_back_may_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = updated(tmp_path)
    machine.broken = {NEW: Start.INIT_STOPS}
    monkeypatch.setattr(RunningOs, "os", lambda _self: pytest.fail("both packages of it are read and hashed"))
    assert machine.start().os["kernel"] == OLD


@pytest.mark.parametrize("cuts", range(1, TRIES + 1))
def test_a_first_update_that_was_never_switched_to_is_not_taken_for_the_os_of_a_lost_record(
    tmp_path: Path, cuts: int
) -> None:
    """All of it is in its slots, and power goes before the switch, and in the first seconds of some starts."""
    machine = Machine(tmp_path / "efivars")
    booted = machine.start()
    plan = plan_install(booted.installer.record, offer(1, os=2), booted.places)
    assert plan is not None
    for staged in booted.installer.missing(plan):
        booted.installer.keep(staged.target, STORE[staged.target.image_id])
    booted.installer.stage(plan)
    cut_early(machine, "a", cuts)
    booted = machine.start()
    assert (booted.os["kernel"], machine.claimed) == (OLD, "26.1")
    assert booted.installer.record.trial is None
