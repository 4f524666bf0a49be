# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from tests.fixtures.cbor_items import items_of

from armillary.errors import SignatureError, WireError
from armillary.identity.dice import alias_key, identity_key
from armillary.wire.attestation import evidence
from armillary.wire.encoding import cbor, cose

IDENTITY, ALIAS, CLIENT = identity_key(b"u" * 32), alias_key(b"a" * 32), alias_key(b"c" * 32)
DEVICE_ID = cose.point_of(IDENTITY.public_key()).hex()
CLAIMS = evidence.Evidence(
    challenge=b"n" * 54,
    device_id=DEVICE_ID,
    boot_count=7,
    log_head=b"h" * 32,
    certificate_key=cose.spki_from_point(cose.point_of(CLIENT.public_key())),
    service_name="armillary.example",
    chip="mt3620",
    root_of_trust="software",
    enforcement=(("seccomp", "enforced"), ("landlock", "missing: kernel 5.10")),
    sandbox="linux",
    os_version="26.11",
    report_digest=b"r" * 32,
)
ENDORSED = evidence.Endorsement(
    device_id=DEVICE_ID, alias_key=cose.point_of(ALIAS.public_key()), log_head=b"h" * 32, boot_count=7
)
CNF = {1: {1: 2, -1: 1, -2: b"x" * 32, -3: b"y" * 32}}


def test_evidence_round_trip():
    data = evidence.encode_evidence(CLAIMS, ALIAS)
    for _ in range(2):  # the second time from the cache of claims
        parsed = evidence.parse_evidence(data)
        assert parsed.claims == CLAIMS
        cose.verify_sign1(parsed.message, ALIAS.public_key())
    with pytest.raises(SignatureError):
        cose.verify_sign1(parsed.message, IDENTITY.public_key())
    assert 500 < len(data) < 800


@pytest.mark.parametrize("service", ["", "a", "x" * 22, "x" * 23, "x" * 24, "x" * 25, "x" * 253, "\u00fc" * 30])
@pytest.mark.parametrize("challenge", [b"n" * 8, b"n" * 54, b"n" * 64])
def test_cached_claims_are_the_strict_ones(service: str, challenge: bytes):
    for number in range(3):
        claims = CLAIMS._replace(
            service_name=service,
            challenge=bytes([number]) + challenge[1:],
            report_digest=bytes([number]) * 32,
            certificate_key=cose.spki_from_point(bytes([number]) * 64),
        )
        parsed = evidence.parse_evidence(evidence.encode_evidence(claims, ALIAS))
        assert parsed.claims == claims == evidence._evidence_claims(parsed.message.payload)
        assert (evidence._known_claims(parsed.message.payload) is not None) == (len(challenge) == 54)


def test_endorsement_round_trip():
    parsed = evidence.parse_endorsement(evidence.encode_endorsement(ENDORSED, IDENTITY))
    assert parsed.claims == ENDORSED
    cose.verify_sign1(parsed.message, IDENTITY.public_key())


def test_claims_have_the_registered_keys():
    payload = evidence.parse_evidence(evidence.encode_evidence(CLAIMS, ALIAS)).message.payload
    claims = cbor.decode(payload, what="t", limit=2000)
    device_id = bytes.fromhex(DEVICE_ID)
    assert claims[10] == CLAIMS.challenge  # eat_nonce
    assert claims[256] == b"\x01" + sha256(device_id).digest()  # ueid
    assert claims[265] == evidence.EVIDENCE_PROFILE  # eat_profile
    assert claims[267] == 7  # bootcount
    assert claims[259] == b"mt3620"  # hwmodel
    assert claims[271] == ["26.11"]  # swversion
    assert claims[8][1][-2] + claims[8][1][-3] == CLAIMS.certificate_key[-64:]  # cnf
    assert len(claims[258]) == 16  # oemid, random type
    assert cbor.encode(claims) == payload


def test_more_items_than_any_evidence_has_are_refused_before_they_are_made():
    mechanisms = tuple((f"mechanism {number}", "enforced") for number in range(evidence.MAX_MECHANISMS))
    largest = evidence.parse_evidence(evidence.encode_evidence(CLAIMS._replace(enforcement=mechanisms), ALIAS))
    assert largest.claims.enforcement == mechanisms
    assert items_of(cbor.decode(largest.message.payload, what="t", limit=9000)) == 140 <= evidence.MAX_CLAIM_ITEMS
    many = cbor.encode([[]] * 16_000)
    for data in (signed(many), b"\xd2" + many, signed(b"x", protected=b"\xa1\x18\x20" + many)):
        for parse in (evidence.parse_evidence, evidence.parse_endorsement):
            with pytest.raises(WireError, match="at most 1024 items"):
                parse(data)


def test_documents_are_not_taken_for_each_other():
    proof, endorsement = evidence.encode_evidence(CLAIMS, ALIAS), evidence.encode_endorsement(ENDORSED, IDENTITY)
    with pytest.raises(WireError):
        evidence.parse_endorsement(proof)
    with pytest.raises(WireError):
        evidence.parse_evidence(endorsement)


def signed(payload: bytes, **changes: Any):
    return cose.encode_sign1(payload, ALIAS, **changes)


def evidence_with(change: Any):
    payload = evidence.parse_evidence(evidence.encode_evidence(CLAIMS, ALIAS)).message.payload
    claims = cbor.decode(payload, what="t", limit=2000) | change
    return signed(cbor.encode({key: value for key, value in claims.items() if value is not ...}))


def test_changed_claims_positive_control():
    assert evidence.parse_evidence(evidence_with({})).claims == CLAIMS


@pytest.mark.parametrize("key", evidence._EVIDENCE_KEYS)
def test_every_claim_is_needed(key: Any):
    with pytest.raises(WireError):
        evidence.parse_evidence(evidence_with({key: ...}))


@pytest.mark.parametrize(
    "change",
    [
        {11: 1},
        {-70007: b""},
        {"extra": 1},
        {3: b"bytes"},
        {3: "x" * 254},
        {8: {}},
        {8: {1: {}}},
        {8: CNF | {2: b"kid"}},
        {8: {1: CNF[1] | {3: -7}}},
        {8: {1: CNF[1] | {1: 3}}},
        {8: {1: CNF[1] | {-1: 2}}},
        {8: {1: CNF[1] | {-1: True}}},
        {8: {1: CNF[1] | {-2: b"x" * 31}}},
        {8: {1: CNF[1] | {-3: True}}},
        {10: b"n" * 7},
        {10: b"n" * 65},
        {10: [b"n" * 54]},
        {256: b"\x01" + bytes(32)},
        {256: b"\x02" + sha256(bytes.fromhex(DEVICE_ID)).digest()},
        {258: bytes(16)},
        {259: b""},
        {259: b"\xff"},
        {259: b"x" * 33},
        {259: "mt3620"},
        {265: evidence.ENDORSEMENT_PROFILE},
        {265: "urn:armillary:evidence:2"},
        {267: -1},
        {267: 2**48 + 1},
        {267: True},
        {270: "other-os"},
        {271: "26.11"},
        {271: []},
        {271: ["26.11", 1]},
        {271: ["x" * 65]},
        {-70001: bytes(64)},
        {-70001: bytes(63)},
        {-70002: bytes(31)},
        {-70003: "hardware"},
        {-70003: 1},
        {-70004: [["seccomp"]]},
        {-70004: [["seccomp", "on"]]},
        {-70004: [["seccomp", "missing"]]},
        {-70004: [["x" * 65, "enforced"]]},
        {-70004: [["x", "missing: " + "x" * 256]]},
        {-70004: [["x", "enforced"]] * 33},
        {-70004: {"seccomp": "enforced"}},
        {-70005: "x" * 33},
        {-70005: "a\0b"},
        {-70006: bytes(33)},
    ],
)
def test_other_claims_are_refused(change: Any):
    with pytest.raises(WireError):
        evidence.parse_evidence(evidence_with(change))


def test_other_headers_are_refused():
    payload = evidence.parse_evidence(evidence.encode_evidence(CLAIMS, ALIAS)).message.payload
    for protected, unprotected in (
        (b"", {1: -7}),
        (b"\xa0", {1: -7}),
        (cbor.encode({1: -7, 4: b"kid"}), {}),
        (cose.ES256_PROTECTED, {4: b"kid"}),
    ):
        data = b"\xd2" + cbor.encode([protected, unprotected, payload, bytes(64)])
        assert cose.parse_sign1(data).payload == payload
        with pytest.raises(WireError, match="header"):
            evidence.parse_evidence(data)


@pytest.mark.parametrize(
    "payload", [b"", b"\xa0", b"\x80", b"\xb0\x03", b"\xb0\x03\x78", b"\xb0\x03\xff\xff" + bytes(500)]
)
def test_other_payloads_are_refused(payload: bytes):
    with pytest.raises(WireError):
        evidence.parse_evidence(signed(payload))


@pytest.mark.parametrize(
    "change",
    [
        {"challenge": b"n" * 7},
        {"device_id": DEVICE_ID.upper()},
        {"device_id": "zz" * 64},
        {"device_id": "ab"},
        {"boot_count": -1},
        {"log_head": b""},
        {"certificate_key": b"pem"},
        {"chip": "x" * 33},
        {"root_of_trust": "magic"},
        {"enforcement": (("seccomp", "maybe"),)},
        {"report_digest": b""},
    ],
)
def test_encoder_refuses_what_the_parser_would(change: Any):
    with pytest.raises(WireError):
        evidence.encode_evidence(CLAIMS._replace(**change), ALIAS)


@pytest.mark.parametrize(
    "change", [{"alias_key": bytes(63)}, {"log_head": b"x"}, {"boot_count": 2**63}, {"device_id": ""}]
)
def test_endorsement_encoder_refuses_what_the_parser_would(change: Any):
    with pytest.raises(WireError):
        evidence.encode_endorsement(ENDORSED._replace(**change), IDENTITY)
