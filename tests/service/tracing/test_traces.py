# SPDX-License-Identifier: Apache-2.0
"""Traces of devices and keys: everything is there, in the order of time, and leads to its record."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.fixtures.clocks import Clock

from armillary.engines.records.queries import certificates as certificate_rows
from armillary.errors import NotFoundError
from armillary.service.authority.signing_keys import IMAGES
from armillary.service.tracing import device_trace
from armillary.service.tracing.device_trace import DeviceTraces
from armillary.service.tracing.key_trace import KeyTraces
from armillary.sim.device.service_host import ServiceHost


def traces(host: ServiceHost) -> DeviceTraces:
    return DeviceTraces(host.service.registry, host.service.audit, host.service.watch)


def test_a_life_is_told_in_the_order_of_time(host: ServiceHost, clock: Clock) -> None:
    device = host.claimed(b"1" * 32)
    other = host.claimed(b"2" * 32)
    for _ in range(3):  # the same boot: told once
        clock.now += 60
        device.check_in()
        other.check_in()
    clock.now += 60
    host.service.registry.lifecycle.revoke(device.device_id, reason="lost", actor="ann")
    found = traces(host).of(device.device_id.upper(), with_audit=True)
    says = [(each.kind, each.says) for each in found.events]
    assert [kind for kind, _ in says] == ["operation", "operation", "boot", "operation"]
    assert [text for _, text in says if text.startswith("ann")] == ["ann: device.revoke"]
    assert "attested" in says[2][1]
    assert [each.at for each in found.events] == sorted(each.at for each in found.events)
    assert {each.target for each in found.audit} == {device.device_id}
    assert [line.operation for line in found.audit] == ["device.manufacture", "device.claim", "device.revoke"]
    assert [f"audit {line.number}" for line in found.audit] == [
        each.record for each in found.events if each.kind == "operation"
    ]
    newest = host.service.registry.history.check_ins(device.device_id).items
    assert {each.serial for each in found.certificates} == {each.certificate_serial for each in newest}
    assert found.cut == ()


def test_who_may_not_read_the_audit_log_and_later_owners_see_their_part(host: ServiceHost, clock: Clock) -> None:
    device = host.claimed(b"1" * 32)
    device.check_in()
    clock.now += 3600
    since = int(clock.now)
    assert traces(host).of(device.device_id, since=since, with_audit=False).events == ()
    clock.now += 60
    device.check_in()
    later = traces(host).of(device.device_id, since=since, with_audit=False)
    assert {each.kind for each in later.events} <= {"boot"}
    assert [each.given_at >= since for each in later.certificates] == [True]
    assert later.audit == ()
    with pytest.raises(NotFoundError):
        traces(host).of("0" * 128, with_audit=False)


def test_what_was_not_read_is_named(host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_trace, "MAX_ROWS", 2)
    device = host.claimed(b"1" * 32)
    for _ in range(3):
        clock.now += 60
        device.check_in()
    assert traces(host).of(device.device_id, with_audit=True).cut == ("check-ins",)


def test_a_key_is_traced_to_all_that_it_signed(host: ServiceHost, package: Callable[..., bytes]) -> None:
    service, keys = host.service, KeyTraces(host.service.context, host.service.audit, host.service.chips)
    image = service.updates.images.upload("Contoso", package(), actor="t")
    found = keys.of(image.signer.lower().lstrip("0"))
    assert found.certificate.kind == "image-signing"
    assert [(each.name, each.record) for each in found.uses if each.what == "image"] == [
        ("Contoso: tap", str(image.image_id))
    ]
    assert "release" not in found.counts

    signer = next(each.signer for each in service.releases.list() if each.signer)
    system = keys.of(signer)
    assert system.certificate.kind == "os-signing"
    assert system.counts["release"] == len([each for each in service.releases.list() if each.signer == signer])
    assert [each.at for each in system.uses] == sorted(each.at for each in system.uses)

    device = host.claimed(b"1" * 32)
    identities = service.context.records.read(lambda c: certificate_rows.of_kind(c, "identity"))
    serial = next(each.serial for each in identities if each.subject == device.device_id)
    assert [(each.what, each.record) for each in keys.of(serial).uses] == [("device", device.device_id)]
    for wrong in ("", "xyz", "0", "f" * 41, "1234"):
        with pytest.raises(NotFoundError):
            keys.of(wrong)


def test_an_authority_is_traced_to_what_it_signed(host: ServiceHost, clock: Clock) -> None:
    service = host.service
    keys = KeyTraces(service.context, service.audit, service.chips)
    device = host.claimed(b"1" * 32)
    device.check_in()
    records = {
        kind: service.context.records.read(lambda c, kind=kind: certificate_rows.of_kind(c, kind))  # type: ignore[misc]
        for kind in ("root", "policy", "catalog", "issuing", "silicon", "os-signing", "image-signing", "server")
    }
    root, policy = keys.of(records["root"][0].serial), keys.of(records["policy"][0].serial)
    below = {each.name.split()[0] for each in root.uses if each.what == "certificate"}
    assert below == {"policy", "server", "os-signing", "image-signing"}
    assert [each.record for each in policy.uses] == [each.serial for each in records["catalog"]]
    assert [each.record for each in keys.of(records["catalog"][0].serial).uses if each.what == "certificate"] == [
        each.serial for each in records["issuing"]
    ]
    (used,) = (each for each in keys.of(records["issuing"][0].serial).uses if each.what == "catalog")
    assert used.name.startswith("Contoso:")
    maker = service.chips.get(service.registry.devices.get(device.device_id).chip).maker
    traced = {each.subject: keys.of(each.serial) for each in records["silicon"]}
    assert {name: each.counts.get("device", 0) for name, each in traced.items() if each.counts.get("device")} == {
        maker: 1
    }
    (used,) = (each for each in traced[maker].uses if each.what == "device")
    assert (used.record, used.by) == (device.device_id, "host")
    assert root.ends_at == records["root"][0].not_after
    # Successors have signed nothing yet of what those before them have.
    clock.now += 60
    for kind, name, what in (("policy", "", "certificate"), ("silicon", maker, "device")):
        made = service.authority.renew_by_hand(kind, name, actor="ann")
        later = keys.of(made.serial)
        assert [each for each in later.uses if each.what == what] == [], kind
        assert later.counts.get(what, 0) == 0
        assert [line.operation for line in later.audit] == ["authority.renew"]


def test_a_signing_key_says_from_when_until_when_it_signs_and_who_had_it_sign(
    host: ServiceHost, clock: Clock, package: Callable[..., bytes]
) -> None:
    service = host.service
    keys = KeyTraces(service.context, service.audit, service.chips)
    image = service.updates.images.upload("Contoso", package(), actor="ann")
    found = keys.of(image.signer)
    assert [each.by for each in found.uses if each.what == "image"] == ["ann"]
    assert found.period is not None
    assert (found.period.since is not None, found.period.until, found.period.dropped_at) == (True, None, None)
    clock.now += 3600
    service.updates.trust_stores.renew((IMAGES,), actor="ben")
    clock.now += 3600
    service.updates.trust_stores.put_in_force(actor="ben", despite=True)
    after = keys.of(image.signer).period
    assert after is not None
    assert (after.until, after.dropped_at) == (int(clock.now), None)
    fresh = keys.of(service.authority.image_signer.serial)
    assert fresh.period is not None
    assert (fresh.period.since, fresh.period.until) == (int(clock.now), None)
    assert keys.of(service.authority.os_signer.serial).period is not None
    assert keys.of(service.authority.issued.of_kind("root")[0].serial).period is None
