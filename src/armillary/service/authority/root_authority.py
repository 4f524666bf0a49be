# SPDX-License-Identifier: Apache-2.0
"""The authorities that sign themselves: roots, and the silicon authority of each chip maker. And how they are renewed.

A new root is made six years before the old one ends, or when an operator says so, and certified by the old one too (a
voucher, ``wire/certificates/trust_anchor.py``). Both are in force until the old one ends:

==================  =================================================================================================
policy authorities  are signed by the new root 45 days after it was made
server certificate  is signed by the old root for five more years (less where it ends before), then by the new one,
                    with the voucher in the chain: who knows only the old root accepts it to that root's end
devices             ask for the living roots at their device endpoint and keep those that a root they hold vouches for
==================  =================================================================================================

A silicon authority signs device identity certificates, which end with it. Its successor is made ten years before, and
vouched for by it; the device endpoint trusts both, and gives a device whose certificate has five years left another.

A renewal makes a key, signs, and records everything with its audit line in one transaction; files follow from the
records. Cut before that, a key is left over that no certificate names.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from armillary.engines.records.queries import certificates as certificate_rows
from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.errors import NotFoundError, SignerError
from armillary.service.authority.catalog_authority import ACTOR, BACKDATE_S, CatalogAuthorities, new_serial, serial_text
from armillary.service.authority.life import (
    IDENTITY_RENEWAL_S,
    NEVER,
    ROOT_LIFE_S,
    ROOT_RENEWAL_S,
    SILICON_LIFE_S,
    SILICON_RENEWAL_S,
    active_of,
    check_settled,
    is_due,
)
from armillary.wire.certificates import certificate as profile, trust_anchor
from armillary.wire.certificates.certificate_part import year

ROOT_NAME: Final = "Armillary Root CA"
# Kinds of records: a root or silicon authority under its predecessor's signature; the subject is its serial.
VOUCHER: Final = "root-voucher"
SILICON_VOUCHER: Final = "silicon-voucher"
ANCHORS_TRUSTED_S: Final = 60  # the message of anchors is read from the records once a minute

_DER: Final = serialization.Encoding.DER


class RootAuthorities(CatalogAuthorities):
    """Roots and silicon authorities. Built as part of :class:`armillary.service.authority.authority.Authority`."""

    on_silicon: list[Callable[[bytes], None]]  # called with the DER of each new silicon authority
    challenge_key: bytes
    _anchors: tuple[int, bytes]  # when the message of anchors was made, and what it was

    # -- roots ----------------------------------------------------------------------------------------------------

    def trust_anchors(self) -> bytes:
        """The living roots with what vouches for each, as devices fetch them (``trust_anchor.py`` in wire)."""
        now = self._context.now()
        made_at, message = self._anchors
        if not message or not 0 <= now - made_at < ANCHORS_TRUSTED_S:
            message = trust_anchor.encode_anchors(_anchors(self.roots(), self._vouchers()))
            self._anchors = (now, message)
        return message

    def renew_root(self, *, actor: str) -> CertificateRecord:
        """Make a new root now, whatever is left of the old one's time, and certify it by the old one.

        Raises:
            ConflictError: the newest is so young that relying parties do not know it yet, or too many live.
            SignerError: a token that does not answer.
        """
        roots = self.roots()
        check_settled(roots, now=self._context.now())
        return self._new_root(actor)

    def _renew_root(self) -> None:
        if is_due(self.roots(), ROOT_RENEWAL_S, now=self._context.now(), latest_end=NEVER):
            self._new_root(ACTOR)

    def _new_root(self, actor: str) -> CertificateRecord:
        now, serial = self._context.now(), new_serial()
        name = serial_text(serial)
        key = self._keys.create(f"root-{name.lower()}", ec.SECP384R1())
        root = profile.build_root_authority(
            key,
            name=f"{ROOT_NAME} {year(now)} {name[-6:]}",
            serial=serial,
            not_before=now - BACKDATE_S,
            not_after=now + ROOT_LIFE_S,
        )
        new = self._record("root", root)
        living = [one for one in self.roots() if one.not_after > now]
        made = [new, *(self._voucher(one, self._key_name(one), new, VOUCHER) for one in living)]
        self._record_renewal(made, actor)
        self._anchors = (0, b"")
        self._tell_renewed()
        return made[0]

    def _voucher(self, old: CertificateRecord, key: str, new: CertificateRecord, kind: str) -> CertificateRecord:
        voucher = trust_anchor.build_voucher(
            x509.load_der_x509_certificate(old.der),
            self._keys.load(key),
            x509.load_der_x509_certificate(new.der),
            serial=new_serial(),
            not_before=new.not_before,
            not_after=min(new.not_after, old.not_after),
        )
        return self._record(kind, voucher, subject=new.serial)

    def _vouchers(self, kind: str = VOUCHER) -> tuple[CertificateRecord, ...]:
        """Every voucher that is still good, oldest first."""
        now = self._context.now()
        found = self._context.records.read(lambda c: certificate_rows.of_kind(c, kind))
        return tuple(one for one in found if one.not_after > now)

    # -- silicon --------------------------------------------------------------------------------------------------

    def silicon_certificates(self) -> tuple[bytes, ...]:
        """The living silicon authorities, DER: what the device endpoint trusts in a handshake."""
        now = self._context.now()
        found = self._context.records.read(lambda c: certificate_rows.of_kind(c, "silicon"))
        return tuple(one.der for one in found if one.not_after > now)

    def renew_silicon(self, maker: str, *, actor: str) -> CertificateRecord:
        """Make a new silicon authority of a chip maker now; the old one is trusted until it ends.

        Raises:
            NotFoundError: no such chip maker.
            ConflictError: the newest is so young that device endpoints may not know it yet.
        """
        now = self._context.now()
        found = [one for one in self._silicon_of(maker) if one.not_after > now]
        if not found:
            makers = sorted({one.subject for one in self._all_silicon()})
            raise NotFoundError(f"no chip maker {maker!r:.60}", remedy=f"Use one of: {', '.join(makers)}.")
        check_settled(found, now=self._context.now())
        return self._new_silicon(maker, actor)

    def _renew_silicon(self) -> None:
        now = self._context.now()
        for maker in {one.subject for one in self._all_silicon()}:
            if is_due(self._silicon_of(maker), SILICON_RENEWAL_S, now=now, latest_end=NEVER):
                self._new_silicon(maker, ACTOR)

    def _all_silicon(self) -> tuple[CertificateRecord, ...]:
        return self._context.records.read(lambda c: certificate_rows.of_kind(c, "silicon"))

    def _silicon_of(self, maker: str) -> tuple[CertificateRecord, ...]:
        return tuple(one for one in self._all_silicon() if one.subject == maker)

    def _new_silicon(self, maker: str, actor: str) -> CertificateRecord:
        now = self._context.now()
        old = [one for one in self._silicon_of(maker) if one.not_after > now]
        record = self._make_silicon(maker)
        made = [record, *(self._voucher(one, self._silicon_key(one), record, SILICON_VOUCHER) for one in old)]
        self._record_renewal(made, actor)
        for trust in self.on_silicon:
            trust(record.der)
        self._tell_renewed()
        return record

    def _make_silicon(self, maker: str) -> CertificateRecord:
        now, serial = self._context.now(), new_serial()
        key = self._keys.create(silicon_key(maker, serial_text(serial)), ec.SECP256R1())
        certificate = profile.build_silicon_authority(
            key, maker=maker, serial=serial, not_before=now - BACKDATE_S, not_after=now + SILICON_LIFE_S
        )
        return self._record("silicon", certificate, subject=maker)

    def identity_certificate(self, maker: str, device_id: str) -> tuple[CertificateRecord, tuple[bytes, ...]]:
        """A device identity certificate (the caller records it) and the chain the device presents, leaf first.

        The chain is the leaf alone: the silicon authority is what the endpoint trusts, and to be sent it costs the
        endpoint a certificate to parse in every handshake, a twentieth of a check-in.

        Raises:
            SignerError: the chip maker's authority has ended and could not be renewed.
        """
        record = self._make_identity(self._active_silicon(maker), device_id, new_serial())
        return record, (record.der,)

    def renew_identity(self, maker: str, device_id: str, ends: int) -> bytes:
        """The message with a new identity certificate for a device whose present one ends soon.

        It is made and recorded once for each silicon authority: who asks again, after a lost reply, gets the same.

        Args:
            maker: Of its chip.
            device_id: Of the device that is connected with the certificate that ends.
            ends: When that is, Unix seconds UTC.

        Raises:
            NotFoundError: it does not end soon, or no authority lives longer.
            SignerError: the chip maker's authority has ended and could not be renewed.
            DataFolderError: the new one could not be recorded, so none is given out.
        """
        silicon = self._active_silicon(maker)
        if ends - self._context.now() > IDENTITY_RENEWAL_S or silicon.not_after <= ends:
            raise NotFoundError("no later identity certificate", remedy="Go on with the present one.")
        # Not to be guessed by anybody else, and the same each time.
        named = hmac.digest(self.challenge_key, f"identity {device_id} {silicon.serial}".encode(), "sha256")
        serial = int.from_bytes(named[:16], "big") | 1 << 127
        known = self._recorded(serial)
        if known is None:
            record = self._make_identity(silicon, device_id, serial)

            def change(connection: Connection) -> None:
                if certificate_rows.by_serial(connection, record.serial) is None:  # asked for twice at once
                    self.record(connection, [record])
                    detail = {"serial": record.serial, "ends": record.not_after}
                    self._context.audit(connection, ACTOR, "device.identity-renew", device_id, detail)

            self._context.records.write(change)
            known = self._recorded(serial) or record
        living = [one for one in self._silicon_of(maker) if one.not_after > self._context.now()]
        return trust_anchor.encode_identity(known.der, _anchors(living, self._vouchers(SILICON_VOUCHER)))

    def _recorded(self, serial: int) -> CertificateRecord | None:
        return self._context.records.read(lambda c: certificate_rows.by_serial(c, serial_text(serial)))

    def _active_silicon(self, maker: str) -> CertificateRecord:
        found = active_of(self._silicon_of(maker), self._context.now(), takeover_s=0)  # endpoints heard of it already
        if found is None:
            raise SignerError(
                f"there is no living silicon authority of {maker}", remedy="Restart the service: it makes one."
            )
        return found

    def _make_identity(self, silicon: CertificateRecord, device_id: str, serial: int) -> CertificateRecord:
        certificate = profile.build_identity_certificate(
            x509.load_der_x509_certificate(silicon.der),
            self._keys.load(self._silicon_key(silicon)),
            device_id=device_id,
            serial=serial,
            not_before=self._context.now() - BACKDATE_S,
            not_after=silicon.not_after,
        )
        return self._record("identity", certificate, subject=device_id)

    def _silicon_key(self, silicon: CertificateRecord) -> str:
        named = silicon_key(silicon.subject, silicon.serial)
        return named if self._keys.has(named) else silicon_key(silicon.subject)


def _anchors(
    authorities: Sequence[CertificateRecord], vouchers: Sequence[CertificateRecord]
) -> list[trust_anchor.Anchor]:
    return [
        trust_anchor.Anchor(one.der, tuple(voucher.der for voucher in vouchers if voucher.subject == one.serial))
        for one in authorities
    ]


def silicon_key(maker: str, serial: str = "") -> str:
    """Where a silicon authority's key is in the key store; the first of a maker was named without its serial."""
    name = "silicon-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in maker.lower())
    return f"{name}-{serial.lower()}" if serial else name
