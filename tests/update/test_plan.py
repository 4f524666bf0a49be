# SPDX-License-Identifier: Apache-2.0
"""What is planned for an offer, and how the record turns over."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from armillary.errors import InstallError
from armillary.update import plan as rules
from armillary.update.record import MAX_OUTCOMES, MAX_REJECTED, InstallRecord, SlotImage
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
    plan = rules.plan_install(InstallRecord(), offer(*images))
    return rules.acknowledge(
        confirmed := rules.confirm(rules.begin_trial(InstallRecord(), plan, now=NOW), now=NOW), confirmed.outcomes
    )


def test_what_runs_already_needs_no_plan() -> None:
    record = installed(offered(1, 1), offered(2, 1))
    assert rules.plan_install(record, offer(offered(2, 1), offered(1, 1))) is None
    assert rules.plan_install(InstallRecord(), offer()) is None


def test_only_what_is_missing_is_fetched_into_the_free_slot() -> None:
    record = installed(offered(1, 1), offered(2, 1))
    plan = rules.plan_install(record, offer(offered(1, 2), offered(2, 1)))
    assert [(s.target.component_id.int, s.target.slot) for s in plan.fetch] == [(1, "b")]
    assert not {s.target.region for s in plan.fetch} & record.regions_in_use
    assert plan.removed == ()


def test_same_image_id_with_other_bytes_is_fetched() -> None:
    record = installed(offered(1, 1))
    plan = rules.plan_install(record, offer(replace(offered(1, 1), sha256=b"\xff" * 32)))
    assert len(plan.fetch) == 1


def test_a_component_named_twice_is_refused() -> None:
    with pytest.raises(InstallError, match="twice"):
        rules.plan_install(InstallRecord(), offer(offered(1, 1), offered(1, 2)))


def test_nothing_is_planned_during_a_trial() -> None:
    record = rules.begin_trial(InstallRecord(), rules.plan_install(InstallRecord(), offer(offered(1, 1))), now=NOW)
    assert rules.plan_install(record, offer(offered(1, 2), deployment=2)) is None
    with pytest.raises(InstallError, match="under way"):
        rules.begin_trial(record, rules.plan_install(InstallRecord(), offer(offered(1, 2))), now=NOW)


def test_revert_brings_the_previous_set_back_and_names_only_what_was_new() -> None:
    before = installed(offered(1, 1), offered(2, 1))
    trial = rules.begin_trial(
        before, rules.plan_install(before, offer(offered(1, 2), offered(2, 1), deployment=2)), now=NOW
    )
    after = rules.revert(trial, reason="abgestürzt\0 " * 100, now=NOW + 5)
    assert after.active == before.active
    assert [(o.image_id.int, o.outcome, o.at) for o in after.outcomes] == [(102, "reverted", NOW + 5)]
    assert len(after.outcomes[0].reason.encode()) <= MAX_REASON_BYTES
    assert after.rejected == (uuid.UUID(int=2),)


def test_an_offer_without_deployment_is_remembered_by_its_own_id() -> None:
    record = rules.refuse(
        InstallRecord(),
        rules.plan_install(InstallRecord(), offer(offered(1, 1), deployment=None)),
        reason="no",
        now=NOW,
    )
    assert record.rejected == (uuid.UUID(int=99),)
    assert rules.plan_install(record, offer(offered(1, 1), deployment=None)) is None


def test_starts_are_counted_before_they_happen() -> None:
    record = rules.begin_trial(InstallRecord(), rules.plan_install(InstallRecord(), offer(offered(1, 1))), now=NOW)
    for left in reversed(range(rules.TRIAL_STARTS)):
        record = rules.start_device(record, now=NOW)
        assert record.trial.starts_left == left
    assert rules.start_device(record, now=NOW).trial is None
    assert rules.start_device(InstallRecord(), now=NOW) == InstallRecord()


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
            rules.plan_install(record, offer(offered(1, deployment % 100), deployment=deployment)),
            reason="",
            now=NOW,
        )
    assert len(record.outcomes) == MAX_OUTCOMES
    assert len(record.rejected) == MAX_REJECTED
    assert record.rejected[-1] == uuid.UUID(int=99)


def test_acknowledged_outcomes_go_and_others_stay() -> None:
    record = installed(offered(1, 1))
    record = rules.begin_trial(record, rules.plan_install(record, offer()), now=NOW)
    sent = record.outcomes
    record = rules.refuse(record, rules.plan_install(record, offer(offered(3, 1), deployment=8)), reason="x", now=NOW)
    assert [o.outcome for o in rules.acknowledge(record, sent).outcomes] == ["failed"]


def test_damage_outside_a_trial_drops_only_the_damaged() -> None:
    record = installed(offered(1, 1), offered(2, 1))
    kept = rules.drop_damaged(record, record.active[:1], now=NOW)
    assert kept.active == record.active[1:]
    assert kept.outcomes == ()


def test_slot_image_region_is_a_legal_flash_name() -> None:
    image = SlotImage(uuid.UUID(int=1), uuid.UUID(int=2), 10, "x", "a", 1, b"")
    assert image.region == "applications/00000000-0000-0000-0000-000000000001/a"
