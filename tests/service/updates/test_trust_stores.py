# SPDX-License-Identifier: Apache-2.0
"""Signing keys are renewed, waited for, put in force and dropped; at no time is a device offered what it cannot trust."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from cryptography import x509
from sqlalchemy import text
from tests.fixtures.clocks import Clock
from tests.fixtures.reports import installed
from tests.fixtures.waiting import wait_until

from armillary.engines.records.queries.planning import trust_stores as store_rows
from armillary.errors import ConflictError, DataFolderError, InvalidArgumentError, NotFoundError, SignatureError
from armillary.service.authority.life import DAY_S
from armillary.service.authority.signing_keys import IMAGES, OS as OS_KEYS, SIGNING_RENEWAL_S
from armillary.service.context.blobs import Blobs
from armillary.service.updates.trust_stores import AWAY_S, COUNTED_S, LAST_S, ROOT_SETTLED_S, StoreStanding, TrustStores
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import Offer, UpdateOutcome
from armillary.wire.device.update_status import OS, UpdateStatus
from armillary.wire.image import package as image_package
from armillary.wire.update.trust_store import (
    MAX_SIGNERS,
    CertificateStore,
    KeyStore,
    parse_certificate_store,
    parse_key_store,
    trusted_digest,
)

Make = Callable[..., bytes]
HERE = ("Contoso", "Kettle", "Production")


def loaded(ders: Any) -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_der_x509_certificate(der) for der in ders)


def says(device: WireDevice, store: KeyStore | None = None, **more: Any) -> None:
    """Have a device say that it trusts the keys of a store; those that it was made with where none is given."""
    made = device.factory
    keys = store or KeyStore(
        os_signers=loaded(made.trusted_os_certificates), image_signers=loaded(made.trusted_image_certificates)
    )
    roots = CertificateStore(loaded([made.service_root, *made.further_roots]))
    device.update_status = UpdateStatus(
        abilities=(OS,), trusted_keys=trusted_digest(keys), trusted_roots=trusted_digest(roots), **more
    )


def fetched(device: WireDevice, offer: Offer | None) -> tuple[image_package.UnverifiedImagePackage, KeyStore]:
    """The trusted key store of an offer, as the device fetches it."""
    assert offer is not None
    store = next(image for image in offer.images if image.image_type == 19)
    package = image_package.parse(device.exchange("GET", f"/v1/images/{store.image_id}").body)
    return package, parse_key_store(package.payload)


@pytest.fixture
def device(host: ServiceHost) -> Iterator[WireDevice]:
    with host.claimed(b"k" * 32) as made:
        says(made)
        assert made.check_in().offer is None
        yield made


@pytest.fixture
def stores(host: ServiceHost) -> TrustStores:
    """Whose own loop has just looked, and does not before the clock moves."""
    host.service.updates.trust_stores.look()
    return host.service.updates.trust_stores


def states(stores: TrustStores) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in stores.signing_keys():
        found.setdefault(key.purpose, []).append(key.state)
    return found


def key_store(stores: TrustStores) -> StoreStanding:
    """The newest trusted key store."""
    return [one for one in stores.stores() if one.store.kind == "keys"][-1]


def old_keys(stores: TrustStores) -> list[str]:
    return [key.serial for key in stores.signing_keys() if key.state == "old"]


def renewed(stores: TrustStores) -> None:
    stores.renew(actor="t")
    stores.put_in_force(actor="t", despite=True)


def release_everywhere(host: ServiceHost, version: str) -> None:
    for chip in host.service.chips.names:
        host.service.releases.publish(chip, version, actor="t")


def deployed(host: ServiceHost, package: Make) -> Any:
    image = host.service.updates.images.upload("Contoso", package(), actor="t")
    host.service.updates.deployments.create(*HERE, [image.image_id], actor="t")
    return image


def test_the_store_comes_alone_and_before_what_the_next_key_signed(
    host: ServiceHost, device: WireDevice, stores: TrustStores, package: Make
) -> None:
    signers = loaded(device.factory.trusted_os_certificates)
    stores.renew(actor="t")
    assert states(stores) == {"os": ["in force", "next"], "images": ["in force", "next"]}
    stores.put_in_force(actor="t", despite=True)
    deployed(host, package)
    host.service.releases.publish("mt3620", "27.1", actor="t")
    offer = device.check_in().offer
    assert offer is not None
    assert ([image.name for image in offer.images], offer.os_version, offer.deployment_id) == (
        ["trusted-key-store"],
        "",
        None,
    )
    parsed, store = fetched(device, offer)
    image_package.verify(parsed, signers)
    assert store.os_signers == (*signers, host.service.authority.os_signer.certificate)
    says(device, store)
    offer = device.check_in().offer
    assert offer is not None
    assert offer.os_version == "27.1"
    assert {image.image_type for image in offer.images if image.name == "tap"} == {10}


def test_without_the_check_a_device_would_be_offered_what_it_refuses(
    host: ServiceHost, device: WireDevice, stores: TrustStores, package: Make
) -> None:
    """Positive control of the one before: a device that does not say what it trusts is offered the application."""
    renewed(stores)
    image = deployed(host, package)
    assert device.update_status is not None
    device.update_status = replace(device.update_status, trusted_keys=b"", trusted_roots=b"")
    offer = device.check_in().offer
    assert offer is not None
    assert [one.image_id for one in offer.images] == [image.image_id]
    got = image_package.parse(device.exchange("GET", f"/v1/images/{image.image_id}").body)
    with pytest.raises(SignatureError):
        image_package.verify(got, loaded(device.factory.trusted_image_certificates))


def test_the_next_key_waits_until_every_device_that_is_here_has_confirmed_its_store(
    host: ServiceHost, device: WireDevice, stores: TrustStores, clock: Clock
) -> None:
    stores.renew(actor="t")
    with pytest.raises(ConflictError, match="1 may still take it, 0 refused it, 0 cannot take one"):
        stores.put_in_force(actor="t")
    _, store = fetched(device, device.check_in().offer)
    says(device, store, reason="trial")
    device.check_in()
    assert key_store(stores).devices == store_rows.Having(0, 1, 0, 0, 0), "on trial is not confirmed"
    clock.now += COUNTED_S
    stores.look()
    assert states(stores)["os"] == ["in force", "next"]
    says(device, store)
    device.check_in()
    assert [one.devices.have for one in stores.stores() if one.store.kind == "keys"] == [0, 1]
    clock.now += COUNTED_S
    stores.look()
    assert states(stores) == {"os": ["old", "in force"], "images": ["old", "in force"]}, "by itself"
    line = host.service.audit.list().items[0]
    assert (line.operation, line.actor, line.target) == ("signing-key.use", "authority", "1")


def test_the_services_own_loop_puts_a_key_in_force_that_nobody_lacks(host: ServiceHost, clock: Clock) -> None:
    found = host.service.updates.trust_stores
    clock.now += COUNTED_S
    found.renew(actor="t")
    wait_until(lambda: states(found)["os"] == ["old", "in force"], "the next key in force, by itself")


def test_who_is_away_or_revoked_is_not_waited_for_and_who_cannot_take_a_store_is(
    host: ServiceHost, device: WireDevice, stores: TrustStores, clock: Clock
) -> None:
    stores.renew(actor="t")
    with host.claimed(b"n" * 32) as newer, host.claimed(b"o" * 32) as older, host.claimed(b"r" * 32) as revoked:
        clock.now += AWAY_S + 1
        stores._counted_at = int(clock.now)  # its own loop does not look in between
        says(newer)
        newer.check_in()
        assert len(newer.factory.trusted_os_certificates) == 2, "a device that is made now knows the next key"
        older.check_in()
        revoked.check_in()
        host.service.registry.lifecycle.revoke(revoked.device_id, reason="lost", actor="t")
        assert key_store(stores).devices == store_rows.Having(1, 0, 0, 1, 1)
        with pytest.raises(ConflictError, match="1 cannot take one"):
            stores.put_in_force(actor="t")
        host.service.registry.lifecycle.revoke(older.device_id, reason="too old", actor="t")
        stores.put_in_force(actor="t")
    device.challenge = b""
    assert device.check_in().offer is not None, "who was away gets the store first when it is back"


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


def test_a_dropped_key_goes_with_what_it_signed_in_one_offer(
    host: ServiceHost, device: WireDevice, stores: TrustStores, package: Make
) -> None:
    image = deployed(host, package)
    renewed(stores)
    release_everywhere(host, "27.1")
    dropped = old_keys(stores)
    for serial in dropped:
        stores.drop(serial, actor="t")
    assert states(stores) == {"os": ["in force"], "images": ["in force"]}
    device.installed = (installed(image),)
    offer = device.check_in().offer
    assert offer is not None
    assert offer.images[0].name == "trusted-key-store"
    assert (offer.os_version, offer.deployment_id is None) == ("27.1", False)
    _, store = fetched(device, offer)
    assert store.os_signers == (host.service.authority.os_signer.certificate,)
    for one in offer.images[1:]:
        got = image_package.parse(device.exchange("GET", f"/v1/images/{one.image_id}").body)
        image_package.verify(got, store.image_signers if one.name == "tap" else store.os_signers)
    wanted = {one.sha256 for one in offer.images}
    files = host.service.context.folder.path / "repository" / "targets" / "os" / "trust"
    assert {path.name.split(".")[0] for path in files.rglob("*") if path.is_file()} & {d.hex() for d in wanted}


def test_a_key_is_not_dropped_while_a_release_that_devices_get_is_signed_by_it(
    host: ServiceHost, stores: TrustStores
) -> None:
    renewed(stores)
    [serial] = [key.serial for key in stores.signing_keys() if (key.purpose, key.state) == ("os", "old")]
    with pytest.raises(ConflictError, match=r"OS release 26\.11 of .* is signed by it"):
        stores.drop(serial, actor="t")
    assert states(stores)["os"] == ["old", "in force"], "nothing is half done"
    draft = host.service.attestation.drafts.create("mt3620", "27.0", actor="t")
    release_everywhere(host, "27.1")
    stores.drop(serial.lower(), actor="t")
    host.service.attestation.drafts.publish(draft.release_id, actor="t")
    with pytest.raises(NotFoundError, match="no signing key"):
        stores.drop(serial, actor="t")


def test_a_draft_that_a_dropped_key_signed_is_signed_again_before_it_is_published(
    host: ServiceHost, stores: TrustStores
) -> None:
    drafts = host.service.attestation.drafts
    draft = drafts.create("mt3620", "27.0", actor="t")
    renewed(stores)
    release_everywhere(host, "27.1")
    for serial in old_keys(stores):
        stores.drop(serial, actor="t")
    with pytest.raises(ConflictError, match="a key that was dropped"):
        drafts.publish(draft.release_id, actor="t")
    drafts.sign(draft.release_id, actor="t")
    drafts.publish(draft.release_id, actor="t")


def test_images_are_signed_again_before_their_key_is_dropped(
    host: ServiceHost, stores: TrustStores, package: Make
) -> None:
    one, two = (host.service.updates.images.upload("Contoso", package(), actor="t") for _ in range(2))
    renewed(stores)
    fresh = host.service.updates.images.upload("Contoso", package(), actor="t")
    [serial] = [key.serial for key in stores.signing_keys() if (key.purpose, key.state) == ("images", "old")]
    assert (one.signer, fresh.signer == one.signer) == (serial, False)
    stores.drop(serial, actor="t")
    images, trusted = host.service.updates.images, [host.service.authority.image_signer.certificate]
    blobs = {path.name for path in host.service.context.folder.blobs.glob("*/*")}
    for before in (one, two):
        after = images.get("Contoso", before.image_id)
        package_now = image_package.verify(image_package.parse(images.read(before.image_id)), trusted)
        assert (after.signer, package_now.image_id) == (fresh.signer, before.image_id)
        assert before.sha256.hex() not in blobs, "the package of before is gone"
    assert images.get("Contoso", fresh.image_id) == fresh, "what the key in force signed stays as it is"


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


def test_one_renewal_at_a_time_and_bad_input_is_refused(stores: TrustStores) -> None:
    for purposes in ((), ("os", "os"), ("silicon",)):
        with pytest.raises(InvalidArgumentError, match="expected os, images or both"):
            stores.renew(purposes, actor="t")
    with pytest.raises(ConflictError, match="no signing key waits"):
        stores.put_in_force(actor="t")
    [active] = [key.serial for key in stores.signing_keys() if key.purpose == "os"]
    with pytest.raises(ConflictError, match="it signs now"):
        stores.drop(active, actor="t")
    stores.renew(["os"], actor="t")
    assert states(stores) == {"os": ["in force", "next"], "images": ["in force"]}
    with pytest.raises(ConflictError, match="not in force yet"):
        stores.renew(actor="t")
    stores.drop(stores.signing_keys()[1].serial, actor="t")
    assert states(stores) == {"os": ["in force"], "images": ["in force"]}, "a next key that is taken back"
    assert stores.signing_keys()[0].serial == active
    for _ in range(MAX_SIGNERS - 1):
        renewed(stores)
    with pytest.raises(ConflictError, match="at most"):
        stores.renew(actor="t")


def test_a_next_key_that_is_taken_back_puts_no_other_in_force(stores: TrustStores) -> None:
    before = {key.purpose: key.serial for key in stores.signing_keys()}
    stores.renew(actor="t")
    stores.drop(next(key.serial for key in stores.signing_keys() if key.state == "next"), actor="t")
    assert states(stores) == {"os": ["in force"], "images": ["in force", "next"]}, "no device has heard of it"
    assert {key.purpose: key.serial for key in stores.signing_keys() if key.state == "in force"} == before
    stores.put_in_force(actor="t", despite=True)
    assert states(stores) == {"os": ["in force"], "images": ["old", "in force"]}


def test_what_is_refused_leaves_no_package_and_is_said_once(
    host: ServiceHost, stores: TrustStores, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blobs() -> set[str]:
        return {path.name for path in host.service.context.folder.blobs.glob("*/*")}

    renewed(stores)
    serials, before = old_keys(stores), blobs()
    with pytest.raises(ConflictError, match="is signed by it"):
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


def test_keys_are_renewed_two_years_before_their_end_and_dropped_after_it(
    host: ServiceHost, stores: TrustStores, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = stores.signing_keys()[0].ends_at
    clock.now = ends - SIGNING_RENEWAL_S - DAY_S
    host.service.authority.renew()
    stores.look()
    assert states(stores)["os"] == ["in force"]
    clock.now += 2 * DAY_S
    stores.look()
    assert states(stores) == {"os": ["in force", "next"], "images": ["in force", "next"]}
    monkeypatch.setattr(store_rows, "having", lambda *_, **__: store_rows.Having(0, 1, 0, 0, 0))
    clock.now += COUNTED_S
    stores.look()
    assert states(stores)["os"] == ["in force", "next"], "a device is waited for"
    clock.now = ends - LAST_S + 1
    stores.look()
    assert states(stores)["os"] == ["old", "in force"], "with a month left whoever lacks it is left behind"
    release_everywhere(host, "99.1")
    clock.now = ends + 1
    stores.look()
    assert states(stores) == {"os": ["in force"], "images": ["in force"]}


def test_a_device_that_did_not_follow_a_new_root_gets_it_in_a_certificate_store(
    host: ServiceHost, device: WireDevice, stores: TrustStores, clock: Clock
) -> None:
    made = loaded([device.factory.service_root])
    host.service.authority.renew_by_hand("root", actor="t")
    valid = loaded(one.der for one in host.service.authority.roots.valid())
    assert len(valid) == 2
    for wait_s, number in ((ROOT_SETTLED_S - COUNTED_S, 0), (COUNTED_S, 1)):
        clock.now += wait_s
        stores.look()
        assert stores.stores()[-1].store.number == number, "devices have two weeks to follow by themselves"
    device.challenge = b""
    offer = device.check_in().offer
    assert offer is not None
    [image] = offer.images
    assert (image.name, image.image_type, offer.deployment_id) == ("certificate-store", 22, None)
    package = image_package.parse(device.exchange("GET", f"/v1/images/{image.image_id}").body)
    image_package.verify(package, loaded(device.factory.trusted_os_certificates))
    assert parse_certificate_store(package.payload).roots == valid
    assert stores.stores()[-1].devices.waiting == 1
    assert device.update_status is not None
    for roots in (valid, valid[::-1]):
        followed = trusted_digest(CertificateStore(roots))
        device.update_status = replace(device.update_status, trusted_roots=followed)
        assert device.check_in().offer is None, "however it came to them"
    assert stores.stores()[-1].devices.have == 1
    assert set(made) < set(valid)


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


def test_the_keys_in_force_are_those_of_before_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    with ServiceHost(tmp_path / "again", clock=clock) as host:
        renewed(host.service.updates.trust_stores)
        serials = [host.service.authority.signing.signer(purpose).serial for purpose in (OS_KEYS, IMAGES)]
        shown = host.service.updates.trust_stores.signing_keys()
    with ServiceHost(tmp_path / "again", clock=clock) as host:
        assert [host.service.authority.signing.signer(p).serial for p in (OS_KEYS, IMAGES)] == serials
        assert host.service.updates.trust_stores.signing_keys() == shown
        kinds = {(one.kind, state) for one, state in host.service.authority.list_service()}
        assert {("os-signing", "old"), ("os-signing", "active")} <= kinds


def test_a_service_of_before_there_were_stores_goes_on_with_the_keys_that_it_has(tmp_path: Path, clock: Clock) -> None:
    with ServiceHost(tmp_path / "older", clock=clock) as host:
        before = host.service.updates.trust_stores.signing_keys()
        host.service.context.records.write(lambda c: c.execute(text("DELETE FROM trust_store")))
    with ServiceHost(tmp_path / "older", clock=clock) as host:
        assert host.service.updates.trust_stores.signing_keys() == before
        renewed(host.service.updates.trust_stores)
        assert states(host.service.updates.trust_stores)["os"] == ["old", "in force"]


def test_where_a_device_stands_is_said_in_words(
    host: ServiceHost, device: WireDevice, stores: TrustStores, package: Make
) -> None:
    def code() -> str:
        return host.service.updates.standings.of(device.device_id).code

    assert code() == "nothing-deployed"
    renewed(stores)
    deployed(host, package)
    assert code() == "keys-first"
    _, store = fetched(device, device.check_in().offer)
    says(device, store)
    device.check_in()
    assert code() == "offered", "positive control: with the store it gets the application"
    says(device, reason="window")
    device.check_in()
    assert code() == "window", "the device's own words"
    says(device)
    device.check_in()
    release_everywhere(host, "27.1")
    for serial in old_keys(stores):
        stores.drop(serial, actor="t")
    host.service.authority.keys.remove("os-signing")
    renewed(stores)
    device.check_in()
    assert code() == "keys-by-hand"


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
