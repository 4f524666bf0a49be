# SPDX-License-Identifier: Apache-2.0
"""Attacks on issuing: floods, requests for more than a device may have, certificates of another catalog."""

from __future__ import annotations

import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.fixtures.certificates import client_context

from armillary.engines.records.queries import check_ins as check_in_rows
from armillary.errors import AppraisalError, ServiceUnreachableError, WrongCatalogError
from armillary.identity import dice
from armillary.identity.device_id import device_id_of_key
from armillary.service.verifier import device_states
from armillary.service.verifier.device_states import SpentChallenges
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice, read_answer
from armillary.wire.certificates import certificate as profile, certificate_part as part
from armillary.wire.device.problem import parse_problem

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
CLOSED = (OSError, ServiceUnreachableError)


@pytest.fixture
def host(host: ServiceHost) -> ServiceHost:
    """The service of all attacks, with a second catalog."""
    host.catalog("Fabrikam", "Lamp")
    return host


def ask(device: WireDevice, context: ssl.SSLContext) -> int:
    """Status of a challenge over a connection of another context."""
    connection = device.connect(context)
    connection.sendall(b"GET /v1/challenge HTTP/1.1\r\nhost: x\r\n\r\n")
    try:
        return read_answer(connection).status
    finally:
        device.disconnect()


# -- floods -------------------------------------------------------------------------------------------------------


def flooded(device: WireDevice, times: int) -> list[int]:
    """Statuses of so many check-ins, one after the other."""
    statuses = []
    for _ in range(times):
        device.challenge = b""
        statuses.append(device.exchange("POST", "/v1/check-in", device.request_body()).status)
    return statuses


def test_a_device_that_asks_too_often_is_told_when_to_come_back(
    host: ServiceHost, clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_states, "MAX_SPENT", 5)
    with host.claimed(b"f" * 32) as device, host.claimed(b"g" * 32) as other:
        assert flooded(device, 5) == [200] * 5
        answer = device.exchange("POST", "/v1/check-in", device.request_body(device.fetch_challenge()))
        problem = parse_problem(answer.body)
        assert (answer.status, problem.code) == (429, "device.try-later")
        assert problem.retry_after_s == int(answer.headers["retry-after"])
        assert 1 <= problem.retry_after_s <= 60  # when the first of its fetched challenges has expired
        assert other.check_in().verdict == "attested"  # one device's flood is nobody else's
        clock["offset"] = float(problem.retry_after_s)
        assert flooded(device, 1) == [200]
        assert len(host.service.registry.history.check_ins(device.device_id).items) == 6


def test_mutation_of_the_rate_of_a_device(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_states, "MAX_SPENT", 5)
    monkeypatch.setattr(SpentChallenges, "check_rate", lambda *_: None)
    with host.claimed(b"f" * 32) as device:
        assert flooded(device, 8) == [200] * 8


# -- asking for more ----------------------------------------------------------------------------------------------


def test_a_request_for_an_authority_or_another_name_gets_neither(host: ServiceHost) -> None:
    key = dice.identity_key(b"a" * 32)
    victim = host.claimed(b"v" * 32)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, victim.device_id[:32])]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(profile.DEVICE_URN + victim.device_id)]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    reply = host.service.factory.enrol(request.public_bytes(PEM).decode(), "mt3620", "t")
    assert reply.device_id == device_id_of_key(key.public_key()) != victim.device_id
    leaf = x509.load_der_x509_certificate(reply.certificate_chain[0])
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert profile.parse_identity_certificate(reply.certificate_chain[0]).device_id == reply.device_id
    assert victim.device_id not in str(leaf.subject) + str(leaf.extensions)


def test_a_device_that_signs_certificates_itself_makes_nobody_a_device(host: ServiceHost) -> None:
    device = host.claimed(b"s" * 32)
    own = dice.identity_key(b"t" * 32)
    issuer = x509.load_der_x509_certificate(device.factory.certificate_chain[0])
    now = int(time.time())
    life = (now - 60, now + 9999)
    made = part.build(device.prover.identity, None, own.public_key(), issuer.subject, 9, life, [])
    chain = (made.public_bytes(DER), *device.factory.certificate_chain)
    context = client_context(device.factory.service_root, own, chain)
    with pytest.raises(CLOSED):
        ask(device, context)
    with device:
        assert device.check_in().verdict == "attested"


# -- another catalog ----------------------------------------------------------------------------------------------


def certificate_of(host: ServiceHost, catalog: str, device_id: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A client certificate for a device that a catalog's own issuing authority signed, past every record."""
    catalog_id = host.service.registry.catalogs.get(catalog).catalog_id
    now = int(time.time())
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    template = host.service.authority.catalogs.issuer(catalog_id).template
    return template.issue(spki, device_id, "client", "software", 1 << 127 | 5, now - 60, now + 3600)


def test_the_authority_of_another_catalog_opens_nothing(host: ServiceHost) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with host.claimed(b"x" * 32) as device:
        honest = device.check_in()
        foreign = certificate_of(host, "Fabrikam", device.device_id, key)
        assert host.service.hub_access.authenticate(honest.certificate_chain[0]) == device.device_id
        with pytest.raises(WrongCatalogError):
            host.service.hub_access.authenticate(foreign)
        # nor at the device endpoint, which trusts the makers of silicon only
        context = client_context(device.factory.service_root, key, [foreign])
        with pytest.raises(CLOSED):
            ask(device, context)


def test_mutation_of_the_catalog_and_of_the_record(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checks stop it: without the first the second still does, without both it is let in."""
    authority = host.service.authority
    fabrikam = host.service.registry.catalogs.get("Fabrikam").catalog_id
    with host.claimed(b"x" * 32) as device:
        assert device.check_in().verdict == "attested"
        foreign = certificate_of(host, "Fabrikam", device.device_id, ec.generate_private_key(ec.SECP256R1()))
        genuine = authority.catalogs.issuing_certificates
        monkeypatch.setattr(authority.catalogs, "issuing_certificates", lambda one: (*genuine(one), *genuine(fabrikam)))
        with pytest.raises(AppraisalError, match="record"):
            host.service.hub_access.authenticate(foreign)
        monkeypatch.setattr(check_in_rows, "has_certificate", lambda *_, **__: True)
        assert host.service.hub_access.authenticate(foreign) == device.device_id
