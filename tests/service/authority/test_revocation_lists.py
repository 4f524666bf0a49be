# SPDX-License-Identifier: Apache-2.0
"""Revocation lists for outside: who is on them, since when and until when; numbers rise, nothing leaves unrecorded."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from tests.fixtures.waiting import wait_until

from armillary.engines.records.queries import revocations as revocation_rows
from armillary.errors import DataFolderError, NotFoundError
from armillary.service.assemble import SecurityService
from armillary.service.authority.life import DAY_S
from armillary.service.authority.revocation_lists import TRUSTED_S, RevocationLists
from armillary.service.context.notices import Notices
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.certificates.certificate import parse_device_certificate


def lists_of(service: SecurityService, notices: Notices) -> RevocationLists:
    """Lists that know nothing of the service's own."""
    authority = service.authority
    return RevocationLists(service.context, authority.keys, authority.issued, authority.catalogs, notices)


def issuing(service: SecurityService, catalog: str = "Contoso") -> str:
    return service.authority.catalogs.valid(service.registry.catalogs.get(catalog).catalog_id)[0].serial


def listed(service: SecurityService, serial: str) -> dict[int, x509.ReasonFlags]:
    found = x509.load_der_x509_crl(service.authority.revocation_lists.current(serial))
    return {one.serial_number: one.extensions.get_extension_for_class(x509.CRLReason).value.reason for one in found}


def number(der: bytes) -> int:
    return x509.load_der_x509_crl(der).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_a_revoked_device_is_listed_at_once_until_its_certificates_have_ended(host: ServiceHost, clock: Any) -> None:
    service = host.service
    serial = issuing(service)
    with host.claimed(b"a" * 32) as device, host.claimed(b"b" * 32) as other:
        first = parse_device_certificate(device.check_in().certificate_chain[0]).serial
        clock.now += 3600
        second = parse_device_certificate(device.check_in().certificate_chain[0]).serial
        other.check_in()
    assert listed(service, serial) == {}
    service.registry.lifecycle.revoke(device.device_id, reason="lost", actor="test")
    assert listed(service, serial) == dict.fromkeys((first, second), x509.ReasonFlags.certificate_hold)
    clock.now += 2 * DAY_S - 3599  # the first ended a day and a list's life ago, the second one hour later
    assert set(listed(service, serial)) == {second}
    clock.now += 3600
    assert listed(service, serial) == {}


def test_a_restored_device_is_off_the_list_at_once(host: ServiceHost) -> None:
    service = host.service
    with host.claimed(b"a" * 32) as device:
        device.check_in()
    serial = issuing(service)
    service.registry.lifecycle.revoke(device.device_id, reason="lost", actor="test")
    assert len(listed(service, serial)) == 1
    service.registry.lifecycle.restore(device.device_id, actor="test")
    assert listed(service, serial) == {}


def test_another_catalogs_lists_say_nothing_of_the_device(host: ServiceHost) -> None:
    host.catalog("Fabrikam")
    with host.claimed(b"a" * 32) as device:
        device.check_in()
    host.service.registry.lifecycle.revoke(device.device_id, reason="lost", actor="test")
    assert len(listed(host.service, issuing(host.service))) == 1
    assert listed(host.service, issuing(host.service, "Fabrikam")) == {}


def test_numbers_rise_over_restarts_and_clocks_that_were_set_back(host: ServiceHost, clock: Any) -> None:
    service = host.service
    serial = issuing(service)
    seen = [number(service.authority.revocation_lists.current(serial))]
    assert number(service.authority.revocation_lists.current(serial)) == seen[0]  # nothing changed: the same list
    for step_s in (DAY_S // 2, -30 * DAY_S, DAY_S):
        clock.now += step_s
        again = lists_of(service, service.notices)  # remembers nothing
        seen.append(number(again.current(serial)))
    assert seen == sorted(set(seen))
    found = x509.load_der_x509_crl(again.current(serial))
    assert found.next_update_utc is not None
    assert (found.next_update_utc - found.last_update_utc).total_seconds() == DAY_S


def test_a_change_by_another_process_is_seen_within_a_minute(host: ServiceHost, clock: Any) -> None:
    service = host.service
    with host.claimed(b"a" * 32) as device:
        device.check_in()
    serial = issuing(service)
    other = lists_of(service, Notices())  # hears no notices
    assert list(x509.load_der_x509_crl(other.current(serial))) == []
    service.registry.lifecycle.revoke(device.device_id, reason="lost", actor="test")
    clock.now += TRUSTED_S
    assert len(list(x509.load_der_x509_crl(other.current(serial)))) == 1


def test_who_asks_while_a_list_is_looked_up_gets_that_one(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may ask, without a token: many at once must not each read the records of all devices."""
    lists, serial = host.service.authority.revocation_lists, issuing(host.service)
    go_on, looks, arrived = threading.Event(), [], threading.Semaphore(0)
    look, named = RevocationLists._look, host.service.authority.issued.authority

    def slow(self: RevocationLists, authority: Any, now: int) -> Any:
        looks.append(authority.serial)
        assert go_on.wait(20)
        return look(self, authority, now)

    def counted(wanted: str) -> Any:
        arrived.release()
        return named(wanted)

    monkeypatch.setattr(RevocationLists, "_look", slow)
    monkeypatch.setattr(host.service.authority.issued, "authority", counted)
    with ThreadPoolExecutor(5) as threads:
        asking = [threads.submit(lists.current, serial) for _ in range(5)]
        assert all(arrived.acquire(timeout=20) for _ in asking)  # none of them has a list yet
        go_on.set()
    assert len({each.result() for each in asking}) == 1
    assert looks == [serial]


def test_a_list_that_cannot_be_recorded_does_not_leave(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    service = host.service
    serial = issuing(service)

    def full(*_: object) -> None:
        raise DataFolderError("the disk is full", remedy="Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(revocation_rows, "keep", full)
        with pytest.raises(DataFolderError):
            service.authority.revocation_lists.current(serial)
    assert service.context.records.read(lambda c: revocation_rows.newest(c, serial)) is None
    der = service.authority.revocation_lists.current(serial)
    stored = service.context.records.read(lambda c: revocation_rows.newest(c, serial))
    assert stored is not None
    assert stored.der == der


def test_every_authority_up_to_the_root_has_a_list_signed_by_itself(host: ServiceHost) -> None:
    service = host.service
    catalog_id = service.registry.catalogs.get("Contoso").catalog_id
    chain = [
        x509.load_der_x509_certificate(der) for der in service.authority.revocation_lists.chain_of_catalog(catalog_id)
    ]
    lists = [x509.load_der_x509_crl(der) for der in service.authority.revocation_lists.of_catalog(catalog_id)]
    assert chain[-1].subject == chain[-1].issuer
    for authority, found in zip(chain, lists, strict=True):
        assert found.issuer == authority.subject
        assert found.is_signature_valid(authority.public_key())  # type: ignore[arg-type]


def test_unknown_and_ended_authorities_have_no_list(host: ServiceHost, clock: Any) -> None:
    serial = issuing(host.service)
    (identity,) = host.service.context.records.read(
        lambda c: c.exec_driver_sql("SELECT serial FROM certificate WHERE kind = 'os-signing'").all()
    )
    for unknown in ("00", "not hex", identity[0], ""):
        with pytest.raises(NotFoundError):
            host.service.authority.revocation_lists.current(unknown)
    clock.now += 91 * DAY_S
    with pytest.raises(NotFoundError):
        host.service.authority.revocation_lists.current(serial)


def test_a_device_that_left_the_catalog_or_service_is_on_its_old_catalogs_list(host: ServiceHost, clock: Any) -> None:
    service = host.service
    host.catalog("Fabrikam")
    target = service.registry.catalogs.get("Fabrikam").catalog_id
    with host.claimed(b"a" * 32) as moved, host.claimed(b"b" * 32) as gone:
        left = parse_device_certificate(moved.check_in().certificate_chain[0]).serial
        ended = parse_device_certificate(gone.check_in().certificate_chain[0]).serial
    clock.now += 60
    offer = service.registry.transfers.offer("Contoso", moved.device_id, target, actor="test")
    service.registry.transfers.accept("Fabrikam", offer.transfer_id, actor="test")
    service.registry.lifecycle.decommission(gone.device_id, reason="scrapped", actor="test")
    clock.now += 60
    with moved:
        moved.challenge = b""
        new = parse_device_certificate(moved.check_in().certificate_chain[0]).serial
    assert listed(service, issuing(service)) == {
        left: x509.ReasonFlags.affiliation_changed,
        ended: x509.ReasonFlags.cessation_of_operation,
    }
    # Which catalog a decommissioned device was of is not asked: every catalog lists its last day's certificates.
    assert listed(service, issuing(service, "Fabrikam")) == {ended: x509.ReasonFlags.cessation_of_operation}
    service.registry.lifecycle.revoke(moved.device_id, reason="lost", actor="test")
    assert new in listed(service, issuing(service, "Fabrikam"))
    assert new not in listed(service, issuing(service))


def test_a_held_device_is_listed_until_it_is_released(host: ServiceHost) -> None:
    """Two machines with one identity: the certificates of both are worth nothing outside either."""
    service, serial = host.service, issuing(host.service)
    with host.claimed(b"a" * 32) as device:
        out = parse_device_certificate(device.check_in().certificate_chain[0]).serial
        assert listed(service, serial) == {}
        copy = replace(device, prover=replace(device.prover), challenge=b"", lineage=None)
        device.lineage = b""
        device.check_in()
        with copy:  # it does not continue what the other one was handed
            copy.check_in()
    assert service.registry.devices.get(device.device_id).held_at is not None
    wait_until(lambda: out in listed(service, serial), "the notice, which goes out just after the device's answer")
    service.registry.lifecycle.release(device.device_id, actor="test")
    assert listed(service, serial) == {}


def test_a_device_in_quarantine_is_listed_until_it_is_released(host: ServiceHost) -> None:
    service, serial = host.service, issuing(host.service)
    with host.claimed(b"a" * 32) as device:
        out = parse_device_certificate(device.check_in().certificate_chain[0]).serial
    service.registry.quarantine.put(device.device_id, reason="r", actor="test")
    assert out in listed(service, serial)
    service.registry.lifecycle.release(device.device_id, actor="test")
    assert listed(service, serial) == {}


def test_a_device_that_is_let_back_in_stays_on_its_old_catalogs_list(host: ServiceHost, clock: Any) -> None:
    """Its last day's certificates are the old owner's business until they have ended, whoever owns it now."""
    service = host.service
    host.catalog("Fabrikam")
    old, new = issuing(service), issuing(service, "Fabrikam")
    with host.claimed(b"a" * 32) as device, host.claimed(b"b" * 32) as unmoved:
        left = parse_device_certificate(device.check_in().certificate_chain[0]).serial
        unmoved.check_in()
    clock.now += 60
    service.registry.lifecycle.decommission(device.device_id, reason="sold", actor="test")
    service.registry.lifecycle.allow_reprovision(device.device_id, actor="test")
    assert host.device(b"a" * 32).device_id == device.device_id
    assert listed(service, old) == {left: x509.ReasonFlags.cessation_of_operation}  # nobody's
    clock.now += 60
    service.registry.devices.claim("Fabrikam", [device.device_id], actor="test")
    assert listed(service, old) == {left: x509.ReasonFlags.cessation_of_operation}
    with device:
        device.challenge, device.lineage = b"", None
        again = parse_device_certificate(device.check_in().certificate_chain[0]).serial
    assert again != left
    for serial in (old, new):
        assert again not in listed(service, serial)
    clock.now += 2 * DAY_S
    assert listed(service, old) == listed(service, new) == {}


def test_a_catalog_whose_lists_were_asked_for_can_be_deleted(host: ServiceHost) -> None:
    service = host.service
    host.catalog("Fabrikam")
    serial = issuing(service, "Fabrikam")
    catalog_id = service.registry.catalogs.get("Fabrikam").catalog_id
    service.authority.revocation_lists.of_catalog(catalog_id)
    service.registry.catalogs.delete("Fabrikam", actor="test")
    assert service.context.records.read(lambda c: revocation_rows.newest(c, serial)) is None
    with pytest.raises(NotFoundError):
        service.authority.revocation_lists.of_catalog(catalog_id)
