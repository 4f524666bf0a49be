# SPDX-License-Identifier: Apache-2.0
"""TPM attestations and public areas: any bytes are one of them, or a WireError."""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import WireError
from armillary.wire.attestation import tpm_attestation, tpm_public
from armillary.wire.attestation.tpm_structure import sized
from armillary.wire.encoding import cose

# TPMS_ATTEST of a quote: clock, counters and firmware version, then the SHA-256 bank's PCR 23 and a digest.
_CLOCK = struct.pack(">QIIBQ", 12345, 2, 1, 1, 7)
_SELECTION = struct.pack(">IHB", 1, 11, 3) + (1 << 23).to_bytes(3, "little")
_QUOTE = (
    struct.pack(">IH", 0xFF544347, 0x8018)
    + sized(b"\0\x0b" + bytes(32))
    + sized(b"armillary")
    + _CLOCK
    + _SELECTION
    + sized(b"\x22" * 32)
)
_SIGNATURE = struct.pack(">HH", 0x18, 0x0B) + 2 * sized(b"\x11" * 32)


def seeds() -> list[bytes]:
    point = cose.point_of(ec.derive_private_key(7, ec.SECP256R1()).public_key())
    keys = [tpm_public.encode_signing_key(point, restricted=restricted) for restricted in (True, False)]
    return [sized(_QUOTE) + _SIGNATURE, *keys]


def fuzz(data: bytes) -> None:
    try:
        unverified = tpm_attestation.parse_attestation(data)
    except WireError:
        pass
    else:
        assert unverified.attest == data[2 : 2 + len(unverified.attest)]
        assert max(unverified.r, unverified.s) < 1 << 256
    for purpose in (tpm_public.ATTESTATION, tpm_public.IDENTITY, tpm_public.ENDORSEMENT):
        try:
            public = tpm_public.parse_public(data, purpose)
        except WireError:
            continue
        assert public.area == data[2:]
        assert len(public.name) == tpm_public.NAME_BYTES
