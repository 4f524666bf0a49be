# SPDX-License-Identifier: Apache-2.0
"""Proofs verified a second, against ``cryptography``'s bare P-256 verification of messages of the same size.

*Evidence* is what a device's boot signs at each check-in: parsed, its claims checked, its COSE signature verified
(``wire/attestation/evidence.py``, ``wire/encoding/cose.py``). A *quote* is what a TPM signs on top: parsed, its nonce,
PCR selection and PCR digest compared, its signature verified (``attest/tpm_quote.py``). The reference has the key
object and the signature in DER at hand and does nothing else. One thread, CPU time, rounds by turns; each proof is of a
device of its own.
"""

from __future__ import annotations

import os
import statistics
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from armillary.attest import challenge as ch
from armillary.attest.tpm_quote import quote_fault
from armillary.identity import dice
from armillary.sim.device.prover import Prover, release
from armillary.wire.attestation.evidence import parse_evidence
from armillary.wire.attestation.tpm_attestation import (
    ATTEST_QUOTE,
    BOOT_PCR,
    GENERATED,
    encode_attestation,
    parse_attestation,
    pcr_digest,
    quote_nonce,
)
from armillary.wire.attestation.tpm_public import ALG_ECDSA, ALG_SHA256
from armillary.wire.attestation.tpm_structure import sized
from armillary.wire.encoding import cose
from bench.result import result

DEVICES = 64
ROUNDS = 15
PROOFS = 1024  # a round, about 0.1 s
SIG_STRUCTURE_BYTES = 20  # what RFC 9052 §4.4 puts before the payload: context, protected header, heads
CHALLENGE_KEY = b"k" * 32
NOW = 1_790_000_000


@dataclass(frozen=True, slots=True)
class Proof:
    """What one device sends, and who has to have signed it: keys as X || Y, lengths of what the signatures cover."""

    evidence: bytes
    quote: bytes
    log_head: bytes
    alias_key: bytes
    attestation_key: bytes
    message_bytes: int
    quoted_bytes: int


def run() -> list[dict[str, object]]:
    """Evidence of the software root of trust, then TPM quotes: proofs a CPU second, and the ratio to the primitive."""
    proofs = [_proof(number) for number in range(DEVICES)]

    def verify_evidence(proof: Proof) -> None:
        unverified = parse_evidence(proof.evidence)
        cose.verify_sign1(unverified.message, cose.public_key(proof.alias_key), what="evidence")

    def verify_quote(proof: Proof) -> None:
        if fault := quote_fault(proof.quote, proof.evidence, proof.log_head, proof.attestation_key):
            raise RuntimeError(fault)

    return [
        _result("evidence-verify", verify_evidence, proofs, proofs[0].message_bytes),
        _result("evidence-verify-quote", verify_quote, proofs, proofs[0].quoted_bytes),
    ]


def _result(name: str, verify: Callable[[Proof], None], proofs: Sequence[Proof], size: int) -> dict[str, object]:
    bare = [_bare(size) for _ in range(DEVICES)]
    works = [[lambda proof=proof: verify(proof) for proof in proofs], bare]  # type: ignore[misc]
    rounds = [tuple(_rate(work) for work in works) for _ in range(ROUNDS)]
    value = statistics.median(own for own, _ in rounds)
    reference = statistics.median(other for _, other in rounds)
    return result(
        name,
        value,
        "proofs/CPU-s",
        ("cryptography's P-256 verify", reference),
        f"{DEVICES} devices, signed messages of {size} bytes, one thread, CPU time, median of {ROUNDS} rounds by turns",
        ratio=statistics.median(own / other for own, other in rounds),
    )


def _rate(works: Sequence[Callable[[], object]]) -> float:
    """Calls a second of this thread's CPU time."""
    for work in works:
        work()
    started = time.thread_time()
    for _ in range(PROOFS // len(works)):
        for work in works:
            work()
    return PROOFS / (time.thread_time() - started)


def _bare(size: int) -> Callable[[], object]:
    key = ec.generate_private_key(ec.SECP256R1())
    message = os.urandom(size)
    signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
    public, algorithm = key.public_key(), ec.ECDSA(hashes.SHA256())
    return lambda: public.verify(signature, message, algorithm)


def _proof(number: int) -> Proof:
    prover = Prover(uds=sha256(struct.pack(">I", number)).digest(), components=release(1))
    challenge = ch.mint(CHALLENGE_KEY, now=NOW, random=os.urandom(16), peer_key=prover.peer_key)
    client_key = cose.spki_from_point(cose.point_of(dice.alias_key(os.urandom(32)).public_key()))
    evidence = prover.request(challenge, client_key).evidence
    unverified = parse_evidence(evidence)
    tpm = ec.generate_private_key(ec.SECP256R1())
    structure = _attest(quote_nonce(evidence), pcr_digest([prover.log_head]))
    quote = encode_attestation(structure, _signature(tpm, structure))
    assert parse_attestation(quote).attest == structure
    return Proof(
        evidence=evidence,
        quote=quote,
        log_head=prover.log_head,
        alias_key=cose.point_of(prover.alias.public_key()),
        attestation_key=cose.point_of(tpm.public_key()),
        message_bytes=SIG_STRUCTURE_BYTES + len(unverified.message.payload),
        quoted_bytes=len(structure),
    )


def _attest(nonce: bytes, digest: bytes) -> bytes:
    """A TPMS_ATTEST as a TPM makes it for a quote over the boot's PCR (TPM 2.0 Library, Part 2, §10.12.8)."""
    signer = sized(b"\0\x0b" + bytes(32))
    clock = struct.pack(">QIIBQ", 12345, 2, 1, 1, 0x2019_1023_0016_3636)
    selection = struct.pack(">IHB", 1, ALG_SHA256, 3) + (1 << BOOT_PCR).to_bytes(3, "little")
    return struct.pack(">IH", GENERATED, ATTEST_QUOTE) + signer + sized(nonce) + clock + selection + sized(digest)


def _signature(key: ec.EllipticCurvePrivateKey, structure: bytes) -> bytes:
    r, s = utils.decode_dss_signature(key.sign(structure, ec.ECDSA(hashes.SHA256())))
    return struct.pack(">HH", ALG_ECDSA, ALG_SHA256) + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))
