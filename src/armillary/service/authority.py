# SPDX-License-Identifier: Apache-2.0
"""The certificate authority of a service.

::

    root (P-384, 20 y) -> server certificates (P-256, 1 y)
                       -> OS signing, image signing (P-256, 20 y)
                       -> catalog authority (P-384, 2 y) -> issuing authority (P-256, 90 d) -> client (24 h)
    silicon authority per chip maker (P-256, 20 y, self-signed) -> device identity certificates (P-256)

The silicon authority is on P-256, as everything of a device: its signature is checked in every TLS handshake, and a
P-384 one costs as much as the whole rest of a check-in.

A catalog authority is renewed 90 days before it ends and its successor takes over 45 days after it was made, so that
relying parties have time to learn it (Azure Sphere's rhythm). A certificate is recorded before anybody sees it: the
records come from here, the transaction is the caller's (:meth:`Authority.record`).
"""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from armillary.engines.records import catalog_rows, certificate_rows
from armillary.engines.records.certificate_rows import CertificateRecord
from armillary.engines.records.folder import write_file
from armillary.engines.records.rows import CaCertificate
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.service.context import Context
from armillary.service.key_store import KeyStore
from armillary.wire import certificate as profile

DAY_S: Final = 86_400
YEAR_S: Final = 365 * DAY_S
ROOT_LIFE_S: Final = 20 * YEAR_S
SILICON_LIFE_S: Final = 20 * YEAR_S
SIGNING_LIFE_S: Final = 20 * YEAR_S
CATALOG_LIFE_S: Final = 2 * YEAR_S
CATALOG_RENEWAL_S: Final = 90 * DAY_S
CATALOG_TAKEOVER_S: Final = 45 * DAY_S
ISSUING_LIFE_S: Final = 90 * DAY_S
ISSUING_RENEWAL_S: Final = 30 * DAY_S
SERVER_LIFE_S: Final = YEAR_S
SERVER_RENEWAL_S: Final = 30 * DAY_S
POSSESSION_LIFE_S: Final = 3600  # Azure Sphere's proof lives an hour
BACKDATE_S: Final = 300  # for clocks that are a little behind

MAX_NONCE_LENGTH: Final = 64  # a common name holds no more (RFC 5280)

_DER: Final = serialization.Encoding.DER


@dataclass(slots=True)
class Issuer:
    """What signs the client certificates of a catalog.

    Attributes:
        template: Fast issuing.
        chain: DER of the issuing authority and the catalog authority.
        not_after: End of the issuing authority, Unix seconds UTC.
        replaced: Set when a renewal has made another; whoever remembers this one asks again.
    """

    template: profile.DeviceCertificateTemplate
    chain: tuple[bytes, bytes]
    not_after: int
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Files a TLS server loads: certificate chain, key, and the root clients pin. PEM."""

    certificate: Path
    key: Path
    root: Path


@dataclass(frozen=True, slots=True)
class Signer:
    """A signing key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


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


class Authority:
    """Keys and certificates. Thread-safe."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys = KeyStore(context.folder.keys)
        self._lock = threading.Lock()
        self._issuers: dict[UUID, Issuer] = {}
        self._silicon: dict[str, x509.Certificate] = {}

    # -- first start and start ------------------------------------------------------------------------------------

    def make(self) -> tuple[CertificateRecord, ...]:
        """Make the root and the signing keys of a new service; the caller records what is returned."""
        now = self._context.now()
        root_key = self._keys.create("root", ec.SECP384R1())
        root = profile.build_root_authority(
            root_key,
            name="Armillary Root CA",
            serial=new_serial(),
            not_before=now - BACKDATE_S,
            not_after=now + ROOT_LIFE_S,
        )
        made = [self._record("root", root)]
        for kind, name in (("os-signing", "Armillary OS Signing"), ("image-signing", "Armillary Image Signing")):
            key = self._keys.create(kind, ec.SECP256R1())
            certificate = profile.build_signing_certificate(
                root,
                root_key,
                key.public_key(),
                name=name,
                serial=new_serial(),
                not_before=now - BACKDATE_S,
                not_after=now + SIGNING_LIFE_S,
            )
            made.append(self._record(kind, certificate))
        self._keys.create_secret("challenge", os.urandom(32))
        return tuple(made)

    def open(self, makers: Iterable[str]) -> None:
        """Load what every start needs, make what a new chip maker needs, and renew what ends soon."""
        records = self._context.records
        self._root = self._one_of_kind("root")
        self.os_signer = Signer(self._keys.load("os-signing"), self._one_of_kind("os-signing"))
        self.image_signer = Signer(self._keys.load("image-signing"), self._one_of_kind("image-signing"))
        self.challenge_key = self._keys.secret("challenge", 32)
        for record in records.read(lambda c: certificate_rows.of_kind(c, "silicon")):
            self._silicon[record.subject] = x509.load_der_x509_certificate(record.der)
        for maker in makers:
            if maker not in self._silicon:
                self._make_silicon(maker)
        self.renew()

    def renew(self) -> None:
        """Renew what ends soon: server certificate, catalog and issuing authorities. Daily, and at each start."""
        self._renew_server()
        for catalog in self._context.records.read(catalog_rows.catalogs):
            self._renew_catalog(catalog.catalog_id)

    # -- recording ------------------------------------------------------------------------------------------------

    def record(self, connection: Connection, certificates: Sequence[CertificateRecord]) -> None:
        """Record certificates inside the caller's transaction; only then may anybody get them."""
        for one in certificates:
            certificate_rows.add(connection, one)

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

    def _one_of_kind(self, kind: str) -> x509.Certificate:
        found = self._context.records.read(lambda c: certificate_rows.of_kind(c, kind))
        return x509.load_der_x509_certificate(found[-1].der)

    # -- root, server ---------------------------------------------------------------------------------------------

    @property
    def root_certificate(self) -> bytes:
        """The root, DER: what devices and operators' tools pin."""
        return self._root.public_bytes(_DER)

    def server_files(self) -> ServerFiles:
        """The server certificate for the device endpoint, the API and the hub."""
        keys = self._context.folder.keys
        return ServerFiles(keys / "server-chain.pem", self._keys.path("server"), self._context.folder.path / "root.pem")

    def _renew_server(self) -> None:
        now, hosts, files = self._context.now(), self._hosts(), self.server_files()
        if files.certificate.exists() and files.key.exists():
            current = x509.load_pem_x509_certificate(files.certificate.read_bytes())
            ends = int(current.not_valid_after_utc.timestamp())
            if ends - now > SERVER_RENEWAL_S and _hosts_of(current) == hosts:
                return
        key = self._keys.load("server") if files.key.exists() else self._keys.create("server", ec.SECP256R1())
        certificate = profile.build_server_certificate(
            self._root,
            self._keys.load("root"),
            key.public_key(),
            hosts=hosts,
            serial=new_serial(),
            not_before=now - BACKDATE_S,
            not_after=now + SERVER_LIFE_S,
        )
        record = self._record("server", certificate)
        self._context.records.write(lambda c: self.record(c, [record]))
        root_pem = self._root.public_bytes(serialization.Encoding.PEM)
        write_file(files.root, root_pem, mode=0o644)
        write_file(files.certificate, certificate.public_bytes(serialization.Encoding.PEM) + root_pem, mode=0o644)

    def _hosts(self) -> list[str]:
        settings = self._context.settings
        hosts = [settings.public_host, "localhost", "127.0.0.1", "::1"]
        if settings.host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            hosts.append(settings.host)
        return list(dict.fromkeys(_spelled(host) for host in hosts))

    # -- catalogs -------------------------------------------------------------------------------------------------

    def prepare_catalog(self, catalog_id: UUID) -> tuple[CertificateRecord, ...]:
        """Make a catalog's authority and its issuing authority; the caller records them with the catalog."""
        catalog = self._make_catalog(catalog_id)
        return catalog, self._make_issuing(catalog_id, catalog)

    def issuer(self, catalog_id: UUID) -> Issuer:
        """What signs the client certificates of a catalog.

        Raises:
            NotFoundError: no such catalog.
        """
        found = self._issuers.get(catalog_id)
        if found is not None:
            return found
        with self._lock:
            records = self._context.records.read(
                lambda c: certificate_rows.of_catalog(c, catalog_id, kinds=("catalog", "issuing"))
            )
            issuing = [one for one in records if one.kind == "issuing"]
            if not issuing:
                raise NotFoundError(f"catalog {catalog_id} has no certificate authority", remedy="Make the catalog.")
            newest = issuing[-1]
            certificate = x509.load_der_x509_certificate(newest.der)
            parent = next(one for one in records if one.kind == "catalog" and _signed(certificate, one.der))
            key = self._keys.load(f"issuing-{newest.serial.lower()}")
            found = Issuer(
                profile.DeviceCertificateTemplate(certificate, key), (newest.der, parent.der), newest.not_after
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
        """The authority certificate and the root, DER."""
        return self.get_ca_certificate(catalog, serial).der, self.root_certificate

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
        active = _active(records, now)
        return tuple(
            CaCertificate(
                catalog_id=one.catalog_id or UUID(int=0),
                serial=one.serial,
                status=_status(one, active, now),
                subject=one.subject,
                thumbprint=one.thumbprint,
                not_before=one.not_before,
                not_after=one.not_after,
                der=one.der,
            )
            for one in records
        )

    def _renew_catalog(self, catalog_id: UUID) -> None:
        now = self._context.now()
        records = self._context.records.read(
            lambda c: certificate_rows.of_catalog(c, catalog_id, kinds=("catalog", "issuing"))
        )
        catalogs = [one for one in records if one.kind == "catalog"]
        issuing = [one for one in records if one.kind == "issuing"]
        made: list[CertificateRecord] = []
        if not catalogs or catalogs[-1].not_after - now < CATALOG_RENEWAL_S:
            made.append(self._make_catalog(catalog_id))
            catalogs.append(made[0])
        active = _active(catalogs, now) or catalogs[-1]
        newest = issuing[-1] if issuing else None
        if (
            newest is None
            or newest.not_after - now < ISSUING_RENEWAL_S
            or not _signed(x509.load_der_x509_certificate(newest.der), active.der)
        ):
            made.append(self._make_issuing(catalog_id, active))
        if made:
            self._context.records.write(lambda c: self.record(c, made))
            old = self._issuers.pop(catalog_id, None)
            if old is not None:
                old.replaced = True

    def _make_catalog(self, catalog_id: UUID) -> CertificateRecord:
        now, serial = self._context.now(), new_serial()
        key = self._keys.create(f"catalog-{serial_text(serial).lower()}", ec.SECP384R1())
        certificate = profile.build_catalog_authority(
            self._root,
            self._keys.load("root"),
            key.public_key(),
            catalog_id=catalog_id,
            serial=serial,
            not_before=now - BACKDATE_S,
            not_after=now - BACKDATE_S + CATALOG_LIFE_S,
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

    # -- silicon --------------------------------------------------------------------------------------------------

    def silicon_certificates(self) -> tuple[bytes, ...]:
        """The silicon authorities, DER: what the device endpoint trusts in a handshake."""
        return tuple(one.public_bytes(_DER) for one in self._silicon.values())

    def _make_silicon(self, maker: str) -> None:
        now = self._context.now()
        key = self._keys.create(_silicon_key(maker), ec.SECP256R1())
        certificate = profile.build_silicon_authority(
            key, maker=maker, serial=new_serial(), not_before=now - BACKDATE_S, not_after=now + SILICON_LIFE_S
        )
        record = self._record("silicon", certificate, subject=maker)
        self._context.records.write(lambda c: self.record(c, [record]))
        self._silicon[maker] = certificate

    def identity_certificate(self, maker: str, device_id: str) -> tuple[CertificateRecord, tuple[bytes, ...]]:
        """A device identity certificate (the caller records it) and the chain the device gets, leaf first."""
        silicon = self._silicon[maker]
        certificate = profile.build_identity_certificate(
            silicon,
            self._keys.load(_silicon_key(maker)),
            device_id=device_id,
            serial=new_serial(),
            not_before=self._context.now() - BACKDATE_S,
            not_after=int(silicon.not_valid_after_utc.timestamp()),
        )
        record = self._record("identity", certificate, subject=device_id)
        return record, (record.der, silicon.public_bytes(_DER))


def _silicon_key(maker: str) -> str:
    return "silicon-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in maker.lower())


def _signed(certificate: x509.Certificate, issuer_der: bytes) -> bool:
    """Whether ``issuer_der`` is the certificate's issuer, by name and key id (we made both)."""
    issuer = x509.load_der_x509_certificate(issuer_der)
    if certificate.issuer != issuer.subject:
        return False
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == own


def _active(records: Sequence[CertificateRecord], now: int) -> CertificateRecord | None:
    """The newest that has had its time to become known; the oldest living one where none has."""
    living = [one for one in records if one.not_after > now and one.revoked_at is None]
    settled = [one for one in living if one.issued_at + CATALOG_TAKEOVER_S <= now]
    if settled:
        return settled[-1]
    return living[0] if living else None


def _status(one: CertificateRecord, active: CertificateRecord | None, now: int) -> str:
    if one.revoked_at is not None:
        return "Revoked"
    if one.not_after <= now:
        return "Expired"
    return "Active" if active is not None and one.serial == active.serial else "Inactive"


def _hosts_of(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def _spelled(host: str) -> str:
    """An address in its one spelling, a name as it is."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host
