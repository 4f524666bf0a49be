# SPDX-License-Identifier: Apache-2.0
"""The policy authority, catalog authorities and the issuing authorities under them.

A catalog authority is renewed 90 days before it ends and its successor takes over 45 days after it was made, so that
relying parties have time to learn it (Azure Sphere's rhythm). The issuing authority signs a certificate per check-in:
it is on P-256, where a signature costs a tenth of P-384's, and lives 90 days.

The policy authority stands between the root and every catalog, so that the root's key is needed every few years only.
It keeps the same rhythm, early enough for each catalog authority to have its full two years under it. A data folder of
before there was one gets one; its catalog authorities stay under the root until they are renewed.

A renewal makes a key, signs, and records the certificates in one transaction. Cut before that, what was active is
active, and the next renewal begins again; a key that no certificate names is left over and signs nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from armillary.engines.records.queries import catalogs as catalog_rows, certificates as certificate_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.engines.records.schema.rows import CaCertificate
from armillary.errors import InvalidArgumentError, NotFoundError, SignerError
from armillary.service.authority.key_store import KeyStore
from armillary.service.authority.life import (
    CATALOG_LIFE_S,
    CATALOG_RENEWAL_S,
    DAY_S,
    ISSUING_LIFE_S,
    ISSUING_RENEWAL_S,
    POLICY_LIFE_S,
    POLICY_RENEWAL_S,
    active_of,
    check_settled,
    is_due,
    serving_root,
    signed_by,
    status_of,
)
from armillary.service.context.context import Context
from armillary.wire.certificates import certificate as profile
from armillary.wire.certificates.crl import Revoked, build_revocation_list

POSSESSION_LIFE_S: Final = 3600  # Azure Sphere's proof lives an hour
BACKDATE_S: Final = 300  # for clocks that are a little behind

ACTOR: Final = "authority"  # of renewals, in the audit log
MAX_NONCE_LENGTH: Final = 64  # a common name holds no more (RFC 5280)

_DER: Final = serialization.Encoding.DER


@dataclass(slots=True)
class Issuer:
    """What signs the client certificates of a catalog.

    Attributes:
        template: Fast issuing.
        chain: DER of the issuing authority, the catalog authority and what is between it and the root.
        not_after: End of the issuing authority, Unix seconds UTC.
        replaced: Set when a renewal has made another; whoever remembers this one asks again.
    """

    template: profile.DeviceCertificateTemplate
    chain: tuple[bytes, ...]
    not_after: int
    replaced: bool = False


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


# Kinds whose certificates a TLS server needs so that devices need to show their leaf only.
TRUSTED_KINDS: Final = ("root", "policy", "catalog", "issuing")
# Kinds of certificate records that sign for a catalog, from the root down, and those above every catalog.
AUTHORITY_KINDS: Final = ("catalog", "issuing")
ROOT_KINDS: Final = ("policy", "root")


class CatalogAuthorities:
    """Certificates of catalogs. Built as part of ``service/authority/authority.py``. Thread-safe."""

    _context: Context
    _keys: KeyStore
    _lock: threading.Lock
    _issuers: dict[UUID, Issuer]
    on_authority: list[Callable[[bytes], None]]  # called with the DER of each new authority
    on_renewed: list[Callable[[], None]]  # called after a renewal was recorded

    def roots(self) -> tuple[CertificateRecord, ...]:
        """The living roots, oldest first; the last one where none lives any more."""
        now = self._context.now()
        found = self._context.records.read(lambda c: certificate_rows.of_kind(c, "root"))
        return tuple(one for one in found if one.not_after > now) or found[-1:]

    @property
    def root_certificate(self) -> bytes:
        """The root that signs server certificates, DER: what devices and operators' tools pin first."""
        return serving_root(self.roots(), self._context.now()).der

    def record(self, connection: Connection, certificates: Sequence[CertificateRecord]) -> None:
        """Record certificates inside the caller's transaction; only then may anybody get them."""
        for one in certificates:
            certificate_rows.add(connection, one)
            if one.kind in TRUSTED_KINDS:
                # TLS servers hear of an authority a moment early; what its certificates open is asked of the records.
                for trust in self.on_authority:
                    trust(one.der)

    def authority_certificates(self) -> tuple[bytes, ...]:
        """Every living root and authority below, DER: with them a TLS server needs a device's leaf only."""
        now = self._context.now()
        records = self._context.records.read(
            lambda c: [one for kind in TRUSTED_KINDS for one in certificate_rows.of_kind(c, kind)]
        )
        return tuple(one.der for one in records if one.not_after > now)

    def _record(
        self, kind: str, certificate: x509.Certificate, *, catalog_id: UUID | None = None, subject: str | None = None
    ) -> CertificateRecord:
        der = certificate.public_bytes(_DER)
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

    def prepare_catalog(self, catalog_id: UUID) -> tuple[CertificateRecord, ...]:
        """Make a catalog's authority and its issuing authority; the caller records them with the catalog."""
        catalog = self._make_catalog(catalog_id)
        return catalog, self._make_issuing(catalog_id, catalog)

    def issuer(self, catalog_id: UUID) -> Issuer:
        """What signs the client certificates of a catalog.

        Raises:
            NotFoundError: no such catalog.
            SignerError: its issuing authority has ended: renewals have failed for weeks.
        """
        found = self._issuers.get(catalog_id)
        if found is not None and found.not_after > self._context.now():
            return found
        with self._lock:
            records = self._context.records.read(
                lambda c: certificate_rows.of_catalog(c, catalog_id, kinds=("catalog", "issuing"))
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
            parent = next(one for one in records if one.kind == "catalog" and signed_by(certificate, one.der))
            key = self._keys.load(f"issuing-{newest.serial.lower()}")
            found = Issuer(
                profile.DeviceCertificateTemplate(certificate, key),
                (newest.der, *self._up_to_root(parent.der)[:-1]),
                newest.not_after,
            )
            self._issuers[catalog_id] = found
        return found

    def issuing_certificates(self, catalog_id: UUID) -> tuple[x509.Certificate, ...]:
        """Every issuing authority of a catalog that may still have living certificates."""
        records = self._context.records.read(lambda c: certificate_rows.of_catalog(c, catalog_id, kinds=("issuing",)))
        now = self._context.now()
        return tuple(
            x509.load_der_x509_certificate(one.der) for one in records if one.not_after > now and not one.revoked_at
        )

    def living_authorities(self, catalog_id: UUID) -> tuple[CertificateRecord, ...]:
        """The authorities whose certificates a relying party of a catalog may meet, and all above them; leaves first.

        Raises:
            NotFoundError: no such catalog.
        """
        now = self._context.now()

        def query(connection: Connection) -> tuple[tuple[CertificateRecord, ...], tuple[CertificateRecord, ...]]:
            own = certificate_rows.of_catalog(connection, catalog_id, kinds=AUTHORITY_KINDS)
            above = tuple(one for kind in ROOT_KINDS for one in certificate_rows.of_kind(connection, kind))
            return own, above  # the next policy authority too: who trusts it early loses nobody later

        own, above = self._context.records.read(query)
        living = [one for one in own if one.not_after > now]
        if not living:
            raise NotFoundError(f"catalog {catalog_id} has no certificate authority", remedy="Make the catalog.")
        found = sorted(living, key=lambda one: (one.kind != "issuing", -one.issued_at))
        return (*found, *(one for one in above if one.not_after > now))

    def authority_named(self, serial: str) -> CertificateRecord:
        """A living authority that signs revocation lists, by serial number in hex, either case.

        Raises:
            NotFoundError: there is none.
        """
        found = self._context.records.read(lambda c: certificate_rows.by_serial(c, serial.upper()))
        if found is None or found.kind not in (*ROOT_KINDS, *AUTHORITY_KINDS) or found.not_after <= self._context.now():
            raise NotFoundError(f"there is no living authority {serial!r:.60}", remedy="Take it from the chain.")
        return found

    def sign_revocation_list(
        self, authority: CertificateRecord, *, number: int, this_update: int, next_update: int, revoked: list[Revoked]
    ) -> bytes:
        """A revocation list of an authority, DER; the caller records it before anybody gets it."""
        return build_revocation_list(
            x509.load_der_x509_certificate(authority.der),
            self._keys.load(self._key_name(authority)),
            number=number,
            this_update=this_update,
            next_update=next_update,
            revoked=revoked,
        )

    def list_ca_certificates(self, catalog: str) -> tuple[CaCertificate, ...]:
        """A catalog's authority certificates, newest first."""
        return tuple(reversed(self._with_status(self._catalog_records(catalog))))

    def get_ca_certificate(self, catalog: str, serial: str) -> CaCertificate:
        """A catalog's authority certificate by serial; ``.default`` is the active one.

        Raises:
            NotFoundError: there is none of this serial.
        """
        for one in self._with_status(self._catalog_records(catalog)):
            if one.serial == serial.upper() or (serial == ".default" and one.status == "Active"):
                return one
        raise NotFoundError(
            f"catalog {catalog} has no certificate {serial!r:.60}", remedy="List them: armillary ca-certificate list."
        )

    def ca_chain(self, catalog: str, serial: str) -> tuple[bytes, ...]:
        """The authority certificate and all above it up to the root, DER."""
        return self._up_to_root(self.get_ca_certificate(catalog, serial).der)

    def _up_to_root(self, der: bytes) -> tuple[bytes, ...]:
        """A catalog authority, the policy authority that signed it, if one did, and the root; DER."""
        chain = [der]
        for kind in ROOT_KINDS:
            above = self._context.records.read(lambda c, k=kind: certificate_rows.of_kind(c, k))  # type: ignore[misc]
            top = x509.load_der_x509_certificate(chain[-1])
            chain += [one.der for one in above if signed_by(top, one.der)]
        return tuple(chain)

    def prove_possession(self, catalog: str, serial: str, nonce: str) -> bytes:
        """A certificate, DER, that shows that this service holds the authority's key: its common name is the nonce.

        Raises:
            InvalidArgumentError: the nonce does not fit into a common name.
        """
        if not 1 <= len(nonce) <= MAX_NONCE_LENGTH or not nonce.isprintable():
            raise InvalidArgumentError(
                f"nonce: expected 1 to {MAX_NONCE_LENGTH} printable characters, got {len(nonce)}",
                remedy="Use the code that the other service showed.",
            )
        authority = self.get_ca_certificate(catalog, serial)
        now = self._context.now()
        proof = profile.build_possession_certificate(
            x509.load_der_x509_certificate(authority.der),
            self._keys.load(f"catalog-{authority.serial.lower()}"),
            ec.generate_private_key(ec.SECP384R1()).public_key(),
            nonce=nonce,
            serial=new_serial(),
            not_before=now - BACKDATE_S,
            not_after=now + POSSESSION_LIFE_S,
        )
        return proof.public_bytes(_DER)

    def _catalog_records(self, catalog: str) -> tuple[CertificateRecord, ...]:
        def query(connection: Connection) -> tuple[CertificateRecord, ...]:
            owner = catalog_rows.catalog_named(connection, catalog)
            if owner is None:
                raise NotFoundError(f"catalog {catalog!r} does not exist", remedy="List them: armillary catalog list.")
            return certificate_rows.of_catalog(connection, owner.catalog_id, kinds=("catalog",))

        return self._context.records.read(query)

    def _with_status(self, records: Sequence[CertificateRecord]) -> tuple[CaCertificate, ...]:
        now = self._context.now()
        active = active_of(records, now)
        return tuple(
            CaCertificate(
                catalog_id=_catalog_of(one),
                serial=one.serial,
                status=status_of(one, active, now),
                subject=one.subject,
                thumbprint=one.thumbprint,
                not_before=one.not_before,
                not_after=one.not_after,
                der=one.der,
            )
            for one in records
        )

    def _renew_policy(self) -> None:
        policies, now, roots = self._policies(), self._context.now(), self.roots()
        root = active_of(roots, now) or roots[-1]
        if is_due(policies, POLICY_RENEWAL_S, now=now, latest_end=root.not_after):
            self._record_renewal([self._make_policy(root)])

    def renew_policy(self, *, actor: str) -> CertificateRecord:
        """Make a new policy authority now; it takes over 45 days later.

        Raises:
            ConflictError: the newest of several has not taken over yet.
        """
        now, roots = self._context.now(), self.roots()
        check_settled([one for one in self._policies() if one.not_after > now], now=now)
        made = self._make_policy(active_of(roots, now) or roots[-1])
        self._record_renewal([made], actor)
        self._tell_renewed()
        return made

    def renew_catalog(self, catalog: str, *, actor: str) -> CertificateRecord:
        """Make a new authority of a catalog now; it takes over 45 days later.

        Raises:
            NotFoundError: no such catalog.
            ConflictError: the newest of several has not taken over yet.
        """
        now, records = self._context.now(), self._catalog_records(catalog)
        check_settled([one for one in records if one.not_after > now], now=now)
        made = self._make_catalog(_catalog_of(records[0]))
        self._record_renewal([made], actor)
        self._tell_renewed()
        return made

    def renew_issuing(self, catalog: str, *, actor: str) -> CertificateRecord:
        """Make a new issuing authority of a catalog now; it takes over at once.

        Raises:
            NotFoundError: no such catalog.
            ConflictError: the newest of several was made within a day.
        """
        now, catalogs = self._context.now(), self._catalog_records(catalog)
        catalog_id = _catalog_of(catalogs[0])
        issuing = self._context.records.read(lambda c: certificate_rows.of_catalog(c, catalog_id, kinds=("issuing",)))
        check_settled([one for one in issuing if one.not_after > now], now=now, takeover_s=DAY_S)
        made = self._make_issuing(catalog_id, active_of(catalogs, now) or catalogs[-1])
        self._record_renewal([made], actor)
        self._replace_issuer(catalog_id)
        self._tell_renewed()
        return made

    def _policies(self) -> tuple[CertificateRecord, ...]:
        return self._context.records.read(lambda c: certificate_rows.of_kind(c, "policy"))

    def _record_renewal(self, made: Sequence[CertificateRecord], actor: str = ACTOR) -> None:
        """Record renewed authorities, each with its audit line, in one transaction."""

        def change(connection: Connection) -> None:
            self.record(connection, made)
            for one in made:
                detail = {"kind": one.kind, "subject": one.subject, "ends": one.not_after}
                self._context.audit(connection, actor, "authority.renew", one.serial, detail)

        self._context.records.write(change)

    def _make_policy(self, root: CertificateRecord) -> CertificateRecord:
        now, serial = self._context.now(), new_serial()
        key = self._keys.create(f"policy-{serial_text(serial).lower()}", ec.SECP384R1())
        certificate = profile.build_policy_authority(
            x509.load_der_x509_certificate(root.der),
            self._keys.load(self._key_name(root)),
            key.public_key(),
            serial=serial,
            not_before=now - BACKDATE_S,
            not_after=min(now + POLICY_LIFE_S, root.not_after),
        )
        return self._record("policy", certificate)

    def _renew_catalog(self, catalog_id: UUID) -> None:
        now = self._context.now()
        records = self._context.records.read(
            lambda c: certificate_rows.of_catalog(c, catalog_id, kinds=("catalog", "issuing"))
        )
        catalogs = [one for one in records if one.kind == "catalog"]
        issuing = [one for one in records if one.kind == "issuing"]
        made: list[CertificateRecord] = []
        if is_due(catalogs, CATALOG_RENEWAL_S, now=now, latest_end=self._active_policy(now).not_after):
            made.append(self._make_catalog(catalog_id))
            catalogs.append(made[0])
        active = active_of(catalogs, now) or catalogs[-1]
        if is_due(issuing, ISSUING_RENEWAL_S, now=now, latest_end=active.not_after) or not signed_by(
            x509.load_der_x509_certificate(issuing[-1].der), active.der
        ):
            made.append(self._make_issuing(catalog_id, active))
        if made:
            self._record_renewal(made)
            self._replace_issuer(catalog_id)
            self._tell_renewed()

    def _tell_renewed(self) -> None:
        for told in self.on_renewed:
            told()

    def _replace_issuer(self, catalog_id: UUID) -> None:
        """Whoever remembers the issuer of a catalog asks again; a reading under way ends first."""
        with self._lock:
            old = self._issuers.pop(catalog_id, None)
        if old is not None:
            old.replaced = True

    def _active_policy(self, now: int) -> CertificateRecord:
        policy = active_of(self._policies(), now)
        if policy is None:  # made at the first start and by every renewal
            raise SignerError("there is no living policy authority", remedy="Restart the service: it makes one.")
        return policy

    def _make_catalog(self, catalog_id: UUID) -> CertificateRecord:
        now, serial = self._context.now(), new_serial()
        policy = self._active_policy(now)
        key = self._keys.create(f"catalog-{serial_text(serial).lower()}", ec.SECP384R1())
        certificate = profile.build_catalog_authority(
            x509.load_der_x509_certificate(policy.der),
            self._keys.load(self._key_name(policy)),
            key.public_key(),
            catalog_id=catalog_id,
            serial=serial,
            not_before=now - BACKDATE_S,
            not_after=min(now - BACKDATE_S + CATALOG_LIFE_S, policy.not_after),
        )
        return self._record("catalog", certificate, catalog_id=catalog_id)

    def _make_issuing(self, catalog_id: UUID, parent: CertificateRecord) -> CertificateRecord:
        now, serial = self._context.now(), new_serial()
        key = self._keys.create(f"issuing-{serial_text(serial).lower()}", ec.SECP256R1())
        certificate = profile.build_issuing_authority(
            x509.load_der_x509_certificate(parent.der),
            self._keys.load(f"catalog-{parent.serial.lower()}"),
            key.public_key(),
            catalog_id=catalog_id,
            serial=serial,
            not_before=now - BACKDATE_S,
            not_after=min(now + ISSUING_LIFE_S, parent.not_after),
        )
        return self._record("issuing", certificate, catalog_id=catalog_id)

    def _key_name(self, authority: CertificateRecord) -> str:
        """Where an authority's key is in the key store; that of the first root is named by its kind alone."""
        named = f"{authority.kind}-{authority.serial.lower()}"
        return "root" if authority.kind == "root" and not self._keys.has(named) else named


def _catalog_of(record: CertificateRecord) -> UUID:
    """The catalog of a record of one."""
    return record.catalog_id or UUID(int=0)
