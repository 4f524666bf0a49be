# SPDX-License-Identifier: Apache-2.0
"""TPM structures made in software: a TPM that tests can make lie."""

from __future__ import annotations

import struct
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from armillary.wire.attestation.tpm_attestation import ATTEST_CERTIFY, ATTEST_QUOTE, GENERATED, encode_attestation
from armillary.wire.attestation.tpm_public import ALG_ECDSA, ALG_SHA256, encode_signing_key
from armillary.wire.attestation.tpm_structure import sized
from armillary.wire.encoding import cose


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_of(key: ec.EllipticCurvePrivateKey, *, restricted: bool) -> bytes:
    return encode_signing_key(cose.point_of(key.public_key()), restricted=restricted)


def attest(kind: int, extra_data: bytes, body: bytes, *, magic: int = GENERATED) -> bytes:
    clock = struct.pack(">QIIBQ", 12345, 2, 1, 1, 0x2019_1023_0016_3636)
    return struct.pack(">IH", magic, kind) + sized(b"\0\x0b" + bytes(32)) + sized(extra_data) + clock + body


def selection(*pcrs: int, bank: int = ALG_SHA256) -> bytes:
    bits = sum(1 << pcr for pcr in pcrs)
    return struct.pack(">HB", bank, 3) + bits.to_bytes(3, "little")


def quote_body(pcr_digest: bytes, *pcrs: int) -> bytes:
    return struct.pack(">I", 1) + selection(*pcrs) + sized(pcr_digest)


def sign(key: ec.EllipticCurvePrivateKey, structure: bytes) -> bytes:
    signature = key.sign(sha256(structure).digest(), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    r, s = utils.decode_dss_signature(signature)
    return struct.pack(">HH", ALG_ECDSA, ALG_SHA256) + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))


def quote(key: ec.EllipticCurvePrivateKey, nonce: bytes, pcr_digest: bytes, *pcrs: int) -> bytes:
    structure = attest(ATTEST_QUOTE, nonce, quote_body(pcr_digest, *(pcrs or (23,))))
    return encode_attestation(structure, sign(key, structure))


def certification(key: ec.EllipticCurvePrivateKey, nonce: bytes, name: bytes) -> bytes:
    structure = attest(ATTEST_CERTIFY, nonce, sized(name) + sized(b"\0\x0b" + bytes(32)))
    return encode_attestation(structure, sign(key, structure))


def tcg_event(
    pcr: int, event_type: int, digest: bytes, data: bytes = b"data", *, banks: tuple[int, ...] = (4, 11)
) -> bytes:
    digests = b"".join(struct.pack("<H", bank) + (digest if bank == ALG_SHA256 else bytes(20)) for bank in banks)
    return struct.pack("<III", pcr, event_type, len(banks)) + digests + struct.pack("<I", len(data)) + data


def tcg_header(banks: tuple[tuple[int, int], ...] = ((4, 20), (11, 32)), vendor: bytes = b"") -> bytes:
    body = b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, len(banks))
    body += b"".join(struct.pack("<HH", *bank) for bank in banks) + bytes((len(vendor),)) + vendor
    return struct.pack("<II", 0, 3) + bytes(20) + struct.pack("<I", len(body)) + body
