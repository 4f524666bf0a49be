# SPDX-License-Identifier: Apache-2.0
"""Parts of the X.509 profiles in ``certificate.py``: names, extensions, validity, and a little DER (X.690)."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from armillary.errors import WireError

ORGANISATION: Final = "Armillary"
DEVICE_URN: Final = "urn:armillary:device:"
DEVICE_ID_DIGITS: Final = 128
MAX_COMMON_NAME: Final = 64  # ub-common-name, RFC 5280 appendix A.1

_ARC: Final = "2.25.234793756563345149620008284390657182480"  # UUID b0a3a1f5-7c1e-4d8a-9f57-3e6f2c9d4b10
PURPOSE_OID: Final = x509.ObjectIdentifier(f"{_ARC}.1")
TRUST_TIER_OID: Final = x509.ObjectIdentifier(f"{_ARC}.2")
UPDATE_USAGE_OID: Final = x509.ObjectIdentifier(f"{_ARC}.3")  # extended key usage of update certificates
UPDATE: Final = "update"  # the purpose of a certificate for a boot that the service cannot account for
DEVICE_ID: Final = ExtensionOID.SUBJECT_ALTERNATIVE_NAME  # where the device id stands

_FORMAT: Final = "device certificate"
_HEX: Final = frozenset("0123456789abcdef")
_FIRST_GENERALIZED_YEAR: Final = 2050  # RFC 5280 §4.1.2.5: UTCTime until 2049
_UTF8_STRING: Final = 0x0C

Extension = tuple[x509.ExtensionType, bool]  # value, critical


def build(
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    key: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    serial: int,
    validity_times: tuple[int, int],
    extensions: Sequence[Extension],
) -> x509.Certificate:
    """Build and sign a certificate; self-signed where ``issuer`` is None."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(moment(validity_times[0]))
        .not_valid_after(moment(validity_times[1]))
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    if issuer is not None:
        builder = builder.add_extension(authority_key_identifier(issuer), critical=False)
    return builder.sign(issuer_key, hash_for(issuer_key))


def build_authority(
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    key: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    serial: int,
    validity_times: tuple[int, int],
    *,
    path_length: int | None,
    constraints: Sequence[Extension] = (),
) -> x509.Certificate:
    """Build an authority's certificate; ``constraints`` limit what it may sign, without them nothing does."""
    extensions: list[Extension] = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (_key_usage(authority=True), True),
        *constraints,
        (x509.SubjectKeyIdentifier.from_public_key(key), False),
    ]
    return build(issuer_key, issuer, key, subject, serial, validity_times, extensions)


def build_device_authority(
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate,
    key: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    serial: int,
    validity_times: tuple[int, int],
    *,
    path_length: int,
) -> x509.Certificate:
    """Build the certificate of an authority that certifies devices only."""
    limits = devices_only()
    return build_authority(
        issuer_key, issuer, key, subject, serial, validity_times, path_length=path_length, constraints=limits
    )


def devices_only() -> list[Extension]:
    """Extensions that keep an authority from certifying a server: clients only, and no host name or address.

    Two ways, because verifiers differ. In OpenSSL the extended key usage of an authority limits all certificates below
    it, which RFC 5280 §4.2.1.12 does not require; name constraints (§4.2.1.10) are part of every complete path
    validation. They are not critical, against §4.2.1.10: a TLS library without them would refuse every device, and one
    with them applies them nevertheless.
    """
    every_address = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    excluded = [x509.DNSName(""), *(x509.IPAddress(network) for network in every_address)]
    return [
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, UPDATE_USAGE_OID]), False),
        (x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=excluded), False),
    ]


def name(common_name: str) -> x509.Name:
    """``O=Armillary, CN=...``; raises WireError for a common name that is empty or too long."""
    if not 0 < len(common_name) <= MAX_COMMON_NAME:
        raise WireError("certificate", expected=f"a CN of 1 to {MAX_COMMON_NAME} characters", got=f"{len(common_name)}")
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def host(text: str) -> x509.GeneralName:
    """A DNS name, or an IP address where ``text`` is one."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def end_entity(usage: x509.ObjectIdentifier) -> list[Extension]:
    """The extensions that every end-entity profile begins with."""
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_key_usage(authority=False), True),
        (x509.ExtendedKeyUsage([usage]), False),
    ]


def device_extensions(device_id: str, purpose: str | None = None) -> list[Extension]:
    """The extensions of both device profiles.

    An update certificate has an extended key usage of Armillary, which no TLS server accepts.
    """
    uri = x509.UniformResourceIdentifier(DEVICE_URN + device_id)
    usage = UPDATE_USAGE_OID if purpose == UPDATE else ExtendedKeyUsageOID.CLIENT_AUTH
    return [*end_entity(usage), (x509.SubjectAlternativeName([uri]), False)]


def device_point(device_id: str) -> bytes:
    """The 64 bytes of a device id; raises WireError unless it is 128 lower-case hex digits."""
    if len(device_id) != DEVICE_ID_DIGITS or not _HEX.issuperset(device_id):
        raise WireError(_FORMAT, expected="a device id of 128 lower-case hex digits", got=f"{device_id!r:.24}...")
    return bytes.fromhex(device_id)


def device_extension_values(certificate: x509.Certificate) -> dict[x509.ObjectIdentifier, str]:
    """The device id, purpose and trust tier, after every extension was found to be the profile's.

    Raises WireError for an extension that is missing, unknown, there twice or other than the profile says.
    """
    try:
        found = {extension.oid: (extension.value, extension.critical) for extension in certificate.extensions}
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise WireError(_FORMAT, expected="the extensions of the profile", got=f"{error}"[:200]) from error
    values: dict[x509.ObjectIdentifier, str] = {}
    for oid in (PURPOSE_OID, TRUST_TIER_OID):
        value, critical = found.pop(oid, (None, False))
        if value is not None:
            values[oid] = _text(value, critical=critical)
    san, _ = found.get(DEVICE_ID, (None, False))
    values[DEVICE_ID] = _device_id(san)
    found.pop(ExtensionOID.AUTHORITY_KEY_IDENTIFIER, None)
    extensions = device_extensions(values[DEVICE_ID], values.get(PURPOSE_OID))
    expected = {value.oid: (value, critical) for value, critical in extensions}
    if found != expected:
        odd = [oid.dotted_string for oid in {*found, *expected} if found.get(oid) != expected.get(oid)]
        raise WireError(_FORMAT, expected="the extensions of the profile", got=f"{', '.join(sorted(odd))} differ")
    return values


def check_subject(certificate: x509.Certificate, device_id: str) -> None:
    """Check that the subject is the one that belongs to the device id; raises WireError for another."""
    if certificate.subject != name(device_id[:32]):
        raise WireError(
            _FORMAT, expected=f"subject CN={device_id[:32]}", got=certificate.subject.rfc4514_string()[:200]
        )


def hash_for(key: ec.EllipticCurvePrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """SHA-384 for P-384, SHA-256 for P-256 (RFC 5480 §4)."""
    return hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA256()


def authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The AuthorityKeyIdentifier of certificates and lists that ``issuer`` signs."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


@lru_cache(maxsize=64)  # check-ins of one second share their times
def validity(not_before: int, not_after: int) -> bytes:
    """DER ``Validity``: UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5)."""
    return sequence(_time(not_before) + _time(not_after))


def moment(seconds: int) -> dt.datetime:
    """Unix seconds as a time in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def sequence(content: bytes) -> bytes:
    """DER SEQUENCE."""
    return b"\x30" + length(len(content)) + content


def length(size: int) -> bytes:
    """DER length octets (X.690 §10.1)."""
    if size < 0x80:
        return bytes((size,))
    if size < 0x100:
        return bytes((0x81, size))
    return b"\x82" + size.to_bytes(2, "big")


def utf8_string(text: str) -> bytes:
    """DER UTF8String of at most 127 bytes."""
    content = text.encode()
    return bytes((_UTF8_STRING, len(content))) + content


def _text(value: x509.ExtensionType, *, critical: bool) -> str:
    content = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    text = content[2:].decode("ascii", errors="replace")
    if critical or not text.isascii() or utf8_string(text[:127]) != content:
        raise WireError(_FORMAT, expected="a non-critical UTF8String", got=content[:32].hex() or "another extension")
    return text


def _device_id(san: x509.ExtensionType | None) -> str:
    uris = (
        san.get_values_for_type(x509.UniformResourceIdentifier) if isinstance(san, x509.SubjectAlternativeName) else []
    )
    if len(uris) != 1 or not uris[0].startswith(DEVICE_URN):
        raise WireError(_FORMAT, expected=f"one SAN URI {DEVICE_URN}...", got=f"{uris!r:.80}")
    device_id = uris[0].removeprefix(DEVICE_URN)
    device_point(device_id)
    return device_id


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _time(seconds: int) -> bytes:
    at = moment(seconds)
    if at.year < _FIRST_GENERALIZED_YEAR:
        return b"\x17\x0d" + at.strftime("%y%m%d%H%M%SZ").encode()
    return b"\x18\x0f" + at.strftime("%Y%m%d%H%M%SZ").encode()
