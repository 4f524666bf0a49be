# SPDX-License-Identifier: Apache-2.0
"""The roots of a service and how they are renewed.

A new root is made six years before the old one ends, or when an operator says so, and certified by the old one too (a
voucher, ``vouchers.py``). Both are in force until the old one ends:

==================  =================================================================================================
policy authorities  are signed by the new root 45 days after it was made
server certificate  is signed by the old root for five more years (less where it ends before), then by the new one,
                    with the voucher in the chain: who knows only the old root accepts it to that root's end
devices             fetch the valid roots from their device endpoint and keep those that a root they hold vouches for
==================  =================================================================================================

A renewal makes a key, signs, and records everything with its audit line in one transaction; files follow from the
records. Cut before that, a key is left over that no certificate names.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.service.authority.issued import ACTOR, BACKDATE_S, IssuedCertificates, new_serial, serial_text
from armillary.service.authority.key_store import KeyStore
from armillary.service.authority.life import NEVER, ROOT_LIFE_S, ROOT_RENEWAL_S, check_settled, is_due, serving_root
from armillary.service.authority.vouchers import Vouchers
from armillary.service.context.context import Context
from armillary.wire.certificates import certificate as profile, trust_anchor
from armillary.wire.certificates.certificate_part import moment

ROOT_NAME: Final = "Armillary Root CA"
ANCHORS_TRUSTED_S: Final = 60  # the message of anchors is read from the records once a minute


class RootAuthorities:
    """Makes, renews and lists roots. Thread-safe."""

    def __init__(self, context: Context, keys: KeyStore, issued: IssuedCertificates) -> None:
        self._context = context
        self._keys = keys
        self._issued = issued
        self.vouchers = Vouchers(context, issued, "root-voucher")
        self._anchors = (0, b"")  # when the message of anchors was encoded, and what it was

    def valid(self) -> tuple[CertificateRecord, ...]:
        """The valid roots, oldest first; the last one where none is valid any more."""
        now = self._context.now()
        found = self._issued.of_kind("root")
        return tuple(one for one in found if one.not_after > now) or found[-1:]

    @property
    def certificate(self) -> bytes:
        """The root that signs server certificates, DER: what devices and operators' tools pin first."""
        return serving_root(self.valid(), self._context.now()).der

    def trust_anchors(self) -> bytes:
        """The valid roots with what vouches for each, as devices fetch them (``trust_anchor.py`` in wire)."""
        now = self._context.now()
        encoded_at, message = self._anchors
        if not message or not 0 <= now - encoded_at < ANCHORS_TRUSTED_S:
            message = trust_anchor.encode_anchors(self.vouchers.anchors(self.valid()))
            self._anchors = (now, message)
        return message

    def forget_anchors(self) -> None:
        """Drop the cached message of anchors: a root was renewed, here or in another process."""
        self._anchors = (0, b"")

    def make(self, key_name: str, name: str, serial: int) -> CertificateRecord:
        """Make a root with this name and serial, its key under ``key_name``; the caller records it."""
        now = self._context.now()
        root = profile.build_root_authority(
            self._keys.create(key_name, ec.SECP384R1()),
            name=name,
            serial=serial,
            not_before=now - BACKDATE_S,
            not_after=now + ROOT_LIFE_S,
        )
        return self._issued.as_record("root", root)

    def renew(self, *, actor: str) -> CertificateRecord:
        """Make a new root now, however long the old one is still valid, and certify it by the old one.

        Raises:
            ConflictError: the newest is so young that relying parties do not know it yet, or too many are valid.
            SignerError: a token that does not answer.
        """
        check_settled(self.valid(), now=self._context.now())
        return self._make_next(actor)

    def renew_due(self) -> None:
        """Make a new root where the newest ends within six years."""
        if is_due(self.valid(), ROOT_RENEWAL_S, now=self._context.now(), latest_end=NEVER):
            self._make_next(ACTOR)

    def _make_next(self, actor: str) -> CertificateRecord:
        now, serial = self._context.now(), new_serial()
        text = serial_text(serial)
        new = self.make(f"root-{text.lower()}", f"{ROOT_NAME} {moment(now).year} {text[-6:]}", serial)
        signers = [one for one in self.valid() if one.not_after > now]
        keys = [self._keys.load_authority(one.kind, one.der) for one in signers]
        vouchers = [self.vouchers.make(one, key, new) for one, key in zip(signers, keys, strict=True)]
        self._issued.record_renewal([new, *vouchers], actor)
        self.forget_anchors()
        self._issued.announce_renewal()
        return new
