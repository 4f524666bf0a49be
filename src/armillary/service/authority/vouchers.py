# SPDX-License-Identifier: Apache-2.0
"""Vouchers: certificates of authorities that sign themselves, by their predecessors (``trust_anchor.py`` in wire)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.service.authority.issued import IssuedCertificates, new_serial
from armillary.service.context.context import Context
from armillary.wire.certificates import trust_anchor


class Vouchers:
    """The vouchers of one kind of authority.

    A voucher's record has ``kind``, and as its subject the serial of the authority that is vouched for.
    """

    def __init__(self, context: Context, issued: IssuedCertificates, kind: str) -> None:
        self._context = context
        self._issued = issued
        self._kind = kind

    def make(
        self, old: CertificateRecord, key: ec.EllipticCurvePrivateKey, new: CertificateRecord
    ) -> CertificateRecord:
        """Certify a new authority by an old one, whose private key is ``key``; the caller records it."""
        voucher = trust_anchor.build_voucher(
            x509.load_der_x509_certificate(old.der),
            key,
            x509.load_der_x509_certificate(new.der),
            serial=new_serial(),
            not_before=new.not_before,
            not_after=min(new.not_after, old.not_after),
        )
        return self._issued.as_record(self._kind, voucher, subject=new.serial)

    def valid(self) -> tuple[CertificateRecord, ...]:
        """Every valid voucher, oldest first."""
        now = self._context.now()
        return tuple(one for one in self._issued.of_kind(self._kind) if one.not_after > now)

    def anchors(self, authorities: Sequence[CertificateRecord]) -> list[trust_anchor.Anchor]:
        """Authorities, each with what vouches for it, as messages to devices carry them."""
        vouchers = self.valid()
        return [
            trust_anchor.Anchor(one.der, tuple(each.der for each in vouchers if each.subject == one.serial))
            for one in authorities
        ]
