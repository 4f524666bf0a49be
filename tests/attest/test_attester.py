# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hashlib import sha256

import pytest

from armillary.attest.attester import prove
from armillary.errors import WireError
from armillary.identity.dice import alias_key
from armillary.wire.attestation.evidence import parse_evidence
from armillary.wire.encoding import cose

ALIAS = alias_key(b"a" * 32)
VALUES = {
    "alias_key": ALIAS,
    "challenge": b"n" * 54,
    "device_id": "ab" * 64,
    "boot_count": 3,
    "log_head": bytes(32),
    "certificate_key": cose.spki_from_point(bytes(64)),
    "service_name": "localhost",
    "chip": "mt3620",
    "root_of_trust": "software",
    "enforcement": (),
    "sandbox": "process",
    "os_version": "26.11",
    "report": b"report",
}


def test_evidence_signs_the_digest_of_the_report():
    parsed = parse_evidence(prove(**VALUES))
    cose.verify_sign1(parsed.message, ALIAS.public_key())
    assert parsed.claims.report_digest == sha256(b"report").digest()
    assert (parsed.claims.boot_count, parsed.claims.challenge) == (3, b"n" * 54)


def test_out_of_limits():
    with pytest.raises(WireError):
        prove(**VALUES | {"sandbox": "x" * 33})
