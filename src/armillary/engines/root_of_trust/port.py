# SPDX-License-Identifier: Apache-2.0
"""The contract of a root of trust.

Order of use: open the engine, :meth:`RootOfTrust.begin_boot` once per start of the device with the events the
verified boot measured, then the :class:`BootSession` for every proof of that boot. No method returns a private
key or the unique device secret.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.attestation.evidence import Evidence
from armillary.wire.attestation.firmware_log import FirmwareLog


@dataclass(frozen=True, slots=True)
class BootSession:
    """What one boot can prove."""

    boot_count: int  # Number of this boot; greater than that of every earlier boot of this root of trust
    log_head: bytes  # Head of the event log the alias key is derived from, 32 bytes
    alias_key: bytes  # Public, X || Y, 64 bytes; another one when any measured component changes
    # COSE_Sign1 by the device identity key over device id, alias key, log head and boot count
    endorsement: bytes = field(repr=False)
    # Encodes and signs evidence with the alias key (``wire.evidence.encode_evidence``)
    prove: Callable[[Evidence], bytes] = field(repr=False)
    # Where a TPM measured the boot: its quote over the boot PCR, made for encoded evidence (``wire.tpm_attestation``);
    # None for roots of trust that have no TPM
    quote: Callable[[bytes], bytes] | None = field(default=None, repr=False)
    # Log of the machine's firmware, whose PCRs the quotes then cover too; None where there is none to send
    firmware: FirmwareLog | None = field(default=None, repr=False)


class RootOfTrust(Protocol):
    """A device's identity and the ladder of keys above it."""

    @property
    def kind(self) -> str:
        """The engine's name in evidence: ``software``, ``tpm2`` or ``simulated``."""

    @property
    def tier(self) -> str:
        """The trust tier of this engine: ``simulated``, ``software``, ``tpm`` or ``silicon``."""

    @property
    def device_id(self) -> str:
        """The 128 lower-case hex digits of the device identity key's X||Y."""

    @property
    def boot_count(self) -> int:
        """Number of the last boot begun; 0 before the first."""

    def certificate_request(self) -> bytes:
        """PKCS#10 request (PEM) for the device identity certificate, signed by the identity key."""

    def begin_boot(self, events: Sequence[BootEvent]) -> BootSession:
        """Count this boot durably, then derive a layer per event and endorse the alias key.

        Raises:
            RootOfTrustError: the counter cannot be written; the boot must not go on.
        """

    def minimums(self) -> Mapping[int, int] | None:
        """Image type -> lowest security version, as kept where a copy of the flash does not reach.

        A type that is not in it may have any version; None where nothing was kept yet, or there is no such place.

        Raises:
            RootOfTrustError: it cannot be read; nothing may boot.
        """

    def keep_minimums(self, minimums: Mapping[int, int]) -> None:
        """Keep these from now on; nothing where there is no such place. The caller never lowers one.

        Raises:
            RootOfTrustError: it cannot be written.
        """

    def authenticate(self, context: ssl.SSLContext, certificate_chain: bytes) -> None:
        """Make ``context`` present the identity certificate (PEM, leaf first) with the identity key.

        Raises:
            RootOfTrustError: the certificate is not for this device's identity key.
        """
