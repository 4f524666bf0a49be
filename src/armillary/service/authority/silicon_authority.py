# SPDX-License-Identifier: Apache-2.0
"""The silicon authority of each chip maker: it signs device identity certificates, which end with it.

Its successor is made ten years before, and vouched for by it; the device endpoint trusts both, and gives a device whose
certificate has five years left another.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from armillary.engines.records.queries import certificates as certificate_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.errors import NotFoundError, SignerError
from armillary.service.authority import life
from armillary.service.authority.issued import ACTOR, BACKDATE_S, IssuedCertificates, new_serial, serial_text
from armillary.service.authority.key_store import CHALLENGE_SECRET, KeyStore
from armillary.service.authority.vouchers import Vouchers
from armillary.service.context.context import Context
from armillary.wire.certificates import certificate as profile, trust_anchor

KIND: Final = "silicon"  # of records, whose subject is the chip maker


class SiliconAuthorities:
    """Makes, renews and lists silicon authorities, and issues device identity certificates. Thread-safe.

    ``on_new`` is called with the DER of each new silicon authority.
    """

    def __init__(self, context: Context, keys: KeyStore, issued: IssuedCertificates) -> None:
        self._context = context
        self._keys = keys
        self._issued = issued
        self._vouchers = Vouchers(context, issued, "silicon-voucher")
        self.on_new: list[Callable[[bytes], object]] = []

    def by_maker(self) -> dict[str, list[CertificateRecord]]:
        """Every silicon authority that ever was, by chip maker, oldest first."""
        found: dict[str, list[CertificateRecord]] = {}
        for one in self._issued.of_kind(KIND):
            found.setdefault(one.subject, []).append(one)
        return found

    def certificates(self) -> tuple[bytes, ...]:
        """The valid silicon authorities, DER: what the device endpoint trusts in a handshake."""
        now = self._context.now()
        return tuple(one.der for one in self._issued.of_kind(KIND) if one.not_after > now)

    def add_makers(self, makers: Iterable[str]) -> None:
        """Make an authority for each chip maker that has none."""
        known = self.by_maker()
        for maker in makers:
            if maker not in known:
                record = self._make(maker)
                self._context.records.write(lambda c, new=record: self._issued.record(c, [new]))  # type: ignore[misc]

    def renew(self, maker: str, *, actor: str) -> CertificateRecord:
        """Make a new silicon authority of a chip maker now; the old one is trusted until it ends.

        Raises:
            NotFoundError: no such chip maker.
            ConflictError: the newest is so young that device endpoints may not know it yet.
        """
        valid = self._valid_of(maker)
        if not valid:
            makers = sorted(self.by_maker())
            raise NotFoundError(f"no chip maker {maker!r:.60}", remedy=f"Use one of: {', '.join(makers)}.")
        life.check_settled(valid, now=self._context.now())
        return self._make_next(maker, actor)

    def renew_due(self) -> None:
        """Make a successor of each silicon authority that ends within ten years."""
        for maker, records in self.by_maker().items():
            if life.is_due(records, life.SILICON_RENEWAL_S, now=self._context.now(), latest_end=life.NEVER):
                self._make_next(maker, ACTOR)

    def identity_certificate(self, maker: str, device_id: str) -> tuple[CertificateRecord, tuple[bytes, ...]]:
        """A device identity certificate (the caller records it) and the chain the device presents, leaf first.

        The chain is the leaf alone: the endpoint trusts the silicon authority, and would have to parse its certificate
        in every handshake, a twentieth of a check-in. SignerError if the chip maker's authority has ended unrenewed.
        """
        record = self._make_identity(self._active(maker), device_id, new_serial())
        return record, (record.der,)

    def renew_identity(self, maker: str, device_id: str, ends: int) -> bytes:
        """The message with a new identity certificate for a device whose present one ``ends`` (Unix seconds UTC) soon.

        It is made and recorded once for each silicon authority: a device that asks again, after a lost reply, gets the
        same.

        Raises:
            NotFoundError: it does not end soon, or no authority lives longer.
            SignerError: the chip maker's authority has ended and could not be renewed.
            DataFolderError: the new one could not be recorded, so none is given out.
        """
        silicon = self._active(maker)
        if ends - self._context.now() > life.IDENTITY_RENEWAL_S or silicon.not_after <= ends:
            raise NotFoundError("no later identity certificate", remedy="Go on with the present one.")
        # Not to be guessed by anybody else, and the same each time.
        secret = self._keys.secret(*CHALLENGE_SECRET)
        named = hmac.digest(secret, f"identity {device_id} {silicon.serial}".encode(), "sha256")
        serial = int.from_bytes(named[:16], "big") | 1 << 127
        known = self._recorded(serial)
        if known is None:
            record = self._make_identity(silicon, device_id, serial)

            def change(connection: Connection) -> None:
                if certificate_rows.by_serial(connection, record.serial) is None:  # asked for twice at once
                    self._issued.record(connection, [record])
                    detail = {"serial": record.serial, "ends": record.not_after}
                    self._context.audit(connection, ACTOR, "device.identity-renew", device_id, detail)

            self._context.records.write(change)
            known = self._recorded(serial) or record
        return trust_anchor.encode_identity(known.der, self._vouchers.anchors(self._valid_of(maker)))

    def _recorded(self, serial: int) -> CertificateRecord | None:
        return self._context.records.read(lambda c: certificate_rows.by_serial(c, serial_text(serial)))

    def _valid_of(self, maker: str) -> list[CertificateRecord]:
        now = self._context.now()
        return [one for one in self.by_maker().get(maker, ()) if one.not_after > now]

    def _active(self, maker: str) -> CertificateRecord:
        # no time to become known: endpoints are told of a new one at once
        found = life.active_of(self._valid_of(maker), self._context.now(), takeover_s=0)
        if found is None:
            raise SignerError(
                f"there is no living silicon authority of {maker}", remedy="Restart the service: it makes one."
            )
        return found

    def _make_next(self, maker: str, actor: str) -> CertificateRecord:
        old = self._valid_of(maker)
        new = self._make(maker)
        vouchers = [self._vouchers.make(one, self._key(one), new) for one in old]
        self._issued.record_renewal([new, *vouchers], actor)
        for trust in self.on_new:
            trust(new.der)
        self._issued.announce_renewal()
        return new

    def _make(self, maker: str) -> CertificateRecord:
        now, serial = self._context.now(), new_serial()
        key = self._keys.create(silicon_key(maker, serial_text(serial)), ec.SECP256R1())
        certificate = profile.build_silicon_authority(
            key, maker=maker, serial=serial, not_before=now - BACKDATE_S, not_after=now + life.SILICON_LIFE_S
        )
        return self._issued.as_record(KIND, certificate, subject=maker)

    def _make_identity(self, silicon: CertificateRecord, device_id: str, serial: int) -> CertificateRecord:
        certificate = profile.build_identity_certificate(
            x509.load_der_x509_certificate(silicon.der),
            self._key(silicon),
            device_id=device_id,
            serial=serial,
            not_before=self._context.now() - BACKDATE_S,
            not_after=silicon.not_after,
        )
        return self._issued.as_record("identity", certificate, subject=device_id)

    def _key(self, silicon: CertificateRecord) -> ec.EllipticCurvePrivateKey:
        named = silicon_key(silicon.subject, silicon.serial)
        return self._keys.load(named if self._keys.has(named) else silicon_key(silicon.subject))


def silicon_key(maker: str, serial: str = "") -> str:
    """The name of a silicon authority's key in the key store; that of a maker's first one has no serial."""
    name = "silicon-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in maker.lower())
    return f"{name}-{serial.lower()}" if serial else name
