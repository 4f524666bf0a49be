# SPDX-License-Identifier: Apache-2.0
"""Signing keys are renewed, waited for, put in force and dropped; at no time is a device offered what it cannot trust."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.fixtures.clocks import Clock
from tests.fixtures.reports import installed
from tests.fixtures.waiting import wait_until
from tests.service.updates.signing_steps import (
    Make,
    deployed,
    fetched,
    key_store,
    loaded,
    old_keys,
    release_everywhere,
    renewed,
    says,
    states,
)

from armillary.engines.records.queries.planning import trust_stores as store_rows
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, SignatureError
from armillary.service.authority.life import DAY_S
from armillary.service.authority.signing_keys import IMAGES, OS as OS_KEYS, SIGNING_RENEWAL_S
from armillary.service.updates.trust_stores import AWAY_S, COUNTED_S, LAST_S, ROOT_SETTLED_S, TrustStores
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.image import package as image_package
from armillary.wire.update.trust_store import (
    MAX_SIGNERS,
    CertificateStore,
    parse_certificate_store,
    trusted_digest,
)


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
    with pytest.raises(ConflictError, match=r"has signed what devices get: OS 26\.11 of "):
        stores.drop(serial, actor="t")
    assert states(stores)["os"] == ["old", "in force"], "nothing is half done"
    draft = host.service.attestation.drafts.create("mt3620", "27.2", actor="t")
    release_everywhere(host, "27.1")
    stores.drop(serial.lower(), actor="t")
    host.service.attestation.drafts.publish(draft.release_id, actor="t")
    with pytest.raises(NotFoundError, match="no signing key"):
        stores.drop(serial, actor="t")


def test_a_draft_that_a_dropped_key_signed_is_signed_again_before_it_is_published(
    host: ServiceHost, stores: TrustStores
) -> None:
    drafts = host.service.attestation.drafts
    draft = drafts.create("mt3620", "27.2", actor="t")
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


def test_an_old_key_is_not_dropped_while_the_next_one_waits(stores: TrustStores) -> None:
    """The store that would drop it comes after the one that waits, and would put its key in force."""
    renewed(stores)
    stores.renew([IMAGES], actor="t")
    [old] = [key.serial for key in stores.signing_keys() if (key.purpose, key.state) == (IMAGES, "old")]
    with pytest.raises(ConflictError, match="the next key is not in force yet"):
        stores.drop(old, actor="t")
    assert states(stores)[IMAGES] == ["old", "in force", "next"]


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
