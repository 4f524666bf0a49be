# SPDX-License-Identifier: Apache-2.0
"""Years of renewals, day by day, judged by OpenSSL; a renewal that is cut anywhere; downtime; renewals that fail."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fixtures.effort import effort, is_long
from tests.fixtures.services import copy_of
from tests.service.authority.rotations import Cut, Rotation, copies, cut_at, needs_openssl, openssl_says

from armillary.errors import DataFolderError, SignerError
from armillary.service.authority.life import CATALOG_TAKEOVER_S, DAY_S

# Ten years in the long run; in two a catalog authority gets a successor, which takes over.
YEARS = effort(2, 10)
# Days between those on which OpenSSL judges what is the same as the day before.
JUDGED_DAYS = effort(28, 7)


@pytest.fixture
def rotation(made_folder: Path, tmp_path: Path, clock: Any) -> Iterator[Rotation]:
    made = Rotation(copy_of(made_folder, tmp_path / "data"), clock)
    yield made
    made.close()


@pytest.mark.long
@needs_openssl
@pytest.mark.timeout(600)
def test_years_day_by_day(rotation: Rotation, tmp_path: Path, clock: Any) -> None:
    """Every day: yesterday's certificate is good to its last second, today's chain is good, and nobody is surprised.

    OpenSSL judges the first and the last certificate under each chain, and some between: what is good at both ends of
    a time is good between them.
    """
    service = rotation.service
    root = service.authority.roots.certificate
    yesterday = rotation.issue()
    known: list[set[bytes]] = []  # what relying parties fetched on each day so far
    signers: list[bytes] = []
    takeover = CATALOG_TAKEOVER_S // DAY_S
    assert takeover == 45, "who fetches the authorities every six weeks is promised to know them in time"
    for day in range(YEARS * 365):
        clock.now += DAY_S - 1
        last_second = int(clock.now)
        assert rotation.hub_accepts(yesterday), day
        clock.now += 1
        service.authority.renew()
        today = rotation.issue()
        catalog = today.chain[1]
        if today.chain != yesterday.chain or day % JUDGED_DAYS == 0:
            assert not openssl_says(tmp_path, yesterday, root, at=last_second), day
            assert not openssl_says(tmp_path, today, root, at=int(clock.now)), day
            assert not openssl_says(tmp_path, today, catalog, at=int(clock.now)), day
        known.append(set(service.authority.revocation_lists.chain_of_catalog(rotation.catalog_id)))
        if day >= takeover:  # who fetched the authorities 44 days ago is not surprised by today's
            assert {catalog, today.chain[2]} <= known[day - takeover + 1], day
        if not signers or signers[-1] != catalog:
            signers.append(catalog)
        yesterday = today
    starts = [x509.load_der_x509_certificate(der).not_valid_before_utc.timestamp() for der in signers]
    lives = [x509.load_der_x509_certificate(der) for der in signers]
    assert all((one.not_valid_after_utc - one.not_valid_before_utc).days == 730 for one in lives)
    # A successor is made 90 days before the end: every 640 days.
    assert [round((after - before) / DAY_S) for before, after in pairwise(starts)] == [640] * (YEARS * 365 // 640)
    assert len(service.authority.issued.of_kind("policy")) >= effort(1, 3)
    assert rotation.recorded() >= {root, *yesterday.chain}


def test_control_without_the_waiting_time_relying_parties_are_surprised(
    rotation: Rotation, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The 45 days taken away: who fetched the authorities the day before does not know the one that signs today."""
    monkeypatch.setattr("armillary.service.authority.life.CATALOG_TAKEOVER_S", 0)
    clock.now += 639 * DAY_S
    surprised = 0
    for _ in range(3):
        known = rotation.service.authority.revocation_lists.chain_of_catalog(rotation.catalog_id)
        clock.now += DAY_S
        rotation.service.authority.renew()
        surprised += rotation.issue().chain[1] not in known
    assert surprised == 1


def test_each_renewal_is_a_line_of_the_audit_log(rotation: Rotation, clock: Any) -> None:
    def renewed() -> list[tuple[str, str]]:
        lines = rotation.service.audit.list(limit=100).items
        return [(one.target, one.detail["kind"]) for one in lines if one.operation == "authority.renew"]

    assert renewed() == []  # what a first start and a catalog make are lines of their own
    clock.now += 641 * DAY_S
    rotation.service.authority.renew()
    assert sorted(kind for _, kind in renewed()) == ["catalog", "issuing"]
    assert {serial for serial, _ in renewed()} <= {
        f"{x509.load_der_x509_certificate(der).serial_number:034X}" for der in rotation.recorded()
    }


# 61: an issuing authority; 641: a catalog authority too; 700: the same, later; 1030: a policy authority, after a year's
# server certificate and everything below it have ended.
@pytest.mark.parametrize("after_days", [61, 641, 700, 1030] if is_long() else [61, 641, 1030])
def test_a_renewal_that_is_cut_at_any_write_leaves_a_working_authority(
    made_folder: Path, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch, after_days: int
) -> None:
    """Cut before and after every write of a key, a file or a transaction: what is handed out is on record, and works."""
    original = copy_of(made_folder, tmp_path / "original")
    clock.now += after_days * DAY_S
    cuts = 0
    for count, data in copies(original):
        with monkeypatch.context() as patch:
            cut_at(patch, count)
            try:
                Rotation(data, clock).close()  # opening renews
                finished = True
            except Cut:
                finished = False
        again = Rotation(data, clock)
        try:
            handed = again.issue()
            assert set(handed.chain) <= again.recorded()
            assert again.hub_accepts(handed)
            assert not openssl_says(tmp_path, handed, again.service.authority.roots.certificate, at=int(clock()))
            server = x509.load_pem_x509_certificate(again.service.authority.server.files().certificate.read_bytes())
            assert server.public_bytes(Encoding.DER) in again.recorded()
            assert server.public_key() == again.service.authority.keys.load("server").public_key()
        finally:
            again.close()
        if finished:
            break
        cuts += 1
    assert cuts >= 4


@pytest.mark.parametrize("days", [31, 89, 91, 200, 640, 731, 800, 2000])
def test_after_a_downtime_of_any_length_the_start_renews_what_it_must(
    made_folder: Path, tmp_path: Path, clock: Any, days: int
) -> None:
    clock.now += days * DAY_S
    again = Rotation(copy_of(made_folder, tmp_path / "data"), clock)
    try:
        handed = again.issue()
        assert again.hub_accepts(handed)
        assert not openssl_says(tmp_path, handed, again.service.authority.roots.certificate, at=int(clock.now))
        assert not openssl_says(
            tmp_path, handed, again.service.authority.roots.certificate, at=int(clock.now) + DAY_S - 1
        )
    finally:
        again.close()


def test_a_catalog_whose_renewal_fails_hinders_no_other(
    rotation: Rotation, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = rotation.service
    service.registry.catalogs.create("Fabrikam", actor="test")
    other = service.registry.catalogs.get("Fabrikam").catalog_id
    before = {one: service.authority.catalogs.issuer(one) for one in (rotation.catalog_id, other)}
    clock.now += 61 * DAY_S
    genuine = service.authority.catalogs._make_issuing

    def failing(catalog_id: UUID, *rest: Any) -> Any:
        if catalog_id == rotation.catalog_id:
            raise SignerError("the token is away")
        return genuine(catalog_id, *rest)

    monkeypatch.setattr(service.authority.catalogs, "_make_issuing", failing)
    with pytest.raises(SignerError):
        service.authority.renew()
    assert service.authority.catalogs.issuer(other) is not before[other]
    assert service.authority.catalogs.issuer(rotation.catalog_id) is before[rotation.catalog_id]
    assert rotation.hub_accepts(rotation.issue())
    # Failing for weeks ends in an error, never in a certificate that an ended authority signed.
    clock.now += 30 * DAY_S
    with pytest.raises(SignerError, match="ended"):
        rotation.issue()
    monkeypatch.undo()
    service.authority.renew()
    assert rotation.hub_accepts(rotation.issue())


def test_a_folder_from_before_the_policy_authority_keeps_its_catalogs_and_gets_one(
    rotation: Rotation, clock: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service = rotation.service
    root = service.authority.issued.of_kind("root")[0]
    with monkeypatch.context() as patch:  # a catalog as it was made then: by the root
        patch.setattr(service.authority.policy, "active", lambda: root)
        service.registry.catalogs.create("Old", actor="test")
    old = service.registry.catalogs.get("Old").catalog_id
    service.context.records.write(lambda c: c.exec_driver_sql("DELETE FROM certificate WHERE kind = 'policy'"))
    service.authority.renew()
    assert len(service.authority.issued.of_kind("policy")) == 1
    assert len(service.authority.catalogs.issuer(old).chain) == 2
    clock.now += 641 * DAY_S
    service.authority.renew()
    clock.now += 46 * DAY_S
    service.authority.renew()
    assert len(service.authority.catalogs.issuer(old).chain) == 3


def test_a_full_disk_during_a_renewal_leaves_what_was_active(
    rotation: Rotation, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now += 61 * DAY_S
    before, recorded = rotation.service.authority.catalogs.issuer(rotation.catalog_id), rotation.recorded()

    def full(*_: object, **__: object) -> None:
        raise DataFolderError("the disk is full", remedy="Make room.")

    with monkeypatch.context() as patch:
        patch.setattr("armillary.engines.records.queries.certificates.add", full)
        with pytest.raises(DataFolderError):
            rotation.service.authority.renew()
    assert rotation.recorded() == recorded
    assert rotation.service.authority.catalogs.issuer(rotation.catalog_id) is before
    rotation.service.authority.renew()
    assert rotation.service.authority.catalogs.issuer(rotation.catalog_id) is not before


def test_towards_the_end_of_the_root_nothing_is_renewed_in_vain(rotation: Rotation, clock: Any) -> None:
    """A new authority would end with the root as the old one does: none is made each day anew, and all works to the end."""
    authority = rotation.service.authority
    end = x509.load_der_x509_certificate(authority.roots.certificate).not_valid_after_utc.timestamp()
    for days_left in (1000, 800, 400, 200, 100, 50, 45):
        clock.now = end - days_left * DAY_S
        authority.renew()
    before = rotation.recorded()
    for days_left in (44, 43, 42):
        clock.now = end - days_left * DAY_S
        authority.renew()
    assert rotation.recorded() == before
    clock.now = end - 2 * DAY_S
    authority.renew()
    assert rotation.hub_accepts(rotation.issue())
