# SPDX-License-Identifier: Apache-2.0
"""What a start of the device boots: every cell of the table, and what whole histories may end in."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import BootRefusedError
from armillary.update.install import starting, steps
from armillary.update.install.record import InstallRecord, OsVersion, SlotImage, Trial, WayBack
from armillary.update.install.starting import TABLE, Situation, StartEvent, boot_refused, start_device
from armillary.update.install.steps import TRIAL_STARTS
from armillary.wire.attestation.event_log import BootEvent

NOW = 1_800_000_000
OFFER, KEY = uuid.UUID(int=1), uuid.UUID(int=2)


def kernel(version: int, slot: str) -> SlotImage:
    return SlotImage(uuid.UUID(int=7), uuid.UUID(int=700 + version), 7, "kernel", slot, 10, bytes([version]) * 32)


def application(version: int, slot: str = "a") -> SlotImage:
    return SlotImage(uuid.UUID(int=9), uuid.UUID(int=900 + version), 10, "app", slot, 10, bytes([version]) * 32)


def os(version: int) -> OsVersion:
    return OsVersion(f"26.{version}", version)


BACK = WayBack((kernel(1, "a"),), os(1))
RUNS = (kernel(2, "b"), application(1))
NEW_OS = (kernel(3, "a"), application(1))
NEW_APPLICATION = (kernel(2, "b"), application(2, "b"))


def record(
    active: tuple[SlotImage, ...], *, starts_left: int | None = None, way_back: WayBack | None = None
) -> InstallRecord:
    trial = None if starts_left is None else Trial(OFFER, KEY, RUNS, starts_left, os(2))
    version = max(image.image_id.int - 700 for image in active if image.image_type == 7)
    return InstallRecord(active=active, trial=trial, os=os(version), way_back=way_back)


def test_every_cell_is_filled() -> None:
    assert set(TABLE) == set(itertools.product(Situation, StartEvent))


@pytest.mark.parametrize(
    ("before", "starts", "left"),
    [
        (record(RUNS), RUNS, None),
        (record(RUNS, way_back=BACK), RUNS, None),
        (record(NEW_OS, starts_left=2), NEW_OS, 1),
        (record(NEW_OS, starts_left=1), NEW_OS, 0),
        (record(NEW_OS, starts_left=0), RUNS, None),
        (record(NEW_APPLICATION, starts_left=3, way_back=BACK), NEW_APPLICATION, 2),
        (record(NEW_APPLICATION, starts_left=0, way_back=BACK), RUNS, None),
    ],
)
def test_a_start_is_counted_before_it_happens(
    before: InstallRecord, starts: tuple[SlotImage, ...], left: int | None
) -> None:
    after = start_device(before, now=NOW)
    assert after.active == starts
    assert (None if after.trial is None else after.trial.starts_left) == left
    came_up = WayBack((kernel(3, "a"),), os(3))
    assert after.way_back == (came_up if before.system_on_trial and left is None else before.way_back)


@pytest.mark.parametrize(
    ("before", "boots", "barred"),
    [
        (record(RUNS), None, False),
        (record(RUNS, way_back=BACK), (kernel(1, "a"), application(1)), False),
        (record(NEW_OS, starts_left=TRIAL_STARTS - 1), RUNS, True),
        (record(NEW_OS, starts_left=TRIAL_STARTS - 2), RUNS, False),
        (record(NEW_OS, starts_left=0), RUNS, False),
        (record(NEW_APPLICATION, starts_left=2), None, False),
        (record(NEW_APPLICATION, starts_left=0), None, False),
        (record(NEW_APPLICATION, starts_left=2, way_back=BACK), (kernel(1, "a"), application(2, "b")), False),
    ],
)
def test_a_refused_boot_gives_way_to_the_os_before(
    before: InstallRecord, boots: tuple[SlotImage, ...] | None, barred: bool
) -> None:
    after = boot_refused(before, reason="boot stopped at kernel", now=NOW)
    assert (None if after is None else after.active) == boots
    if after is not None:
        assert (KEY in after.rejected) is barred
        taken_back = before.system_on_trial
        assert {outcome.reason for outcome in after.outcomes} == ({"boot stopped at kernel"} if taken_back else set())


def test_a_trial_of_applications_goes_on_over_the_os_before_and_goes_back_to_it() -> None:
    before = record(NEW_APPLICATION, starts_left=2, way_back=BACK)
    after = boot_refused(before, reason="", now=NOW)
    assert after.os == os(1)
    assert after.way_back is None, "what was refused is no way back"
    reverted = steps.revert(after, reason="crashed", now=NOW)
    assert reverted.active == (kernel(1, "a"), application(1))
    assert reverted.os == os(1)


def test_what_takes_the_place_of_an_os_that_does_not_come_up_is_on_trial() -> None:
    before = record(RUNS, way_back=BACK)
    other = boot_refused(before, reason="", now=NOW)
    after = starting.on_trial(before, other)
    assert (after.active, after.os, after.way_back) == ((kernel(1, "a"), application(1)), os(1), None)
    assert after.trial.takes_over
    assert after.trial.starts_left == TRIAL_STARTS
    reverted = steps.revert(after, reason="no contact", now=NOW)
    assert (reverted.active, reverted.os, reverted.way_back) == (RUNS, os(2), BACK)
    assert [*reverted.outcomes, *steps.keep_failed(after, reason="", now=NOW).outcomes] == []


def test_a_trial_of_applications_ends_where_another_os_takes_over_and_may_come_again() -> None:
    before = starting.given_up(record(NEW_APPLICATION, starts_left=0, way_back=BACK), now=NOW)
    after = starting.on_trial(before, boot_refused(before, reason="", now=NOW))
    assert (after.active, after.rejected) == ((kernel(1, "a"), application(1)), ())
    assert (after.trial.takes_over, after.trial.starts_left) == (True, TRIAL_STARTS)
    [told] = after.outcomes
    assert (told.offer_id, told.image_id, told.outcome) == (OFFER, application(2).image_id, "reverted")
    reverted = steps.revert(after, reason="not attested", now=NOW, bars=True)
    assert (reverted.active, reverted.outcomes) == (RUNS, (told,)), "what takes over has none of its own"
    assert KEY not in reverted.rejected


@pytest.mark.parametrize("trial", [record(RUNS), record(NEW_OS, starts_left=1)])
def test_an_os_that_is_given_up_ends_no_trial_but_of_applications(trial: InstallRecord) -> None:
    assert starting.given_up(trial, now=NOW) is trial


def test_an_os_that_took_over_is_barred_by_its_service_alone() -> None:
    settled = record(RUNS, way_back=BACK)
    over = starting.on_trial(settled, boot_refused(settled, reason="", now=NOW))
    used_up = replace(over, trial=replace(over.trial, starts_left=0))
    ends = [
        start_device(used_up, now=NOW),
        boot_refused(over, reason="damaged since", now=NOW),
        steps.drop_damaged(over, [application(1)], now=NOW),
    ]
    assert [(ended.active, ended.rejected) for ended in ends] == [(RUNS, ())] * 3
    assert steps.revert(over, reason="not attested", now=NOW, bars=True).rejected == (over.trial.rejection_key,)


def test_an_attested_os_forgets_that_what_took_over_from_it_was_taken_back() -> None:
    settled = replace(record(RUNS, way_back=BACK), rejected=(KEY,))
    over = starting.on_trial(settled, boot_refused(settled, reason="", now=NOW))
    back = steps.revert(over, reason="not attested", now=NOW, bars=True)
    assert steps.attested(back).rejected == (KEY,), "a deployment that failed stays barred"
    again = starting.on_trial(back, boot_refused(back, reason="", now=NOW))
    assert steps.attested(again) is again, "it is on trial"
    stays = steps.attested(steps.keep_failed(again, reason="", now=NOW))
    assert stays.rejected == (KEY,), "it is attested after all"


def test_what_is_taken_back_because_it_did_not_come_up_is_on_no_trial() -> None:
    before = record(NEW_OS, starts_left=2)
    taken_back = starting.on_trial(before, boot_refused(before, reason="", now=NOW))
    assert (taken_back.active, taken_back.trial) == (RUNS, None)
    assert taken_back.way_back == WayBack((kernel(3, "a"),), os(3)), "it was not refused, and may come up yet"


def test_a_confirmed_os_leaves_the_one_before_as_the_way_back_and_applications_do_not_touch_it() -> None:
    confirmed = steps.confirm(record(NEW_OS, starts_left=1), now=NOW)
    assert confirmed.way_back == WayBack((kernel(2, "b"),), os(2))
    kept = steps.confirm(record(NEW_APPLICATION, starts_left=1, way_back=BACK), now=NOW)
    assert kept.way_back == BACK


def test_an_os_that_never_comes_up_goes_after_its_starts() -> None:
    current, booted = record(NEW_OS, starts_left=TRIAL_STARTS), []
    for _ in range(TRIAL_STARTS + 2):
        current = start_device(current, now=NOW)
        booted.append(current.active)
    assert booted == [NEW_OS] * TRIAL_STARTS + [RUNS, RUNS]


def events(version: int) -> list[BootEvent]:
    return [BootEvent("kernel", 7, uuid.UUID(int=7), uuid.UUID(int=1), bytes(32), version)]


def test_minimums_rise_only_for_a_confirmed_os_that_the_next_start_boots() -> None:
    trial = record(NEW_OS, starts_left=1)
    booted = frozenset({"boot/kernel"})
    with pytest.raises(BootRefusedError, match="on trial"):
        starting.raised_minimums({}, trial, events(3), booted)
    assert starting.raised_minimums({}, steps.confirm(trial, now=NOW), events(3), booted) == {7: 3}
    with pytest.raises(BootRefusedError, match=r"expected a boot from boot\.b/kernel, got one from boot/kernel"):
        starting.raised_minimums({}, steps.revert(trial, reason="", now=NOW), events(3), booted)


def test_a_trial_of_applications_holds_no_minimum_back() -> None:
    assert starting.raised_minimums(
        {}, record(NEW_APPLICATION, starts_left=1), events(3), frozenset({"boot.b/kernel"})
    ) == {7: 3}


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(st.sampled_from(["start", "refused", "confirm", "revert", "update", "application"]), max_size=30),
)
def test_every_history_boots_only_what_was_confirmed_or_on_trial(history: Iterable[str]) -> None:
    """Whatever happens in whatever order: without a trial the OS in force was confirmed once, or came up in its trial."""
    current, number, confirmed = record(RUNS), 2, {kernel(2, "b").sha256}
    for event in history:
        if event == "start":
            if current.trial is not None:
                confirmed.add(current.image_of(uuid.UUID(int=7)).sha256)  # its starts may be used up: as for "revert"
            current = start_device(current, now=NOW)
        elif event == "refused":
            current = boot_refused(current, reason="", now=NOW) or current
        elif event == "confirm" and current.trial is not None:
            confirmed.add(current.image_of(uuid.UUID(int=7)).sha256)
            current = steps.confirm(current, now=NOW)
        elif event == "revert" and current.trial is not None:
            confirmed.add(current.image_of(uuid.UUID(int=7)).sha256)  # it stays as the way back
            current = steps.revert(current, reason="", now=NOW)
        elif event in ("update", "application") and current.trial is None:
            number += 1
            present = current.image_of(uuid.UUID(int=7))
            new = replace(present, slot="a" if present.slot == "b" else "b", sha256=bytes([number]) * 32)
            changed = (new, current.active[-1]) if event == "update" else (present, application(number, "b"))
            previous = Trial(OFFER, KEY, current.active, TRIAL_STARTS, current.os)
            way_back = None if event == "update" else current.way_back
            current = replace(current, active=changed, trial=previous, way_back=way_back)
        if not current.system_on_trial:
            assert current.image_of(uuid.UUID(int=7)).sha256 in confirmed
        in_force = [image.region for image in current.active]
        assert len(set(in_force)) == len(in_force)
    for _ in range(TRIAL_STARTS + 1):
        current = start_device(current, now=NOW)
    assert current.trial is None
