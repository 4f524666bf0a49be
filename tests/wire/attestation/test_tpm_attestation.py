# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct

import pytest
from tests.wire.tpm_samples import attest, certification, new_key, quote, quote_body, selection, sign

from armillary.errors import SignatureError, WireError
from armillary.wire.attestation import tpm_attestation as tpm

KEY = new_key()
NONCE = b"n" * 32
DIGEST = b"d" * 32
GOOD = quote(KEY, NONCE, DIGEST)


def verify(data: bytes, **changes: object) -> tpm.Quote:
    arguments: dict[str, object] = {"nonce": NONCE, "pcrs": (23,), "pcr_digest": DIGEST, **changes}
    key = arguments.pop("key", KEY.public_key())
    return tpm.verify_quote(tpm.parse_attestation(data), key, **arguments)  # type: ignore[arg-type]


def test_a_good_quote_gives_what_it_says():
    assert verify(GOOD) == tpm.Quote(NONCE, (23,), DIGEST, reset_count=2, restart_count=1)


def test_a_good_certification_gives_the_name():
    name = b"\0\x0b" + b"x" * 32
    unverified = tpm.parse_attestation(certification(KEY, NONCE, name))
    assert tpm.verify_certification(unverified, KEY.public_key(), nonce=NONCE, name=name).name == name
    with pytest.raises(WireError, match="certification name"):
        tpm.verify_certification(unverified, KEY.public_key(), nonce=NONCE, name=b"\0\x0b" + b"y" * 32)
    with pytest.raises(WireError, match="certification nonce"):
        tpm.verify_certification(unverified, KEY.public_key(), nonce=b"", name=name)
    with pytest.raises(SignatureError):
        tpm.verify_certification(unverified, new_key().public_key(), nonce=NONCE, name=name)
    with pytest.raises(WireError, match="expected a quote, got a certification"):
        tpm.verify_quote(unverified, KEY.public_key(), nonce=NONCE, pcrs=(23,), pcr_digest=DIGEST)
    with pytest.raises(WireError, match="expected a certification, got a quote"):
        tpm.verify_certification(tpm.parse_attestation(GOOD), KEY.public_key(), nonce=NONCE, name=name)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"nonce": b"m" * 32}, "quote nonce"),
        ({"pcrs": (16,)}, "quote selection"),
        ({"pcrs": (16, 23)}, "quote selection"),
        ({"pcr_digest": b"e" * 32}, "PCR digest"),
        ({"key": new_key().public_key()}, "does not verify"),
    ],
)
def test_each_check_of_a_quote_stops_what_it_is_for(changes: dict[str, object], named: str):
    with pytest.raises(WireError, match=named):
        verify(GOOD, **changes)


def test_a_bad_signature_is_refused_with_the_right_nonce_and_pcrs():
    """Nothing but the signature is wrong: nonce, selection and PCR digest would all pass."""
    other = quote(new_key(), NONCE, DIGEST)
    with pytest.raises(SignatureError, match="attestation key"):
        verify(other)


def test_every_changed_byte_is_refused():
    for at in range(len(GOOD)):
        with pytest.raises(WireError):
            verify(GOOD[:at] + bytes((GOOD[at] ^ 1,)) + GOOD[at + 1 :])


@pytest.mark.parametrize("size", range(0, len(GOOD), 3))
def test_every_truncation_is_refused(size: int):
    with pytest.raises(WireError):
        tpm.parse_attestation(GOOD[:size])


def signed(structure: bytes) -> bytes:
    return tpm.encode_attestation(structure, sign(KEY, structure))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\0" * 10_485_760, "at most"),
        (GOOD + b"\0", "no more bytes"),
        (signed(attest(tpm.ATTEST_QUOTE, NONCE, quote_body(DIGEST, 23), magic=0xFF544348)), "TPM_GENERATED_VALUE"),
        (signed(attest(0x8019, NONCE, quote_body(DIGEST, 23))), "type 0x8019"),
        (signed(attest(tpm.ATTEST_QUOTE, NONCE, struct.pack(">I", 0xFFFFFFFF))), "PCR banks"),
        (signed(attest(tpm.ATTEST_QUOTE, NONCE, quote_body(DIGEST[:31], 23))), "digest of 32"),
        (signed(attest(tpm.ATTEST_QUOTE, b"x" * 67, quote_body(DIGEST, 23))), "at most 66"),
        (signed(attest(tpm.ATTEST_CERTIFY, NONCE, b"\0\x02ab\0\0")), "name of 34"),
        (GOOD.replace(b"\x00\x18\x00\x0b", b"\x00\x14\x00\x0b"), "ECDSA"),
    ],
)
def test_hostile_bytes_are_refused_for_what_they_are(data: bytes, named: str):
    with pytest.raises(WireError, match=named):
        tpm.parse_attestation(data)


def test_only_the_sha256_bank_counts():
    two = struct.pack(">I", 2) + selection(bank=4) + selection(23) + b"\0\x20" + DIGEST
    assert verify(signed(attest(tpm.ATTEST_QUOTE, NONCE, two))).pcrs == (23,)
    for body in (
        struct.pack(">I", 1) + selection(23, bank=4) + b"\0\x20" + DIGEST,
        struct.pack(">I", 2) + selection(23) + selection(16) + b"\0\x20" + DIGEST,
    ):
        with pytest.raises(WireError, match="SHA-256 bank"):
            tpm.parse_attestation(signed(attest(tpm.ATTEST_QUOTE, NONCE, body)))


def test_no_selected_pcr_is_not_the_asked_one():
    body = struct.pack(">I", 0) + b"\0\x20" + DIGEST
    with pytest.raises(WireError, match="selection"):
        verify(signed(attest(tpm.ATTEST_QUOTE, NONCE, body)))
