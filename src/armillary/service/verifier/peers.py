# SPDX-License-Identifier: Apache-2.0
"""The device at the other end of a TLS connection: parsed once per certificate, checked on every request.

TLS has verified the chain to a silicon authority at the handshake. A connection can outlive its certificate, so the
validity is checked again with every request (step A of the appraisal).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from armillary.errors import DeviceStateError, WireError
from armillary.wire.certificates.certificate import parse_identity_certificate

# Parsed certificates kept, about 1 KiB each.
MAX_PEERS: Final = 32_768


@dataclass(frozen=True, slots=True)
class Peer:
    """The device at the other end; ``spki`` is its identity key, DER SubjectPublicKeyInfo.

    Its identity certificate is valid from ``not_before`` to ``not_after``, Unix seconds UTC.
    """

    device_id: str
    spki: bytes
    not_before: int
    not_after: int

    def check_valid(self, now: int) -> None:
        """Raise DeviceStateError unless the certificate is valid now."""
        if self.not_before <= now <= self.not_after:
            return
        early = "Set the service's clock: the certificate is of a later time than the service's now."
        ended = "Give the device a new identity certificate; its old one has ended."
        raise DeviceStateError(
            f"identity certificate: expected a time from {self.not_before} to {self.not_after}, got {now}",
            remedy=early if now < self.not_before else ended,
        )


@lru_cache(MAX_PEERS)
def peer_of(certificate: bytes | None) -> Peer:
    """The peer of a verified certificate; WireError if there is none, or it is no device identity certificate."""
    if certificate is None:
        raise WireError("device certificate", expected="a client certificate", got="none")
    parsed = parse_identity_certificate(certificate)
    return Peer(parsed.device_id, parsed.spki, parsed.not_before, parsed.not_after)
