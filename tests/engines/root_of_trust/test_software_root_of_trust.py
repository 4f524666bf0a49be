# SPDX-License-Identifier: Apache-2.0
"""The software root of trust: its files, its ladder, and what it never gives away."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import ssl
import stat
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.engines.root_of_trust.selection import create_root_of_trust, open_root_of_trust
from armillary.engines.root_of_trust.software import SoftwareRootOfTrust
from armillary.errors import InvalidArgumentError, RootOfTrustError
from armillary.identity import dice
from armillary.identity.device_id import device_id_of_key, key_of_device_id
from armillary.wire.attestation.event_log import BootEvent, log_head
from armillary.wire.attestation.evidence import parse_endorsement
from armillary.wire.certificates import certificate
from armillary.wire.encoding import cose

EVENTS = tuple(
    BootEvent(name, kind, uuid.UUID(int=kind), uuid.UUID(int=kind + 100), hashlib.sha256(name.encode()).digest(), 1)
    for name, kind in (("one-bl", 1), ("kernel", 7))
)


def test_identity_stays_and_boots_are_counted(tmp_path: Path) -> None:
    made = SoftwareRootOfTrust.create(tmp_path)
    assert (made.boot_count, made.tier, made.kind) == (0, "software", "software")
    assert made.begin_boot(EVENTS).boot_count == 1
    again = SoftwareRootOfTrust.open(tmp_path)
    assert (again.device_id, again.boot_count) == (made.device_id, 1)
    assert again.begin_boot(EVENTS).boot_count == 2
    assert SoftwareRootOfTrust.open(tmp_path).boot_count == 2


def test_secret_file_is_private_and_a_second_one_is_refused(tmp_path: Path) -> None:
    SoftwareRootOfTrust.create(tmp_path)
    assert stat.S_IMODE((tmp_path / "uds").stat().st_mode) == 0o600
    with pytest.raises(RootOfTrustError, match="already"):
        SoftwareRootOfTrust.create(tmp_path)


@pytest.mark.parametrize("file", ["uds", "boot-counter"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o700 | 0o001])
def test_wider_permissions_are_refused(tmp_path: Path, file: str, mode: int) -> None:
    SoftwareRootOfTrust.create(tmp_path)
    (tmp_path / file).chmod(mode)
    with pytest.raises(RootOfTrustError, match="0600"):
        SoftwareRootOfTrust.open(tmp_path)


@pytest.mark.parametrize("file", ["uds", "boot-counter"])
def test_every_damage_is_noticed(tmp_path: Path, file: str) -> None:
    SoftwareRootOfTrust.create(tmp_path).begin_boot(EVENTS)
    path = tmp_path / file
    good = path.read_bytes()
    for index in range(len(good)):
        path.write_bytes(good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :])
        with pytest.raises(RootOfTrustError):
            SoftwareRootOfTrust.open(tmp_path)
    for spoiled in (good[:-1], good + b"\0", b""):
        path.write_bytes(spoiled)
        with pytest.raises(RootOfTrustError):
            SoftwareRootOfTrust.open(tmp_path)
    path.unlink()
    with pytest.raises(RootOfTrustError):
        SoftwareRootOfTrust.open(tmp_path)
    path.write_bytes(good)
    path.chmod(0o600)
    assert SoftwareRootOfTrust.open(tmp_path).boot_count == 1


def test_a_boot_that_cannot_be_counted_does_not_happen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = SoftwareRootOfTrust.create(tmp_path)

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(RootOfTrustError, match="No space left"):
        root.begin_boot(EVENTS)
    assert root.boot_count == 0
    monkeypatch.undo()
    assert SoftwareRootOfTrust.open(tmp_path).boot_count == 0


def test_the_endorsement_is_the_ladders(tmp_path: Path) -> None:
    root = SoftwareRootOfTrust.create(tmp_path, random=lambda size: bytes(range(size)))
    session = root.begin_boot(EVENTS)
    endorsement = parse_endorsement(session.endorsement)
    cose.verify_sign1(endorsement.message, key_of_device_id(root.device_id))
    secret = bytes(range(32))
    assert device_id_of_key(dice.identity_key(secret).public_key()) == root.device_id
    for event in EVENTS:
        secret = dice.derive_cdi(secret, measurement=event.digest, security_version=event.security_version)
    assert endorsement.claims.alias_key == cose.point_of(dice.alias_key(secret).public_key()) == session.alias_key
    assert endorsement.claims.log_head == log_head(EVENTS) == session.log_head
    assert endorsement.claims.boot_count == session.boot_count == 1


def test_a_changed_component_changes_the_alias_key_and_nothing_else_of_the_identity(tmp_path: Path) -> None:
    root = SoftwareRootOfTrust.create(tmp_path)
    first, same = root.begin_boot(EVENTS), root.begin_boot(EVENTS)
    changed = root.begin_boot((replace(EVENTS[0], digest=bytes(32)), EVENTS[1]))
    newer = root.begin_boot((replace(EVENTS[0], security_version=2), EVENTS[1]))
    assert first.alias_key == same.alias_key
    assert len({first.alias_key, changed.alias_key, newer.alias_key}) == 3


def test_the_secret_is_in_no_representation_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = bytes(range(100, 132))
    with caplog.at_level(logging.DEBUG):
        root = SoftwareRootOfTrust.create(tmp_path, random=lambda _: secret)
        session = root.begin_boot(EVENTS)
    text = f"{root!r} {root} {session!r} {session} {caplog.text}"
    assert secret.hex() not in text
    assert repr(secret)[2:-1] not in text
    with pytest.raises((TypeError, pickle.PicklingError, AttributeError)):
        pickle.dumps(session)


def test_the_request_is_signed_by_the_identity_key(tmp_path: Path) -> None:
    root = SoftwareRootOfTrust.create(tmp_path)
    request = x509.load_pem_x509_csr(root.certificate_request())
    assert request.is_signature_valid
    assert device_id_of_key(request.public_key()) == root.device_id


def test_tls_takes_only_this_devices_certificate(tmp_path: Path) -> None:
    ca = ec.generate_private_key(ec.SECP384R1())
    silicon = certificate.build_silicon_authority(ca, maker="T", serial=1, not_before=0, not_after=2**31)
    mine = SoftwareRootOfTrust.create(tmp_path / "mine")
    other = SoftwareRootOfTrust.create(tmp_path / "other")
    issued = certificate.build_identity_certificate(
        silicon, ca, device_id=mine.device_id, serial=2, not_before=0, not_after=2**31
    )
    chain = issued.public_bytes(serialization.Encoding.PEM)
    mine.authenticate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), chain)
    with pytest.raises(RootOfTrustError, match="does not belong"):
        other.authenticate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), chain)


def test_unknown_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="software"):
        create_root_of_trust("tpm9", tmp_path)
    with pytest.raises(InvalidArgumentError):
        open_root_of_trust("tpm9", tmp_path)
