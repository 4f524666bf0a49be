# SPDX-License-Identifier: Apache-2.0
"""Stand-ins are for virtual devices: a chip that has had a release with real packages is given none any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from tests.fixtures.boot_partitions import boot_partition, pe_program
from tests.fixtures.clocks import Clock
from tests.fixtures.os_packages import os_packages
from tests.service.updates.test_standing import code

from armillary.api.views import service as views
from armillary.engines.records.schema.rows import OsRelease
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.assemble import SecurityService
from armillary.service.verifier.releases import FIRST_SECURITY_VERSION, FIRST_VERSION
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.update_status import OS, UpdateStatus

CHIP, VIRTUAL = "gateway-x86-64", "mt3620"


def real_draft(
    host: ServiceHost, version: str, *, feed: str = "Retail", security_version: int = FIRST_SECURITY_VERSION
) -> OsRelease:
    """A signed draft of packages that a machine starts."""
    kernel = boot_partition(pe_program(text=version.encode().ljust(16)))
    payloads = {"unified-kernel-image": kernel, "root-fs": b"root"}
    packages = os_packages(host.service.chips.get(CHIP), payloads, security_version=security_version)
    drafts = host.service.attestation.drafts
    draft = drafts.create(CHIP, version, packages=packages, feed=feed, actor="ann")
    return drafts.sign(draft.release_id, actor="ann")


def real(
    host: ServiceHost, version: str, *, feed: str = "Retail", security_version: int = FIRST_SECURITY_VERSION
) -> OsRelease:
    """A release of packages that a machine starts, in force."""
    draft = real_draft(host, version, feed=feed, security_version=security_version)
    return host.service.attestation.drafts.publish(draft.release_id, actor="ann")


def given(host: ServiceHost, chip: str = CHIP) -> dict[str, str]:
    """What feeds give to a chip: feed to version."""
    book = host.service.updates.offers.book
    return {feed: one.version for (feed, its_chip), one in book.systems.items() if its_chip == chip}


def machine(host: ServiceHost, secret: bytes) -> WireDevice:
    device = host.device(secret, chip=CHIP)
    place = {"product": "Kettle", "group": "Production"}
    host.service.registry.devices.claim("Contoso", [device.device_id], **place, actor="ann")
    device.update_status = UpdateStatus(abilities=(OS,))
    return device


def test_a_machine_whose_only_real_release_is_withdrawn_is_offered_nothing(host: ServiceHost, clock: Clock) -> None:
    """It is held to updates, a finding says why, and the next real release brings it back."""
    releases, watch = host.service.releases, host.service.watch
    only = real(host, "27.1")
    assert given(host) == {"Retail": "27.1", "RetailEval": "27.1"}
    with machine(host, b"m" * 32) as device:
        reply = device.check_in()
        assert (reply.verdict, reply.offer) == ("attested", None)  # positive control
        releases.withdraw(only.release_id, "It hangs.", actor="ann")
        assert given(host) == {}
        clock.now += 1
        reply = device.check_in()
        assert (reply.verdict, reply.purpose, reply.offer) == ("update-only", "update", None)
        watch.run_once()
        (finding,) = watch.list(kind="attestation-failed").items
        assert "Release 27.1 was withdrawn: It hangs." in finding.cause
        assert code(host, device) == "update-only"
        real(host, "27.2")
        clock.now += 1
        offer = device.check_in().offer
        assert (offer and offer.os_version) == "27.2"


def test_no_new_device_is_made_with_stand_ins_once_there_are_real_packages(host: ServiceHost) -> None:
    releases = host.service.releases
    assert releases.newest(CHIP).version == FIRST_VERSION
    made = real(host, "27.1", feed="RetailEval")
    for version in (None, FIRST_VERSION):
        with pytest.raises(NotFoundError, match="no OS release") as refused:
            releases.newest(CHIP, version=version)
        assert f"armillary release create --chip {CHIP}" in refused.value.remedy
    assert (releases.newest(CHIP, "RetailEval"), given(host)) == (made, {"RetailEval": "27.1"})
    assert host.service.flashed.of(CHIP) == ()
    host.service.attestation.drafts.promote(made.release_id, actor="ann")
    assert releases.newest(CHIP) == releases.get(made.release_id)


def test_a_virtual_device_of_such_a_chip_is_let_in_and_updated(host: ServiceHost, clock: Clock) -> None:
    """What it runs is good; it is given what everybody is given."""
    with machine(host, b"v" * 32) as device:
        assert device.check_in().verdict == "attested"
        real(host, "27.1")
        clock.now += 1
        reply = device.check_in()
        assert (reply.verdict, reply.offer and reply.offer.os_version) == ("attested", "27.1")


class StandIns(NamedTuple):
    """Made before there was a real release: a draft, and one that was published into the evaluation feed."""

    service: SecurityService
    draft: OsRelease
    tried: OsRelease

    @classmethod
    def make(cls, service: SecurityService) -> StandIns:
        draft = service.attestation.drafts.create(CHIP, "27.95", actor="ann")
        return cls(service, draft, service.releases.publish(CHIP, "27.9", feed="RetailEval", actor="ann"))

    def upload_one_of_two(self) -> OsRelease:
        kernel = boot_partition(pe_program())
        packages = os_packages(
            self.service.chips.get(CHIP),
            {"unified-kernel-image": kernel, "root-fs": b"root"},
            signer=(self.service.authority.os_signer.key, self.service.authority.os_signer.certificate),
        )
        packages["root-fs"] = self.service.releases.packages(self.draft)["root-fs"]
        return self.service.attestation.drafts.create(CHIP, "28.1", packages=packages, actor="ann")

    def upload_again(self) -> OsRelease:
        packages = self.service.releases.packages(self.draft)
        return self.service.attestation.drafts.create(CHIP, "28.1", packages=packages, actor="ann")


WAYS: dict[str, Callable[[StandIns], object]] = {
    "publish --chip": lambda made: made.service.releases.publish(CHIP, "28.1", actor="ann"),
    "create": lambda made: made.service.attestation.drafts.create(CHIP, "28.1", actor="ann"),
    "upload again": StandIns.upload_again,
    "upload one of two": StandIns.upload_one_of_two,
    "publish": lambda made: made.service.attestation.drafts.publish(made.draft.release_id, actor="ann"),
    "promote": lambda made: made.service.attestation.drafts.promote(made.tried.release_id, actor="ann"),
    "roll out": lambda made: made.service.updates.os_rollouts.start(made.tried.release_id, actor="ann"),
}


@pytest.mark.parametrize("way", WAYS)
def test_stand_ins_are_refused_by_name_where_there_were_real_packages(host: ServiceHost, way: str) -> None:
    """Also where the real release is in force no more, and where the stand-ins were made before it."""
    service = host.service
    made = StandIns.make(service)
    service.releases.withdraw(real(host, "27.10").release_id, "It hangs.", actor="ann")
    before = service.releases.list(chip=CHIP, drafts=True)
    with pytest.raises(ConflictError, match=rf"release .* of {CHIP} has stand-ins, which no machine starts") as refused:
        WAYS[way](made)
    assert f"armillary release create --chip {CHIP} --os-version VERSION" in refused.value.remedy
    assert service.releases.list(chip=CHIP, drafts=True) == before, "nothing half-done stays"


@pytest.mark.parametrize("way", WAYS)
def test_stand_ins_are_taken_where_there_is_nothing_else(host: ServiceHost, way: str) -> None:
    """Control: the same steps without a real release."""
    WAYS[way](StandIns.make(host.service))


def test_a_chip_with_stand_ins_alone_is_as_it_was(host: ServiceHost) -> None:
    real(host, "29.1")
    assert given(host, VIRTUAL) == {"Retail": FIRST_VERSION, "RetailEval": FIRST_VERSION}
    made = host.service.releases.publish(VIRTUAL, "29.2", actor="ann")
    assert (given(host, VIRTUAL)["Retail"], host.service.releases.newest(VIRTUAL)) == ("29.2", made)


def test_stand_ins_make_no_real_release_an_old_one(host: ServiceHost) -> None:
    """A stand-in that was published after it, as it could be once: a catalog that takes the newest alone passes over it."""
    service = host.service
    tried = service.releases.publish(CHIP, "27.9", actor="ann")
    reference = service.releases.reference
    assert reference.newer(CHIP, FIRST_VERSION, 1) == tried.version  # control
    real(host, "28.1", feed="RetailEval")
    assert service.releases.reference.newer(CHIP, FIRST_VERSION, 1) == ""


def test_neither_a_floor_nor_a_minimum_is_raised_while_a_feed_with_devices_gives_nothing(
    host: ServiceHost, clock: Clock
) -> None:
    """The first real release is evaluated: the stand-ins of Retail, where there are devices, are given to nobody."""
    service = host.service
    kind = service.chips.get(CHIP).boot_components[0].image_type

    def floor() -> object:
        return service.attestation.floors.raise_to(CHIP, kind, 2, actor="ann")

    def minimum() -> object:
        return service.attestation.policies.revise(
            "Contoso", {"minimum_security_versions": {str(kind): 2}, "chips": [CHIP]}, actor="ann"
        )

    with machine(host, b"f" * 32) as device:
        assert device.check_in().verdict == "attested"
        evaluated = real(host, "28.1", feed="RetailEval", security_version=2)
        assert given(host) == {"RetailEval": "28.1"}
        for raised in (floor, minimum):
            with pytest.raises(InvalidArgumentError, match=f"Retail gives no operating system to {CHIP}") as refused:
                raised()
            assert refused.value.remedy.startswith("Promote a release")
        clock.now += 1
        assert device.check_in().verdict == "attested", "nothing half-done stays"
        service.attestation.drafts.promote(evaluated.release_id, actor="ann")
        floor()
        minimum()
        clock.now += 1
        reply = device.check_in()
        assert (reply.verdict, reply.offer and reply.offer.os_version) == ("update-only", "28.1"), "there is a way back"


def test_a_feed_that_gives_nothing_and_has_no_devices_stands_in_no_ones_way(host: ServiceHost) -> None:
    service = host.service
    kind = service.chips.get(CHIP).boot_components[0].image_type
    service.registry.groups.create("Contoso", "Kettle", "Bench", os_feed="RetailEval", actor="ann")
    device = host.device(b"e" * 32, chip=CHIP)
    service.registry.devices.claim("Contoso", [device.device_id], product="Kettle", group="Bench", actor="ann")
    real(host, "28.1", feed="RetailEval", security_version=2)
    assert service.attestation.floors.raise_to(CHIP, kind, 2, actor="ann").minimum == 2


def test_it_is_said_which_stand_ins_are_given_to_nobody_and_what_ends_them(host: ServiceHost) -> None:
    service = host.service
    first = service.releases.newest(CHIP)
    assert views.release(service, first.release_id)["is_passed_over"] is False
    stand_in = service.attestation.drafts.create(CHIP, "27.9", actor="ann")
    draft = real_draft(host, "28.1", feed="RetailEval")
    reach = service.attestation.drafts.reach
    ends = {one.version: reach(one.release_id).ends_stand_ins for one in (first, stand_in, draft)}
    assert ends == {FIRST_VERSION: False, "27.9": False, "28.1": True}
    made = service.attestation.drafts.publish(draft.release_id, actor="ann")
    assert views.release(service, first.release_id)["is_passed_over"] is True
    listed = {one["version"]: one["is_passed_over"] for one in views.releases(service, chip=CHIP)["items"]}
    assert listed == {FIRST_VERSION: True, "27.9": False, "28.1": False}, "a draft is given to nobody anyway"
    other = real_draft(host, "28.2")
    assert [reach(one.release_id).ends_stand_ins for one in (made, other)] == [False, False]


def test_a_real_release_with_a_lower_security_version_says_which_devices_refuse_it(host: ServiceHost) -> None:
    host.service.releases.publish(CHIP, "27.1", security_version=2, actor="ann")
    with pytest.raises(ConflictError, match=r"and virtual devices that run 27\.1 refuse a lower one"):
        real(host, "28.1")
