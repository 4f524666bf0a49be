# SPDX-License-Identifier: Apache-2.0
"""Roll-outs of OS releases that have ended: whose the release is then, and how it is taken back from them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fixtures.clocks import Clock
from tests.service.updates.os_fleet import CHIP, POLICY, OsFleet, step

from armillary.engines.records.queries import releases as release_rows, rollouts as rollout_rows
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.errors import ConflictError, PermissionDeniedError
from armillary.rollout import ended
from armillary.service.updates.targets import Target
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.update_status import UpdateStatus


@pytest.fixture
def fleet(os_fleet: OsFleet) -> OsFleet:
    return os_fleet


def completed(fleet: OsFleet, clock: Clock, catalog: str | None = None) -> Rollout:
    rollout = fleet.start(replace(POLICY, cohorts=(100,), soak_s=0), catalog=catalog)
    for _ in range(3):
        step(fleet, clock)
    done = fleet.get(rollout)
    promoted = ("RetailEval", "Retail") if catalog is None else (None, "RetailEval")
    assert (done.state, done.from_feed, fleet.feed_of_new()) == ("completed", *promoted)
    clock.now += 1
    return done


def roll_back(fleet: OsFleet, rollout: Rollout, catalog: str | None = None) -> Rollout:
    return fleet.service.updates.rollouts.roll_back(rollout.rollout_id, reason="it leaks", actor="ben", catalog=catalog)


def ids(devices: list[WireDevice]) -> set[str]:
    return {one.device_id for one in devices}


def logged(fleet: OsFleet) -> list[tuple[str, str, bool]]:
    """What the release log says of the new release: operation, feed, and whether it was for one catalog."""
    logs = fleet.service.transparency.logs
    entries = [each for number in logs.numbers_of("releases", str(fleet.new.release_id))
               for each in logs.entries("releases", number, 1)]  # fmt: skip
    return [(each.operation, each.detail["feed"], "catalog" in each.detail) for each in entries]


def test_a_completed_one_is_rolled_back_by_one_call(fleet: OsFleet, clock: Clock) -> None:
    """Also devices that got the release from the feed after the roll-out had ended."""
    rollout = completed(fleet, clock)
    fleet.old_style.update_status = UpdateStatus(abilities=("os",))
    step(fleet, clock)
    assert fleet.running("27.1") == ids(fleet.devices)
    assert fleet.old_style.prover.os_version == "27.1"
    rolling = roll_back(fleet, rollout)
    assert (rolling.state, rolling.counts["confirmed"]) == ("rolling-back", 5)
    assert fleet.feed_of_new() == "RetailEval"
    assert not fleet.service.releases.reference.standing(CHIP, "27.1").retail
    step(fleet, clock)
    step(fleet, clock)
    done = fleet.get(rollout)
    assert (done.state, done.counts["restored"]) == ("rolled-back", 5)
    assert fleet.running(fleet.first.version) == ids(fleet.devices)
    assert fleet.old_style.prover.os_version == fleet.first.version
    assert [one.event for one in done.history] == ["finish", "roll-back", "restored"]
    assert fleet.offered(fleet.devices[0]) == ""
    moves = [("release.promote", "Retail", False), ("release.promote", "RetailEval", False)]
    assert logged(fleet) == [("release.publish", "RetailEval", False), *moves]


def test_one_of_a_catalog_is_that_catalogs_alone_and_is_rolled_back_there_alone(fleet: OsFleet, clock: Clock) -> None:
    """Its devices that come later get it too; nobody else's do, until a roll-out of theirs."""
    here = completed(fleet, clock, catalog="Contoso")
    fleet.old_style.update_status = UpdateStatus(abilities=("os",))
    for _ in range(2):
        step(fleet, clock)
    assert fleet.running("27.1") == ids(fleet.devices[:3])
    assert fleet.old_style.prover.os_version == "27.1", "it came late, and is of this catalog"
    assert not fleet.service.releases.reference.standing(CHIP, "27.1").retail
    assert fleet.service.attestation.drafts.reach(fleet.new.release_id).alone == ("Retail in Contoso",)
    there = completed(fleet, clock, catalog="Fabrikam")
    assert fleet.running("27.1") == ids(fleet.devices)
    assert roll_back(fleet, here, catalog="Contoso").state == "rolling-back"
    for _ in range(2):
        step(fleet, clock)
    assert fleet.get(here).state == "rolled-back"
    assert fleet.running("27.1") == ids(fleet.devices[3:])
    assert fleet.old_style.prover.os_version == fleet.first.version
    assert fleet.get(there).state == "completed"
    given = ("release.promote", "RetailEval", True)
    back = ("release.take-back", "RetailEval", True)
    assert logged(fleet) == [("release.publish", "RetailEval", False), given, given, back]


def test_a_correction_for_all_leaves_a_catalog_ahead_that_has_a_newer_one_alone(fleet: OsFleet, clock: Clock) -> None:
    here = completed(fleet, clock, catalog="Contoso")
    fleet.service.releases.publish(CHIP, f"{fleet.first.version}.1", actor="t")
    step(fleet, clock)
    assert fleet.running("27.1") == ids(fleet.devices[:3])
    assert fleet.running(f"{fleet.first.version}.1") == ids(fleet.devices[3:])
    roll_back(fleet, here)
    for _ in range(2):
        step(fleet, clock)
    assert fleet.running(f"{fleet.first.version}.1") == ids(fleet.devices)
    everywhere = completed(fleet, clock)
    assert (everywhere.state, fleet.running("27.1")) == ("completed", ids(fleet.devices))


def test_promoting_it_for_one_catalog_to_all_is_what_would_reach_the_others(
    fleet: OsFleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with the release in the feed, as it was once, the other catalog has it at once."""
    completed(fleet, clock, catalog="Contoso")
    assert fleet.offered(fleet.devices[3]) == ""
    monkeypatch.setattr(ended.PastRollout, "only", property(lambda _: None))
    fleet.service.context.records.write(lambda c: release_rows.set_feed(c, fleet.new.release_id, "Retail", at=1))
    fleet.service.updates.offers.refresh()
    assert fleet.offered(fleet.devices[3]) == "27.1"


def test_one_for_all_passes_a_catalog_over_that_has_it_already(fleet: OsFleet, clock: Clock) -> None:
    here = completed(fleet, clock, catalog="Contoso")
    with pytest.raises(ConflictError, match="was rolled out to this catalog"):
        fleet.start(catalog="Contoso")
    everywhere = completed(fleet, clock)
    assert everywhere.counts["confirmed"] == 1, "the device of the other catalog"
    with pytest.raises(ConflictError, match="Contoso cannot go back alone"):
        roll_back(fleet, here)
    roll_back(fleet, everywhere)
    for _ in range(2):
        step(fleet, clock)
    assert fleet.get(everywhere).state == "rolled-back"
    assert fleet.running("27.1") == ids(fleet.devices[:3]), "what a roll-out of its own brought stays"
    roll_back(fleet, here)
    for _ in range(2):
        step(fleet, clock)
    assert (fleet.get(here).state, fleet.running("27.1")) == ("rolled-back", set())


def test_after_a_roll_back_it_can_be_rolled_out_again(fleet: OsFleet, clock: Clock) -> None:
    for catalog in ("Contoso", None):
        first = completed(fleet, clock, catalog=catalog)
        roll_back(fleet, first)
        for _ in range(2):
            step(fleet, clock)
        assert (fleet.get(first).state, fleet.running("27.1")) == ("rolled-back", set())
    completed(fleet, clock)
    assert fleet.running("27.1") == ids(fleet.devices)
    newer = fleet.release("27.2")
    fleet.new = newer
    completed(fleet, clock, catalog="Fabrikam")
    fleet.new = fleet.release("27.3")
    fleet.service.attestation.drafts.promote(fleet.new.release_id, actor="t")
    fleet.check_in_all()
    assert fleet.running("27.3") == ids(fleet.devices), "the newest, whoever it came from"
    fleet.new = newer
    with pytest.raises(ConflictError, match=r"is older than what Retail gives, 27\.3"):
        fleet.start()


def test_one_for_all_is_not_older_than_what_a_catalog_was_given_alone(fleet: OsFleet, clock: Clock) -> None:
    old, fleet.new = fleet.new, fleet.release("27.2")
    completed(fleet, clock, catalog="Contoso")
    fleet.new = old
    with pytest.raises(ConflictError, match=r"is older than what Retail gives to Contoso, 27\.2"):
        fleet.start()
    assert fleet.start(catalog="Fabrikam").state == "running"


def test_who_speaks_for_one_catalog_does_not_roll_back_what_all_have(fleet: OsFleet, clock: Clock) -> None:
    rollout = completed(fleet, clock)
    with pytest.raises(PermissionDeniedError, match="for all catalogs"):
        roll_back(fleet, rollout, catalog="Contoso")
    assert (fleet.get(rollout).state, fleet.feed_of_new()) == ("completed", "Retail")


def test_one_of_before_which_put_its_release_into_the_feed_is_rolled_back_for_all(fleet: OsFleet, clock: Clock) -> None:
    """Records of earlier versions: a roll-out of one catalog was promoted to all."""
    rollout = completed(fleet, clock, catalog="Contoso")
    records = fleet.service.context.records
    records.write(lambda c: rollout_rows.change(c, rollout.rollout_id, {"from_feed": "RetailEval"}))
    records.write(lambda c: release_rows.set_feed(c, fleet.new.release_id, "Retail", at=1))
    fleet.service.updates.offers.refresh()
    fleet.check_in_all()
    assert fleet.running("27.1") == ids(fleet.devices)
    with pytest.raises(PermissionDeniedError, match="for all catalogs"):
        roll_back(fleet, rollout, catalog="Contoso")
    clock.now += 1
    roll_back(fleet, rollout)
    for _ in range(2):
        step(fleet, clock)
    assert (fleet.get(rollout).state, fleet.feed_of_new()) == ("rolled-back", "RetailEval")
    assert fleet.running("27.1") == set()


@pytest.mark.parametrize("catalog", [None, "Contoso"])
def test_a_completed_one_is_not_rolled_back_where_devices_cannot_go(
    fleet: OsFleet, clock: Clock, catalog: str | None
) -> None:
    fleet.new = fleet.release("27.2", security_version=2)
    rollout = completed(fleet, clock, catalog)
    feed = fleet.feed_of_new()
    with pytest.raises(ConflictError, match="security version 2, the one before 1"):
        roll_back(fleet, rollout)
    assert (fleet.get(rollout).state, fleet.feed_of_new()) == ("completed", feed)  # nothing half-done


@pytest.mark.parametrize("catalog", [None, "Contoso"])
def test_a_completed_one_is_not_rolled_back_after_something_newer(
    fleet: OsFleet, clock: Clock, catalog: str | None
) -> None:
    first, rollouts = completed(fleet, clock, catalog), fleet.service.updates.rollouts
    fleet.new = fleet.release("27.4")
    newer = fleet.start()
    with pytest.raises(ConflictError, match=str(newer.rollout_id)):
        roll_back(fleet, first)
    rollouts.cancel(newer.rollout_id, reason="", actor="ben")
    fleet.service.attestation.drafts.promote(fleet.new.release_id, actor="ben")
    with pytest.raises(ConflictError, match=r"gives another release than OS 27\.1"):
        roll_back(fleet, first)
    fleet.service.releases.withdraw(fleet.new.release_id, "bad", actor="ben")
    assert roll_back(fleet, first).state == "rolling-back"


def late(fleet: OsFleet, clock: Clock) -> tuple[Rollout, WireDevice]:
    """A roll-out that was rolled back before anybody saw that one device had been offered its release."""
    rollout, device = fleet.start(replace(POLICY, cohorts=(100,))), fleet.devices[0]
    clock.now += 1
    fleet.service.updates.planner.run_once()
    assert fleet.offered(device) == "27.1"
    clock.now += 1
    roll_back(fleet, rollout)
    return rollout, device


def test_a_device_that_may_have_been_offered_it_is_waited_for(fleet: OsFleet, clock: Clock) -> None:
    rollout, device = late(fleet, clock)
    fleet.service.updates.planner.run_once()
    assert fleet.get(rollout).state == "rolling-back"
    fleet.boot(device, "27.1")
    for _ in range(2):
        step(fleet, clock)
    assert (fleet.get(rollout).state, fleet.running("27.1")) == ("rolled-back", set())


def test_a_device_that_says_only_after_the_end_that_it_runs_it_is_given_the_one_before(
    fleet: OsFleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here because the roll-out did not wait for it; so it would be with one that came from the evaluation feed."""
    system = Target._system
    monkeypatch.setattr(Target, "_system", lambda self, one, _: (*system(self, one, seen_since=False)[:2], True))
    rollout, device = late(fleet, clock)
    fleet.service.updates.planner.run_once()
    assert fleet.get(rollout).state == "rolled-back"
    fleet.boot(device, "27.1")
    clock.now += 1
    assert fleet.offered(device) == fleet.first.version
    fleet.boot(device, fleet.first.version)
    assert fleet.offered(device) == ""


def test_without_that_rule_it_would_stay_with_what_was_rolled_back(
    fleet: OsFleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a newer release in force is left alone, which is right where nobody took it back."""
    rollout, device = late(fleet, clock)
    for _ in range(2):
        step(fleet, clock)
    assert fleet.get(rollout).state == "rolled-back"
    monkeypatch.setattr(ended, "_TAKES_BACK", ())
    fleet.service.updates.offers.refresh()
    fleet.boot(device, "27.1")
    assert fleet.offered(device) == ""


def test_devices_of_the_evaluation_feed_keep_what_was_rolled_back_elsewhere(fleet: OsFleet, clock: Clock) -> None:
    device = fleet.devices[3]
    fleet.service.registry.groups.update("Fabrikam", "Kettle", "Production", os_feed="RetailEval", actor="t")
    roll_back(fleet, completed(fleet, clock))
    for _ in range(2):
        step(fleet, clock)
    assert fleet.running("27.1") == {device.device_id}
    fleet.service.registry.groups.update("Fabrikam", "Kettle", "Production", os_feed="Retail", actor="t")
    assert fleet.offered(device) == fleet.first.version, "in the feed that it was taken from it is nobody's"


def test_a_feed_is_not_deleted_while_a_roll_back_would_bring_its_release_there(fleet: OsFleet, clock: Clock) -> None:
    feeds, drafts = fleet.service.registry.os_feeds, fleet.service.attestation.drafts
    feeds.create("Beta", "Retail", actor="t")
    fleet.new = fleet.service.releases.publish(CHIP, "27.2", actor="t", feed="Beta")
    rollout = fleet.start(replace(POLICY, cohorts=(100,), soak_s=0))
    for _ in range(3):
        step(fleet, clock)
    assert (fleet.get(rollout).state, fleet.feed_of_new()) == ("completed", "Retail")
    with pytest.raises(ConflictError, match=f"roll-out {rollout.rollout_id} to Retail would take its release back"):
        feeds.delete("Beta", actor="t")
    newer = fleet.release("27.3")
    drafts.promote(newer.release_id, actor="t")
    feeds.delete("Beta", actor="t")
    assert "Beta" not in {one.name for one in feeds.list()}
    fleet.service.releases.withdraw(newer.release_id, "bad", actor="t")
    clock.now += 1
    with pytest.raises(ConflictError, match=r"the feed Beta, which OS 27\.2 came from and goes back to"):
        roll_back(fleet, rollout)
    assert (fleet.get(rollout).state, fleet.feed_of_new()) == ("completed", "Retail")
    feeds.create("Beta", "Retail", actor="t")
    assert roll_back(fleet, rollout).state == "rolling-back"
    assert fleet.feed_of_new() == "Beta"


def test_a_feed_of_a_name_that_there_was_before_gives_nothing_of_the_one_before(fleet: OsFleet, clock: Clock) -> None:
    feeds, groups = fleet.service.registry.os_feeds, fleet.service.registry.groups
    feeds.create("Beta", "Retail", actor="t")
    groups.update("Fabrikam", "Kettle", "Production", os_feed="Beta", actor="t")
    start = fleet.service.updates.os_rollouts.start
    policy = replace(POLICY, cohorts=(100,), soak_s=0)
    start(fleet.new.release_id, actor="t", feed="Beta", catalog="Fabrikam", policy=policy)
    for _ in range(3):
        step(fleet, clock)
    assert fleet.running("27.1") == ids(fleet.devices[3:])
    fleet.boot(fleet.devices[3], fleet.first.version)
    assert fleet.offered(fleet.devices[3]) == "27.1", "the control: it is given there"
    groups.update("Fabrikam", "Kettle", "Production", os_feed="Retail", actor="t")
    feeds.delete("Beta", actor="t")
    clock.now += 1
    feeds.create("Beta", "Retail", actor="t")
    groups.update("Fabrikam", "Kettle", "Production", os_feed="Beta", actor="t")
    assert fleet.offered(fleet.devices[3]) == ""


def followed(fleet: OsFleet) -> Rollout:
    """A roll-out to a feed of one's own, in which the second catalog is, and which follows the evaluation feed."""
    feeds = fleet.service.registry.os_feeds
    feeds.create("Canary", "RetailEval", actor="t")
    feeds.create("Lab", "Canary", actor="t")
    fleet.service.registry.groups.update("Fabrikam", "Kettle", "Production", os_feed="Canary", actor="t")
    fleet.new = fleet.service.releases.publish(CHIP, "27.2", actor="t", feed="Lab")
    return fleet.service.updates.os_rollouts.start(fleet.new.release_id, actor="t", feed="Canary", policy=POLICY)


def test_nothing_is_put_where_the_groups_of_a_rollout_would_get_it_at_once(fleet: OsFleet, clock: Clock) -> None:
    drafts, rollouts, device = fleet.service.attestation.drafts, fleet.service.updates.rollouts, fleet.devices[3]
    evaluated, rollout = fleet.new, followed(fleet)
    step(fleet, clock)
    draft = drafts.create(CHIP, "27.6", actor="t", feed="RetailEval")
    for feed, change in (
        ("RetailEval", lambda: fleet.release("27.5")),
        ("Retail", lambda: fleet.service.releases.publish(CHIP, "27.5", actor="t", feed="Retail")),
        ("RetailEval", lambda: drafts.publish(draft.release_id, actor="t")),
    ):
        with pytest.raises(
            ConflictError, match=f"27.2 to Canary on mt3620 step by step, and what is put into {feed} ch"
        ):
            change()
    assert fleet.offered(device) in ("", "27.2")
    drafts.promote(evaluated.release_id, actor="t")  # which those groups have already
    rollouts.cancel(rollout.rollout_id, reason="", actor="t")
    drafts.publish(draft.release_id, actor="t")
    assert fleet.offered(device) == "27.6"


def test_no_rollout_ends_where_the_groups_of_another_would_get_its_release_at_once(fleet: OsFleet) -> None:
    """Whichever of the two began first."""
    rollouts, system = fleet.service.updates.rollouts, fleet.service.updates.os_rollouts
    evaluated, lower = fleet.new, followed(fleet)
    lab = fleet.new
    beta = fleet.service.registry.os_feeds.create("Beta", "Retail", actor="t")
    newest = fleet.service.releases.publish(CHIP, "27.7", actor="t", feed=beta.name)
    with pytest.raises(ConflictError, match="changes what the groups of Canary are given at once"):
        system.start(newest.release_id, actor="t", policy=POLICY)
    upper = system.start(evaluated.release_id, actor="t", policy=POLICY)  # those groups have it
    rollouts.cancel(upper.rollout_id, reason="", actor="t")
    rollouts.cancel(lower.rollout_id, reason="", actor="t")
    upper = system.start(newest.release_id, actor="t", policy=POLICY)
    fleet.new = lab
    with pytest.raises(ConflictError, match=r"brings OS 27\.7 to Retail, from where the groups of Canary get it"):
        system.start(lab.release_id, actor="t", feed="Canary", policy=POLICY)
    rollouts.cancel(upper.rollout_id, reason="", actor="t")
    only = system.start(newest.release_id, actor="t", policy=POLICY, catalog="Contoso")
    with pytest.raises(ConflictError, match=r"brings OS 27\.7 to Retail"):
        system.start(lab.release_id, actor="t", feed="Canary", policy=POLICY)
    assert system.start(lab.release_id, actor="t", feed="Canary", policy=POLICY, catalog="Fabrikam").state == "running"
    assert fleet.get(only).state == "running"
