# SPDX-License-Identifier: Apache-2.0
"""How many image packages a second are parsed and verified, against azuresphere_imagemetadata in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from uuid import UUID

from azuresphere_imagemetadata.image import Image
from azuresphere_imagemetadata.signing.signer import Signer, SigningMap
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from armillary.wire.certificates.certificate import build_root_authority
from armillary.wire.image import application as application_package, package as image_package
from bench.result import result

CONTENT_BYTES = 64 * 1024  # a typical high-level application
ROUNDS = 5
ROUND_S = 0.3
DAY_S = 86_400


def run() -> list[dict[str, object]]:
    """Parse alone, then parse and verify: packages a second of ours and of the peer, medians of interleaved rounds."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    certificate = build_root_authority(key, name="bench", serial=1, not_before=now, not_after=now + DAY_S)
    data = _package(key, certificate)
    wrapped = pkcs12.serialize_key_and_certificates(b"bench", key, certificate, None, BestAvailableEncryption(b"x"))
    peer_signer = Signer(SigningMap(ecdsa_256=pkcs12.load_pkcs12(wrapped, b"x")))

    def verify_ours() -> None:
        image_package.verify(image_package.parse(data), [certificate])

    def verify_theirs() -> None:
        if not Image(data).has_valid_signature([peer_signer]):
            raise RuntimeError("the peer does not verify the package: the comparison would be of different work")

    conditions = f"{len(data)} byte application package in memory, one thread, median of {ROUNDS} interleaved rounds"
    return [
        _result("image-parse", lambda: image_package.parse(data), lambda: Image(data), conditions),
        _result("image-verify", verify_ours, verify_theirs, f"{conditions}; parse and P-256 signature"),
    ]


def _result(name: str, ours: Callable[[], object], theirs: Callable[[], object], conditions: str) -> dict[str, object]:
    rounds = [(_rate(ours), _rate(theirs)) for _ in range(ROUNDS)]
    value = statistics.median(own for own, _ in rounds)
    reference = statistics.median(peer for _, peer in rounds)
    return result(name, value, "packages/s", ("azuresphere_imagemetadata", reference), conditions)


def _rate(work: Callable[[], object]) -> float:
    work()
    done = 0
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < ROUND_S:
        for _ in range(10):
            work()
        done += 10
    return done / elapsed


def _package(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    manifest = (
        b'{"SchemaVersion":1,"Name":"bench","ComponentId":"2f074b0f-d99d-4692-82d9-ef93a7d6463c",'
        b'"EntryPoint":"/bin/app","Capabilities":{}}'
    )
    files = {"app_manifest.json": manifest, "bin/app": bytes(CONTENT_BYTES)}
    return application_package.pack(files, image_id=UUID(int=1), built=0, key=key, certificate=certificate)
