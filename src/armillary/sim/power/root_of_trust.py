# SPDX-License-Identifier: Apache-2.0
"""A root of trust without keys, for devices that are simulated by the hundred thousand.

What a power cut does to the counter of a root of trust is the affair of its engine (``engines/root_of_trust``, a TPM);
here it only counts the starts, and what it signs is empty.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence

from armillary.engines.root_of_trust.port import BootSession
from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.attestation.evidence import Evidence

_NO_HEAD = bytes(32)  # deriving the head of the log would be half the work of a start


class SimulatedFuses:
    """Counts starts."""

    kind = "simulated"
    tier = "simulated"
    device_id = "5a" * 64

    def __init__(self) -> None:
        self.boot_count = 0

    def certificate_request(self) -> bytes:
        """Nothing: this device has no key."""
        return b""

    def begin_boot(self, events: Sequence[BootEvent]) -> BootSession:  # noqa: ARG002 - the port's signature
        """Count a start."""
        self.boot_count += 1
        return BootSession(self.boot_count, _NO_HEAD, b"", b"", prove=_prove)

    def minimums(self) -> None:
        """Nothing is kept: this device has its flash alone."""

    def keep_minimums(self, minimums: Mapping[int, int]) -> None:
        """Do nothing: this device has its flash alone."""

    def authenticate(self, context: ssl.SSLContext, certificate_chain: bytes) -> None:
        """Do nothing: this device connects to nobody."""


def _prove(_evidence: Evidence) -> bytes:
    return b""
