# SPDX-License-Identifier: Apache-2.0
"""A catalog's demands and the life of a release, seen by real devices over TLS at their next check-in."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.fixtures.clocks import Clock
from tests.service.factory.test_factory_releases import booted, with_values_of

from armillary.attest.policy import DAY_S
from armillary.engines.records.queries import releases as release_rows, rollouts as rollout_rows
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.verifier.releases import FIRST_VERSION
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.attestation import corim
from armillary.wire.device.checkin import CheckinReply
from armillary.wire.device.update_status import OS, UpdateStatus

OPERATOR = "operator"
RELEASE_STEP, POLICY_STEP = 18, 19


def revise(host: ServiceHost, catalog: str = "Contoso", **change: Any) -> None:
    host.service.attestation.policies.revise(catalog, change, actor=OPERATOR)


def first_release(host: ServiceHost, chip: str = "mt3620") -> Any:
    return next(one for one in host.service.releases.list(chip=chip) if one.version == FIRST_VERSION)


def kind_of(host: ServiceHost) -> int:
    return int(first_release(host).components[0].image_type)


def failing(reply: CheckinReply) -> dict[int, str]:
    return {step.number: step.detail for step in reply.steps if step.result == "fail"}


def check_in(device: WireDevice, clock: Clock) -> CheckinReply:
    clock.now += 1
    return device.check_in()


def test_a_demanded_tier_holds_from_the_next_check_in_on_and_is_explained(host: ServiceHost, clock: Clock) -> None:
    with host.claimed(b"a" * 32) as device:
        assert check_in(device, clock).verdict == "attested"  # positive control: the same device, the same boot
        revise(host, minimum_tier="tpm")
        reply = check_in(device, clock)
        assert (reply.verdict, reply.purpose) == ("update-only", "update")
        assert failing(reply) == {
            POLICY_STEP: "This catalog demands tier tpm; this device proves tier software (its enrolment record)."
        }
        (kept,) = host.service.registry.history.check_ins(device.device_id, limit=1).items
        assert (kept.verdict, kept.purpose) == ("update-only", "update")
        assert [(step.number, step.detail) for step in kept.steps if step.result == "fail"] == list(
            failing(reply).items()
        )
        revise(host, minimum_tier="software")
        assert check_in(device, clock).verdict == "attested"


def test_a_policy_is_its_catalogs_alone(host: ServiceHost, clock: Clock) -> None:
    host.catalog("Fabrikam")
    revise(host, "Fabrikam", minimum_tier="tpm")
    with host.claimed(b"a" * 32) as ours, host.claimed(b"b" * 32, catalog="Fabrikam") as theirs:
        assert check_in(ours, clock).verdict == "attested"
        assert check_in(theirs, clock).verdict == "update-only"


def test_without_the_policy_step_the_device_gets_through(
    host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    revise(host, minimum_tier="tpm")
    with host.claimed(b"a" * 32) as device:
        assert check_in(device, clock).verdict == "update-only"
        monkeypatch.setattr("armillary.attest.policy.PolicyInForce.fault", lambda *_: "")
        assert check_in(device, clock).verdict == "attested"


def test_chips_security_versions_and_ages(host: ServiceHost, clock: Clock) -> None:
    with host.claimed(b"a" * 32) as device:
        revise(host, chips=["imx8mp"])
        assert "accepts the chips imx8mp" in failing(check_in(device, clock))[POLICY_STEP]
        revise(host, chips=[])
        host.service.releases.publish("mt3620", "26.12", security_version=2, actor=OPERATOR)
        assert check_in(device, clock).verdict == "attested"
        revise(host, older_releases_until=int(clock.now) + 5)
        assert check_in(device, clock).verdict == "attested"
        clock.now += 10
        assert "older than 26.12" in failing(check_in(device, clock))[POLICY_STEP]
        revise(host, older_releases_until=None, maximum_release_age_days=30)
        assert check_in(device, clock).verdict == "attested"
        clock.now += 30 * DAY_S
        device.challenge = b""
        assert "for 30 days" in failing(check_in(device, clock))[POLICY_STEP]
        revise(host, maximum_release_age_days=None, minimum_security_versions={str(kind_of(host)): 2})
        assert "demands security version 2" in failing(check_in(device, clock))[POLICY_STEP]


def test_a_newest_release_that_is_over_shuts_nobody_out(host: ServiceHost, clock: Clock) -> None:
    """A catalog that takes the newest release alone, and an operator who lets it end: then the one before is newest."""
    with host.claimed(b"n" * 32) as device:
        revise(host, older_releases_until=int(clock.now))
        newest = host.service.releases.publish("mt3620", "26.12", actor=OPERATOR)
        assert "older than 26.12" in failing(check_in(device, clock))[POLICY_STEP]
        host.service.releases.set_expiry(newest.release_id, int(clock.now) + 10, actor=OPERATOR)
        assert "older than 26.12" in failing(check_in(device, clock))[POLICY_STEP]
        clock.now += 10
        assert check_in(device, clock).verdict == "attested"


def test_a_newest_release_that_a_device_cannot_take_does_not_shut_it_out(host: ServiceHost, clock: Clock) -> None:
    """An older one was published on purpose, with a lower security version: who has confirmed the higher one stays."""
    host.service.releases.publish("mt3620", "27.1", security_version=2, actor=OPERATOR)
    with host.claimed(b"t" * 32) as device:
        device.update_status = UpdateStatus(abilities=(OS,))
        revise(host, older_releases_until=int(clock.now))
        assert check_in(device, clock).verdict == "attested"
        host.service.releases.publish("mt3620", "26.12", security_version=1, actor=OPERATOR, allow_older=True)
        reply = check_in(device, clock)
        assert (reply.verdict, reply.offer) == ("attested", None)
        host.service.releases.publish("mt3620", "27.2", security_version=2, actor=OPERATOR)
        reply = check_in(device, clock)
        assert (reply.verdict, reply.offer and reply.offer.os_version) == ("update-only", "27.2")


def test_a_withdrawn_release_gets_only_updates_and_says_why(host: ServiceHost, clock: Clock) -> None:
    release = first_release(host)
    with host.claimed(b"a" * 32) as device:
        assert check_in(device, clock).verdict == "attested"
        made = host.service.releases.withdraw(release.release_id, "Its loader accepts any key.", actor=OPERATOR)
        assert made.withdrawn_at == int(clock.now)
        reply = check_in(device, clock)
        assert (reply.verdict, reply.purpose) == ("update-only", "update")
        assert failing(reply) == {RELEASE_STEP: f"Release {FIRST_VERSION} was withdrawn: Its loader accepts any key."}
    with pytest.raises(ConflictError, match="was withdrawn before"):
        host.service.releases.withdraw(release.release_id, "Again.", actor=OPERATOR)
    with pytest.raises(NotFoundError, match="no OS release"):
        host.service.releases.newest("mt3620")  # none is left to make devices with
    assert host.service.releases.newest("imx8mp").version == FIRST_VERSION


def test_a_release_follows_one_that_was_withdrawn(host: ServiceHost) -> None:
    releases = host.service.releases
    second = releases.publish("mt3620", "26.12", security_version=2, actor=OPERATOR)
    for one in (second, first_release(host)):
        releases.withdraw(one.release_id, "It hangs.", actor=OPERATOR)
    assert releases.highest_security_version("mt3620") == 2  # what the next one has where nobody says otherwise
    assert releases.highest_security_version("z80") == 0
    releases.publish("mt3620", "26.13", security_version=2, actor=OPERATOR)
    assert releases.newest("mt3620").version == "26.13"


def test_an_expired_release_gets_only_updates_until_its_end_is_moved(host: ServiceHost, clock: Clock) -> None:
    release = first_release(host)
    with host.claimed(b"a" * 32) as device:
        host.service.releases.set_expiry(release.release_id, int(clock.now) + 5, actor=OPERATOR)
        assert check_in(device, clock).verdict == "attested"
        clock.now += 10
        reply = check_in(device, clock)
        assert (reply.verdict, list(failing(reply))) == ("update-only", [RELEASE_STEP])
        assert failing(reply)[RELEASE_STEP] == "The release was good until 2026-11-24 00:00 UTC; that is over."
        host.service.releases.set_expiry(release.release_id, None, actor=OPERATOR)
        assert check_in(device, clock).verdict == "attested"


def test_what_was_decided_outlasts_a_restart(tmp_path: Path, clock: Clock) -> None:
    with ServiceHost(tmp_path / "data", clock=clock, check_in_jitter=0.0) as host:
        host.catalog()
        device = host.claimed(b"a" * 32)
        host.service.releases.withdraw(first_release(host).release_id, "It hangs.", actor=OPERATOR)
        revise(host, minimum_tier="tpm")
    with ServiceHost(tmp_path / "data", clock=clock, check_in_jitter=0.0) as host, device:
        device.port = host.service.device_address.port
        assert list(failing(check_in(device, clock))) == [RELEASE_STEP, POLICY_STEP]


def test_every_change_is_a_version_and_a_line_of_the_audit_log(host: ServiceHost) -> None:
    policies = host.service.attestation.policies
    assert (policies.get("Contoso").version, policies.get("Contoso").policy.demands_nothing) == (0, True)
    policies.revise("Contoso", {"minimum_tier": "tpm"}, actor="ann")
    policies.revise("contoso", {"chips": ["mt3620"]}, actor="bob")
    same = policies.revise("Contoso", {"chips": ["mt3620"]}, actor="eve")
    assert (same.version, same.changed_by) == (2, "bob")
    assert [(one.version, one.changed_by) for one in policies.history("Contoso")] == [(2, "bob"), (1, "ann")]
    assert policies.history("Contoso")[1].policy.chips == ()
    lines = [line for line in host.service.audit.list(limit=50).items if line.operation == "attestation-policy.set"]
    assert [(line.actor, line.target, line.detail["version"]) for line in lines] == [
        ("bob", "Contoso", 2),
        ("ann", "Contoso", 1),
    ]
    with pytest.raises(ConflictError, match="is version 2, not 1"):
        policies.revise("Contoso", {"minimum_tier": "software"}, actor="eve", if_version=1)


def test_a_minimum_never_falls_and_never_shuts_everybody_out(host: ServiceHost) -> None:
    kind = str(kind_of(host))
    host.service.releases.publish("mt3620", "26.12", security_version=3, actor=OPERATOR)
    revise(host, minimum_security_versions={kind: 3})
    before = host.service.attestation.policies.get("Contoso")
    with pytest.raises(ConflictError, match=f"image type {kind} is 3; 2 would lower it"):
        revise(host, minimum_security_versions={kind: 2})
    with pytest.raises(InvalidArgumentError, match=r"expected 0 to 3, got 4; Retail gives 26\.12 to mt3620"):
        revise(host, minimum_security_versions={kind: 4})
    with pytest.raises(InvalidArgumentError, match="60000: no release that the catalog's groups are given"):
        revise(host, minimum_security_versions={"60000": 1})
    with pytest.raises(NotFoundError):
        revise(host, chips=["z80"])
    with pytest.raises(NotFoundError):
        revise(host, "Nowhere", minimum_tier="tpm")
    assert host.service.attestation.policies.get("Contoso") == before


def crossing(host: ServiceHost, one: int, other: int) -> None:
    """Publish 26.12 and 26.13, of which each has a higher security version of one image type."""
    service = host.service
    for version, raised in (("26.12", one), ("26.13", other)):
        made = service.releases.publish("mt3620", version, actor=OPERATOR, allow_older=True)
        changed = tuple(
            replace(each, security_version=2 if each.image_type == raised else 1) for each in made.components
        )
        service.context.records.write(
            partial(release_rows.change, release=replace(made, components=changed), at=int(made.created_at))
        )


@pytest.mark.parametrize("how", ["at once", "one after the other", "beside a floor"])
def test_minimums_that_no_one_release_has_are_not_demanded(host: ServiceHost, how: str) -> None:
    """Each has a release that meets it; who boots either one is shut out by the other, and minimums never fall."""
    service, policies = host.service, host.service.attestation.policies
    one, other = (each.image_type for each in service.chips.get("mt3620").boot_components[:2])
    crossing(host, one, other)
    revise(host, chips=["mt3620"])
    wanted, given = {one: 2, other: 2}, "26.13"
    if how == "one after the other":
        revise(host, minimum_security_versions={str(other): 2})
        wanted = {one: 2}
    elif how == "beside a floor":
        last = service.releases.list(chip="mt3620")[-1]
        service.releases.withdraw(last.release_id, "Its devices would refuse 26.12.", actor=OPERATOR)
        service.attestation.floors.raise_to("mt3620", one, 2, actor=OPERATOR)
        wanted, given = {other: 2}, "26.12"
    before, named = policies.get("Contoso"), {str(kind): minimum for kind, minimum in wanted.items()}
    with pytest.raises(
        InvalidArgumentError, match=rf"expected 0 to 1, got 2; Retail gives {given} to mt3620, and what"
    ):
        revise(host, minimum_security_versions=named)
    assert policies.get("Contoso") == before
    service.releases.publish("mt3620", "26.14", security_version=2, actor=OPERATOR)
    revise(host, minimum_security_versions=named)


def test_neither_a_minimum_nor_a_floor_strands_devices_that_refuse_what_they_are_given_instead(
    host: ServiceHost,
) -> None:
    """Who has confirmed 26.12 takes no 26.13, and the other way round: a release that has both comes first."""
    service = host.service
    one, other = (each.image_type for each in service.chips.get("mt3620").boot_components[:2])
    crossing(host, one, other)
    revise(host, chips=["mt3620"])
    revise(host, minimum_security_versions={str(one): 1})
    with host.claimed(b"s" * 32):
        with pytest.raises(InvalidArgumentError, match=r"26\.12 of mt3620 meets: Retail gives its devices 26\.12"):
            revise(host, minimum_security_versions={str(other): 2})
        with pytest.raises(
            InvalidArgumentError, match=r"26\.13 is not below, got 2: devices that run it refuse 26\.12"
        ):
            service.attestation.floors.raise_to("mt3620", one, 2, actor=OPERATOR)
        assert service.attestation.floors.list() == (), "nothing half-done stays"
        service.releases.publish("mt3620", "26.14", security_version=2, actor=OPERATOR)
        revise(host, minimum_security_versions={str(other): 2})
        service.attestation.floors.raise_to("mt3620", one, 2, actor=OPERATOR)


def test_who_keeps_imported_releases_from_counting_is_named_where_devices_would_be_stranded(host: ServiceHost) -> None:
    service = host.service
    one, other = (each.image_type for each in service.chips.get("mt3620").boot_components[:2])
    with_values_of(host, security_version=7)
    crossing(host, one, other)
    revise(host, chips=["mt3620"])
    with host.claimed(b"i" * 32) as device, host.claimed(b"v" * 32) as virtual:
        for each, version in ((device, "99.1"), (virtual, "26.13")):
            each.check_in()
            booted(host, each.device_id, version)
        with pytest.raises(InvalidArgumentError, match=r"26\.12 of mt3620 meets") as minimum_refused:
            revise(host, minimum_security_versions={str(other): 2})
        with pytest.raises(InvalidArgumentError, match=r"26\.13 is not below, got 2") as floor_refused:
            service.attestation.floors.raise_to("mt3620", one, 2, actor=OPERATOR)
        for refused in (minimum_refused, floor_refused):
            assert f"as {virtual.device_id[:16]} is with 26.13" in refused.value.remedy


@pytest.mark.parametrize("has_device", [False, True])
def test_a_minimum_waits_for_the_feeds_of_the_catalogs_groups(
    host: ServiceHost, clock: Clock, *, has_device: bool
) -> None:
    """What is evaluated is given to no device of Retail: it would be shut out and offered nothing."""
    kind, release = str(kind_of(host)), host.service.releases
    better = release.publish("mt3620", "26.12", security_version=2, feed="RetailEval", actor=OPERATOR)
    if has_device:
        host.claimed(b"m" * 32)
    with pytest.raises(InvalidArgumentError, match=r"got 2; Retail gives 26\.11 to mt3620") as refused:
        revise(host, chips=["mt3620"], minimum_security_versions={kind: 2})
    assert refused.value.remedy.startswith("Promote a release that does to Retail first")
    assert host.service.attestation.policies.get("Contoso").version == 0, "nothing half-done stays"
    host.service.attestation.drafts.promote(better.release_id, actor=OPERATOR)
    revise(host, chips=["mt3620"], minimum_security_versions={kind: 2})


def test_a_minimum_is_met_for_every_accepted_chip_of_which_there_are_devices(host: ServiceHost) -> None:
    kind = next(
        one.image_type
        for one in host.service.chips.get("mt3620").boot_components
        if one.image_type in {each.image_type for each in host.service.chips.get("imx8mp").boot_components}
    )
    host.service.releases.publish("mt3620", "26.12", security_version=2, actor=OPERATOR)
    with host.claimed(b"c" * 32), host.device(b"d" * 32, chip="imx8mp") as other:
        revise(host, minimum_security_versions={str(kind): 1})
        host.service.registry.devices.claim(
            "Contoso", [other.device_id], product="Kettle", group="Production", actor=OPERATOR
        )
        with pytest.raises(InvalidArgumentError, match=r"expected 0 to 1, got 2; Retail(Eval)? gives 26\.11 to imx8mp"):
            revise(host, minimum_security_versions={str(kind): 2})
        revise(host, chips=["mt3620"], minimum_security_versions={str(kind): 2})


def test_a_chip_with_devices_that_is_given_nothing_is_shut_out_by_a_minimum(host: ServiceHost) -> None:
    kind = shared_kind(host)
    host.service.releases.publish("mt3620", "26.12", security_version=2, actor=OPERATOR)
    other = host.device(b"o" * 32, chip="imx8mp")
    host.service.releases.withdraw(first_release(host, "imx8mp").release_id, "It hangs.", actor=OPERATOR)
    with host.claimed(b"n" * 32):
        revise(host, minimum_security_versions={kind: 1})  # control: no device of that chip
        claim(host, other)
        with pytest.raises(InvalidArgumentError, match=r"Retail gives no operating system to imx8mp, of which the cat"):
            revise(host, minimum_security_versions={kind: 2})
        revise(host, maximum_release_age_days=30)  # control: no minimum is raised
        revise(host, chips=["mt3620"], minimum_security_versions={kind: 2})


def test_a_chip_without_such_a_component_is_in_no_minimums_way(host: ServiceHost) -> None:
    """Its devices are given nothing, and the minimum is none of theirs."""
    its = {one.image_type for one in host.service.chips.get("imx8mp").boot_components}
    kind = next(one.image_type for one in first_release(host).components if one.image_type not in its)
    other = host.device(b"p" * 32, chip="imx8mp")
    host.service.releases.withdraw(first_release(host, "imx8mp").release_id, "It hangs.", actor=OPERATOR)
    claim(host, other)
    with host.claimed(b"q" * 32):
        revise(host, minimum_security_versions={str(kind): 1})


def test_a_minimum_goes_by_what_its_own_catalog_is_given(host: ServiceHost) -> None:
    """Another catalog had a roll-out for itself alone."""
    kind, service = str(kind_of(host)), host.service
    host.catalog("Fabrikam")
    evaluated = service.releases.publish("mt3620", "26.12", security_version=2, feed="RetailEval", actor=OPERATOR)
    rollout = service.updates.os_rollouts.start(evaluated.release_id, catalog="Fabrikam", actor=OPERATOR)
    service.context.records.write(
        lambda c: rollout_rows.change(c, rollout.rollout_id, {"state": "completed", "changed_at": 1})
    )
    with pytest.raises(InvalidArgumentError, match=r"expected 0 to 1, got 2; Retail gives 26\.11 to mt3620"):
        revise(host, chips=["mt3620"], minimum_security_versions={kind: 2})
    revise(host, "Fabrikam", chips=["mt3620"], minimum_security_versions={kind: 2})


def test_a_minimum_goes_by_the_feeds_of_its_own_groups_alone(host: ServiceHost) -> None:
    """Lab gives less than Retail, and no group of the catalog has it."""
    kind, service = str(kind_of(host)), host.service
    service.registry.os_feeds.create("Lab", "Retail", actor=OPERATOR)
    service.releases.publish("mt3620", "26.12", security_version=2, actor=OPERATOR)
    service.releases.publish("mt3620", "26.13", security_version=1, feed="Lab", actor=OPERATOR, allow_older=True)
    with host.claimed(b"l" * 32):
        revise(host, minimum_security_versions={kind: 2})


def test_a_revoked_device_of_another_chip_is_in_no_minimums_way(host: ServiceHost) -> None:
    kind = shared_kind(host)
    host.service.releases.publish("mt3620", "26.12", security_version=2, actor=OPERATOR)
    with host.claimed(b"v" * 32):
        other = host.device(b"w" * 32, chip="imx8mp")
        claim(host, other)
        with pytest.raises(InvalidArgumentError, match=r"gives 26\.11 to imx8mp"):
            revise(host, minimum_security_versions={kind: 2})
        host.service.registry.lifecycle.revoke(other.device_id, reason="It was sold.", actor=OPERATOR)
        revise(host, minimum_security_versions={kind: 2})


def claim(host: ServiceHost, device: WireDevice) -> None:
    place = {"product": "Kettle", "group": "Production"}
    host.service.registry.devices.claim("Contoso", [device.device_id], **place, actor=OPERATOR)


def shared_kind(host: ServiceHost) -> str:
    """An image type that two chips boot."""
    its = {one.image_type for one in host.service.chips.get("imx8mp").boot_components}
    mine = host.service.chips.get("mt3620").boot_components
    return str(next(one.image_type for one in mine if one.image_type in its))


def test_a_minimum_is_not_met_by_a_release_without_packages(host: ServiceHost) -> None:
    kind, service = kind_of(host), host.service
    known = corim.parse_corim(service.attestation.corims.export(first_release(host).release_id, signed=False))
    components = tuple(
        replace(one, security_version=7, digest=bytes([number + 1]) * 32) for number, one in enumerate(known.components)
    )
    made = replace(known, os_version="99.1", corim_id=uuid4(), tag_id=uuid4(), components=components)
    service.attestation.corims.take(corim.encode_corim(made), actor=OPERATOR, allow_unsigned=True)
    with pytest.raises(InvalidArgumentError, match=r"expected 0 to 1, got 7; Retail gives 26\.11"):
        revise(host, minimum_security_versions={str(kind): 7})


def test_a_catalog_goes_with_its_policy(host: ServiceHost) -> None:
    host.catalog("Fabrikam")
    revise(host, "Fabrikam", minimum_tier="tpm")
    registry = host.service.registry
    registry.catalogs.delete("Fabrikam", actor=OPERATOR)
    host.catalog("Fabrikam")
    assert host.service.attestation.policies.get("Fabrikam").version == 0


def test_a_withdrawal_beside_another_change_is_not_forgotten(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who read the records before the withdrawal must not have the last word about what is good."""
    releases, chosen = host.service.releases, first_release(host)
    has_read, go_on = threading.Event(), threading.Event()
    every = release_rows.every

    def slow(connection: Any, **given: Any) -> Any:
        found = every(connection, **given)
        if threading.current_thread() is other:
            has_read.set()
            go_on.wait(20)
        return found

    monkeypatch.setattr(release_rows, "every", slow)
    other = threading.Thread(target=releases.refresh)
    other.start()
    assert has_read.wait(20)
    withdrawing = threading.Thread(target=releases.withdraw, args=(chosen.release_id, "broken"), kwargs={"actor": "t"})
    withdrawing.start()
    withdrawing.join(0.5)  # it may wait for the other, and without that it is done long before
    go_on.set()
    for thread in (other, withdrawing):
        thread.join(20)
    standing = releases.reference.standing("mt3620", FIRST_VERSION)
    assert standing is not None
    assert standing.withdrawn == "broken"


@pytest.mark.parametrize("reason", ["", "x" * 513, "two\nlines"])
def test_a_withdrawal_has_a_reason_that_fits_on_a_line(host: ServiceHost, reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match="reason"):
        host.service.releases.withdraw(first_release(host).release_id, reason, actor=OPERATOR)


def test_an_expiry_is_a_time(host: ServiceHost) -> None:
    with pytest.raises(InvalidArgumentError, match="expires_at"):
        host.service.releases.set_expiry(first_release(host).release_id, -1, actor=OPERATOR)
