# SPDX-License-Identifier: Apache-2.0
"""Certificates: recorded before they are handed out, renewed in time, keys for nobody else's eyes."""

from __future__ import annotations

import ssl
import stat
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.clocks import Clock

from armillary.errors import DataFolderError, InvalidArgumentError, NotFoundError
from armillary.service.authority.authority import Authority
from armillary.service.authority.life import DAY_S
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.certificates.certificate import parse_device_certificate


def test_keys_are_in_files_that_only_the_owner_reads(host: ServiceHost) -> None:
    keys = host.service.context.folder.keys
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    files = [path for path in keys.iterdir() if path.name != "server-chain.pem"]
    assert len(files) >= 7
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_key_that_others_can_read_is_refused(host: ServiceHost) -> None:
    host.service.context.folder.keys.joinpath("root.pem").chmod(0o644)
    with pytest.raises(DataFolderError, match="other users"):
        Authority(host.service.context, host.service.notices).keys.load("root")


def test_a_catalog_authority_is_p384_two_years_and_leads_to_the_root(host: ServiceHost) -> None:
    authority = host.service.authority
    (active,) = authority.catalogs.list("Contoso")
    certificate = x509.load_der_x509_certificate(active.der)
    root = x509.load_der_x509_certificate(authority.roots.certificate)
    (recorded,) = authority.issued.of_kind("policy")
    policy = x509.load_der_x509_certificate(recorded.der)
    certificate.verify_directly_issued_by(policy)
    policy.verify_directly_issued_by(root)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp384r1"
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 730
    assert len(active.serial) == 34
    assert authority.catalogs.get("contoso", ".default") == active
    assert authority.catalogs.get("Contoso", active.serial.lower()) == active
    assert authority.catalogs.chain("Contoso", ".default") == (active.der, recorded.der, authority.roots.certificate)
    with pytest.raises(NotFoundError):
        authority.catalogs.get("Contoso", "00")


def test_possession_is_proven_with_the_askers_nonce(host: ServiceHost) -> None:
    authority = host.service.authority
    proof = x509.load_der_x509_certificate(authority.catalogs.prove_possession("Contoso", ".default", "A1B2C3"))
    assert proof.subject.rfc4514_string().startswith("CN=A1B2C3")
    issuer = x509.load_der_x509_certificate(authority.catalogs.get("Contoso", ".default").der)
    proof.verify_directly_issued_by(issuer)
    for nonce in ("", "x" * 65, "a\n"):
        with pytest.raises(InvalidArgumentError):
            authority.catalogs.prove_possession("Contoso", ".default", nonce)


def test_authorities_are_renewed_in_azures_rhythm_and_old_certificates_stay_good(host: ServiceHost, clock: Any) -> None:
    service, authority = host.service, host.service.authority
    with host.claimed(b"a" * 32) as device:
        first = device.check_in()
        (original,) = authority.catalogs.list("Contoso")
        clock.now += 61 * DAY_S  # the issuing authority has 29 days left
        authority.renew()
        device.challenge = b""
        second = device.check_in()
        assert second.certificate_chain[1] != first.certificate_chain[1]
        assert second.certificate_chain[2] == first.certificate_chain[2] == original.der
        assert service.hub_access.authenticate(second.certificate_chain[0]) == device.device_id
        clock.now += 580 * DAY_S  # 641 days: the catalog authority has 89 days left
        authority.renew()
        newer, older = authority.catalogs.list("Contoso")
        assert (newer.status, older.status) == ("Inactive", "Active")
        device.challenge = b""
        assert device.check_in().certificate_chain[2] == older.der
        clock.now += 46 * DAY_S
        authority.renew()
        newer, older = authority.catalogs.list("Contoso")
        assert (newer.status, older.status) == ("Active", "Inactive")
        device.challenge = b""
        third = device.check_in()
        assert third.certificate_chain[2] == newer.der
        assert service.hub_access.authenticate(third.certificate_chain[0]) == device.device_id
        clock.now += 100 * DAY_S
        assert authority.catalogs.get("Contoso", older.serial).status == "Expired"


def test_every_certificate_handed_out_is_on_record(host: ServiceHost) -> None:
    with host.claimed(b"b" * 32) as device:
        reply = device.check_in()
    kinds = ("root", "policy", "silicon", "catalog", "issuing", "os-signing", "image-signing", "server", "identity")
    recorded = {record.der for kind in kinds for record in host.service.authority.issued.of_kind(kind)}
    handed_out = {
        *device.factory.certificate_chain,
        device.factory.service_root,
        *device.factory.trusted_os_certificates,
        *device.factory.trusted_image_certificates,
        *reply.certificate_chain[1:],
    }
    assert handed_out <= recorded
    leaf = parse_device_certificate(reply.certificate_chain[0])
    (check_in,) = host.service.registry.history.check_ins(device.device_id).items
    assert check_in.certificate_serial == f"{leaf.serial:034X}"
    assert check_in.certificate_not_after == leaf.not_after


def test_the_server_certificate_follows_the_settings(host: ServiceHost) -> None:
    files = host.service.authority.server.files()
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == {"localhost", "127.0.0.1", "::1"}
    before = files.certificate.read_bytes()
    host.service.authority.renew()
    assert files.certificate.read_bytes() == before


def test_a_server_certificate_that_was_made_while_the_clock_was_ahead_is_made_anew(
    host: ServiceHost, clock: Clock
) -> None:
    server, true_time = host.service.authority.server, clock.now
    clock.now += 350 * 86_400
    server.renew_due()
    clock.now = true_time
    server.renew_due()
    certificate = x509.load_pem_x509_certificate(server.files().certificate.read_bytes())
    assert certificate.not_valid_before_utc.timestamp() <= true_time < certificate.not_valid_after_utc.timestamp()


@pytest.mark.parametrize("name", ["root.pem", "keys/server-chain.pem", "keys/server.pem"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage"])
def test_damaged_server_files_are_made_anew_from_the_root(host: ServiceHost, name: str, damage: str) -> None:
    context = host.service.context
    path = context.folder.path / name
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "garbage": bytes(range(256))}[damage])
        path.chmod(0o600)
    again = Authority(context, host.service.notices)
    again.open(())
    files = again.server.files()
    root = x509.load_der_x509_certificate(again.roots.certificate)
    assert x509.load_pem_x509_certificate(files.root.read_bytes()) == root
    x509.load_pem_x509_certificate(files.certificate.read_bytes()).verify_directly_issued_by(root)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
