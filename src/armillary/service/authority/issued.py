# SPDX-License-Identifier: Apache-2.0
"""The certificates that this service issued: each is recorded before anybody gets it; new authorities are announced."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from sqlalchemy import Connection

from armillary.engines.records.queries import certificates as certificate_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.errors import NotFoundError
from armillary.service.context.context import Context

BACKDATE_S: Final = 300  # for clocks that are a little behind
ACTOR: Final = "authority"  # of renewals, in the audit log
# Kinds of records that sign for a catalog, and those above every catalog, from the root's side.
AUTHORITY_KINDS: Final = ("catalog", "issuing")
ROOT_KINDS: Final = ("policy", "root")
# Kinds whose certificates a TLS server needs so that devices need to show their leaf only.
TRUSTED_KINDS: Final = ("root", "policy", "catalog", "issuing")


def new_serial() -> int:
    """A fresh, unpredictable serial of 128 bits; 34 hex digits when written as DER writes it."""
    return int.from_bytes(os.urandom(16), "big") | 1 << 127


def serial_text(serial: int) -> str:
    """Azure Sphere's form of a serial: 34 upper-case hex digits."""
    return f"{serial:034X}"


def thumbprint(der: bytes) -> str:
    """SHA-1 of a certificate, upper-case hex: a name in Azure's API, not a security property."""
    digest = hashes.Hash(hashes.SHA1())  # noqa: S303 - see above
    digest.update(der)
    return digest.finalize().hex().upper()


class IssuedCertificates:
    """Records of certificates. Thread-safe.

    ``on_authority`` is called with the DER of each new root or authority below one, ``on_renewed`` after each renewal.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.on_authority: list[Callable[[bytes], object]] = []
        self.on_renewed: list[Callable[[], object]] = []

    def as_record(
        self, kind: str, certificate: x509.Certificate, *, catalog_id: UUID | None = None, subject: str | None = None
    ) -> CertificateRecord:
        """The record of a certificate, for :meth:`record`; ``subject`` is the certificate's own when None."""
        der = certificate.public_bytes(serialization.Encoding.DER)
        return CertificateRecord(
            serial=serial_text(certificate.serial_number),
            kind=kind,
            catalog_id=catalog_id,
            subject=subject or certificate.subject.rfc4514_string(),
            thumbprint=thumbprint(der),
            not_before=int(certificate.not_valid_before_utc.timestamp()),
            not_after=int(certificate.not_valid_after_utc.timestamp()),
            revoked_at=None,
            der=der,
            issued_at=self._context.now(),
        )

    def record(self, connection: Connection, certificates: Sequence[CertificateRecord]) -> None:
        """Record certificates in the caller's transaction; they may be given out only after it."""
        for one in certificates:
            certificate_rows.add(connection, one)
            if one.kind in TRUSTED_KINDS:
                # TLS servers trust an authority a moment early; what its certificates allow is read from the records.
                for trust in self.on_authority:
                    trust(one.der)

    def record_renewal(self, certificates: Sequence[CertificateRecord], actor: str = ACTOR) -> None:
        """Record renewed authorities, each with its audit line, in one transaction."""

        def change(connection: Connection) -> None:
            self.record(connection, certificates)
            for one in certificates:
                detail = {"kind": one.kind, "subject": one.subject, "ends": one.not_after}
                self._context.audit(connection, actor, "authority.renew", one.serial, detail)

        self._context.records.write(change)

    def announce_renewal(self) -> None:
        """Call ``on_renewed``."""
        for call in self.on_renewed:
            call()

    def of_kind(self, kind: str) -> tuple[CertificateRecord, ...]:
        """Every certificate of a kind, oldest first, expired ones too."""
        return self._context.records.read(lambda c: certificate_rows.of_kind(c, kind))

    def trusted(self) -> tuple[bytes, ...]:
        """Every valid root and authority below, DER: with them a TLS server needs a device's leaf only."""
        now = self._context.now()
        return tuple(one.der for kind in TRUSTED_KINDS for one in self.of_kind(kind) if one.not_after > now)

    def authority(self, serial: str) -> CertificateRecord:
        """A valid authority that signs revocation lists, by its serial in hex; NotFoundError if there is none."""
        found = self._context.records.read(lambda c: certificate_rows.by_serial(c, serial.upper()))
        if found is None or found.kind not in (*ROOT_KINDS, *AUTHORITY_KINDS) or found.not_after <= self._context.now():
            raise NotFoundError(f"there is no living authority {serial!r:.60}", remedy="Take it from the chain.")
        return found
