# SPDX-License-Identifier: Apache-2.0
"""Wycheproof (github.com/C2SP/wycheproof): ECDSA P-256 with SHA-256, run through our own COSE path.

The P1363 file is what COSE carries: r || s. Its signatures go through the size check, the range check, our
DER writing and the verifier. The messages are arbitrary, ours are a Sig_structure, so the test puts the
message in the structure's place. The DER file tests a decoder we do not have; from it only signatures that are
canonical DER of two 256-bit numbers can be carried, and each of those must have the file's verdict.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from tests.conformance.foreign_vectors import VECTORS, needs

from armillary.engines.equipment.trusted_key import trusted_key
from armillary.errors import SignatureError, WireError
from armillary.wire.encoding import cbor, cose

FOLDER = VECTORS / "wycheproof"
pytestmark = needs(FOLDER)


def cases(name: str) -> Iterator[tuple[bytes, dict]]:
    document = json.loads((FOLDER / name).read_text())
    for group in document["testGroups"]:
        point = bytes.fromhex(group["publicKey"]["uncompressed"])[1:]
        for case in group["tests"]:
            yield point, case


def verify(point: bytes, content: bytes, signature: bytes) -> None:
    data = b"\xd2" + cbor.encode([cose.ES256_PROTECTED, {}, b"payload", signature])
    parsed = cose.parse_sign1(data)
    with mock.patch.object(cose, "_sig_structure", return_value=content):
        cose.verify_sign1(parsed, cose.public_key(point))


def verdict(point: bytes, content: bytes, signature: bytes) -> str:
    try:
        verify(point, content, signature)
    except WireError:
        return "invalid"
    return "valid"


def test_p1363_file():
    wrong, count = [], {"valid": 0, "invalid": 0}
    for point, case in cases("ecdsa_secp256r1_sha256_p1363_test.json"):
        got = verdict(point, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
        count[got] += 1
        if got != case["result"]:
            wrong.append((case["tcId"], case["comment"], case["result"], got))
    assert wrong == []
    assert count == {"valid": 173, "invalid": 89}


def test_der_file_as_far_as_cose_can_carry_it():
    wrong, carried = [], 0
    for point, case in cases("ecdsa_secp256r1_sha256_test.json"):
        der = bytes.fromhex(case["sig"])
        try:
            r, s = decode_dss_signature(der)
            canonical = encode_dss_signature(r, s) == der
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        except (ValueError, OverflowError):
            continue  # not DER, negative, or longer than COSE has room for
        if not canonical:
            continue
        carried += 1
        got = verdict(point, bytes.fromhex(case["msg"]), signature)
        if got != case["result"]:
            wrong.append((case["tcId"], case["comment"], case["result"], got))
    assert wrong == []
    assert carried > 200


def test_der_file_by_what_a_guardian_has():
    """The whole file: a guardian's keys take signatures in DER (``engines/equipment/trusted_key.py``)."""
    document = json.loads((FOLDER / "ecdsa_secp256r1_sha256_test.json").read_text())
    wrong, count = [], {"valid": 0, "invalid": 0}
    for group in document["testGroups"]:
        key = trusted_key(group["publicKeyPem"])
        for case in group["tests"]:
            try:
                key.check(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
            except SignatureError:
                got = "invalid"
            else:
                got = "valid"
            count[got] += 1
            if got != case["result"]:
                wrong.append((case["tcId"], case["comment"], case["result"], got))
    assert wrong == []
    assert min(count.values()) > 100, count


def test_our_der_writing_is_the_canonical_one():
    for _, case in cases("ecdsa_secp256r1_sha256_p1363_test.json"):
        signature = bytes.fromhex(case["sig"])
        try:
            der = cose._der_signature(signature, "test")
        except SignatureError:
            continue
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        assert der == encode_dss_signature(r, s)
