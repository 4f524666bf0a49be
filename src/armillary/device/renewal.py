# SPDX-License-Identifier: Apache-2.0
"""How a device follows its service to a new root.

The root of a service ends after twenty years, or is replaced before. The service names its living roots at the device
endpoint; the device asks after its first answered check-in and once a week, and pins those that a root it pins vouches
for by its own signature (``wire/trust_anchor.py``). The connection the answer came by is worth nothing here: whoever
stole the key of the service's TLS certificate plants no root.

The pinned set is written whole or not at all; it never shrinks but for the oldest of more than :data:`MAX_PINNED`. A
root that has ended harms nobody: what it signed had to end before (``endpoint.py``).
"""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificates

from armillary.device.checkin import CheckIns
from armillary.device.configuration import store_configuration
from armillary.device.endpoint import ServiceContext
from armillary.device.journal import Journal
from armillary.errors import ArmillaryError
from armillary.wire import trust_anchor

INTERVAL_S = 7 * 86_400.0
MAX_PINNED = 4


class RootRenewal:
    """Keeps the pinned roots up to date. One for each start of a device.

    Args:
        check_ins: Whose configuration, flash and connection it is.
        context: Of that connection.
        journal: The device's log.
    """

    def __init__(self, check_ins: CheckIns, context: ServiceContext, journal: Journal) -> None:
        self._check_ins = check_ins
        self._context = context
        self._journal = journal
        self._next = 0.0

    async def look(self) -> None:
        """Ask for new roots if it is time; call it after an answered check-in. A failure is tried again next week."""
        clock = self._check_ins.clock
        if clock.monotonic() < self._next:
            return
        self._next = clock.monotonic() + INTERVAL_S
        try:
            await self._follow()
        except ArmillaryError as error:  # an older service has no such address; a full disk has no room
            self._journal.write("roots-not-renewed", reason=error.message)

    async def _follow(self) -> None:
        checks = self._check_ins
        pinned = load_pem_x509_certificates(checks.configuration.service_root.encode())
        anchors = await checks.endpoint.trust_anchors()
        found = trust_anchor.accepted(pinned, anchors, now=checks.clock.now())[-MAX_PINNED:]
        if found == pinned:
            return
        pem = "".join(one.public_bytes(serialization.Encoding.PEM).decode("ascii") for one in found)
        renewed = replace(checks.configuration, service_root=pem)
        store_configuration(checks.flash, renewed)
        checks.configuration = renewed
        self._context.trust(pem)
        names = [one.subject.rfc4514_string() for one in found]
        self._journal.write("roots-renewed", roots=names)
