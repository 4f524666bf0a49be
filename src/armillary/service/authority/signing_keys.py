# SPDX-License-Identifier: Apache-2.0
"""The keys that sign what devices install: which there are, which sign now, and which devices are to trust.

There are two purposes: ``os`` (boot components, trust stores, capability files) and ``images`` (applications). The
trusted key stores are the record of them (``TrustStoreRow``): a store names the keys of each purpose, oldest first. The
last of the newest store that is in force signs; those of a store that is not in force yet wait until devices have it;
the others are trusted for what they have signed.

::

    next  -> in force   devices have the store that names it, or an operator says so (service/updates/trust_stores.py)
    in force -> old     another has come into force: what it signed is taken on
    old   -> dropped    no store names it from the next one on
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from armillary.engines.records.queries import certificates as certificate_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.engines.records.queries.planning import trust_stores as store_rows
from armillary.engines.records.schema.update_rows import TrustStoreRow
from armillary.errors import ConflictError, DataFolderError
from armillary.service.authority.issued import BACKDATE_S, IssuedCertificates, new_serial, serial_text
from armillary.service.authority.key_store import KeyStore
from armillary.service.authority.life import YEAR_S
from armillary.service.authority.root_authority import RootAuthorities
from armillary.service.context.context import Context
from armillary.wire.certificates import certificate as profile
from armillary.wire.update.trust_store import KeyStore as TrustedKeys, trusted_digest

SIGNING_LIFE_S: Final = 20 * YEAR_S
# Two years are time enough for everybody who is not away, and who is away gets the store first when he comes back.
SIGNING_RENEWAL_S: Final = 2 * YEAR_S

MAX_VOUCHING: Final = 16  # packages of one store: more renewals than that lie behind no device that still runs

OS: Final = "os"
IMAGES: Final = "images"
# Purpose -> kind of certificate, and the name in it.
KINDS: Final = {OS: "os-signing", IMAGES: "image-signing"}
_NAMES: Final = {OS: "Armillary OS Signing", IMAGES: "Armillary Image Signing"}

_log = structlog.get_logger("armillary.service.authority.signing_keys")


@dataclass(frozen=True, slots=True)
class Signer:
    """A signing key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def serial(self) -> str:
        """Serial of the certificate as the records have it."""
        return serial_text(self.certificate.serial_number)


class SigningKeys:
    """Makes signing keys, and says which of them sign. Thread-safe; :meth:`open` comes first."""

    def __init__(self, context: Context, keys: KeyStore, issued: IssuedCertificates, roots: RootAuthorities) -> None:
        self._context = context
        self._keys = keys
        self._issued = issued
        self._roots = roots
        self._signers: Mapping[str, Signer] = {}
        self._newest: TrustStoreRow | None = None
        self._trusted: Mapping[str, tuple[CertificateRecord, ...]] = {}

    def make_first(self, root: CertificateRecord) -> list[CertificateRecord]:
        """The keys of a new service with their certificates under its root; the caller records these."""
        return [self._make(purpose, root, KINDS[purpose], _NAMES[purpose], new_serial()) for purpose in KINDS]

    def make_next(self, purpose: str) -> CertificateRecord:
        """Make the next key of a purpose; the caller records its certificate together with the store that names it.

        Raises:
            ConflictError: by the service's clock every root has ended.
        """
        root, serial = self._roots.valid()[-1], new_serial()  # the newest, which lives longest
        if root.not_after <= self._context.now():
            raise ConflictError(
                "every root of this service has ended, so that no key can be made under one",
                remedy="Look at the service's clock: roots are renewed long before they end.",
            )
        text = serial_text(serial)
        return self._make(purpose, root, f"{KINDS[purpose]}-{text.lower()}", f"{_NAMES[purpose]} {text[-6:]}", serial)

    def open(self) -> None:
        """Load the keys that sign; the store of a service that has none yet names the keys that it has."""
        if not self._context.records.read(lambda c: store_rows.every(c, store_rows.KEYS)):
            self._context.records.write(self._add_first)
        self.reload()

    def reload(self) -> None:
        """Look again which keys sign, after the stores have changed."""
        stores = self._context.records.read(lambda c: store_rows.every(c, store_rows.KEYS))
        in_force = [one for one in stores if one.in_force_at is not None][-1]
        serials = {purpose: in_force.trusted[purpose][-1] for purpose in KINDS}
        known = {one.serial: one for one in self.certificates(serials.values())}
        self._signers = {purpose: self._signer_of(known[serial]) for purpose, serial in serials.items()}
        self._newest = stores[-1]
        self._trusted = {purpose: self.certificates(self._newest.trusted[purpose]) for purpose in KINDS}

    @property
    def newest(self) -> TrustStoreRow:
        """The newest trusted key store: what a device that is made now trusts."""
        if self._newest is None:
            raise RuntimeError("the signing keys are not open")
        return self._newest

    def signer(self, purpose: str) -> Signer:
        """The key that signs for a purpose."""
        return self._signers[purpose]

    def vouching(self) -> tuple[Signer, ...]:
        """The keys by which some device may know this service: those that ever signed for the OS, the present one last.

        A dropped key stays here for this alone. One whose file was deleted vouches for nothing any more, and devices
        that know no other are recovered by hand.
        """
        stores = self._context.records.read(lambda c: store_rows.every(c, store_rows.KEYS))
        serials = [serial for one in stores if one.in_force_at is not None for serial in one.trusted[OS]]
        present = self.signer(OS)
        older = [serial for serial in dict.fromkeys(serials) if serial != present.serial][-MAX_VOUCHING + 1 :]
        found = []
        for one in self.certificates(older):
            try:
                found.append(self._signer_of(one))
            except DataFolderError as error:
                _log.warning("a signing key of before is gone", serial=one.serial, error=error.message)
        return (*found, present)

    def certificates(self, serials: Iterable[str]) -> tuple[CertificateRecord, ...]:
        """The certificates of these serials, in their order."""

        def query(connection: Connection) -> tuple[CertificateRecord, ...]:
            found = (certificate_rows.by_serial(connection, serial) for serial in serials)
            return tuple(one for one in found if one is not None)

        return self._context.records.read(query)

    def trusted(self, purpose: str) -> tuple[CertificateRecord, ...]:
        """The certificates of a purpose that devices are to trust, oldest first."""
        return self._trusted[purpose]

    def _signer_of(self, record: CertificateRecord) -> Signer:
        return Signer(self._keys.load_authority(record.kind, record.der), x509.load_der_x509_certificate(record.der))

    def _add_first(self, connection: Connection) -> None:
        found = {purpose: certificate_rows.of_kind(connection, kind)[-1:] for purpose, kind in KINDS.items()}
        now = self._context.now()
        store_rows.add(
            connection,
            TrustStoreRow(
                kind=store_rows.KEYS,
                number=0,
                trusted={purpose: tuple(one.serial for one in ones) for purpose, ones in found.items()},
                digest=trusted_digest(content_of(found)),
                created_at=now,
                in_force_at=now,
            ),
        )

    def _make(self, purpose: str, root: CertificateRecord, key_name: str, name: str, serial: int) -> CertificateRecord:
        now = self._context.now()
        certificate = profile.build_signing_certificate(
            x509.load_der_x509_certificate(root.der),
            self._keys.load_authority(root.kind, root.der),
            self._keys.create(key_name, ec.SECP256R1()).public_key(),
            name=name,
            serial=serial,
            not_before=now - BACKDATE_S,
            not_after=min(now + SIGNING_LIFE_S, root.not_after),
        )
        return self._issued.as_record(KINDS[purpose], certificate)


def content_of(found: Mapping[str, Sequence[CertificateRecord]]) -> TrustedKeys:
    """The content of a trusted key store that names these certificates by their purpose."""
    return TrustedKeys(
        os_signers=tuple(x509.load_der_x509_certificate(one.der) for one in found[OS]),
        image_signers=tuple(x509.load_der_x509_certificate(one.der) for one in found[IMAGES]),
    )
