# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import SignatureError, WireError
from armillary.wire.certificates import certificate as cert, certificate_part as part
from armillary.wire.encoding import cose

NOW = 1_790_000_000
DAY = 86_400
CATALOG = UUID("4f6c7a3e-1f7b-4d0e-9f57-000000000001")


def key(curve: Any = ec.SECP256R1):
    return ec.generate_private_key(curve())


def der(certificate: Any):
    return certificate.public_bytes(serialization.Encoding.DER)


class Authorities:
    """A root, a catalog authority, an issuing authority and a silicon authority."""

    def __init__(self) -> None:
        self.root_key, self.catalog_key, self.silicon_key = key(ec.SECP384R1), key(ec.SECP384R1), key(ec.SECP384R1)
        self.issuing_key = key()
        life = {"not_before": NOW - DAY, "not_after": NOW + 365 * DAY}
        self.root = cert.build_root_authority(self.root_key, name="Armillary Root CA", serial=1, **life)
        self.silicon = cert.build_silicon_authority(self.silicon_key, maker="MediaTek", serial=1, **life)
        self.catalog = cert.build_catalog_authority(
            self.root, self.root_key, self.catalog_key.public_key(), catalog_id=CATALOG, serial=2, **life
        )
        self.issuing = cert.build_issuing_authority(
            self.catalog, self.catalog_key, self.issuing_key.public_key(), catalog_id=CATALOG, serial=3, **life
        )
        self.template = cert.DeviceCertificateTemplate(self.issuing, self.issuing_key)


@pytest.fixture(scope="module")
def authorities():
    return Authorities()


def issue(authorities: Authorities, **changes: Any):
    device, client = key(), key()
    values = {
        "spki": cose.spki_from_point(cose.point_of(client.public_key())),
        "device_id": cose.point_of(device.public_key()).hex(),
        "purpose": "client",
        "tier": "software",
        "serial": 0x1234,
        "not_before": NOW - 300,
        "not_after": NOW + DAY,
    } | changes
    return values, authorities.template.issue(**values)


def client_verifier(*roots: Any, at: int = NOW):
    moment = dt.datetime.fromtimestamp(at, dt.UTC).replace(tzinfo=None)
    return PolicyBuilder().store(Store(list(roots))).time(moment).build_client_verifier()


def test_template_makes_what_the_builder_makes(authorities: Authorities):
    values, issued = issue(authorities)
    built = cert.build_device_certificate(authorities.issuing, authorities.issuing_key, **values)
    assert x509.load_der_x509_certificate(issued).tbs_certificate_bytes == built.tbs_certificate_bytes


@settings(max_examples=examples(60), deadline=None)
@given(
    serial=st.integers(1, 2**159 - 1),
    start=st.integers(0, 4_102_444_800),  # to 2100: both ways of writing a time
    life=st.integers(1, 10 * 365 * DAY),
    purpose=st.sampled_from(sorted(cert.PURPOSES)),
    tier=st.sampled_from(sorted(cert.TRUST_TIERS)),
)
def test_template_equals_builder_for_every_field(serial: int, start: int, life: int, purpose: str, tier: str):
    authorities = SHARED
    values, issued = issue(
        authorities, serial=serial, not_before=start, not_after=start + life, purpose=purpose, tier=tier
    )
    built = cert.build_device_certificate(authorities.issuing, authorities.issuing_key, **values)
    assert x509.load_der_x509_certificate(issued).tbs_certificate_bytes == built.tbs_certificate_bytes
    parsed = cert.verify_issued_by(issued, authorities.issuing, now=start)
    assert (parsed.device_id, parsed.purpose, parsed.trust_tier) == (values["device_id"], purpose, tier)
    assert (parsed.spki, parsed.serial) == (values["spki"], serial)
    assert (parsed.not_before, parsed.not_after) == (start, start + life)


SHARED = Authorities()


def test_issued_chain_verifies_with_cryptography(authorities: Authorities):
    _, issued = issue(authorities)
    leaf = x509.load_der_x509_certificate(issued)
    chain = client_verifier(authorities.root).verify(leaf, [authorities.issuing, authorities.catalog])
    assert [c.serial_number for c in chain.chain] == [0x1234, 3, 2, 1]
    # another IoT service trusts the catalog authority alone
    client_verifier(authorities.catalog).verify(leaf, [authorities.issuing])


def test_issued_chain_verifies_with_openssl(authorities: Authorities, tmp_path: Path):
    _, issued = issue(authorities)
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(x509.load_der_x509_certificate(issued).public_bytes(serialization.Encoding.PEM))
    (tmp_path / "root.pem").write_bytes(authorities.root.public_bytes(serialization.Encoding.PEM))
    middle = [c.public_bytes(serialization.Encoding.PEM) for c in (authorities.issuing, authorities.catalog)]
    (tmp_path / "middle.pem").write_bytes(b"".join(middle))
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-attime", str(NOW)]
    command += ["-CAfile", tmp_path / "root.pem", "-untrusted", tmp_path / "middle.pem", leaf]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    command[command.index(str(NOW))] = str(NOW + 2 * DAY)
    assert "expired" in subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_template_under_a_p384_authority(authorities: Authorities):
    values, _ = issue(authorities)
    template = cert.DeviceCertificateTemplate(authorities.catalog, authorities.catalog_key)
    issued = x509.load_der_x509_certificate(template.issue(**values))
    assert isinstance(issued.signature_hash_algorithm, hashes.SHA384)
    issued.verify_directly_issued_by(authorities.catalog)


@pytest.mark.parametrize("roots", ["silicon", "issuing-of-another"])
def test_other_authority_is_refused(authorities: Authorities, roots: Any):
    _, issued = issue(authorities)
    other = Authorities()
    anchor = {"silicon": authorities.silicon, "issuing-of-another": other.root}[roots]
    with pytest.raises(VerificationError):
        client_verifier(anchor).verify(
            x509.load_der_x509_certificate(issued), [authorities.issuing, authorities.catalog]
        )
    with pytest.raises(SignatureError):
        cert.verify_issued_by(issued, other.issuing, now=NOW)


def test_issuing_authority_cannot_make_authorities(authorities: Authorities):
    rogue_key = key()
    rogue = cert.build_issuing_authority(
        authorities.issuing,
        authorities.issuing_key,
        rogue_key.public_key(),
        catalog_id=CATALOG,
        serial=9,
        not_before=NOW - DAY,
        not_after=NOW + DAY,
    )
    values, _ = issue(authorities)
    leaf = cert.build_device_certificate(rogue, rogue_key, **values)
    with pytest.raises(VerificationError):
        client_verifier(authorities.root).verify(leaf, [rogue, authorities.issuing, authorities.catalog])


def test_expired_and_not_yet_valid_are_refused(authorities: Authorities):
    values, issued = issue(authorities)
    assert cert.verify_issued_by(issued, authorities.issuing, now=NOW).serial == values["serial"]
    for now in (NOW - 301, NOW + DAY + 1):
        with pytest.raises(WireError, match="Unix seconds"):
            cert.verify_issued_by(issued, authorities.issuing, now=now)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"device_id": "AB" * 64}, WireError),
        ({"device_id": "ab" * 63}, WireError),
        ({"device_id": "g" * 128}, WireError),
        ({"spki": b"\0" * 91}, WireError),
        ({"spki": b""}, WireError),
        ({"purpose": "server"}, WireError),
        ({"tier": "hardware"}, WireError),
        ({"serial": 0}, ValueError),
        ({"serial": -1}, ValueError),
        ({"serial": 2**159}, ValueError),
    ],
)
def test_template_refuses_wrong_values(authorities: Authorities, change: Any, error: type[Exception]):
    with pytest.raises(error):
        issue(authorities, **change)


def identity(authorities: Authorities, device: Any):
    return cert.build_identity_certificate(
        authorities.silicon,
        authorities.silicon_key,
        device_id=cose.point_of(device.public_key()).hex(),
        serial=7,
        not_before=NOW - DAY,
        not_after=NOW + 300 * DAY,
    )


def test_identity_certificate(authorities: Authorities):
    device = key()
    certificate = identity(authorities, device)
    parsed = cert.parse_identity_certificate(der(certificate))
    assert parsed.device_id == cose.point_of(device.public_key()).hex()
    assert parsed.purpose is None
    assert parsed.spki == cose.spki_from_point(cose.point_of(device.public_key()))
    client_verifier(authorities.silicon).verify(certificate, [])
    with pytest.raises(WireError):
        cert.parse_device_certificate(der(certificate))
    with pytest.raises(WireError):
        cert.parse_identity_certificate(issue(authorities)[1])


def test_server_certificate(authorities: Authorities):
    server = cert.build_server_certificate(
        authorities.root,
        authorities.root_key,
        key().public_key(),
        hosts=["localhost", "127.0.0.1", "::1"],
        serial=5,
        not_before=NOW - DAY,
        not_after=NOW + 30 * DAY,
    )
    moment = dt.datetime.fromtimestamp(NOW, dt.UTC).replace(tzinfo=None)
    for subject in (x509.DNSName("localhost"), part.host("127.0.0.1"), part.host("::1")):
        verifier = PolicyBuilder().store(Store([authorities.root])).time(moment).build_server_verifier(subject)
        assert verifier.verify(server, [])
    with pytest.raises(VerificationError):
        client_verifier(authorities.root).verify(server, [])
    for parse in (cert.parse_device_certificate, cert.parse_identity_certificate):
        with pytest.raises(WireError):
            parse(der(server))


def test_signing_and_possession_certificates(authorities: Authorities):
    life = {"serial": 5, "not_before": NOW - DAY, "not_after": NOW + DAY}
    signing = cert.build_signing_certificate(
        authorities.root, authorities.root_key, key().public_key(), name="Armillary OS signing", **life
    )
    signing.verify_directly_issued_by(authorities.root)
    proof = cert.build_possession_certificate(
        authorities.catalog, authorities.catalog_key, key(ec.SECP384R1).public_key(), nonce="A1B2", **life
    )
    assert proof.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "A1B2"
    client_verifier(authorities.catalog).verify(proof, [])
    with pytest.raises(WireError, match="CN"):
        cert.build_possession_certificate(
            authorities.catalog, authorities.catalog_key, key().public_key(), nonce="x" * 65, **life
        )


def variant(authorities: Authorities, *, drop: Any = None, change: Any = None, extra: Any = None, subject: Any = None):
    """A device certificate that differs in one place from the profile."""
    values, _ = issue(authorities)
    device_id = values["device_id"]
    extensions = dict(
        enumerate(
            [
                *part.device_extensions(device_id),
                (x509.UnrecognizedExtension(cert.PURPOSE_OID, part.utf8_string("client")), False),
                (x509.UnrecognizedExtension(cert.TRUST_TIER_OID, part.utf8_string("software")), False),
            ]
        )
    )
    if drop is not None:
        del extensions[drop]
    extensions |= change or {}
    return der(
        part.build(
            authorities.issuing_key,
            authorities.issuing,
            cose.public_key(cose.point_from_spki(values["spki"])),
            subject or part.name(device_id[:32]),
            5,
            (NOW, NOW + DAY),
            [*extensions.values(), *(extra or [])],
        )
    )


def test_variants_positive_control(authorities: Authorities):
    assert cert.parse_device_certificate(variant(authorities)).purpose == "client"


URI = x509.UniformResourceIdentifier
VARIANTS = {
    "no basic constraints": {"drop": 0},
    "no key usage": {"drop": 1},
    "no extended key usage": {"drop": 2},
    "no san": {"drop": 3},
    "no purpose": {"drop": 4},
    "no tier": {"drop": 5},
    "authority": {"change": {0: (x509.BasicConstraints(ca=True, path_length=None), True)}},
    "not critical": {"change": {0: (x509.BasicConstraints(ca=False, path_length=None), False)}},
    "server usage": {"change": {2: (x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False)}},
    "two sans": {"change": {3: (x509.SubjectAlternativeName([URI(cert.DEVICE_URN + "ab" * 64)] * 2), False)}},
    "other urn": {"change": {3: (x509.SubjectAlternativeName([URI("urn:other:" + "ab" * 64)]), False)}},
    "san and dns": {
        "change": {3: (x509.SubjectAlternativeName([URI(cert.DEVICE_URN + "ab" * 64), x509.DNSName("x")]), False)}
    },
    "upper case id": {"change": {3: (x509.SubjectAlternativeName([URI(cert.DEVICE_URN + "AB" * 64)]), False)}},
    "another device's san": {"change": {3: (x509.SubjectAlternativeName([URI(cert.DEVICE_URN + "ab" * 64)]), False)}},
    "unknown purpose": {"change": {4: (x509.UnrecognizedExtension(cert.PURPOSE_OID, part.utf8_string("root")), False)}},
    "purpose not utf8string": {"change": {4: (x509.UnrecognizedExtension(cert.PURPOSE_OID, b"\x13\x06client"), False)}},
    "purpose with more": {
        "change": {4: (x509.UnrecognizedExtension(cert.PURPOSE_OID, part.utf8_string("client") + b"\0"), False)}
    },
    "purpose critical": {
        "change": {4: (x509.UnrecognizedExtension(cert.PURPOSE_OID, part.utf8_string("client")), True)}
    },
    "unknown tier": {"change": {5: (x509.UnrecognizedExtension(cert.TRUST_TIER_OID, part.utf8_string("x")), False)}},
    "one more extension": {
        "extra": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False)]
    },
    "another subject": {"subject": part.name("ab" * 16)},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_deviation_from_the_profile_is_refused(authorities: Authorities, name: str):
    with pytest.raises(WireError):
        cert.parse_device_certificate(variant(authorities, **VARIANTS[name]))


def test_other_keys_are_refused(authorities: Authorities):
    values, _ = issue(authorities)
    other = part.build(
        authorities.issuing_key,
        authorities.issuing,
        key(ec.SECP384R1).public_key(),
        part.name(values["device_id"][:32]),
        5,
        (NOW, NOW + DAY),
        part.device_extensions(values["device_id"]),
    )
    with pytest.raises(WireError, match="P-256"):
        cert.parse_identity_certificate(der(other))
    stolen_name = part.build(
        authorities.silicon_key,
        authorities.silicon,
        key().public_key(),
        part.name(values["device_id"][:32]),
        5,
        (NOW, NOW + DAY),
        part.device_extensions(values["device_id"]),
    )
    with pytest.raises(WireError, match="device id"):
        cert.parse_identity_certificate(der(stolen_name))


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"\x30\x82\xff\xff", b"x" * 5000, bytes(100)])
def test_other_bytes_are_refused(data: bytes):
    for parse in (cert.parse_device_certificate, cert.parse_identity_certificate):
        with pytest.raises(WireError):
            parse(data)


def test_subject_that_cannot_be_read_is_refused(authorities: Authorities):
    """Found by fuzz/certificate.py: cryptography reads the subject only when it is asked for."""
    _, issued = issue(authorities)
    organisation = issued.rindex(b"Armillary")  # in the subject: the issuer comes before
    broken = issued[: organisation - 2] + b"\x0c\x09\xff" + issued[organisation + 1 :]
    with pytest.raises(WireError):
        cert.parse_device_certificate(broken)
