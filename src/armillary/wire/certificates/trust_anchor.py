# SPDX-License-Identifier: Apache-2.0
"""Succession of trust anchors: a client that trusts an old authority learns to trust its successor.

::

    trust-anchors  = [ 1, [ 1*8 anchor ] ]                   ; oldest first; at most 32 KiB
    identity       = [ 1, certificate, [ 1*8 anchor ] ]      ; a device identity certificate, and silicon authorities
    anchor         = [ certificate, [ 0*8 voucher ] ]        ; a self-signed authority, DER
    voucher        = certificate                             ; the same authority, signed by an earlier one

A voucher is a cross certificate: name, key and extensions of the successor under the signature of its predecessor. A
client that pins the predecessor accepts the successor for that signature alone: neither for the connection that it was
received on (whose key is in a server's memory) nor for a certificate of an authority with fewer rights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import SignatureError, WireError
from armillary.wire.certificates import certificate_part as part
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array, take_bytes, take_uint

VERSION: Final = 1
MAX_MESSAGE_BYTES: Final = 32 * 1024
MAX_ANCHORS: Final = 8  # living at once: two in the usual rhythm
MAX_CERTIFICATE_BYTES: Final = 2 * 1024  # an authority has about 600

_FORMAT: Final = "trust anchors"
_IDENTITY: Final = "identity certificate"


class Anchor(NamedTuple):
    """An authority and its vouchers, DER; not verified."""

    certificate: bytes
    vouchers: tuple[bytes, ...] = ()


class UnverifiedIdentity(NamedTuple):
    """A new device identity certificate, DER, and the silicon authorities of its maker, oldest first."""

    certificate: bytes
    anchors: tuple[Anchor, ...]


def build_voucher(
    old: x509.Certificate,
    old_key: ec.EllipticCurvePrivateKey,
    new: x509.Certificate,
    *,
    serial: int,
    not_before: int,
    not_after: int,
) -> x509.Certificate:
    """The successor ``new`` under the signature of ``old``. Times in Unix seconds UTC."""
    key = new.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise WireError(_FORMAT, expected="an authority with an elliptic curve key", got="another")
    extensions = [(one.value, one.critical) for one in new.extensions]
    return part.build(old_key, old, key, new.subject, serial, (not_before, not_after), extensions)


def encode_anchors(anchors: Sequence[Anchor]) -> bytes:
    """The message of trust anchors."""
    return cbor.encode([VERSION, _fields(anchors)])


def parse_anchors(data: bytes) -> tuple[Anchor, ...]:
    """Read a message of trust anchors, verifying no signature; raises WireError if it is not of this format."""
    version, anchors = take_array(cbor.decode(data, what=_FORMAT, limit=MAX_MESSAGE_BYTES), _FORMAT, limit=2, size=2)
    _check_version(version)
    return _anchors(anchors)


def encode_identity(certificate: bytes, anchors: Sequence[Anchor]) -> bytes:
    """The message with a new identity certificate."""
    return cbor.encode([VERSION, certificate, _fields(anchors)])


def parse_identity(data: bytes) -> UnverifiedIdentity:
    """Read a message with an identity certificate, verifying no signature; raises WireError for another format."""
    value = cbor.decode(data, what=_FORMAT, limit=MAX_MESSAGE_BYTES)
    version, certificate, anchors = take_array(value, _FORMAT, limit=3, size=3)
    _check_version(version)
    return UnverifiedIdentity(take_bytes(certificate, _FORMAT, limit=MAX_CERTIFICATE_BYTES), _anchors(anchors))


def accepted(trusted: Sequence[x509.Certificate], anchors: Iterable[Anchor], *, now: int) -> list[x509.Certificate]:
    """``trusted``, and every anchor with a voucher by one of them or by an anchor accepted before it.

    The anchors are given oldest first; their vouchers have to be valid at ``now``, Unix seconds UTC.

    Raises:
        WireError: an anchor cannot be read.
    """
    found = list(trusted)
    for anchor in anchors:
        certificate = load(anchor.certificate)
        if certificate in found:
            continue
        for voucher in map(load, anchor.vouchers):
            if any(_vouches(old, certificate, voucher, now=now) for old in found):
                found.append(certificate)
                break
    return found


def verify_identity(current: x509.Certificate, identity: UnverifiedIdentity, *, now: int) -> x509.Certificate:
    """The new identity certificate, after checking that the issuer of the present one vouches for its issuer.

    Raises:
        SignatureError: its issuer is not accepted by that of the present certificate.
        WireError: it is for another key or name, ends no later, or cannot be read.
    """
    own = [one for one in (load(anchor.certificate) for anchor in identity.anchors) if _signed(one, current)]
    issuers = accepted(own, identity.anchors, now=now)
    new = load(identity.certificate)
    if not any(_signed(issuer, new) for issuer in issuers):
        raise SignatureError(
            _IDENTITY,
            expected="an issuer that the present certificate's issuer vouches for",
            got=new.issuer.rfc4514_string()[:200],
            remedy="Keep the present one; armillary device recover gets another.",
        )
    if _key_of(new) != _key_of(current) or new.subject != current.subject:
        raise WireError(_IDENTITY, expected="this device's key and name", got="another's")
    if new.not_valid_after_utc <= current.not_valid_after_utc:
        raise WireError(_IDENTITY, expected=f"an end after {current.not_valid_after_utc}", got="an earlier one")
    return new


def load(der: bytes) -> x509.Certificate:
    """A certificate from DER; raises WireError if it cannot be read."""
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise WireError(_FORMAT, expected="DER of an X.509 certificate", got=f"{error}"[:200]) from error


def _vouches(old: x509.Certificate, new: x509.Certificate, voucher: x509.Certificate, *, now: int) -> bool:
    """Whether ``voucher`` is ``new``, a self-signed authority with the rights of ``old``, under ``old``'s signature."""
    try:
        return (
            _signed(new, new)
            and _signed(old, voucher)
            and voucher.subject == new.subject
            and _key_of(voucher) == _key_of(new)
            and _rights(voucher) == _rights(new) == _rights(old)
            and int(voucher.not_valid_before_utc.timestamp()) <= now <= int(voucher.not_valid_after_utc.timestamp())
        )
    # cryptography reads most fields when they are asked for, and says so in these ways where they are malformed.
    except (ValueError, TypeError, LookupError, OverflowError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return False


def _signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True


def _key_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _rights(certificate: x509.Certificate) -> set[tuple[x509.ExtensionType, bool]]:
    """Every extension but the key identifiers: basic constraints, key usage, and limits where there are any."""
    return {
        (one.value, one.critical)
        for one in certificate.extensions
        if not isinstance(one.value, x509.SubjectKeyIdentifier | x509.AuthorityKeyIdentifier)
    }


def _check_version(version: Any) -> None:
    if take_uint(version, _FORMAT) != VERSION:
        raise WireError(_FORMAT, expected=f"version {VERSION}", got=f"{version}")


def _fields(anchors: Sequence[Anchor]) -> list[list[Any]]:
    return [[anchor.certificate, list(anchor.vouchers)] for anchor in anchors[-MAX_ANCHORS:]]


def _anchors(value: Any) -> tuple[Anchor, ...]:
    found = []
    for item in take_array(value, _FORMAT, limit=MAX_ANCHORS):
        certificate, vouchers = take_array(item, _FORMAT, limit=2, size=2)
        ders = tuple(
            take_bytes(one, _FORMAT, limit=MAX_CERTIFICATE_BYTES)
            for one in take_array(vouchers, _FORMAT, limit=MAX_ANCHORS)
        )
        found.append(Anchor(take_bytes(certificate, _FORMAT, limit=MAX_CERTIFICATE_BYTES), ders))
    if not found:
        raise WireError(_FORMAT, expected=f"1 to {MAX_ANCHORS} anchors", got="none")
    return tuple(found)
