# SPDX-License-Identifier: Apache-2.0
"""Signing keys and trust stores where something fails: nothing is half done, and no device is left without a way."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
import structlog
from tests.fixtures.clocks import Clock
from tests.service.updates.signing_steps import (
    HERE,
    Make,
    deployed,
    fetched,
    key_store,
    old_keys,
    release_everywhere,
    renewed,
    says,
    states,
)

from armillary.engines.records.queries.planning import trust_stores as store_rows
from armillary.errors import ConflictError, DataFolderError
from armillary.service.authority.life import DAY_S
from armillary.service.context.blobs import Blobs
from armillary.service.updates.trust_stores import COUNTED_S, ROOT_SETTLED_S, TrustStores
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import UpdateOutcome
from armillary.wire.image import package as image_package


def test_a_clock_far_ahead_makes_no_key_and_fails_no_run(host: ServiceHost, clock: Clock, stores: TrustStores) -> None:
    before, keys = stores.signing_keys(), sorted(host.service.context.folder.keys.iterdir())
    root = host.service.authority.roots.valid()[-1]
    clock.now = float(root.not_after + 1)
    with structlog.testing.capture_logs() as logged:
        stores.look()
    assert [one["event"] for one in logged] == ["signing keys wait"]
    assert "clock" in logged[0]["remedy"]
    assert (stores.signing_keys(), sorted(host.service.context.folder.keys.iterdir())) == (before, keys)


def test_images_that_were_signed_again_before_the_disk_failed_are_offered_as_they_are(
    host: ServiceHost, device: WireDevice, stores: TrustStores, package: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [host.service.updates.images.upload("Contoso", package(), actor="t") for _ in range(2)]
    host.service.updates.deployments.create(*HERE, [one.image_id for one in images], actor="t")
    renewed(stores)
    [serial] = [key.serial for key in stores.signing_keys() if (key.purpose, key.state) == ("images", "old")]
    write, left = Blobs.write, [1]

    def full(self: Blobs, content: bytes) -> bytes:
        if not left:
            raise DataFolderError("the disk is full")
        left.pop()
        return write(self, content)

    monkeypatch.setattr(Blobs, "write", full)
    with pytest.raises(DataFolderError):
        stores.drop(serial, actor="t")
    monkeypatch.undo()
    signers = {host.service.updates.images.get("Contoso", one.image_id).signer for one in images}
    assert len(signers) == 2, "one was signed again"
    device.update_status = None
    offer = device.check_in().offer
    assert offer is not None
    for one in offer.images:
        answer = device.exchange("GET", f"/v1/images/{one.image_id}")
        assert (answer.status, sha256(answer.body).digest()) == (200, one.sha256)
    stores.drop(serial, actor="t")


def test_an_image_that_is_deleted_while_it_is_signed_again_leaves_nothing(
    host: ServiceHost, stores: TrustStores, package: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, blobs = host.service.updates.images, host.service.context.folder.blobs
    image = images.upload("Contoso", package(), actor="t")
    renewed(stores)
    resign = image_package.resign

    def deleted_meanwhile(*given: Any, **named: Any) -> bytes:
        images.delete("Contoso", image.image_id, actor="t")
        return resign(*given, **named)

    monkeypatch.setattr(image_package, "resign", deleted_meanwhile)
    before = {path.name for path in blobs.glob("*/*")}
    images.sign_again(image.signer, actor="t")
    assert {path.name for path in blobs.glob("*/*")} == before - {image.sha256.hex()}
    operations = [line.operation for line in host.service.audit.list(limit=10).items]
    assert "image.sign-again" not in operations


@pytest.mark.parametrize("fault", ["renew", "drop"])
def test_a_change_that_is_not_recorded_changes_nothing(
    host: ServiceHost, stores: TrustStores, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "drop":
        stores.renew(actor="t")
    before, signer = stores.signing_keys(), host.service.authority.os_signer.serial

    changes = {
        "renew": lambda: stores.renew(actor="t"),
        "drop": lambda: stores.drop(before[1].serial, actor="t"),
    }

    def refuse(*_: object) -> None:
        raise ConflictError("the audit log is full", remedy="")

    monkeypatch.setattr(type(host.service.context), "audit", refuse)
    with pytest.raises(ConflictError, match="full"):
        changes[fault]()
    monkeypatch.undo()
    host.service.authority.signing.reload()
    assert (stores.signing_keys(), host.service.authority.os_signer.serial) == (before, signer)
    changes[fault]()


def test_a_next_key_that_is_taken_back_puts_no_other_in_force(stores: TrustStores) -> None:
    before = {key.purpose: key.serial for key in stores.signing_keys()}
    stores.renew(actor="t")
    stores.drop(next(key.serial for key in stores.signing_keys() if key.state == "next"), actor="t")
    assert states(stores) == {"os": ["in force"], "images": ["in force", "next"]}, "no device has heard of it"
    assert {key.purpose: key.serial for key in stores.signing_keys() if key.state == "in force"} == before
    stores.put_in_force(actor="t", despite=True)
    assert states(stores) == {"os": ["in force"], "images": ["old", "in force"]}


def test_a_release_that_needs_an_old_key_holds_up_no_image_signing_key(
    host: ServiceHost, stores: TrustStores, clock: Clock
) -> None:
    ends = stores.signing_keys()[0].ends_at
    clock.now = ends - DAY_S
    host.service.authority.renew()
    renewed(stores)
    clock.now = ends + 1
    stores.look()
    assert states(stores) == {"os": ["old", "in force"], "images": ["in force"]}


def test_what_is_refused_leaves_no_package_and_is_said_once(
    host: ServiceHost, stores: TrustStores, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blobs() -> set[str]:
        return {path.name for path in host.service.context.folder.blobs.glob("*/*")}

    renewed(stores)
    serials, before = old_keys(stores), blobs()
    with pytest.raises(ConflictError, match="has signed what devices get"):
        stores.drop(serials[0], actor="t")
    assert blobs() == before
    release_everywhere(host, "27.1")
    before = blobs()
    monkeypatch.setattr(store_rows, "signed_images", lambda *_: [(uuid4(), uuid4())])
    with pytest.raises(ConflictError, match="uploaded meanwhile"):
        stores.drop(serials[0], actor="t")
    assert blobs() == before, "also what is found out in the transaction"
    monkeypatch.setattr(store_rows, "having", lambda *_, **__: store_rows.Having(0, 1, 0, 0, 0))
    stores.renew(actor="t")
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            clock.now += COUNTED_S
            stores.look()
    assert [line["event"] for line in lines] == ["signing keys wait"]
    assert "1 may still take it" in lines[0]["reason"]


def test_a_device_that_refused_the_store_is_told_apart(device: WireDevice, stores: TrustStores) -> None:
    stores.renew(actor="t")
    offer = device.check_in().offer
    assert offer is not None
    [image] = offer.images
    failed = UpdateOutcome(
        offer_id=offer.offer_id,
        image_id=image.image_id,
        component_id=image.component_id,
        outcome="failed",
        reason="flash",
        at=1,
    )
    device.check_in(outcomes=(failed,))
    assert key_store(stores).devices == store_rows.Having(0, 0, 1, 0, 0)


def test_a_store_that_failed_on_a_device_keeps_nothing_from_it_that_it_can_check(
    host: ServiceHost, device: WireDevice, stores: TrustStores, package: Make
) -> None:
    def offered() -> list[str]:
        offer = device.check_in().offer
        return [] if offer is None else [image.name for image in offer.images]

    deployed(host, package)
    stores.renew(actor="t")
    assert offered() == ["trusted-key-store"]
    assert offered() == ["trusted-key-store"], "positive control: without its word it comes again"
    says(device, reason="failed-before")
    for _ in range(2):
        assert offered() == ["tap"], "signed by a key that it trusts"
        host.service.updates.offers.refresh()
    stores.put_in_force(actor="t", despite=True)
    deployed(host, package)
    assert offered() == [], "signed by one that it does not trust"
    renewed(stores)
    assert offered() == ["trusted-key-store"], "another store has not failed yet"


def test_a_key_whose_file_was_destroyed_vouches_for_nothing(
    host: ServiceHost, device: WireDevice, stores: TrustStores, package: Make
) -> None:
    renewed(stores)
    release_everywhere(host, "27.1")
    for serial in old_keys(stores):
        stores.drop(serial, actor="t")
    assert fetched(device, device.check_in().offer)[1].os_signers, "positive control: the old key leads it on"
    host.service.authority.keys.remove("os-signing")
    renewed(stores)
    deployed(host, package)
    assert device.check_in().offer is None, "nothing that it could not check, neither OS nor application"
    assert key_store(stores).devices.waiting == 1, "and it is said"


def test_a_later_key_whose_file_was_destroyed_is_not_taken_for_the_first(
    host: ServiceHost, stores: TrustStores
) -> None:
    renewed(stores)
    second = host.service.authority.os_signer.serial
    renewed(stores)
    host.service.authority.keys.remove(f"os-signing-{second.lower()}")
    renewed(stores)
    signed_by = {one.signed_by for one in key_store(stores).store.packages}
    assert second not in signed_by
    assert len(signed_by) == 2, "positive control: the first and the third vouch"
    host.service.authority.keys.remove(f"os-signing-{host.service.authority.os_signer.serial.lower()}")
    with pytest.raises(DataFolderError, match="is missing"):
        host.service.authority.signing.reload()


def test_a_certificate_store_reaches_devices_that_know_the_newest_signing_key_alone(
    host: ServiceHost, device: WireDevice, stores: TrustStores, clock: Clock
) -> None:
    host.service.authority.renew_by_hand("root", actor="t")
    clock.now += ROOT_SETTLED_S
    stores.look()
    made = stores.stores()[-1].store
    renewed(stores)
    release_everywhere(host, "27.1")
    for serial in old_keys(stores):
        stores.drop(serial, actor="t")
    device.challenge = b""
    says(device, fetched(device, device.check_in().offer)[1])
    clock.now += COUNTED_S
    stores.look()
    offer = device.check_in().offer
    assert offer is not None
    [image] = offer.images
    package = image_package.parse(device.exchange("GET", f"/v1/images/{image.image_id}").body)
    image_package.verify(package, [host.service.authority.os_signer.certificate])
    again = stores.stores()[-1].store
    assert (again.number, again.digest, again.trusted) == (made.number + 1, made.digest, made.trusted)
    clock.now += COUNTED_S
    stores.look()
    assert stores.stores()[-1].store == again, "once"
