# SPDX-License-Identifier: Apache-2.0
"""Catalog authorities and the issuing authorities under them.

A catalog authority is renewed 90 days before it ends and its successor takes over 45 days after it was made, so that
relying parties have time to learn it (Azure Sphere's rhythm). The issuing authority signs a certificate per check-in:
it is on P-256, where a signature costs a tenth of P-384's, and lives 90 days.

A renewal makes a key, signs, and records the certificates in one transaction. Cut before that, what was active is
active, and the next renewal begins again; a key that no certificate names is left over and signs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows, certificates as certificate_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.engines.records.schema.rows import CaCertificate
from armillary.errors import InvalidArgumentError, NotFoundError, SignerError
from armillary.service.authority import life
from armillary.service.authority.issued import (
    AUTHORITY_KINDS,
    BACKDATE_S,
    ROOT_KINDS,
    IssuedCertificates,
    new_serial,
    serial_text,
)
from armillary.service.authority.key_store import KeyStore
from armillary.service.authority.policy_authority import PolicyAuthorities
from armillary.service.context.context import Context
from armillary.wire.certificates import certificate as profile

POSSESSION_LIFE_S: Final = 3600  # Azure Sphere's proof lives an hour
MAX_NONCE_LENGTH: Final = 64  # a common name holds no more (RFC 5280)


@dataclass(slots=True)
class Issuer:
    """What signs the client certificates of a catalog.

    Attributes:
        chain: DER of the issuing authority, the catalog authority and what is between it and the root.
        not_after: End of the issuing authority, Unix seconds UTC.
        replaced: Set when a renewal has made another; caches of this one ask again.
    """

    template: profile.DeviceCertificateTemplate
    chain: tuple[bytes, ...]
    not_after: int
    replaced: bool = False


class CatalogAuthorities:
    """Makes, renews and lists the authorities of catalogs. Thread-safe. An unknown catalog raises NotFoundError."""

    def __init__(
        self, context: Context, keys: KeyStore, issued: IssuedCertificates, policies: PolicyAuthorities
    ) -> None:
        self._context = context
        self._keys = keys
        self._issued = issued
        self._policies = policies
        self._lock = threading.Lock()
        self._issuers: dict[UUID, Issuer] = {}

    def prepare(self, catalog_id: UUID) -> tuple[CertificateRecord, ...]:
        """Make a catalog's authority and its issuing authority; the caller records them with the catalog."""
        catalog = self._make_catalog(catalog_id)
        return catalog, self._make_issuing(catalog_id, catalog)

    def issuer(self, catalog_id: UUID) -> Issuer:
        """What signs a catalog's client certificates; SignerError when its issuing authority has ended unrenewed."""
        found = self._issuers.get(catalog_id)
        if found is not None and found.not_after > self._context.now():
            return found
        with self._lock:
            records = self._context.records.read(
                lambda c: certificate_rows.of_catalog(c, catalog_id, kinds=AUTHORITY_KINDS)
            )
            issuing = [one for one in records if one.kind == "issuing"]
            if not issuing:
                raise NotFoundError(f"catalog {catalog_id} has no certificate authority", remedy="Make the catalog.")
            newest = issuing[-1]
            if newest.not_after <= self._context.now():
                raise SignerError(
                    f"the issuing authority of catalog {catalog_id} has ended and could not be renewed",
                    remedy="Look for failed renewals in the service's log; restart it when their cause is gone.",
                )
            certificate = x509.load_der_x509_certificate(newest.der)
            parent = next(one for one in records if one.kind == "catalog" and life.signed_by(certificate, one.der))
            key = self._keys.load_authority("issuing", newest.der)
            found = Issuer(
                profile.DeviceCertificateTemplate(certificate, key),
                (newest.der, *self._up_to_root(parent.der)[:-1]),
                newest.not_after,
            )
            self._issuers[catalog_id] = found
        return found

    def issuing_certificates(self, catalog_id: UUID) -> tuple[x509.Certificate, ...]:
        """Every issuing authority of a catalog that may still have valid certificates; none for an unknown catalog."""
        records = self._context.records.read(lambda c: certificate_rows.of_catalog(c, catalog_id, kinds=("issuing",)))
        now = self._context.now()
        return tuple(
            x509.load_der_x509_certificate(one.der) for one in records if one.not_after > now and not one.revoked_at
        )

    def valid(self, catalog_id: UUID) -> tuple[CertificateRecord, ...]:
        """Valid authorities that relying parties of a catalog may meet, and all above them; leaves first."""
        now = self._context.now()

        def query(connection: Connection) -> tuple[tuple[CertificateRecord, ...], tuple[CertificateRecord, ...]]:
            own = certificate_rows.of_catalog(connection, catalog_id, kinds=AUTHORITY_KINDS)
            above = tuple(one for kind in ROOT_KINDS for one in certificate_rows.of_kind(connection, kind))
            return own, above  # the next policy authority too: who trusts it early loses nobody later

        own, above = self._context.records.read(query)
        valid = [one for one in own if one.not_after > now]
        if not valid:
            raise NotFoundError(f"catalog {catalog_id} has no certificate authority", remedy="Make the catalog.")
        found = sorted(valid, key=lambda one: (one.kind != "issuing", -one.issued_at))
        return (*found, *(one for one in above if one.not_after > now))

    def list(self, catalog: str) -> tuple[CaCertificate, ...]:
        """A catalog's authority certificates, newest first."""
        return tuple(reversed(self._with_status(self._catalog_records(catalog))))

    def get(self, catalog: str, serial: str) -> CaCertificate:
        """A catalog's authority certificate by serial, or ``.default`` (the active one); NotFoundError if none."""
        for one in self._with_status(self._catalog_records(catalog)):
            if one.serial == serial.upper() or (serial == ".default" and one.status == "Active"):
                return one
        raise NotFoundError(
            f"catalog {catalog} has no certificate {serial!r:.60}", remedy="List them: armillary ca-certificate list."
        )

    def chain(self, catalog: str, serial: str) -> tuple[bytes, ...]:
        """The authority certificate and all above it up to the root, DER."""
        return self._up_to_root(self.get(catalog, serial).der)

    def prove_possession(self, catalog: str, serial: str, nonce: str) -> bytes:
        """A certificate, DER, that proves that this service has the authority's key: its common name is the nonce.

        InvalidArgumentError if the nonce does not fit into a common name.
        """
        if not 1 <= len(nonce) <= MAX_NONCE_LENGTH or not nonce.isprintable():
            raise InvalidArgumentError(
                f"nonce: expected 1 to {MAX_NONCE_LENGTH} printable characters, got {len(nonce)}",
                remedy="Use the code that the other service showed.",
            )
        authority = self.get(catalog, serial)
        now = self._context.now()
        proof = profile.build_possession_certificate(
            x509.load_der_x509_certificate(authority.der),
            self._keys.load_authority("catalog", authority.der),
            ec.generate_private_key(ec.SECP384R1()).public_key(),
            nonce=nonce,
            serial=new_serial(),
            not_before=now - BACKDATE_S,
            not_after=now + POSSESSION_LIFE_S,
        )
        return proof.public_bytes(serialization.Encoding.DER)

    def renew(self, catalog: str, *, actor: str) -> CertificateRecord:
        """Make a catalog's next authority, active in 45 days; ConflictError while an earlier next one waits."""
        now, records = self._context.now(), self._catalog_records(catalog)
        life.check_settled([one for one in records if one.not_after > now], now=now)
        made = self._make_catalog(_catalog_of(records[0]))
        self._issued.record_renewal([made], actor)
        self._issued.announce_renewal()
        return made

    def renew_issuing(self, catalog: str, *, actor: str) -> CertificateRecord:
        """Make and use a catalog's next issuing authority; ConflictError within a day of the last one."""
        now, catalogs = self._context.now(), self._catalog_records(catalog)
        catalog_id = _catalog_of(catalogs[0])
        issuing = self._context.records.read(lambda c: certificate_rows.of_catalog(c, catalog_id, kinds=("issuing",)))
        life.check_settled([one for one in issuing if one.not_after > now], now=now, takeover_s=life.DAY_S)
        made = self._make_issuing(catalog_id, life.active_of(catalogs, now) or catalogs[-1])
        self._issued.record_renewal([made], actor)
        self._replace_issuer(catalog_id)
        self._issued.announce_renewal()
        return made

    def renew_due(self, catalog_id: UUID) -> None:
        """Renew those authorities of a catalog that end soon."""
        now = self._context.now()
        records = self._context.records.read(
            lambda c: certificate_rows.of_catalog(c, catalog_id, kinds=AUTHORITY_KINDS)
        )
        catalogs = [one for one in records if one.kind == "catalog"]
        issuing = [one for one in records if one.kind == "issuing"]
        made: list[CertificateRecord] = []
        if life.is_due(catalogs, life.CATALOG_RENEWAL_S, now=now, latest_end=self._policies.active().not_after):
            made.append(self._make_catalog(catalog_id))
            catalogs.append(made[0])
        active = life.active_of(catalogs, now) or catalogs[-1]
        if life.is_due(issuing, life.ISSUING_RENEWAL_S, now=now, latest_end=active.not_after) or not life.signed_by(
            x509.load_der_x509_certificate(issuing[-1].der), active.der
        ):
            made.append(self._make_issuing(catalog_id, active))
        if made:
            self._issued.record_renewal(made)
            self._replace_issuer(catalog_id)
            self._issued.announce_renewal()

    def reread(self) -> None:
        """Have every issuer read from the records again: another process renewed some."""
        for catalog_id in tuple(self._issuers):
            self._replace_issuer(catalog_id)

    def _replace_issuer(self, catalog_id: UUID) -> None:
        """Have caches of a catalog's issuer read it again; waits for a reading in progress."""
        with self._lock:
            old = self._issuers.pop(catalog_id, None)
        if old is not None:
            old.replaced = True

    def _up_to_root(self, der: bytes) -> tuple[bytes, ...]:
        """A catalog authority, the policy authority that signed it, if one did, and the root; DER."""
        chain = [der]
        for kind in ROOT_KINDS:
            top = x509.load_der_x509_certificate(chain[-1])
            chain += [one.der for one in self._issued.of_kind(kind) if life.signed_by(top, one.der)]
        return tuple(chain)

    def _catalog_records(self, catalog: str) -> tuple[CertificateRecord, ...]:
        def query(connection: Connection) -> tuple[CertificateRecord, ...]:
            owner = catalog_rows.catalog_named(connection, catalog)
            if owner is None:
                raise NotFoundError(f"catalog {catalog!r} does not exist", remedy="List them: armillary catalog list.")
            return certificate_rows.of_catalog(connection, owner.catalog_id, kinds=("catalog",))

        return self._context.records.read(query)

    def _with_status(self, records: Sequence[CertificateRecord]) -> tuple[CaCertificate, ...]:
        now = self._context.now()
        active = life.active_of(records, now)
        return tuple(
            CaCertificate(
                catalog_id=_catalog_of(one),
                serial=one.serial,
                status=life.status_of(one, active, now),
                subject=one.subject,
                thumbprint=one.thumbprint,
                not_before=one.not_before,
                not_after=one.not_after,
                der=one.der,
            )
            for one in records
        )

    def _make_catalog(self, catalog_id: UUID) -> CertificateRecord:
        now, serial = self._context.now(), new_serial()
        policy = self._policies.active()
        key = self._keys.create(f"catalog-{serial_text(serial).lower()}", ec.SECP384R1())
        certificate = profile.build_catalog_authority(
            x509.load_der_x509_certificate(policy.der),
            self._keys.load_authority(policy.kind, policy.der),
            key.public_key(),
            catalog_id=catalog_id,
            serial=serial,
            not_before=now - BACKDATE_S,
            not_after=min(now - BACKDATE_S + life.CATALOG_LIFE_S, policy.not_after),
        )
        return self._issued.as_record("catalog", certificate, catalog_id=catalog_id)

    def _make_issuing(self, catalog_id: UUID, parent: CertificateRecord) -> CertificateRecord:
        now, serial = self._context.now(), new_serial()
        key = self._keys.create(f"issuing-{serial_text(serial).lower()}", ec.SECP256R1())
        certificate = profile.build_issuing_authority(
            x509.load_der_x509_certificate(parent.der),
            self._keys.load_authority("catalog", parent.der),
            key.public_key(),
            catalog_id=catalog_id,
            serial=serial,
            not_before=now - BACKDATE_S,
            not_after=min(now + life.ISSUING_LIFE_S, parent.not_after),
        )
        return self._issued.as_record("issuing", certificate, catalog_id=catalog_id)


def _catalog_of(record: CertificateRecord) -> UUID:
    """The catalog that a record belongs to."""
    return record.catalog_id or UUID(int=0)
