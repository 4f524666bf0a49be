# SPDX-License-Identifier: Apache-2.0
"""The installer on flash that loses power at every single operation, and twice."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests.device.applications.offers import COMPONENTS, NOW, STORE, offer
from tests.device.cut_flash import CutFlash, PowerCutError

from armillary.device.applications.installer import RECORD_REGIONS, Installer
from armillary.errors import InstallError, WireError
from armillary.update.plan import TRIAL_STARTS, plan_install
from armillary.update.transaction import InstallState
from armillary.wire.device.checkin import Offer

OLD = offer(1, (0, 1), (1, 1))
NEW = offer(2, (0, 2), (2, 1))  # changes one, removes one, adds one


def started(flash: CutFlash) -> Installer:
    installer = Installer(flash, lambda: NOW)
    installer.start()
    return installer


def install(installer: Installer, wanted: Offer) -> None:
    """One round of what the device process does with an offer."""
    if installer.state in (InstallState.CONFIRMED, InstallState.REVERTED):
        installer.acknowledge(installer.record.outcomes)
    plan = plan_install(installer.record, wanted)
    if plan is not None:
        installer.stage(plan, STORE)
        installer.switch(plan)


def running(installer: Installer) -> frozenset[tuple[uuid.UUID, bytes]]:
    """What would be started: component and the bytes that are really in flash."""
    return frozenset((image.component_id, installer.package(image)) for image in installer.record.active)


def expected(wanted: Offer) -> frozenset[tuple[uuid.UUID, bytes]]:
    return frozenset((image.component_id, STORE[image.image_id]) for image in wanted.images)


def with_old_set() -> dict[str, bytes]:
    flash = CutFlash()
    installer = started(flash)
    install(installer, OLD)
    installer.confirm()
    installer.acknowledge(installer.record.outcomes)
    assert running(installer) == expected(OLD)
    return flash.durable


def settle(installer: Installer, *, healthy: bool) -> None:
    if installer.record.trial is not None:
        installer.confirm() if healthy else installer.revert("crashed")
    installer.acknowledge(installer.record.outcomes)


@pytest.mark.parametrize("healthy", [True, False])
def test_power_cut_at_every_operation_leaves_old_or_new_and_converges(healthy: bool) -> None:
    start = with_old_set()

    def update(flash: Any) -> Installer:
        installer = started(flash)
        install(installer, NEW)
        settle(installer, healthy=healthy)
        return installer

    total_flash = CutFlash(start)
    update(total_flash)
    total = total_flash.operations
    assert total > 20
    cuts = 0
    for cut_at in range(1, total + 1):
        for seed in range(6):
            flash = CutFlash(start, cut_at=cut_at, seed=seed)
            with pytest.raises(PowerCutError):
                update(flash)
            cuts += 1
            again = CutFlash(flash.durable)
            restarted = Installer(again, lambda: NOW)
            assert restarted.start() == (), "no image that a record names may be damaged"
            assert running(restarted) in (expected(OLD), expected(NEW))
            install(restarted, NEW)
            settle(restarted, healthy=healthy)
            assert running(restarted) == (expected(NEW) if healthy else expected(OLD))
            assert set(again.regions("applications/")) == {i.region for i in restarted.record.active}
    assert cuts == total * 6


def test_second_cut_during_recovery_changes_nothing() -> None:
    start = with_old_set()

    def update(flash: Any) -> None:
        installer = started(flash)
        install(installer, NEW)
        settle(installer, healthy=True)

    whole = CutFlash(start)
    update(whole)
    for first in range(1, whole.operations + 1):
        once = CutFlash(start, cut_at=first, seed=first)
        with pytest.raises(PowerCutError):
            update(once)
        second = 1
        while True:
            twice = CutFlash(once.durable, cut_at=second, seed=second)
            try:
                update(twice)
            except PowerCutError:
                last = Installer(CutFlash(twice.durable), lambda: NOW)
                assert last.start() == ()
                assert running(last) in (expected(OLD), expected(NEW))
                second += 3
                continue
            break
        assert second > 3


def test_trial_is_taken_back_after_too_many_starts() -> None:
    durable = with_old_set()
    flash = CutFlash(durable)
    installer = started(flash)
    install(installer, NEW)
    for _ in range(TRIAL_STARTS):
        installer = Installer(CutFlash(flash.durable), lambda: NOW)
        flash = installer._flash
        installer.start()
        assert installer.state is InstallState.TRIAL
        assert running(installer) == expected(NEW)
    installer = started(flash)
    assert installer.state is InstallState.REVERTED
    assert running(installer) == expected(OLD)
    assert {o.outcome for o in installer.record.outcomes} == {"reverted"}
    assert plan_install(installer.record, NEW) is None, "a deployment that failed here is not tried again"
    assert plan_install(installer.record, offer(9, (0, 2), (2, 1))) is not None, "a new deployment is"


def test_wrong_bytes_are_not_staged() -> None:
    flash = CutFlash(with_old_set())
    installer = started(flash)
    plan = plan_install(installer.record, NEW)
    with pytest.raises(InstallError, match="not the package that was offered"):
        installer.stage(plan, dict.fromkeys(STORE, b"other"))
    assert installer.state is InstallState.IDLE
    assert running(installer) == expected(OLD)


def test_flash_that_lies_is_found_by_reading_back() -> None:
    class Lying(CutFlash):
        def write(self, region: str, data: bytes) -> None:
            super().write(region, data[:-1] + bytes([data[-1] ^ 1]) if region.startswith("applications/") else data)

    flash = Lying(with_old_set())
    installer = started(flash)
    plan = plan_install(installer.record, NEW)
    with pytest.raises(InstallError, match="no longer holds"):
        installer.stage(plan, STORE)
    assert running(installer) == expected(OLD)


def test_damaged_active_image_is_dropped_and_fetched_again() -> None:
    flash = CutFlash(with_old_set())
    region = f"applications/{COMPONENTS[0]}/a"
    assert region in flash.durable
    flash.durable[region] = b"rot" + flash.durable[region][3:]
    installer = Installer(flash, lambda: NOW)
    dropped = installer.start()
    assert [image.component_id for image in dropped] == [COMPONENTS[0]]
    install(installer, OLD)
    settle(installer, healthy=True)
    assert running(installer) == expected(OLD)


def test_damaged_trial_image_takes_the_whole_set_back() -> None:
    flash = CutFlash(with_old_set())
    installer = started(flash)
    install(installer, NEW)
    new_image = installer.record.image_of(COMPONENTS[2])
    flash.durable[new_image.region] = b"rot"
    restarted = started(flash)
    assert running(restarted) == expected(OLD)
    assert "damaged in flash" in restarted.record.outcomes[-1].reason


def test_both_record_copies_damaged_is_an_error_not_an_empty_device() -> None:
    durable = with_old_set()
    for region in RECORD_REGIONS:
        durable[region] = durable[region][:-1] + bytes([durable[region][-1] ^ 1])
    with pytest.raises(WireError, match="CRC-32"):
        Installer(CutFlash(durable), lambda: NOW)


def test_removing_everything_needs_no_trial() -> None:
    flash = CutFlash(with_old_set())
    installer = started(flash)
    install(installer, offer(3))
    assert installer.state is InstallState.CONFIRMED
    assert running(installer) == frozenset()
    assert flash.regions("applications/") == ()
    assert {o.reason for o in installer.record.outcomes} == {"removed"}


def test_refused_offer_is_reported_once_and_not_tried_again() -> None:
    flash = CutFlash(with_old_set())
    installer = started(flash)
    installer.refuse(plan_install(installer.record, NEW), "not signed by a trusted key")
    assert installer.state is InstallState.IDLE
    assert plan_install(installer.record, NEW) is None
    restarted = started(flash)
    sent = restarted.record.outcomes
    assert {o.outcome for o in sent} == {"failed"}
    restarted.acknowledge(sent)
    assert Installer(flash, lambda: NOW).record.outcomes == ()


def chain(versions: int) -> Iterator[Offer]:
    for version in range(1, versions):
        yield offer(10 + version, (0, version))


def test_many_updates_in_a_row_alternate_slots() -> None:
    flash = CutFlash()
    installer = started(flash)
    slots = []
    for wanted in chain(5):
        install(installer, wanted)
        settle(installer, healthy=True)
        slots.append(installer.record.active[0].slot)
    assert slots == ["a", "b", "a", "b"]
