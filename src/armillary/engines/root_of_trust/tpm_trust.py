# SPDX-License-Identifier: Apache-2.0
"""A few bytes in a TPM's NV memory that belong to one device: what its disk must not bring along from elsewhere."""

from __future__ import annotations

from typing import Final

from armillary.engines.root_of_trust.tpm_commands import connect
from armillary.engines.root_of_trust.tpm_memory import trust_of

TRUST_BYTES: Final = 64  # two SHA-256 (``device/boot/trust_guard.py``)


class TpmTrust:
    """The bytes of the device with this counter, in the TPM behind this TCTI. All calls raise RootOfTrustError."""

    def __init__(self, tcti: str, counter: int) -> None:
        self._tcti = tcti
        self._index = trust_of(counter)

    def load(self) -> bytes:
        """What was stored last; empty before the first."""
        with connect(self._tcti) as commands:
            return commands.nv.stored(self._index) if commands.nv.exists(self._index) else b""

    def store(self, data: bytes) -> None:
        """Store ``TRUST_BYTES`` bytes; the index is made for the first."""
        with connect(self._tcti) as commands:
            if not commands.nv.exists(self._index):
                commands.nv.define_bytes(self._index, TRUST_BYTES)
            commands.nv.store(self._index, data)
