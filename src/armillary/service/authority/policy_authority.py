# SPDX-License-Identifier: Apache-2.0
"""The policy authority: between the root and every catalog, so that the root's key is needed every few years only.

It is renewed early enough for each catalog authority to have its full two years under it, and its successor takes over
45 days later. A data folder of before there was one gets one; its catalog authorities stay under the root until they
are renewed.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.engines.records.queries.certificates import CertificateRecord
from armillary.errors import SignerError
from armillary.service.authority.issued import BACKDATE_S, IssuedCertificates, new_serial, serial_text
from armillary.service.authority.key_store import KeyStore
from armillary.service.authority.life import POLICY_LIFE_S, POLICY_RENEWAL_S, active_of, check_settled, is_due
from armillary.service.authority.root_authority import RootAuthorities
from armillary.service.context.context import Context
from armillary.wire.certificates import certificate as profile


class PolicyAuthorities:
    """The policy authorities of a service: one is active, others are to come or trusted until their end."""

    def __init__(self, context: Context, keys: KeyStore, issued: IssuedCertificates, roots: RootAuthorities) -> None:
        self._context = context
        self._keys = keys
        self._issued = issued
        self._roots = roots

    def active(self) -> CertificateRecord:
        """The one that signs catalog authorities; SignerError if none is valid."""
        policy = active_of(self._issued.of_kind("policy"), self._context.now())
        if policy is None:  # made at the first start and by every renewal
            raise SignerError("there is no living policy authority", remedy="Restart the service: it makes one.")
        return policy

    def make(self, root: CertificateRecord) -> CertificateRecord:
        """Make a policy authority under a root; the caller records it."""
        now, serial = self._context.now(), new_serial()
        key = self._keys.create(f"policy-{serial_text(serial).lower()}", ec.SECP384R1())
        certificate = profile.build_policy_authority(
            x509.load_der_x509_certificate(root.der),
            self._keys.load_authority(root.kind, root.der),
            key.public_key(),
            serial=serial,
            not_before=now - BACKDATE_S,
            not_after=min(now + POLICY_LIFE_S, root.not_after),
        )
        return self._issued.as_record("policy", certificate)

    def renew(self, *, actor: str) -> CertificateRecord:
        """Make the next policy authority, active in 45 days; ConflictError while an earlier next one waits."""
        now = self._context.now()
        check_settled([one for one in self._issued.of_kind("policy") if one.not_after > now], now=now)
        made = self.make(self._root())
        self._issued.record_renewal([made], actor)
        self._issued.announce_renewal()
        return made

    def renew_due(self) -> None:
        """Make a new policy authority where the newest ends too soon for another catalog authority."""
        root = self._root()
        if is_due(self._issued.of_kind("policy"), POLICY_RENEWAL_S, now=self._context.now(), latest_end=root.not_after):
            self._issued.record_renewal([self.make(root)])

    def _root(self) -> CertificateRecord:
        roots = self._roots.valid()
        return active_of(roots, self._context.now()) or roots[-1]
