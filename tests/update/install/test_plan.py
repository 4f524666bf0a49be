# SPDX-License-Identifier: Apache-2.0
"""What is planned for an offer, and how the record turns over."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

import pytest

from armillary.errors import InstallError
from armillary.update.install import plan as plans, starting, steps as rules
from armillary.update.install.component import OsPlace
from armillary.update.install.record import MAX_OUTCOMES, MAX_REJECTED, InstallRecord, OsVersion, SlotImage
from armillary.wire.device.checkin import MAX_REASON_BYTES, Offer, OfferedImage

NOW = 1_800_000_000


def offered(component: int, version: int) -> OfferedImage:
    return OfferedImage(
        component_id=uuid.UUID(int=component),
        image_id=uuid.UUID(int=component * 100 + version),
        image_type=10,
        name=f"app{component}",
        size=10,
        sha256=bytes([component, version]) * 16,
    )


def offer(*images: OfferedImage, deployment: int | None = 1) -> Offer:
    return Offer(
        offer_id=uuid.UUID(int=99),
        deployment_id=None if deployment is None else uuid.UUID(int=deployment),
        images=images,
    )


def installed(*images: OfferedImage) -> InstallRecord:
    plan = plans.plan_install(InstallRecord(), offer(*images))
    return rules.acknowledge(
        confirmed := rules.confirm(rules.begin_trial(InstallRecord(), plan, now=NOW), now=NOW), confirmed.outcomes
    )


def test_what_runs_already_needs_no_plan() -> None:
    record = installed(offered(1, 1), offered(2, 1))
    assert plans.plan_install(record, offer(offered(2, 1), offered(1, 1))) is None
    assert plans.plan_install(InstallRecord(), offer()) is None


def test_only_what_is_missing_is_fetched_into_the_free_slot() -> None:
    record = installed(offered(1, 1), offered(2, 1))
    plan = plans.plan_install(record, offer(offered(1, 2), offered(2, 1)))
    assert [(s.target.component_id.int, s.target.slot) for s in plan.fetch] == [(1, "b")]
    assert not {s.target.region for s in plan.fetch} & record.regions_in_use
    assert plan.removed == ()


def test_same_image_id_with_other_bytes_is_fetched() -> None:
    record = installed(offered(1, 1))
    plan = plans.plan_install(record, offer(replace(offered(1, 1), sha256=b"\xff" * 32)))
    assert len(plan.fetch) == 1


def test_a_component_named_twice_is_refused() -> None:
    with pytest.raises(InstallError, match="twice"):
        plans.plan_install(InstallRecord(), offer(offered(1, 1), offered(1, 2)))


def test_nothing_is_planned_during_a_trial() -> None:
    record = rules.begin_trial(InstallRecord(), plans.plan_install(InstallRecord(), offer(offered(1, 1))), now=NOW)
    assert plans.plan_install(record, offer(offered(1, 2), deployment=2)) is None
    with pytest.raises(InstallError, match="under way"):
        rules.begin_trial(record, plans.plan_install(InstallRecord(), offer(offered(1, 2))), now=NOW)


def test_revert_brings_the_previous_set_back_and_names_only_what_was_new() -> None:
    before = installed(offered(1, 1), offered(2, 1))
    trial = rules.begin_trial(
        before, plans.plan_install(before, offer(offered(1, 2), offered(2, 1), deployment=2)), now=NOW
    )
    after = rules.revert(trial, reason="abgestürzt\0 " * 100, now=NOW + 5)
    assert after.active == before.active
    assert [(o.image_id.int, o.outcome, o.at) for o in after.outcomes] == [(102, "reverted", NOW + 5)]
    assert len(after.outcomes[0].reason.encode()) <= MAX_REASON_BYTES
    assert after.rejected == (uuid.UUID(int=2),)


def test_an_offer_without_deployment_is_remembered_by_its_own_id() -> None:
    record = rules.refuse(
        InstallRecord(),
        plans.plan_install(InstallRecord(), offer(offered(1, 1), deployment=None)),
        reason="no",
        now=NOW,
    )
    assert record.rejected == (uuid.UUID(int=99),)
    assert plans.plan_install(record, offer(offered(1, 1), deployment=None)) is None


def test_starts_are_counted_before_they_happen() -> None:
    record = rules.begin_trial(InstallRecord(), plans.plan_install(InstallRecord(), offer(offered(1, 1))), now=NOW)
    for left in reversed(range(rules.TRIAL_STARTS)):
        record = starting.start_device(record, now=NOW)
        assert record.trial.starts_left == left
    assert starting.start_device(record, now=NOW).trial is None
    assert starting.start_device(InstallRecord(), now=NOW) == InstallRecord()


def test_confirm_and_revert_need_a_trial() -> None:
    with pytest.raises(InstallError):
        rules.confirm(InstallRecord(), now=NOW)
    with pytest.raises(InstallError):
        rules.revert(InstallRecord(), reason="", now=NOW)


def test_outcomes_and_rejections_are_bounded_and_the_newest_stay() -> None:
    record = InstallRecord()
    for deployment in range(1, 100):
        record = rules.refuse(
            record,
            plans.plan_install(record, offer(offered(1, deployment % 100), deployment=deployment)),
            reason="",
            now=NOW,
        )
    assert len(record.outcomes) == MAX_OUTCOMES
    assert len(record.rejected) == MAX_REJECTED
    assert record.rejected[-1] == uuid.UUID(int=99)


def test_acknowledged_outcomes_go_and_others_stay() -> None:
    record = installed(offered(1, 1))
    record = rules.begin_trial(record, plans.plan_install(record, offer()), now=NOW)
    sent = record.outcomes
    record = rules.refuse(record, plans.plan_install(record, offer(offered(3, 1), deployment=8)), reason="x", now=NOW)
    assert [o.outcome for o in rules.acknowledge(record, sent).outcomes] == ["failed"]


def test_damage_outside_a_trial_drops_only_the_damaged() -> None:
    record = installed(offered(1, 1), offered(2, 1))
    kept = rules.drop_damaged(record, record.active[:1], now=NOW)
    assert kept.active == record.active[1:]
    assert kept.outcomes == ()


def test_slot_image_region_is_a_legal_flash_name() -> None:
    image = SlotImage(uuid.UUID(int=1), uuid.UUID(int=2), 10, "x", "a", 1, b"")
    assert image.region == "applications/00000000-0000-0000-0000-000000000001/a"


KERNEL, ROOT_FS = uuid.UUID(int=70), uuid.UUID(int=80)


def os_image(component: uuid.UUID, version: int, **changes: object) -> OfferedImage:
    kind = {KERNEL: 7, ROOT_FS: 8}[component]
    fields = {
        "component_id": component,
        "image_id": uuid.UUID(int=component.int * 100 + version),
        "image_type": kind,
        "name": "../../boot/elsewhere",
        "size": 10,
        "sha256": bytes([kind, version]) * 16,
    }
    return OfferedImage(**{**fields, **changes})


def places(kernel: int = 1, root_fs: int = 1) -> list[OsPlace]:
    """What a boot measured of a chip with two components."""
    return [
        OsPlace(component_id=KERNEL, image_type=7, name="kernel", size_limit_bytes=100, digest=bytes([7, kernel]) * 16),
        OsPlace(
            component_id=ROOT_FS, image_type=8, name="root-fs", size_limit_bytes=10, digest=bytes([8, root_fs]) * 16
        ),
    ]


def bundle(version: int, *images: OfferedImage, kernel: OfferedImage | None = None, **changes: object) -> Offer:
    """An offer of both OS components, in an order of its own, and of applications."""
    os = (os_image(ROOT_FS, 1), kernel or os_image(KERNEL, version))
    return replace(offer(*images, *os), **{"os_version": f"26.{version}", "os_abi": version, **changes})


def test_of_an_os_only_what_was_measured_otherwise_is_fetched_into_slot_b_first() -> None:
    plan = plans.plan_install(installed(offered(1, 1)), bundle(2, offered(1, 2)), places())
    assert [staged.target.region for staged in plan.fetch] == [
        "boot.b/kernel",
        "applications/00000000-0000-0000-0000-000000000001/b",
    ]
    assert [image.name for image in plan.result] == ["root-fs", "kernel", "app1"]
    assert plan.os == OsVersion("26.2", 2)
    assert plan.restarts


def test_an_os_that_was_measured_as_wanted_needs_no_plan_and_no_restart() -> None:
    record = installed(offered(1, 1))
    named = plans.plan_install(record, bundle(1, offered(1, 1)), places())
    assert (named.fetch, named.removed, named.restarts) == ((), (), False)
    record = rules.begin_trial(record, named, now=NOW)
    assert (record.trial, record.os.abi) == (None, 1), "the offer has named the OS that is there"
    assert plans.plan_install(record, bundle(1, offered(1, 1)), places()) is None
    plan = plans.plan_install(record, bundle(1, offered(1, 2)), places())
    assert not plan.restarts
    trial = rules.begin_trial(record, plan, now=NOW)
    assert not trial.system_on_trial
    assert [outcome.image_id.int for outcome in rules.confirm(trial, now=NOW).outcomes] == [102]


def test_a_component_that_is_damaged_in_flash_is_fetched_again_beside_itself() -> None:
    record = installed(offered(1, 1))
    first = rules.begin_trial(record, plans.plan_install(record, bundle(2, offered(1, 1)), places()), now=NOW)
    record = rules.confirm(first, now=NOW)
    assert (
        plans.plan_install(record, bundle(2, offered(1, 1), deployment_id=uuid.UUID(int=3)), places(kernel=2)) is None
    )
    again = plans.plan_install(record, bundle(2, offered(1, 1), deployment_id=uuid.UUID(int=3)), places(kernel=99))
    assert [staged.target.region for staged in again.fetch] == ["boot/kernel"]


def test_a_new_component_goes_beside_the_slot_that_runs_whatever_the_record_says_of_it() -> None:
    record = installed(offered(1, 1))
    first = plans.plan_install(record, bundle(2, offered(1, 1)), places())
    record = rules.confirm(rules.begin_trial(record, first, now=NOW), now=NOW)
    kernel, root_fs = places(kernel=2)
    there = [replace(kernel, runs_from="b"), replace(root_fs, runs_from="b")]
    newer = replace(bundle(3, offered(1, 1)), images=(os_image(KERNEL, 3), os_image(ROOT_FS, 3), offered(1, 1)))
    plan = plans.plan_install(record, newer, there)
    assert [staged.target.region for staged in plan.fetch] == ["boot/kernel", "boot/root-fs"]
    assert [image.region for image in plan.moved] == ["boot.b/root-fs"]
    plan = plans.plan_install(record, newer, [kernel, root_fs])
    assert [staged.target.region for staged in plan.fetch] == ["boot/kernel", "boot.b/root-fs"], "by the record alone"
    assert plan.moved == ()


def test_an_offer_without_an_os_version_leaves_the_os_and_one_without_a_deployment_the_applications() -> None:
    record = installed(offered(1, 1))
    plan = plans.plan_install(record, bundle(2, deployment_id=None), places())
    assert plan.removed == ()
    record = rules.confirm(rules.begin_trial(record, plan, now=NOW), now=NOW)
    assert {image.name for image in record.active} == {"kernel", "root-fs", "app1"}
    plan = plans.plan_install(record, offer(offered(2, 1), deployment=5), places(kernel=2))
    assert [image.name for image in plan.removed] == ["app1"]
    assert {image.name for image in plan.result} == {"kernel", "root-fs", "app2"}
    assert plan.os == OsVersion("26.2", 2)


def trust_store(version: int) -> OfferedImage:
    return replace(offered(9, version), image_type=19, name="trusted-key-store")


def test_an_offer_of_a_trust_store_alone_leaves_everything_else() -> None:
    record = installed(offered(1, 1))
    plan = plans.plan_install(record, offer(trust_store(1), deployment=None), places())
    assert plan.removed == ()
    assert plan.restarts
    assert not plan.brings_os
    trial = rules.begin_trial(record, plan, now=NOW)
    assert (trial.system_on_trial, trial.os_on_trial) == (True, False)
    assert {image.name for image in trial.active} == {"app1", "trusted-key-store"}
    nothing = plans.plan_install(record, offer(deployment=None), places())
    assert [image.name for image in nothing.removed] == ["app1"], "positive control: without a store it empties"


def test_a_device_that_is_open_for_development_takes_os_and_trust_stores_and_nothing_else() -> None:
    both = plans.only_system(bundle(2, trust_store(1), offered(1, 1)))
    assert {image.image_type for image in both.images} >= {19}
    assert not {10} & {image.image_type for image in both.images}
    assert plans.only_system(offer(trust_store(1), offered(1, 1))).images == (trust_store(1),)
    assert plans.only_system(offer(offered(1, 1))) is None


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (bundle(2, os_version=""), "2 OS components and OS version ''"),
        (replace(offer(offered(1, 1)), os_version="26.2"), "0 OS components and OS version '26.2'"),
        (replace(offer(os_image(KERNEL, 2)), os_version="26.2"), "lacks boot components of this chip: root-fs"),
        (bundle(2, kernel=os_image(KERNEL, 2, component_id=uuid.UUID(int=71))), "is no boot component of this chip"),
        (bundle(2, kernel=os_image(KERNEL, 2, image_type=9)), "is no boot component of this chip"),
        (bundle(2, kernel=os_image(KERNEL, 2, size=101)), "kernel has 101 bytes, expected at most 100"),
    ],
)
def test_an_os_that_is_not_this_chips_is_refused_before_anything_is_fetched(wanted: Offer, reason: str) -> None:
    with pytest.raises(InstallError, match=re.escape(reason)):
        plans.plan_install(InstallRecord(), wanted, places())
    refused = rules.refuse_offer(InstallRecord(), wanted, reason=reason, now=NOW)
    assert plans.plan_install(refused, wanted, places()) is None
    assert {outcome.outcome for outcome in refused.outcomes} == {"failed"}


def test_a_deployment_that_failed_with_one_os_is_tried_with_another() -> None:
    record = rules.refuse_offer(InstallRecord(), bundle(2, offered(1, 1)), reason="", now=NOW)
    assert plans.plan_install(record, bundle(2, offered(1, 1)), places()) is None
    assert plans.plan_install(record, bundle(3, offered(1, 1)), places()) is not None
    assert plans.plan_install(record, offer(offered(1, 1)), places()) is not None


def test_a_trial_of_an_os_watches_what_ran_before_it_and_what_it_brings() -> None:
    record = installed(offered(1, 1), offered(2, 1))
    plan = plans.plan_install(record, bundle(2, offered(1, 1), offered(2, 1), offered(3, 1)), places())
    trial = rules.begin_trial(record, plan, now=NOW, running={uuid.UUID(int=101)}).trial
    assert set(trial.watched) == {uuid.UUID(int=101), uuid.UUID(int=301)}, "application 2 did not run before either"
    plan = plans.plan_install(record, offer(offered(1, 1), offered(2, 1), offered(3, 1)), places())
    assert rules.begin_trial(record, plan, now=NOW, running={uuid.UUID(int=101)}).trial.watched == (uuid.UUID(int=301),)


def test_trust_stores_come_first_and_are_never_removed() -> None:
    store = replace(offered(6, 1), image_type=19, name="keys")
    plan = plans.plan_install(InstallRecord(), bundle(2, offered(1, 1), store), places())
    assert [staged.target.name for staged in plan.fetch] == ["keys", "kernel", "app1"]
    record = rules.confirm(rules.begin_trial(InstallRecord(), plan, now=NOW), now=NOW)
    plan = plans.plan_install(record, offer(offered(1, 2), deployment=5), places(kernel=2))
    assert "keys" in {image.name for image in plan.result}
    assert plan.removed == ()
