# SPDX-License-Identifier: Apache-2.0
"""Certificate revocation lists (RFC 5280 §5): complete v2 lists of one authority, never indirect, never deltas.

Extensions are ``CRLNumber`` and ``AuthorityKeyIdentifier``; each entry carries a reason. A device can be restored, so
its certificates are on hold (``certificateHold``); a certificate that stays revoked has another reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import WireError
from armillary.wire.certificates import certificate_part as part

ON_HOLD: Final = x509.ReasonFlags.certificate_hold
MAX_NUMBER_BITS: Final = 159  # 20 octets and positive (RFC 5280 §5.2.3)

_FORMAT: Final = "revocation list"


class Revoked(NamedTuple):
    """One entry."""

    serial: int
    revoked_at: int  # Unix seconds UTC
    reason: x509.ReasonFlags = ON_HOLD  # ``removeFromCRL`` has no place in a complete list


def build_revocation_list(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    number: int,
    this_update: int,
    next_update: int,
    revoked: Sequence[Revoked],
) -> bytes:
    """A list that the authority signs, DER, entries by serial number, each once; times in Unix seconds UTC.

    ``number`` rises from list to list; the next list is issued at ``next_update`` at the latest.

    Raises:
        ValueError: a number out of its limits, or a next update that is not after this one.
    """
    if number < 0 or number.bit_length() > MAX_NUMBER_BITS:
        raise ValueError(f"revocation list number: 0 to {MAX_NUMBER_BITS} bits")
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(part.moment(this_update))
        .next_update(part.moment(next_update))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(part.authority_key_identifier(issuer), critical=False)
    )
    for one in sorted(revoked):
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(one.serial)
            .revocation_date(part.moment(one.revoked_at))
            .add_extension(x509.CRLReason(one.reason), critical=False)
        )
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer_key, part.hash_for(issuer_key)).public_bytes(serialization.Encoding.DER)


def revoked_in(der: bytes) -> frozenset[Revoked]:
    """The entries of a list that :func:`build_revocation_list` made; raises WireError for DER of another form."""
    try:
        return frozenset(
            Revoked(
                one.serial_number,
                int(one.revocation_date_utc.timestamp()),
                one.extensions.get_extension_for_class(x509.CRLReason).value.reason,
            )
            for one in x509.load_der_x509_crl(der)
        )
    except (ValueError, TypeError, LookupError, x509.ExtensionNotFound) as error:
        raise WireError(_FORMAT, expected="DER of a v2 list with reasons", got=f"{error}"[:200]) from error
