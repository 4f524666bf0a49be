# SPDX-License-Identifier: Apache-2.0
"""The installer on flash that loses power at every single operation, and twice."""

from __future__ import annotations

import hashlib
import tracemalloc
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.device.install.offers import (
    COMPONENTS,
    NOW,
    OS_COMPONENTS,
    STORE,
    Booted,
    boot,
    made,
    offer,
    os_package,
)

from armillary.device.install.installer import RECORD_REGIONS, Installer
from armillary.engines.flash.file import FileFlash
from armillary.errors import BootRefusedError, DataFolderError, InstallError, WireError
from armillary.update.install.component import Kind, os_region
from armillary.update.install.plan import plan_install
from armillary.update.install.record import SlotImage, Trial, encode
from armillary.update.install.steps import TRIAL_STARTS
from armillary.update.install.transaction import InstallState
from armillary.wire.device.checkin import Offer, OfferedImage
from armillary.wire.image.section import TRUSTED_KEYSTORE

OLD = offer(1, (0, 1), (1, 1), os=2)
NEW = offer(2, (0, 2), (2, 1), os=3)  # of applications changes one, removes one, adds one; of the OS the kernel only
NEWER = offer(3, (0, 3), (2, 1), os=4)  # both OS components


def running(booted: Booted) -> frozenset[tuple[uuid.UUID, bytes]]:
    """What would be started: component and the bytes that are really in flash; of the OS what has booted."""
    applications = {(i.component_id, booted.installer.package(i)) for i in booted.installer.record.applications}
    return frozenset(applications | {(OS_COMPONENTS[name], data) for name, data in booted.os.items()})


def expected(wanted: Offer) -> frozenset[tuple[uuid.UUID, bytes]]:
    return frozenset((image.component_id, STORE[image.image_id]) for image in wanted.images)


def with_old_set() -> dict[str, bytes]:
    flash = CutFlash(made())
    bring(flash, OLD, healthy=True)
    assert running(boot(flash)) == expected(OLD)
    return flash.durable


def bring(flash: Any, wanted: Offer, *, healthy: bool) -> Booted:
    """A whole update: boot, install, boot again, settle, and boot again where that changed the OS."""
    booted = boot(flash)
    settle(booted, healthy=healthy)
    if booted.install(wanted):
        booted = boot(flash)
        settle(booted, healthy=healthy)
    return boot(flash)


def settle(booted: Booted, *, healthy: bool) -> None:
    installer = booted.installer
    if installer.record.trial is not None:
        installer.confirm() if healthy else installer.revert("crashed", booted.verify)
    installer.acknowledge(installer.record.outcomes)


def in_use(installer: Installer) -> set[str]:
    """Regions that may be left in flash once everything has settled."""
    return {region for region in installer.record.regions_in_use if not region.startswith("boot/")}


@pytest.mark.parametrize("healthy", [True, False])
@pytest.mark.parametrize("wanted", [NEW, NEWER], ids=["kernel", "whole OS"])
def test_power_cut_at_every_operation_leaves_old_or_new_and_converges(wanted: Offer, healthy: bool) -> None:
    start = with_old_set()
    whole = CutFlash(start)
    bring(whole, wanted, healthy=healthy)
    total = whole.operations
    assert total > 40
    cuts = 0
    for cut_at in range(1, total + 1):
        for seed in range(4):
            flash = CutFlash(start, cut_at=cut_at, seed=seed)
            with pytest.raises(PowerCutError):
                bring(flash, wanted, healthy=healthy)
            cuts += 1
            again = CutFlash(flash.durable)
            restarted = boot(again)
            assert restarted.dropped == (), "no image that a record names may be damaged"
            assert running(restarted) in (expected(OLD), expected(wanted))
            last = bring(again, wanted, healthy=healthy)
            assert running(last) == (expected(wanted) if healthy else expected(OLD))
            stored = {*again.regions("applications/"), *again.regions("boot.b/")}
            assert stored == in_use(last.installer)
    assert cuts == total * 4


def test_second_cut_during_recovery_changes_nothing() -> None:
    start = with_old_set()
    whole = CutFlash(start)
    bring(whole, NEWER, healthy=True)
    for first in range(1, whole.operations + 1):
        once = CutFlash(start, cut_at=first, seed=first)
        with pytest.raises(PowerCutError):
            bring(once, NEWER, healthy=True)
        second = 1
        while True:
            twice = CutFlash(once.durable, cut_at=second, seed=second)
            try:
                bring(twice, NEWER, healthy=True)
            except PowerCutError:
                last = boot(CutFlash(twice.durable))
                assert last.dropped == ()
                assert running(last) in (expected(OLD), expected(NEWER))
                second += 5
                continue
            break
        assert second > 5


def test_trial_is_taken_back_after_too_many_starts() -> None:
    flash = CutFlash(with_old_set())
    assert boot(flash).install(NEW)
    for _ in range(TRIAL_STARTS):
        booted = boot(flash)
        assert booted.installer.state is InstallState.TRIAL
        assert running(booted) == expected(NEW)
    booted = boot(flash)
    record = booted.installer.record
    assert booted.installer.state is InstallState.REVERTED
    assert running(booted) == expected(OLD)
    assert {o.outcome for o in record.outcomes} == {"reverted"}
    assert plan_install(record, NEW, booted.places) is None, "a deployment that failed here is not tried again"
    again = offer(9, (0, 2), (2, 1), os=3)
    assert plan_install(record, again, booted.places) is not None, "a new deployment is"


def test_a_new_os_that_does_not_boot_is_taken_back_at_once_with_its_applications() -> None:
    flash = CutFlash(with_old_set())
    assert boot(flash).install(NEWER)
    booted = boot(flash, refused=frozenset({os_package("root-fs", 4)}))
    assert running(booted) == expected(OLD)
    assert {o.reason for o in booted.installer.record.outcomes} == {"boot stopped at root-fs"}
    assert len(booted.installer.record.outcomes) == 4, "both OS components and both applications were new"


def test_an_os_that_is_damaged_later_gives_way_to_the_one_before_and_is_fetched_again() -> None:
    flash = CutFlash(with_old_set())
    bring(flash, NEWER, healthy=True)
    record = boot(flash).installer.record
    region = os_region("root-fs", record.os_slot("root-fs"))
    flash.durable[region] = b"rot" + flash.durable[region][3:]
    booted = boot(flash)
    assert booted.system == (os_package("kernel", 2), os_package("root-fs", 2))
    assert booted.installer.record.os.version == "26.2"
    assert {i.name for i in booted.installer.record.applications} == {"app0", "app2"}, "applications stay"
    assert running(bring(flash, NEWER, healthy=True)) == expected(NEWER)


def test_where_the_os_before_may_not_boot_either_nothing_is_written() -> None:
    """The one that was refused may have been read wrongly: the next start tries it again, and has a way back as before."""
    flash = CutFlash(with_old_set())
    bring(flash, NEWER, healthy=True)
    before = boot(flash)
    assert before.installer.record.way_back is not None
    copies = [flash.durable[region] for region in RECORD_REGIONS]
    with pytest.raises(BootRefusedError, match="root-fs; the OS before it may not boot either: boot stopped at kernel"):
        boot(flash, refused=frozenset({os_package("root-fs", 4), os_package("kernel", 2)}))
    assert [flash.durable[region] for region in RECORD_REGIONS] == copies
    assert boot(flash).system == before.system


def test_a_trust_store_on_trial_whose_os_is_damaged_gives_way_with_it_to_the_os_before() -> None:
    """Without the store the same OS is refused as well; the next one that boots is in force, by one write."""
    flash = CutFlash(with_old_set())
    bring(flash, NEWER, healthy=True)
    installer = boot(flash).installer
    store = SlotImage(uuid.UUID(int=77), uuid.UUID(int=78), TRUSTED_KEYSTORE, "store", "a", 1, bytes(32))
    settled = installer.record
    trial = Trial(uuid.UUID(int=1), uuid.UUID(int=2), settled.active, TRIAL_STARTS, settled.os)
    on_trial = replace(settled, active=(store, *settled.active), trial=trial)
    for region in RECORD_REGIONS:
        flash.durable[region] = encode(on_trial, 1000)
    booted = boot(flash, refused=frozenset({os_package("root-fs", 4)}))
    assert booted.system == (os_package("kernel", 2), os_package("root-fs", 2))
    assert booted.installer.record.trial is None
    assert {o.reason for o in booted.installer.record.outcomes if o.image_id == store.image_id} == {
        "boot stopped at root-fs"
    }


def test_without_a_way_back_a_damaged_os_stops_the_boot() -> None:
    flash = CutFlash(made())
    flash.durable["boot/kernel"] = b"rot"
    with pytest.raises(BootRefusedError, match="kernel"):
        boot(flash)


def test_the_way_back_is_given_up_before_its_slots_are_written() -> None:
    """Cut while the third OS goes over the copies of the first: no record names them any more."""
    flash = CutFlash(with_old_set())
    bring(flash, NEWER, healthy=True)
    assert boot(flash).installer.record.way_back is not None
    start, newest = dict(flash.durable), offer(4, os=6)
    whole = CutFlash(start)
    bring(whole, newest, healthy=True)
    for cut_at in range(1, whole.operations + 1):
        cut = CutFlash(start, cut_at=cut_at, seed=cut_at)
        with pytest.raises(PowerCutError):
            bring(cut, newest, healthy=True)
        after = CutFlash(cut.durable)
        way_back = Installer(after, lambda: NOW).record.way_back
        for image in way_back.images if way_back is not None else ():
            assert after.durable[image.region] == STORE[image.image_id]


def test_only_what_was_measured_otherwise_is_fetched() -> None:
    flash = CutFlash(with_old_set())
    booted = boot(flash)
    plan = plan_install(booted.installer.record, NEW, booted.places)
    assert [staged.target.region for staged in plan.fetch] == [
        "boot/kernel",
        f"applications/{COMPONENTS[0]}/b",
        f"applications/{COMPONENTS[2]}/a",
    ]


def test_wrong_bytes_are_not_staged() -> None:
    flash = CutFlash(with_old_set())
    booted = boot(flash)
    plan = plan_install(booted.installer.record, NEW, booted.places)
    before = dict(flash.durable)
    with pytest.raises(InstallError, match="not the package that was offered"):
        booted.installer.keep(plan.fetch[0].target, b"other")
    assert booted.installer.state is InstallState.IDLE
    assert flash.durable == before


def test_what_was_fetched_is_not_fetched_again_until_another_bundle_is_wanted() -> None:
    flash = CutFlash(with_old_set())
    booted = boot(flash)
    plan = plan_install(booted.installer.record, NEW, booted.places)
    first, *others = plan.fetch
    booted.installer.keep(first.target, STORE[first.target.image_id])
    assert booted.installer.missing(plan) == tuple(others)
    other = plan_install(booted.installer.record, NEWER, booted.places)
    assert booted.installer.missing(other) == other.fetch
    assert flash.regions("fetched/") == ()


def test_a_package_that_flash_lost_is_noticed_before_the_way_back_is_given_up() -> None:
    flash = CutFlash(with_old_set())
    booted = boot(flash)
    plan = plan_install(booted.installer.record, NEWER, booted.places)
    for staged in plan.fetch:
        booted.installer.keep(staged.target, STORE[staged.target.image_id])
    flash.durable[f"fetched/{plan.fetch[-1].target.image_id}"] = b"rot"
    before = booted.installer.record
    with pytest.raises(DataFolderError, match="no longer holds the package that was fetched"):
        booted.installer.stage(plan)
    assert (booted.installer.record, booted.installer.state) == (before, InstallState.IDLE)
    assert before.way_back is not None
    assert flash.regions("fetched/") == (), "the next check-in fetches all of it again"


def test_one_package_of_a_bundle_is_in_memory_at_a_time(tmp_path: Path) -> None:
    size, packages = 1 << 20, 8
    flash = FileFlash(tmp_path)
    installer = Installer(flash, lambda: NOW)
    content = {uuid.UUID(int=1 + number): bytes([number]) * size for number in range(packages)}
    images = [
        OfferedImage(
            component_id=uuid.UUID(int=100 + number),
            image_id=image_id,
            image_type=10,
            name=f"app{number}",
            size=size,
            sha256=hashlib.sha256(data).digest(),
        )
        for number, (image_id, data) in enumerate(content.items())
    ]
    wanted = Offer(offer_id=uuid.UUID(int=1), deployment_id=uuid.UUID(int=2), images=tuple(images))
    plan = plan_install(installer.record, wanted)
    tracemalloc.start()
    try:
        for staged in installer.missing(plan):
            installer.keep(staged.target, bytes(bytearray(content[staged.target.image_id])))
        for data in installer.fetched(plan).values():
            assert len(data) == size
        installer.stage(plan)
        installer.switch(plan)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(installer.record.active) == packages
    assert peak < 4 * size, "the bundle has twice as much"


def test_flash_that_lies_is_found_by_reading_back() -> None:
    class Lying(CutFlash):
        def write(self, region: str, data: bytes) -> None:
            super().write(region, data[:-1] + bytes([data[-1] ^ 1]) if region.startswith("fetched/") else data)

    flash = Lying(with_old_set())
    with pytest.raises(DataFolderError, match="does not give back"):
        boot(flash).install(NEW)
    assert running(boot(flash)) == expected(OLD)


def test_a_copy_into_a_slot_that_went_wrong_is_no_update_and_is_made_again() -> None:
    """A disk copies what was fetched into the slot's partition: what was read wrongly there is read back as it is."""

    wrong: list[str] = []

    class Miscopying(CutFlash):
        def rename(self, source: str, target: str) -> None:
            if target in wrong:
                self.write(source, b"read wrongly")
                self.sync(source)
            super().rename(source, target)

    flash = Miscopying(with_old_set())
    booted = boot(flash)
    before = booted.installer.record
    fetched = plan_install(before, NEW, booted.places).fetch
    wrong += [each.target.region for each in fetched if each.target.kind is Kind.OS][:1]
    assert wrong
    with pytest.raises(DataFolderError, match="its slot does not hold the package that was fetched"):
        booted.install(NEW)
    assert running(boot(flash)) == expected(OLD)
    assert (boot(flash).installer.record.trial, boot(flash).installer.record.rejected) == (None, before.rejected)
    wrong.clear()
    boot(flash).install(NEW)
    assert running(boot(flash)) == expected(NEW)


def test_damaged_active_image_is_dropped_and_fetched_again() -> None:
    flash = CutFlash(with_old_set())
    region = f"applications/{COMPONENTS[0]}/a"
    assert region in flash.durable
    flash.durable[region] = b"rot" + flash.durable[region][3:]
    assert [image.component_id for image in boot(flash).dropped] == [COMPONENTS[0]]
    assert running(bring(flash, OLD, healthy=True)) == expected(OLD)


def test_damaged_application_on_trial_takes_the_whole_set_back() -> None:
    flash = CutFlash(with_old_set())
    booted = boot(flash)
    booted.install(NEW)
    flash.durable[booted.installer.record.image_of(COMPONENTS[2]).region] = b"rot"
    reverted = boot(flash)
    assert reverted.system == (os_package("kernel", 3), os_package("root-fs", 3)), "this boot has begun already"
    assert "damaged in flash" in reverted.installer.record.outcomes[-1].reason
    assert running(boot(flash)) == expected(OLD), "the next start is the old set, OS included"


def test_both_record_copies_damaged_is_an_error_not_an_empty_device() -> None:
    durable = with_old_set()
    for region in RECORD_REGIONS:
        durable[region] = durable[region][:-1] + bytes([durable[region][-1] ^ 1])
    with pytest.raises(WireError, match="CRC-32"):
        Installer(CutFlash(durable), lambda: NOW)


def test_removing_every_application_needs_no_trial_and_leaves_the_os() -> None:
    flash = CutFlash(with_old_set())
    booted = boot(flash)
    booted.install(offer(3))
    assert booted.installer.state is InstallState.CONFIRMED
    assert booted.installer.record.applications == ()
    assert flash.regions("applications/") == ()
    assert {o.reason for o in booted.installer.record.outcomes} == {"removed"}
    assert boot(flash).system == booted.system


def test_refused_offer_is_reported_once_and_not_tried_again() -> None:
    flash = CutFlash(with_old_set())
    booted = boot(flash)
    booted.installer.refuse(plan_install(booted.installer.record, NEW, booted.places), "not signed by a trusted key")
    assert booted.installer.state is InstallState.IDLE
    assert plan_install(booted.installer.record, NEW, booted.places) is None
    restarted = boot(flash).installer
    sent = restarted.record.outcomes
    assert {o.outcome for o in sent} == {"failed"}
    restarted.acknowledge(sent)
    assert Installer(flash, lambda: NOW).record.outcomes == ()


def test_recovery_by_hand_forgets_the_os_that_came_over_the_air() -> None:
    flash = CutFlash(with_old_set())
    booted = boot(flash)
    booted.install(NEWER)
    for name in OS_COMPONENTS:
        flash.durable[os_region(name, "a")] = os_package(name, 1)
    Installer(flash, lambda: NOW).forget_system("recovered")
    after = boot(flash)
    assert after.system == (os_package("kernel", 1), os_package("root-fs", 1))
    assert {i.name for i in after.installer.record.applications} == {"app0", "app1"}, "the trial's go with its OS"
    assert {o.reason for o in after.installer.record.outcomes} == {"recovered"}
    assert flash.regions("boot.b/") == ()


def chain(versions: int) -> Iterator[Offer]:
    for version in range(1, versions):
        yield offer(10 + version, (0, version), os=version + 1)


def test_many_updates_in_a_row_alternate_slots() -> None:
    flash = CutFlash(made())
    slots = []
    for wanted in chain(5):
        record = bring(flash, wanted, healthy=True).installer.record
        slots.append((record.image_of(COMPONENTS[0]).slot, record.os_slot("kernel"), record.os_slot("root-fs")))
    assert slots == [("a", "b", "b"), ("b", "a", "b"), ("a", "b", "a"), ("b", "a", "a")]
