# SPDX-License-Identifier: Apache-2.0
"""Releases before they are in force: drafts are nobody's, signed as a whole, published once, promoted by a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from tests.fixtures.boot_partitions import boot_partition, pe_program
from tests.fixtures.clocks import Clock
from tests.fixtures.images import P256
from tests.fixtures.os_packages import os_packages
from tests.wire.device_image.test_uboot_measurements import flattened

from armillary.api.views import service as views
from armillary.boot import virtual_chain
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, WireError
from armillary.service.verifier.release_drafts import ReleaseReach
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import components_of
from armillary.wire.device.update_status import OS, UpdateStatus
from armillary.wire.image import package as image_package

CHIP = "mt3620"
Change = Callable[[dict[str, bytes]], Any]


@pytest.fixture
def foreign(host: ServiceHost) -> dict[str, bytes]:
    """The packages of a version, signed by somebody else."""
    key, certificate = P256
    packages = virtual_chain.build(
        host.service.chips.get(CHIP), "27.1", built=1_790_000_000, security_version=1, key=key, certificate=certificate
    )
    return dict(packages)


def test_from_a_draft_to_everybody(host: ServiceHost, foreign: dict[str, bytes], clock: Clock) -> None:
    service, drafts = host.service, host.service.attestation.drafts
    draft = drafts.create(CHIP, "27.1", packages=foreign, os_abi=7, actor="ann")
    assert (draft.signed_at, draft.published_at, draft.feed, draft.os_abi) == (None, None, "RetailEval", 7)
    digests = {one.digest for one in draft.components}
    assert draft not in service.releases.list(chip=CHIP)
    assert draft in service.releases.list(chip=CHIP, drafts=True)
    assert not digests & {value.digest for value in service.releases.reference.values}
    with pytest.raises(ConflictError, match="not signed"):
        drafts.publish(draft.release_id, actor="ann")
    signed = drafts.sign(draft.release_id, actor="ann")
    assert signed.signed_at is not None
    assert not digests & {one.digest for one in signed.components}
    clock.now += 60
    published = drafts.publish(draft.release_id, actor="ann")
    assert published.published_at == int(clock.now)
    assert {one.digest for one in published.components} <= {v.digest for v in service.releases.reference.values}
    assert service.releases.newest(CHIP, "RetailEval").version == "27.1"
    assert service.releases.newest(CHIP).version == "26.11"
    drafts.promote(draft.release_id, actor="bob")
    assert service.releases.newest(CHIP).version == "27.1"
    operations = [(line.operation, line.actor) for line in service.audit.list(target=str(draft.release_id)).items]
    assert operations == [
        ("release.promote", "bob"),
        ("release.publish", "ann"),
        ("release.sign", "ann"),
        ("release.create", "ann"),
    ]


@pytest.mark.parametrize("how", ["withdrawn", "over"])
def test_what_was_taken_back_is_not_published_under_another_version(host: ServiceHost, clock: Clock, how: str) -> None:
    """What is equal to the byte is judged by the strictest word on any of it: its devices would never be attested."""
    drafts, releases = host.service.attestation.drafts, host.service.releases
    bad = releases.publish(CHIP, "26.20", actor="ann")
    packages = dict(releases.packages(bad))
    early, late = (drafts.create(CHIP, version, packages=packages, actor="ann") for version in ("26.21", "26.22"))
    drafts.publish(early.release_id, actor="ann")  # one software with two names, while both are good
    if how == "withdrawn":
        releases.withdraw(bad.release_id, "It hangs.", actor="ann")
    else:
        releases.set_expiry(bad.release_id, clock.now, actor="ann")
    with pytest.raises(
        ConflictError, match=rf"26\.22 of {CHIP} has the very components of 26\.20, .* {how}"
    ) as refused:
        drafts.publish(late.release_id, actor="ann")
    assert "higher security version" in refused.value.remedy
    with pytest.raises(ConflictError, match=rf"26\.21 of {CHIP} has the very components of 26\.20"):
        drafts.promote(early.release_id, actor="ann")
    assert releases.newest(CHIP, "RetailEval").version == "26.11", "nor is it given to a new device"
    with host.claimed(b"t" * 32, group="Field Test OS Evaluation") as device:
        device.update_status = UpdateStatus(abilities=(OS,))
        device.prover.components = components_of(packages)
        device.prover.os_version = "26.21"
        device.prover.boot()
        reply = device.check_in()
        assert reply.verdict == "update-only", "what the refusal spares further devices"
        assert reply.offer is not None
        assert reply.offer.os_version == "26.11"
        other = drafts.create(CHIP, "26.23", security_version=2, actor="ann")
        device.prover.components = components_of(releases.packages(drafts.publish(other.release_id, actor="ann")))
        device.prover.os_version = "26.23"
        device.prover.boot()
        assert device.check_in().verdict == "attested"


def test_a_draft_is_offered_to_nobody_and_the_repository_does_not_name_it(host: ServiceHost) -> None:
    service, drafts = host.service, host.service.attestation.drafts
    draft = drafts.create(CHIP, "27.1", feed="Retail", actor="ann")

    def named() -> bool:
        service.repository.publish()
        paths = service.repository.edition().delegated["os"].signed.targets
        return any(path.startswith(f"os/{CHIP}/27.1/") for path in paths)

    with host.claimed(b"a" * 32) as device:
        device.update_status = UpdateStatus(abilities=("os",))
        service.updates.offers.refresh()
        assert (device.check_in().offer, named()) == (None, False)
        drafts.publish(draft.release_id, actor="ann")  # positive control
        offer = device.check_in().offer
        assert offer is not None
        assert (offer.os_version, named()) == ("27.1", True)


def test_what_is_built_here_is_signed(host: ServiceHost) -> None:
    drafts = host.service.attestation.drafts
    draft = drafts.create(CHIP, "27.1", feed="Retail", actor="ann")
    drafts.publish(draft.release_id, actor="ann")
    assert host.service.releases.newest(CHIP).version == "27.1"
    again = drafts.create(CHIP, "27.2", packages=host.service.releases.packages(draft), actor="ann")
    assert again.signed_at is not None, "each package bears this service's signature"


def test_what_was_published_changes_no_more(host: ServiceHost) -> None:
    drafts = host.service.attestation.drafts
    draft = drafts.create(CHIP, "27.1", feed="Retail", actor="ann")
    drafts.publish(draft.release_id, actor="ann")
    for change in (drafts.sign, drafts.publish, drafts.promote):
        with pytest.raises(ConflictError, match=r"27\.1"):
            change(draft.release_id, actor="ann")
    with pytest.raises(ConflictError, match=r"has a release 27\.1"):
        drafts.create(CHIP, "27.1", actor="ann")


def test_a_revoked_draft_is_published_never(host: ServiceHost) -> None:
    service, drafts = host.service, host.service.attestation.drafts
    draft = drafts.create(CHIP, "27.1", actor="ann")
    with pytest.raises(ConflictError, match="not published"):
        drafts.promote(draft.release_id, actor="ann")
    service.releases.withdraw(draft.release_id, "a key leaked", actor="ann")
    with pytest.raises(ConflictError, match="no draft"):
        drafts.publish(draft.release_id, actor="ann")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda packages: packages.pop(next(iter(packages))), "got no "),
        (lambda packages: packages.update(extra=b"x"), "an unknown 'extra'"),
        (lambda packages: packages.update(zip(packages, reversed(packages.values()), strict=True)), "image type"),
        (lambda packages: packages.update(dict.fromkeys(packages, bytes(64 << 20))), "its slot"),
    ],
)
def test_what_is_no_whole_release_of_the_chip_is_refused(
    host: ServiceHost, foreign: dict[str, bytes], change: Change, named: str
) -> None:
    change(foreign)
    with pytest.raises(InvalidArgumentError, match=named):
        host.service.attestation.drafts.create(CHIP, "27.1", packages=foreign, actor="ann")
    assert [one.version for one in host.service.releases.list(chip=CHIP, drafts=True)] == ["26.11"]


def test_other_bad_input_is_refused(host: ServiceHost, foreign: dict[str, bytes]) -> None:
    drafts = host.service.attestation.drafts
    with pytest.raises(NotFoundError, match="no chip"):
        drafts.create("z80", "27.1", actor="ann")
    for version in ("27/1", "-27.1", ".27", "27.\uff11", "27.\xe9", "27.1\n", ""):
        with pytest.raises(InvalidArgumentError, match="version"):
            drafts.create(CHIP, version, actor="ann")
    for wrong in ({"feed": "Beta"}, {"os_abi": -1}, {"security_version": 32}):
        with pytest.raises(InvalidArgumentError):
            drafts.create(CHIP, **{"version": "27.1", "actor": "ann", **wrong})  # type: ignore[arg-type]
    with pytest.raises(WireError):
        drafts.create(CHIP, "27.1", packages=dict.fromkeys(foreign, b"no package"), actor="ann")


def test_a_component_with_the_id_of_an_application_is_refused(
    host: ServiceHost, foreign: dict[str, bytes], package: Callable[..., bytes]
) -> None:
    """An offer names both by their ids; devices could not tell them apart."""
    taken = image_package.parse(next(iter(foreign.values()))).image_id
    host.service.updates.images.upload("Contoso", package(image_id=taken), actor="ann")
    with pytest.raises(InvalidArgumentError, match="is an application's"):
        host.service.attestation.drafts.create(CHIP, "27.1", packages=foreign, actor="ann")


@pytest.mark.parametrize("name", ["unified-kernel-image", "root-fs"])
def test_a_component_without_a_payload_is_refused(host: ServiceHost, name: str) -> None:
    chip = host.service.chips.get("gateway-x86-64")
    whole = os_packages(chip, {"unified-kernel-image": boot_partition(pe_program()), "root-fs": b"root"})
    empty = os_packages(chip, {"unified-kernel-image": boot_partition(pe_program()), "root-fs": b"root", name: b""})
    with pytest.raises(InvalidArgumentError, match=f"component {name}: expected a payload, got a package without one"):
        host.service.attestation.drafts.create(chip.name, "27.1", packages=empty, actor="ann")
    assert [one.version for one in host.service.releases.list(chip=chip.name, drafts=True)] == ["26.11"]
    assert host.service.attestation.drafts.create(chip.name, "27.1", packages=whole, actor="ann"), "the control"


UEFI = {"gateway-x86-64": 0x8664, "gateway-arm64": 0xAA64}
U_BOOT = {"gateway-imx8mp": b"arm64\0", "mt3620-class": b"arm\0"}


def started_by(chip: str) -> bytes:
    """What a machine of this chip is started by."""
    if chip in UEFI:
        return boot_partition(pe_program(machine=UEFI[chip]))
    return flattened({"images": {"kernel": {"arch": U_BOOT[chip], "data": b"kernel"}}})


@pytest.mark.parametrize("chip", [*UEFI, *U_BOOT])
def test_a_release_for_other_processors_is_refused_by_name(host: ServiceHost, chip: str) -> None:
    profile, drafts = host.service.chips.get(chip), host.service.attestation.drafts
    others = {each for each in (*UEFI, *U_BOOT) if host.service.chips.get(each).architecture != profile.architecture}
    assert others
    for other in others:
        packages = os_packages(profile, {"unified-kernel-image": started_by(other), "root-fs": b"root"})
        with pytest.raises(InvalidArgumentError, match=f"starts \\({chip}\\), got what one of ") as refused:
            drafts.create(chip, "27.1", packages=packages, actor="ann")
        assert profile.architecture in refused.value.message
        assert host.service.chips.get(other).architecture in refused.value.message
    packages = os_packages(profile, {"unified-kernel-image": started_by(chip), "root-fs": b"root"})
    assert drafts.create(chip, "27.1", packages=packages, actor="ann"), "the control"


def test_a_processor_that_no_chip_has_is_refused_too(host: ServiceHost) -> None:
    chip = host.service.chips.get("gateway-x86-64")
    program = boot_partition(pe_program(machine=0x5064))
    packages = os_packages(chip, {"unified-kernel-image": program, "root-fs": b"root"})
    with pytest.raises(InvalidArgumentError, match="got what one of another architecture starts"):
        host.service.attestation.drafts.create(chip.name, "27.1", packages=packages, actor="ann")


def blobs(host: ServiceHost) -> set[str]:
    return {path.name for path in host.service.context.folder.blobs.glob("*/*")}


def test_what_is_refused_or_was_signed_anew_leaves_no_package(host: ServiceHost, foreign: dict[str, bytes]) -> None:
    service, drafts, before = host.service, host.service.attestation.drafts, blobs(host)
    with pytest.raises(ConflictError):
        drafts.create(CHIP, "26.11", packages=foreign, actor="ann")
    assert blobs(host) == before
    draft = drafts.create(CHIP, "27.1", packages=foreign, actor="ann")
    unsigned = blobs(host) - before
    assert len(unsigned) == len(foreign)
    with pytest.raises(ConflictError):  # it is another's too: that one's packages stay
        drafts.create(CHIP, "27.1", packages=foreign, actor="ann")
    assert blobs(host) - before == unsigned
    signed = drafts.sign(draft.release_id, actor="ann")
    assert blobs(host) - before == {one.digest.hex() for one in signed.components}
    assert set(service.releases.packages(signed)) == set(foreign)


def test_what_is_over_is_not_promoted(host: ServiceHost, clock: Clock) -> None:
    service, drafts = host.service, host.service.attestation.drafts
    draft = drafts.create(CHIP, "27.1", actor="ann")
    drafts.publish(draft.release_id, actor="ann")
    service.releases.set_expiry(draft.release_id, int(clock.now), actor="ann")
    with pytest.raises(ConflictError, match="its time has ended"):
        drafts.promote(draft.release_id, actor="ann")


def test_a_draft_that_is_over_is_not_published_and_takes_nothing_out_of_force(host: ServiceHost, clock: Clock) -> None:
    releases, drafts = host.service.releases, host.service.attestation.drafts
    good = releases.publish(CHIP, "26.20", actor="ann")
    same = drafts.create(CHIP, "26.99", packages=dict(releases.packages(good)), feed="Retail", actor="ann").release_id
    releases.set_expiry(same, int(clock.now), actor="ann")
    with pytest.raises(ConflictError, match=rf"26\.99 of {CHIP} is over: its time has ended") as refused:
        drafts.publish(same, actor="ann", allow_older=True)
    assert "set-expiry" in refused.value.remedy
    assert releases.newest(CHIP) == good
    releases.set_expiry(same, int(clock.now) + 1, actor="ann")
    assert drafts.publish(same, actor="ann").published_at == int(clock.now)


def test_what_is_built_and_published_at_once_keeps_to_the_floors(host: ServiceHost) -> None:
    service = host.service
    image_type = service.releases.publish(CHIP, "27.1", security_version=2, actor="ann").components[0].image_type
    service.attestation.floors.raise_to(CHIP, image_type, 2, actor="ann")
    with pytest.raises(InvalidArgumentError, match="security version 2 or more"):
        service.releases.publish(CHIP, "27.2", actor="ann")
    service.releases.publish(CHIP, "27.2", security_version=2, actor="ann")


def test_a_release_below_a_floor_is_refused_when_it_is_made_and_when_it_is_published(host: ServiceHost) -> None:
    service, drafts = host.service, host.service.attestation.drafts
    low = drafts.create(CHIP, "27.1", security_version=1, actor="ann")
    high = drafts.create(CHIP, "27.2", security_version=2, feed="Retail", actor="ann")
    drafts.publish(high.release_id, actor="ann")
    service.attestation.floors.raise_to(CHIP, low.components[0].image_type, 2, actor="ann")
    with pytest.raises(InvalidArgumentError, match="floor"):
        drafts.publish(low.release_id, actor="ann")
    with pytest.raises(InvalidArgumentError, match="floor"):
        drafts.create(CHIP, "27.3", security_version=1, actor="ann")


def test_a_release_below_a_floor_is_not_promoted_and_is_said_to_be_that(host: ServiceHost) -> None:
    """Nobody would be given it; devices that boot it get updates only."""
    service = host.service
    low = service.releases.publish(CHIP, "26.12", security_version=1, feed="RetailEval", actor="ann")
    service.releases.publish(CHIP, "27.1", security_version=2, actor="ann")
    assert views.release(service, low.release_id)["is_below_floor"] is False
    service.attestation.floors.raise_to(CHIP, 4, 2, actor="ann")
    with pytest.raises(
        InvalidArgumentError, match=r"expected security version 2 or more \(the floor of mt3620\), got 1"
    ):
        service.attestation.drafts.promote(low.release_id, actor="ann")
    assert service.releases.get(low.release_id) == low, "nothing half-done stays"
    assert views.release(service, low.release_id)["is_below_floor"] is True
    for chip in (CHIP, None):
        listed = [one for one in views.releases(service, chip=chip)["items"] if one["is_below_floor"]]
        assert sorted(one["version"] for one in listed) == ["26.11", "26.12"]
        assert {one["chip"] for one in listed} == {CHIP}


def test_whom_a_release_concerns_is_counted(host: ServiceHost) -> None:
    drafts, groups = host.service.attestation.drafts, host.service.registry.groups
    with host.claimed(b"a" * 32) as device, host.claimed(b"b" * 32) as gone:
        for one in (device, gone):
            one.check_in()
        host.service.registry.lifecycle.revoke(gone.device_id, reason="stolen", actor="ann")
        owner = host.service.registry.devices.get(device.device_id)
        in_force = drafts.reach(host.service.releases.newest(owner.chip).release_id)
        assert in_force == ReleaseReach(groups=1, devices=1, everybody=1, running=1)
        draft = drafts.create(owner.chip, "27.9", actor="ann").release_id
        assert drafts.reach(draft) == ReleaseReach(groups=0, devices=0, everybody=1, running=0)
        groups.update(owner.catalog or "", owner.product or "", owner.group or "", os_feed="RetailEval", actor="ann")
        assert drafts.reach(draft) == ReleaseReach(groups=1, devices=1, everybody=1, running=0)
        assert drafts.reach(host.service.releases.newest(owner.chip).release_id) == in_force, "it follows Retail"
    with pytest.raises(NotFoundError):
        drafts.reach(uuid4())
