# SPDX-License-Identifier: Apache-2.0
"""Roll-outs of OS releases: across catalogs or in one, in cohorts, held, rolled back, promoted at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.fixtures.clocks import Clock
from tests.service.repository.ceremonies import new_key, pem, signatures
from tests.service.updates.os_fleet import CHIP, POLICY, OsFleet, step

from armillary.engines.records.queries import releases as release_rows
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.rollout.policy import Ring
from armillary.service.repository.ceremony import KeyChange
from armillary.service.repository.tuf_format import KeySigner
from armillary.service.updates.standing import UpdateStanding
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.update_status import UpdateStatus


@pytest.fixture
def fleet(os_fleet: OsFleet) -> OsFleet:
    return os_fleet


def test_a_release_goes_to_all_catalogs_in_cohorts_and_is_promoted(fleet: OsFleet, clock: Clock) -> None:
    rollout = fleet.start()
    assert (rollout.target, rollout.catalog_id) == ("the Retail groups of all catalogs with OS 27.1 for mt3620", None)
    assert [fleet.offered(one) for one in fleet.devices] == [""] * 4
    sizes = []
    for _ in range(2):
        step(fleet, clock)
        sizes.append(len(fleet.running("27.1")))
        assert fleet.feed_of_new() == "RetailEval"
        clock.now += 10
    assert sizes == [2, 4]
    fleet.service.updates.planner.run_once()
    done = fleet.get(rollout)
    assert (done.state, done.counts) == ("completed", {"confirmed": 4, "waiting": 0})
    assert fleet.feed_of_new() == "Retail"
    assert fleet.service.releases.reference.standing(CHIP, "27.1").retail
    assert fleet.offered(fleet.old_style) == ""
    fleet.old_style.update_status = UpdateStatus(abilities=("os",))  # from now on it is everybody's who takes it
    assert fleet.offered(fleet.old_style) == "27.1"


def test_a_release_for_one_catalog_reaches_no_other(fleet: OsFleet, clock: Clock) -> None:
    rollout = fleet.start(replace(POLICY, cohorts=(100,)), catalog="Contoso")
    assert rollout.catalog == "Contoso"
    step(fleet, clock)
    assert fleet.running("27.1") == {one.device_id for one in fleet.devices[:3]}
    assert fleet.get(rollout).counts == {"confirmed": 3, "waiting": 0}
    assert fleet.offered(fleet.devices[3]) == ""


def signed_offline(fleet: OsFleet, version: str) -> KeySigner:
    """A release of a service that cannot sign for the OS; returns the key that can."""
    service, key = fleet.service, new_key()
    assert not service.ceremony.propose([KeyChange(role="os", public_keys=(pem(key),), threshold=1)], actor="t")
    assert service.ceremony.submit(signatures(service.ceremony, [key]), actor="t")
    fleet.new = fleet.release(version)
    return key


def test_it_waits_until_the_repository_names_the_release(fleet: OsFleet, clock: Clock) -> None:
    key = signed_offline(fleet, "27.2")
    rollout = fleet.start()
    for _ in range(3):
        step(fleet, clock, POLICY.timeout_s)
    stands = fleet.get(rollout)
    assert (stands.state, stands.cohort, stands.failed, fleet.running("27.2")) == ("running", -1, 0, set())
    assert "the repository does not name it yet" in stands.reason
    said = fleet.service.updates.standings.of(fleet.devices[0].device_id)
    assert said.code == "rollout-waits"
    assert fleet.service.ceremony.submit(signatures(fleet.service.ceremony, [key]), actor="t")
    step(fleet, clock)
    assert fleet.get(rollout).reason == ""
    for _ in range(4):
        step(fleet, clock, POLICY.soak_s)
    assert (fleet.get(rollout).state, fleet.feed_of_new()) == ("completed", "Retail")
    assert len(fleet.running("27.2")) == len(fleet.devices)


def test_without_that_rule_devices_time_out_with_what_nobody_signed(
    fleet: OsFleet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: devices that take directives are sent none, and are counted as failed for it."""
    signed_offline(fleet, "27.2")
    for device in fleet.devices:
        device.update_status = UpdateStatus(abilities=("delta", "directive", "os"))
    monkeypatch.setattr(fleet.service.repository, "names", lambda *_: True)
    rollout = fleet.start()
    step(fleet, clock)
    step(fleet, clock, POLICY.timeout_s)
    step(fleet, clock, POLICY.timeout_s)
    stands = fleet.get(rollout)
    assert (stands.state, stands.counts["timed-out"] > 0, fleet.running("27.2")) == ("held", True, set())


def test_devices_that_never_take_it_hold_it_and_what_is_held_is_granted_to_nobody(fleet: OsFleet, clock: Clock) -> None:
    fleet.refuses = {one.device_id for one in fleet.devices}
    rollout = fleet.start()
    step(fleet, clock)
    wanting = [one for one in fleet.devices if fleet.offered(one) == "27.1"]
    assert len(wanting) == 2
    fleet.service.updates.planner.run_once()
    clock.now += 1001
    fleet.service.updates.planner.run_once()
    held = fleet.get(rollout)
    assert (held.state, held.failed) == ("held", 2)
    (finding,) = fleet.service.watch.list(kind="rollout-held").items
    assert finding.title == "The roll-out to the Retail groups of all catalogs with OS 27.1 for mt3620 was stopped"
    assert [fleet.offered(one) for one in fleet.devices] == [""] * 4


def test_who_runs_it_is_left_alone_while_it_is_held_and_set_back_when_it_rolls_back(
    fleet: OsFleet, clock: Clock
) -> None:
    rollout, rollouts = fleet.start(), fleet.service.updates.rollouts
    step(fleet, clock)
    updated = fleet.running("27.1")
    assert len(updated) == 2
    rollouts.hold(rollout.rollout_id, reason="a doubt", actor="ben")
    step(fleet, clock)
    assert fleet.running("27.1") == updated
    standings = [fleet.service.updates.standings.of(one) for one in sorted(updated)]
    assert {(one.os_version, one.wanted_os_version) for one in standings} == {("27.1", "27.1")}, "it stays"
    clock.now += 1
    rollouts.roll_back(rollout.rollout_id, reason="bad", actor="ben")
    step(fleet, clock)
    step(fleet, clock)
    assert fleet.running("27.1") == set()
    done = fleet.get(rollout)
    assert (done.state, done.counts["restored"]) == ("rolled-back", 2)
    assert fleet.feed_of_new() == "RetailEval"  # nobody else is offered it
    assert fleet.running(fleet.first.version) == {one.device_id for one in fleet.devices}


def test_a_release_with_a_higher_security_version_cannot_be_rolled_back(fleet: OsFleet, clock: Clock) -> None:
    fleet.new = fleet.release("27.2", security_version=2)
    rollout = fleet.start()
    step(fleet, clock)
    with pytest.raises(ConflictError, match="security version 2, the one before 1"):
        fleet.service.updates.rollouts.roll_back(rollout.rollout_id, reason="", actor="ben")
    assert fleet.get(rollout).state == "running"


def test_a_release_that_ends_while_it_is_rolled_out_is_left_by_who_runs_it(fleet: OsFleet, clock: Clock) -> None:
    fleet.start()
    step(fleet, clock)
    step(fleet, clock)
    assert fleet.running("27.1")
    fleet.service.releases.set_expiry(fleet.new.release_id, int(clock.now), actor="t")
    fleet.check_in_all()
    assert not fleet.running("27.1"), "the feed's newest is the way back"
    fleet.check_in_all()
    assert not fleet.running("27.1")


def test_a_device_to_which_it_has_not_come_says_so(fleet: OsFleet, clock: Clock) -> None:
    def codes() -> set[str]:
        return {fleet.service.updates.standings.of(one.device_id).code for one in fleet.devices}

    def standing(device: WireDevice) -> UpdateStanding:
        return fleet.service.updates.standings.of(device.device_id)

    assert codes() == {"nothing-deployed"}
    rollout = fleet.start()
    step(fleet, clock)
    waiting = [one for one in fleet.devices if one.device_id not in fleet.running("27.1")]
    assert waiting
    assert {(standing(one).code, standing(one).detail) for one in waiting} == {("rollout-waits", "OS 27.1")}
    fleet.service.updates.rollouts.hold(rollout.rollout_id, reason="3 meters of Fabrikam lose their clock", actor="t")
    assert {(standing(one).code, standing(one).detail) for one in waiting} == {("rollout-held", "OS 27.1")}
    assert standing(fleet.old_style).code == "nothing-deployed"
    fleet.service.updates.rollouts.cancel(rollout.rollout_id, reason="no", actor="t")
    assert codes() == {"nothing-deployed"}
    catalogs = ["Fabrikam" if one is fleet.devices[3] else "Contoso" for one in waiting]
    own = fleet.start(catalog=catalogs[0])
    fleet.service.updates.rollouts.hold(own.rollout_id, reason="looks odd", actor="t")
    for one, catalog in zip(waiting, catalogs, strict=True):
        said = ("rollout-held", "looks odd") if catalog == catalogs[0] else ("nothing-deployed", "")
        assert (standing(one).code, standing(one).detail) == said


def test_rings_and_a_second_person(fleet: OsFleet, clock: Clock) -> None:
    """One catalog that asks for a second person is enough where devices of all are reached."""
    fleet.service.updates.rollouts.set_needs_approval("Fabrikam", needed=True, actor="boss")
    ring = Ring(name="Laboratory", devices=(fleet.devices[3].device_id,))
    rollout = fleet.start(replace(POLICY, rings=(ring,)))
    assert rollout.state == "proposed"
    step(fleet, clock)
    assert fleet.running("27.1") == set()
    with pytest.raises(ConflictError):
        fleet.service.updates.rollouts.approve(rollout.rollout_id, actor="anna")
    clock.now += 1
    fleet.service.updates.rollouts.approve(rollout.rollout_id, actor="ben")
    step(fleet, clock)
    assert fleet.running("27.1") == {fleet.devices[3].device_id}


def test_what_cannot_be_rolled_out_is_refused_and_nothing_is_recorded(fleet: OsFleet) -> None:
    rollouts, releases = fleet.service.updates.os_rollouts, fleet.service.releases
    outside = Ring(name="Old", devices=(fleet.old_style.device_id,))
    for release_id, options, error, words in (
        (fleet.first.release_id, {}, ConflictError, "is in feed Retail"),
        (fleet.new.release_id, {"feed": "Beta"}, InvalidArgumentError, "feed"),
        (fleet.new.release_id, {"catalog": "Nobody"}, NotFoundError, "Nobody"),
        (fleet.new.release_id, {"policy": replace(POLICY, rings=(outside,))}, InvalidArgumentError, "cohort Old"),
    ):
        with pytest.raises(error, match=words):
            rollouts.start(release_id, actor="t", **options)  # type: ignore[arg-type]
    releases.withdraw(fleet.new.release_id, "bad", actor="t")
    with pytest.raises(ConflictError, match="revoked"):
        fleet.start()
    fleet.new = fleet.release("27.3")
    fleet.start()
    with pytest.raises(ConflictError, match="decides for Retail on mt3620"):
        fleet.start(catalog="Contoso")
    assert len(fleet.service.updates.rollouts.list().items) == 1


def test_what_devices_could_not_get_or_would_go_back_to_is_not_rolled_out(fleet: OsFleet) -> None:
    rollouts, drafts = fleet.service.updates.os_rollouts, fleet.service.attestation.drafts
    draft = drafts.create(CHIP, "27.2", actor="t")
    with pytest.raises(NotFoundError, match="no published release"):
        rollouts.start(draft.release_id, actor="t")
    imported = replace(fleet.release("27.3"), imported_from="a manifest of the maker")
    fleet.service.context.records.write(lambda c: release_rows.change(c, imported, at=1))
    with pytest.raises(ConflictError, match="no packages here"):
        rollouts.start(imported.release_id, actor="t")
    fleet.service.releases.publish(CHIP, "27.4", actor="t")
    with pytest.raises(ConflictError, match=r"is older than what Retail gives, 27\.4"):
        fleet.start()
    assert fleet.service.updates.rollouts.list().items == ()


@pytest.mark.parametrize("state", ["proposed", "running", "held", "rolling-back"])
def test_nothing_is_put_into_the_feed_while_a_rollout_decides(fleet: OsFleet, clock: Clock, state: str) -> None:
    """Neither its release nor another, promoted, published as a draft or at once; afterwards everything is."""
    drafts, rollouts = fleet.service.attestation.drafts, fleet.service.updates.rollouts
    other = fleet.release("27.5")
    draft = drafts.create(CHIP, "27.6", actor="t", feed="Retail")
    fleet.service.updates.rollouts.set_needs_approval("Contoso", needed=state == "proposed", actor="t")
    rollout = fleet.start()
    step(fleet, clock)
    if state == "held":
        rollouts.hold(rollout.rollout_id, reason="", actor="ben")
    elif state == "rolling-back":
        rollouts.roll_back(rollout.rollout_id, reason="", actor="ben")
    assert fleet.get(rollout).state == state
    for change in (
        lambda: drafts.promote(fleet.new.release_id, actor="ben"),
        lambda: drafts.promote(other.release_id, actor="ben"),
        lambda: drafts.publish(draft.release_id, actor="ben"),
        lambda: fleet.service.releases.publish(CHIP, "27.7", actor="ben", feed="Retail"),
    ):
        with pytest.raises(ConflictError, match=rf"{rollout.rollout_id} \({state}\) brings OS 27\.1 to Retail"):
            change()
    assert {one.version for one in fleet.service.releases.list(chip=CHIP) if one.feed == "Retail"} == {
        fleet.first.version
    }
    fleet.release("27.8")  # into another feed
    if state == "rolling-back":
        return
    rollouts.cancel(rollout.rollout_id, reason="", actor="ben")
    assert drafts.promote(fleet.new.release_id, actor="ben").feed == "Retail"
    assert drafts.publish(draft.release_id, actor="ben").published_at is not None


def test_revoking_a_release_holds_its_rollout_which_goes_on_no_more(fleet: OsFleet, clock: Clock) -> None:
    rollout, rollouts = fleet.start(), fleet.service.updates.rollouts
    step(fleet, clock)
    updated = [one for one in fleet.devices if one.prover.os_version == "27.1"]
    assert len(updated) == 2
    fleet.service.releases.withdraw(fleet.new.release_id, "its key leaked", actor="ben")
    held = fleet.get(rollout)
    assert (held.state, held.reason) == ("held", "OS 27.1 was revoked: its key leaked")
    assert [(one.event, one.actor) for one in held.history] == [("hold", "ben")]
    assert [fleet.offered(one) for one in updated] == [fleet.first.version] * 2
    with pytest.raises(ConflictError, match="was revoked: its key leaked"):
        rollouts.resume(rollout.rollout_id, actor="ben")
    clock.now += 1
    rollouts.roll_back(rollout.rollout_id, reason="", actor="ben")
    step(fleet, clock)
    step(fleet, clock)
    assert fleet.get(rollout).state == "rolled-back"
    assert fleet.running("27.1") == set()


@pytest.mark.parametrize("state", ["proposed", "running", "held", "all have it"])
def test_a_floor_waits_for_the_end_of_a_rollout_that_brings_what_is_below_it(
    fleet: OsFleet, clock: Clock, state: str
) -> None:
    """What a roll-out brings goes to its devices whatever a floor says, and into its feed at its end."""
    service = fleet.service
    service.releases.publish(CHIP, "26.12", actor="t", security_version=2)
    if state == "proposed":
        service.updates.rollouts.set_needs_approval("Contoso", needed=True, actor="t")
    rollout = fleet.start(replace(POLICY, cohorts=(100,), soak_s=50))
    if state == "held":
        service.updates.rollouts.hold(rollout.rollout_id, reason="It hangs.", actor="anna")
    elif state == "all have it":
        step(fleet, clock)
        assert len(fleet.running("27.1")) == 4
    kind = fleet.new.components[0].image_type
    with pytest.raises(ConflictError, match=r"brings OS 27\.1, which is below 2: its devices would be shut out"):
        service.attestation.floors.raise_to(CHIP, kind, 2, actor="t")
    assert service.attestation.floors.list(chip=CHIP) == (), "nothing half-done stays"
    end = service.updates.rollouts.cancel if state == "proposed" else service.updates.rollouts.roll_back
    end(rollout.rollout_id, reason="It has a hole.", actor="anna")
    assert service.attestation.floors.raise_to(CHIP, kind, 2, actor="t").minimum == 2


def test_a_proposed_one_of_a_revoked_release_is_not_approved(fleet: OsFleet) -> None:
    fleet.service.updates.rollouts.set_needs_approval("Contoso", needed=True, actor="t")
    rollout = fleet.start()
    fleet.service.releases.withdraw(fleet.new.release_id, "bad", actor="ben")
    assert fleet.get(rollout).state == "proposed"
    with pytest.raises(ConflictError, match="was revoked: bad"):
        fleet.service.updates.rollouts.approve(rollout.rollout_id, actor="ben")


def test_a_device_on_trial_with_the_release_is_not_confirmed_yet(fleet: OsFleet, clock: Clock) -> None:
    for device in fleet.devices:
        device.update_status = UpdateStatus(abilities=("delta", "os"), reason="trial")
    rollout = fleet.start()
    for _ in range(3):
        step(fleet, clock, 20)  # longer than the soak
    first = fleet.running("27.1")
    assert 0 < len(first) < len(fleet.devices)
    assert fleet.get(rollout).counts.get("confirmed", 0) == 0
    for device in fleet.devices:  # the trial is over
        device.update_status = UpdateStatus(abilities=("delta", "os"))
    for _ in range(3):
        step(fleet, clock, 20)
    assert fleet.running("27.1") > first


@pytest.mark.parametrize("version", ["27.1", "before"])
def test_a_device_on_trial_is_not_restored_whichever_it_tries(fleet: OsFleet, clock: Clock, version: str) -> None:
    """It may keep the release that it tries, or fall back to it; nobody would set it back any more."""
    trial = UpdateStatus(abilities=("delta", "os"), reason="trial")
    rollout = fleet.start(replace(POLICY, cohorts=(100,)))
    step(fleet, clock)
    clock.now += 1
    fleet.service.updates.rollouts.roll_back(rollout.rollout_id, reason="bad", actor="ben")
    for device in fleet.devices:
        device.update_status = trial
        if version == "27.1":
            fleet.refuses.add(device.device_id)
    for _ in range(2):
        step(fleet, clock)
    assert len(fleet.running("27.1")) == (4 if version == "27.1" else 0)
    stands = fleet.get(rollout)
    assert (stands.state, stands.counts.get("restored", 0)) == ("rolling-back", 0)
    fleet.refuses.clear()
    for device in fleet.devices:
        device.update_status = UpdateStatus(abilities=("delta", "os"))
    for _ in range(2):
        step(fleet, clock)
    assert fleet.get(rollout).state == "rolled-back"
    assert fleet.running("27.1") == set()
