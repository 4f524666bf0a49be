# SPDX-License-Identifier: Apache-2.0
"""Renews what a device trusts and is: follows its service to a new root, replaces its identity certificate in time.

The root of a service ends after twenty years, or is replaced before. The service names its living roots at the device
endpoint; the device asks after its first answered check-in and once a week, and pins those that a root it pins vouches
for by its own signature (``wire/certificates/trust_anchor.py``). The connection the answer came by is worth nothing
here: whoever stole the key of the service's TLS certificate plants no root.

The pinned set is written whole or not at all; it never shrinks but for the oldest of more than :data:`MAX_PINNED`. A
root that has ended harms nobody: what it signed had to end before (``endpoint.py``).

An identity certificate that ends within five years is replaced in the same way: by one whose issuer the authority of
the present one vouches for. The connection's key proves as little here: a certificate of nobody's would lock the device
out for good.
"""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificate, load_pem_x509_certificates

from armillary.device.checkin.checkin import CheckIns
from armillary.device.checkin.endpoint import ServiceContext
from armillary.device.state.configuration import load_configuration, store_configuration
from armillary.device.state.journal import Journal
from armillary.engines.root_of_trust.port import RootOfTrust
from armillary.errors import ArmillaryError
from armillary.wire.certificates import trust_anchor

INTERVAL_S = 7 * 86_400.0
MAX_PINNED = 4
IDENTITY_RENEWAL_S = 5 * 365 * 86_400  # the service gives another from then on


class TrustRenewal:
    """Keeps the pinned roots and the identity certificate up to date. One for each start of a device.

    ``context`` is that of the connection to the service.
    """

    def __init__(
        self, check_ins: CheckIns, context: ServiceContext, root_of_trust: RootOfTrust, journal: Journal
    ) -> None:
        self._check_ins = check_ins
        self._context = context
        self._root_of_trust = root_of_trust
        self._journal = journal
        self._next = 0.0

    async def look(self) -> None:
        """Ask the service once a week; call it after an answered check-in. A failure is tried again next week."""
        clock = self._check_ins.clock
        if clock.monotonic() < self._next or self._check_ins.installer.record.system_on_trial:
            return  # what is on trial may be taken back: nothing is built on it
        self._next = clock.monotonic() + INTERVAL_S
        for event, renew in (("roots-not-renewed", self._follow), ("identity-not-renewed", self._renew_identity)):
            try:
                await renew()
            except ArmillaryError as error:  # an older service has no such address; a full disk has no room
                self._journal.write(event, reason=error.message)

    async def _follow(self) -> None:
        checks = self._check_ins
        pinned = load_pem_x509_certificates(checks.configuration.service_root.encode())
        anchors = await checks.endpoint.trust_anchors()
        found = trust_anchor.accepted(pinned, anchors, now=checks.clock.now())[-MAX_PINNED:]
        if found == pinned:
            return
        pem = "".join(one.public_bytes(serialization.Encoding.PEM).decode("ascii") for one in found)
        store_configuration(checks.flash, replace(load_configuration(checks.flash), service_root=pem))
        checks.configuration = replace(checks.configuration, service_root=pem)
        self._context.trust(pem)
        names = [one.subject.rfc4514_string() for one in found]
        self._journal.write("roots-renewed", roots=names)

    async def _renew_identity(self) -> None:
        checks = self._check_ins
        current = load_pem_x509_certificate(checks.configuration.identity_certificate[0].encode())
        now = checks.clock.now()
        if current.not_valid_after_utc.timestamp() - now > IDENTITY_RENEWAL_S:
            return
        new = trust_anchor.verify_identity(current, await checks.endpoint.identity_certificate(), now=now)
        pem = new.public_bytes(serialization.Encoding.PEM)
        chain = (pem.decode("ascii"),)
        store_configuration(checks.flash, replace(load_configuration(checks.flash), identity_certificate=chain))
        checks.configuration = replace(checks.configuration, identity_certificate=chain)
        self._root_of_trust.authenticate(self._context, pem)
        self._journal.write("identity-renewed", ends=int(new.not_valid_after_utc.timestamp()))
