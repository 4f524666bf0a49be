# SPDX-License-Identifier: Apache-2.0
"""X.509 profiles (RFC 5280) of everything Armillary certifies, and the fast way to issue device certificates.

=====================  ======  ========  ==============================================================
profile                key     signed    extensions (c = critical)
=====================  ======  ========  ==============================================================
root authority         P-384   itself    c BasicConstraints CA, c KeyUsage sign certSign crlSign, SKI
silicon authority      P-384   itself    the same, path length 0: device identity certificates only
policy authority       P-384   root      the same, path length 2, AKI, devices only (below)
catalog authority      P-384   policy    the same, path length 1, AKI, devices only
issuing authority      P-256   catalog   the same, path length 0, AKI, devices only
server                 P-256   root      c BasicConstraints no CA, c KeyUsage sign, EKU serverAuth, SAN, SKI, AKI
device identity        P-256   silicon   c no CA, c sign, EKU clientAuth, SAN URI with the device id, AKI
device client          P-256   issuing   as device identity, and purpose and trust tier (below)
signing                P-256   root      c no CA, c sign, EKU codeSigning, SKI, AKI
possession             P-384   catalog   c no CA, c sign, EKU clientAuth, SAN URI, AKI; CN is the nonce
=====================  ======  ========  ==============================================================

The SAN URI is ``urn:armillary:device:`` and the 128 hex digits; the CN has the first 32 (RFC 5280 allows 64).
Purpose ("client" or "update") and trust tier are UTF8Strings under OIDs of our own UUID arc (X.667). They are
*not* critical: OpenSSL refuses a client certificate with a critical extension it does not know.

A certificate of purpose "update" has an extended key usage of Armillary instead of clientAuth: it is issued to a boot
whose measurements the service does not know, and no TLS server accepts it, even one that ignores the purpose.

Devices only: EKU clientAuth and that of updates, and NameConstraints that exclude every DNS name and IP address. A
stolen key of such an authority can certify devices, but no server: clients that trust the root refuse it.

Why the issuing authority: a P-384 signature costs ten times a P-256 one (222 against 21 microseconds), and one
is made for every check-in. The catalog authority stays P-384 and signs once per issuing authority.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from armillary.errors import SignatureError, WireError
from armillary.wire.certificates import certificate_part as part
from armillary.wire.encoding import cose

ORGANISATION: Final = part.ORGANISATION
DEVICE_URN: Final = part.DEVICE_URN
PURPOSE_OID: Final = part.PURPOSE_OID
TRUST_TIER_OID: Final = part.TRUST_TIER_OID
PURPOSES: Final = frozenset({"client", part.UPDATE})
TRUST_TIERS: Final = frozenset({"simulated", "software", "tpm", "silicon"})

MAX_SERIAL_BITS: Final = 159  # 20 octets and positive (RFC 5280 §4.1.2.2)
MAX_CERTIFICATE_BYTES: Final = 4 * 1024  # a device certificate has about 700

_FORMAT: Final = "device certificate"
_REMEDY: Final = "Check in again: the service issues a new certificate with the next attestation."


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedDeviceCertificate:
    """A certificate of the device identity or device client profile; its issuer's signature is not checked here.

    TLS has checked it where the certificate comes from a handshake; :func:`verify_issued_by` does it elsewhere.
    """

    device_id: str  # 128 lower-case hex digits
    purpose: str | None  # ``client`` or ``update``; None for an identity certificate
    trust_tier: str | None  # set by the service; None for an identity certificate
    spki: bytes  # DER SubjectPublicKeyInfo, 91 bytes
    serial: int
    not_before: int  # Unix seconds UTC
    not_after: int  # Unix seconds UTC
    certificate: x509.Certificate


# -- authorities ----------------------------------------------------------------------------------------------


def build_root_authority(
    key: ec.EllipticCurvePrivateKey, *, name: str, serial: int, not_before: int, not_after: int
) -> x509.Certificate:
    """The self-signed root of a service. Times in Unix seconds UTC, here and in every builder below."""
    return part.build_authority(
        key, None, key.public_key(), part.name(name), serial, (not_before, not_after), path_length=None
    )


def build_silicon_authority(
    key: ec.EllipticCurvePrivateKey, *, maker: str, serial: int, not_before: int, not_after: int
) -> x509.Certificate:
    """The self-signed authority of a chip maker: signs device identity certificates."""
    subject = part.name(f"{maker} Silicon CA"[:64])
    return part.build_authority(key, None, key.public_key(), subject, serial, (not_before, not_after), path_length=0)


def build_policy_authority(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePublicKey,
    *,
    serial: int,
    not_before: int,
    not_after: int,
) -> x509.Certificate:
    """The authority between the root and every catalog's."""
    subject = part.name(f"{ORGANISATION} Policy CA {part.moment(not_before).year}")
    life = (not_before, not_after)
    return part.build_device_authority(issuer_key, issuer, key, subject, serial, life, path_length=2)


def build_catalog_authority(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePublicKey,
    *,
    catalog_id: UUID,
    serial: int,
    not_before: int,
    not_after: int,
    path_length: int = 1,
) -> x509.Certificate:
    """The authority of one catalog. Relying parties (other IoT services) trust exactly this certificate."""
    subject = part.name(f"{ORGANISATION} {catalog_id}")
    life = (not_before, not_after)
    return part.build_device_authority(issuer_key, issuer, key, subject, serial, life, path_length=path_length)


def build_issuing_authority(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePublicKey,
    *,
    catalog_id: UUID,
    serial: int,
    not_before: int,
    not_after: int,
) -> x509.Certificate:
    """The P-256 authority under a catalog's that signs the daily device certificates."""
    subject = part.name(f"{ORGANISATION} Issuing {catalog_id}")
    life = (not_before, not_after)
    return part.build_device_authority(issuer_key, issuer, key, subject, serial, life, path_length=0)


# -- end entities ---------------------------------------------------------------------------------------------


def build_server_certificate(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePublicKey,
    *,
    hosts: Sequence[str],
    serial: int,
    not_before: int,
    not_after: int,
) -> x509.Certificate:
    """A TLS server certificate for ``hosts``: DNS names and IP addresses as text, the first is also the CN."""
    extensions = [
        *part.end_entity(ExtendedKeyUsageOID.SERVER_AUTH),
        (x509.SubjectAlternativeName([part.host(host) for host in hosts]), False),
        (x509.SubjectKeyIdentifier.from_public_key(key), False),
    ]
    return part.build(issuer_key, issuer, key, part.name(hosts[0][:64]), serial, (not_before, not_after), extensions)


def build_identity_certificate(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    device_id: str,
    serial: int,
    not_before: int,
    not_after: int,
) -> x509.Certificate:
    """A device identity certificate, whose key is the device id; raises WireError if that is no point of the curve."""
    key = cose.public_key(part.device_point(device_id))
    extensions = part.device_extensions(device_id)
    return part.build(issuer_key, issuer, key, part.name(device_id[:32]), serial, (not_before, not_after), extensions)


def build_device_certificate(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    spki: bytes,
    device_id: str,
    purpose: str,
    tier: str,
    serial: int,
    not_before: int,
    not_after: int,
) -> x509.Certificate:
    """A device client certificate; :class:`DeviceCertificateTemplate` makes the same faster.

    Raises WireError for an invalid device id, key, purpose or tier.
    """
    part.device_point(device_id)
    if purpose not in PURPOSES or tier not in TRUST_TIERS:
        raise WireError(_FORMAT, expected="a known purpose and trust tier", got=f"{purpose!r}, {tier!r}")
    point = cose.point_from_spki(spki)
    extensions = [
        *part.device_extensions(device_id, purpose),
        (x509.UnrecognizedExtension(PURPOSE_OID, part.utf8_string(purpose)), False),
        (x509.UnrecognizedExtension(TRUST_TIER_OID, part.utf8_string(tier)), False),
    ]
    subject = part.name(device_id[:32])
    return part.build(issuer_key, issuer, cose.public_key(point), subject, serial, (not_before, not_after), extensions)


def build_signing_certificate(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePublicKey,
    *,
    name: str,
    serial: int,
    not_before: int,
    not_after: int,
) -> x509.Certificate:
    """A certificate for a key that signs OS components or application images."""
    extensions = [
        *part.end_entity(ExtendedKeyUsageOID.CODE_SIGNING),
        (x509.SubjectKeyIdentifier.from_public_key(key), False),
    ]
    return part.build(issuer_key, issuer, key, part.name(name), serial, (not_before, not_after), extensions)


def build_possession_certificate(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePublicKey,
    *,
    nonce: str,
    serial: int,
    not_before: int,
    not_after: int,
) -> x509.Certificate:
    """Proof that the service holds a catalog authority's key: a certificate whose CN is the requester's nonce."""
    extensions = [
        *part.end_entity(ExtendedKeyUsageOID.CLIENT_AUTH),
        (x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:armillary:possession")]), False),
    ]
    return part.build(issuer_key, issuer, key, part.name(nonce), serial, (not_before, not_after), extensions)


class DeviceCertificateTemplate:
    """Issues device client certificates by cutting and joining DER, about four times as fast as building them.

    One certificate per purpose and tier is built by :func:`build_device_certificate` and cut at the fields that
    differ; what is joined again is therefore what the builder makes, byte for byte but for the signature. The issuer is
    the issuing (or catalog) authority, P-256 or P-384.
    """

    __slots__ = ("_algorithm", "_issuer", "_key", "_pieces", "_signature_hash")

    def __init__(self, issuer_certificate: x509.Certificate, issuer_key: ec.EllipticCurvePrivateKey) -> None:
        self._issuer = issuer_certificate
        self._key = issuer_key
        self._signature_hash = ec.ECDSA(part.hash_for(issuer_key))
        self._pieces: dict[tuple[str, str], tuple[bytes, ...]] = {}
        self._algorithm = b""

    def __repr__(self) -> str:
        return f"DeviceCertificateTemplate({self._issuer.subject.rfc4514_string()})"

    def issue(
        self, spki: bytes, device_id: str, purpose: str, tier: str, serial: int, not_before: int, not_after: int
    ) -> bytes:
        """A signed certificate, DER; times in Unix seconds UTC.

        The caller has checked that ``spki`` is of a point of P-256, takes ``tier`` from the enrolment record, and makes
        ``serial`` fresh and unpredictable.

        Raises:
            WireError: an invalid device id, key, purpose or tier.
            ValueError: a serial number that is not positive or has more than 159 bits.
        """
        part.device_point(device_id)
        cose.point_from_spki(spki)
        if serial < 1 or serial.bit_length() > MAX_SERIAL_BITS:
            raise ValueError(f"certificate serial: 1 to {MAX_SERIAL_BITS} bits, positive")
        pieces = self._pieces.get((purpose, tier)) or self._cut(purpose, tier)
        before_validity, before_name, before_key, before_id, after_id = pieces
        serial_bytes = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
        body = b"".join(
            (
                b"\xa0\x03\x02\x01\x02",  # version 3
                bytes((0x02, len(serial_bytes))),
                serial_bytes,
                before_validity,
                part.validity(not_before, not_after),
                before_name,
                device_id[:32].encode(),
                before_key,
                spki,
                before_id,
                device_id.encode(),
                after_id,
            )
        )
        signed = part.sequence(body)
        signature = b"\0" + self._key.sign(signed, self._signature_hash)  # no unused bits
        return part.sequence(signed + self._algorithm + b"\x03" + part.length(len(signature)) + signature)

    def _cut(self, purpose: str, tier: str) -> tuple[bytes, ...]:
        """Build one certificate with marked fields and cut it there."""
        point = cose.point_of(ec.derive_private_key(1, ec.SECP256R1()).public_key())
        spki, device_id = cose.spki_from_point(point), point.hex()
        marked = build_device_certificate(
            self._issuer,
            self._key,
            spki=spki,
            device_id=device_id,
            purpose=purpose,
            tier=tier,
            serial=1,
            not_before=0,
            not_after=1,
        )
        body = marked.tbs_certificate_bytes[4:]  # SEQUENCE, two length bytes: between 256 and 65,535 bytes
        start = len(b"\xa0\x03\x02\x01\x02\x02\x01\x01")
        pieces = []
        for mark in (part.validity(0, 1), device_id[:32].encode(), spki, device_id.encode()):
            end = body.index(mark, start)
            pieces.append(body[start:end])
            start = end + len(mark)
        found = (*pieces, body[start:])
        whole = marked.public_bytes(serialization.Encoding.DER)
        tail = whole[4 + len(marked.tbs_certificate_bytes) :]
        self._algorithm = tail[: 2 + tail[1]]
        self._pieces[purpose, tier] = found
        return found


# -- parsing --------------------------------------------------------------------------------------------------


def parse_device_certificate(der: bytes) -> UnverifiedDeviceCertificate:
    """Parse a device client certificate, DER; raises WireError for any field that is not of its profile."""
    return _parse_device(der, identity=False)


def parse_identity_certificate(der: bytes) -> UnverifiedDeviceCertificate:
    """Parse a device identity certificate: as above, without purpose and tier, and its key has to be its device id."""
    return _parse_device(der, identity=True)


def verify_issued_by(der: bytes, issuer: x509.Certificate, *, now: int) -> UnverifiedDeviceCertificate:
    """The parsed device client certificate, after its issuer's signature and its validity were checked.

    Raises:
        WireError: malformed, or not valid at ``now``.
        SignatureError: ``issuer`` did not sign it.
    """
    parsed = parse_device_certificate(der)
    try:
        parsed.certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise SignatureError(
            _FORMAT, expected=f"one issued by {issuer.subject.rfc4514_string()}", got="another issuer's", remedy=_REMEDY
        ) from error
    if not parsed.not_before <= now <= parsed.not_after:
        raise WireError(
            _FORMAT,
            expected=f"a time from {parsed.not_before} to {parsed.not_after}",
            got=f"{now} (Unix seconds)",
            remedy=_REMEDY,
        )
    return parsed


def _load(der: bytes) -> x509.Certificate:
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise WireError("certificate", expected=f"at most {MAX_CERTIFICATE_BYTES} bytes", got=f"{len(der)} bytes")
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise WireError("certificate", expected="DER of an X.509 v3 certificate", got=f"{error}"[:200]) from error


def _spki(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WireError("certificate", expected="a key that can be read", got=f"{error}"[:200]) from error


def _parse_device(der: bytes, *, identity: bool) -> UnverifiedDeviceCertificate:
    certificate = _load(der)
    try:
        return _device_fields(certificate, identity=identity)
    # cryptography reads most fields when they are asked for, and says so in these ways where they are malformed.
    except (ValueError, TypeError, LookupError, OverflowError, UnsupportedAlgorithm) as error:
        raise WireError(_FORMAT, expected="fields that can be read", got=f"{error}"[:200], remedy=_REMEDY) from error


def _device_fields(certificate: x509.Certificate, *, identity: bool) -> UnverifiedDeviceCertificate:
    values = part.device_extension_values(certificate)
    purpose, tier = values.get(PURPOSE_OID), values.get(TRUST_TIER_OID)
    if (purpose is None) != (tier is None):
        raise WireError(_FORMAT, expected="purpose and trust tier, or neither", got="one of them", remedy=_REMEDY)
    if purpose is not None and (purpose not in PURPOSES or tier not in TRUST_TIERS):
        raise WireError(
            _FORMAT, expected="a known purpose and trust tier", got=f"{purpose!r}, {tier!r}", remedy=_REMEDY
        )
    device_id = values[part.DEVICE_ID]
    spki = _spki(certificate)
    point = cose.point_from_spki(spki)
    if identity != (purpose is None):
        wanted = "an identity certificate" if identity else "a client certificate with purpose and trust tier"
        raise WireError(_FORMAT, expected=wanted, got="the other kind", remedy=_REMEDY)
    if purpose is None and point.hex() != device_id:
        raise WireError(_FORMAT, expected="an identity key that is the device id", got="another key", remedy=_REMEDY)
    part.check_subject(certificate, device_id)
    return UnverifiedDeviceCertificate(
        device_id=device_id,
        purpose=purpose,
        trust_tier=tier,
        spki=spki,
        serial=certificate.serial_number,
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
        certificate=certificate,
    )
