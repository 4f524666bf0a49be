# SPDX-License-Identifier: Apache-2.0
"""Roll-outs of OS releases: across catalogs or in one, in cohorts, held, rolled back, promoted at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.looks import nobody_wakes
from tests.service.repository.ceremonies import new_key, pem, signatures

from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import OsRelease
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.rollout.policy import Ring, RolloutPolicy
from armillary.service.context.blobs import Blobs
from armillary.service.repository.ceremony import KeyChange
from armillary.service.repository.tuf_format import KeySigner
from armillary.service.updates.standing import UpdateStanding
from armillary.sim.device.prover import Component
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.update_status import UpdateStatus
from armillary.wire.image import package as image_package

POLICY = RolloutPolicy(cohorts=(30, 100), success_percent=100, soak_s=10, min_failures=1, timeout_s=1000)
CHIP = "mt3620"


class OsFleet:
    """Four devices of two catalogs that boot the release they should have, and one that takes no OS update."""

    def __init__(self, host: ServiceHost) -> None:
        self.service = host.service
        nobody_wakes(host.service)
        host.catalog("Fabrikam", "Kettle")
        self.first = next(one for one in self.service.releases.list(chip=CHIP) if one.feed == "Retail")
        self.devices = [host.claimed(bytes([n + 1]) * 32) for n in range(3)]
        self.devices.append(host.claimed(bytes([9]) * 32, catalog="Fabrikam"))
        for device in self.devices:
            device.update_status = UpdateStatus(abilities=("delta", "os"))
        self.old_style = host.claimed(bytes([10]) * 32)
        self.new = self.release("27.1")
        self.refuses: set[str] = set()

    def release(self, version: str, security_version: int = 1) -> OsRelease:
        return self.service.releases.publish(
            CHIP, version, actor="t", security_version=security_version, feed="RetailEval"
        )

    def start(self, policy: RolloutPolicy = POLICY, catalog: str | None = None) -> Rollout:
        return self.service.updates.os_rollouts.start(self.new.release_id, actor="anna", policy=policy, catalog=catalog)

    def offered(self, device: WireDevice) -> str:
        """The version that a check-in offers a device now; empty where it is left as it is."""
        offer = device.check_in().offer
        return "" if offer is None else offer.os_version

    def boot(self, device: WireDevice, version: str) -> None:
        release = next(one for one in self.service.releases.list(chip=CHIP) if one.version == version)
        packages = (Blobs(self.service.context.folder.blobs).read(one.digest) for one in release.components)
        device.prover.components = tuple(
            Component(
                name=one.name,
                image_type=one.image_type,
                component_id=one.component_id,
                image_id=one.image_id,
                content=content,
                security_version=image_package.parse(content).security_version,
            )
            for one, content in zip(release.components, packages, strict=True)
        )
        device.prover.os_version = version
        device.prover.boot()

    def check_in_all(self) -> None:
        """Everybody checks in, boots what it is offered, and checks in again."""
        for device in (*self.devices, self.old_style):
            version = self.offered(device)
            if version and device.device_id not in self.refuses:
                self.boot(device, version)
                device.check_in()
        self.service.watch.run_once()

    def running(self, version: str) -> set[str]:
        return {one.device_id for one in self.devices if one.prover.os_version == version}

    def get(self, rollout: Rollout) -> Rollout:
        return self.service.updates.rollouts.get(rollout.rollout_id)

    def feed_of_new(self) -> str:
        return self.service.releases.get(self.new.release_id).feed


@pytest.fixture
def fleet(host: ServiceHost) -> Iterator[OsFleet]:
    made = OsFleet(host)
    with ExitStack() as stack:
        for device in (*made.devices, made.old_style):
            stack.enter_context(device)
        made.check_in_all()
        yield made


def step(fleet: OsFleet, clock: Clock, seconds: float = 1) -> None:
    clock.now += seconds
    fleet.service.updates.planner.run_once()
    fleet.check_in_all()
    fleet.service.updates.planner.run_once()


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
        (fleet.new.release_id, {"policy": replace(POLICY, rings=(outside,))}, InvalidArgumentError, "ring Old"),
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
    fleet.service.context.records.write(lambda c: release_rows.change(c, imported))
    with pytest.raises(ConflictError, match="no packages here"):
        rollouts.start(imported.release_id, actor="t")
    fleet.service.releases.publish(CHIP, "27.4", actor="t")
    with pytest.raises(ConflictError, match=r"is older than what Retail gives, 27\.4"):
        fleet.start()
    assert fleet.service.updates.rollouts.list().items == ()


def completed(fleet: OsFleet, clock: Clock, catalog: str | None = None) -> Rollout:
    rollout = fleet.start(replace(POLICY, cohorts=(100,), soak_s=0), catalog=catalog)
    for _ in range(3):
        step(fleet, clock)
    done = fleet.get(rollout)
    assert (done.state, done.from_feed, fleet.feed_of_new()) == ("completed", "RetailEval", "Retail")
    clock.now += 1
    return done


def test_a_completed_one_is_rolled_back_by_one_call(fleet: OsFleet, clock: Clock) -> None:
    """Also devices that got the release from the feed after the roll-out had ended, and those of other catalogs."""
    rollout = completed(fleet, clock, catalog="Contoso")
    fleet.old_style.update_status = UpdateStatus(abilities=("os",))
    step(fleet, clock)
    assert fleet.running("27.1") == {one.device_id for one in fleet.devices}
    assert fleet.old_style.prover.os_version == "27.1"
    rolling = fleet.service.updates.rollouts.roll_back(rollout.rollout_id, reason="it leaks", actor="ben")
    assert (rolling.state, rolling.counts["confirmed"]) == ("rolling-back", 5)
    assert fleet.feed_of_new() == "RetailEval"
    assert not fleet.service.releases.reference.standing(CHIP, "27.1").retail
    step(fleet, clock)
    step(fleet, clock)
    done = fleet.get(rollout)
    assert (done.state, done.counts["restored"]) == ("rolled-back", 5)
    assert fleet.running(fleet.first.version) == {one.device_id for one in fleet.devices}
    assert fleet.old_style.prover.os_version == fleet.first.version
    assert [one.event for one in done.history] == ["finish", "roll-back", "restored"]
    assert fleet.offered(fleet.devices[0]) == ""


def test_who_speaks_for_one_catalog_does_not_roll_back_what_all_have(fleet: OsFleet, clock: Clock) -> None:
    rollout = completed(fleet, clock, catalog="Contoso")
    with pytest.raises(PermissionDeniedError, match="for all catalogs"):
        fleet.service.updates.rollouts.roll_back(rollout.rollout_id, reason="", actor="ben", catalog="Contoso")
    assert (fleet.get(rollout).state, fleet.feed_of_new()) == ("completed", "Retail")


def test_a_completed_one_is_not_rolled_back_where_devices_cannot_go(fleet: OsFleet, clock: Clock) -> None:
    fleet.new = fleet.release("27.2", security_version=2)
    rollout = completed(fleet, clock)
    with pytest.raises(ConflictError, match="security version 2, the one before 1"):
        fleet.service.updates.rollouts.roll_back(rollout.rollout_id, reason="", actor="ben")
    assert (fleet.get(rollout).state, fleet.feed_of_new()) == ("completed", "Retail")  # nothing half-done


def test_a_completed_one_is_not_rolled_back_after_something_newer(fleet: OsFleet, clock: Clock) -> None:
    first, rollouts = completed(fleet, clock), fleet.service.updates.rollouts
    fleet.new = fleet.release("27.4")
    newer = fleet.start()
    with pytest.raises(ConflictError, match=str(newer.rollout_id)):
        rollouts.roll_back(first.rollout_id, reason="", actor="ben")
    rollouts.cancel(newer.rollout_id, reason="", actor="ben")
    fleet.service.attestation.drafts.promote(fleet.new.release_id, actor="ben")
    with pytest.raises(ConflictError, match=r"gives another release than OS 27\.1"):
        rollouts.roll_back(first.rollout_id, reason="", actor="ben")
    fleet.service.releases.withdraw(fleet.new.release_id, "bad", actor="ben")
    assert rollouts.roll_back(first.rollout_id, reason="", actor="ben").state == "rolling-back"


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
