# SPDX-License-Identifier: Apache-2.0
"""Attacks on step 16: all but the quote is genuine, signed with this boot's own keys.

Each attack changes one thing, fails that one step for that one reason, and passes when the step is taken out: nothing
else would have stopped it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.wire.tpm_samples import attest, certification, new_key, quote, quote_body, sign

from armillary.attest import appraise as rules, challenge as ch
from armillary.attest.appraise import Appraisal, appraise
from armillary.attest.policy import PolicyInForce
from armillary.attest.reference import ReferenceValues
from armillary.identity import dice
from armillary.sim.device.prover import Prover, release
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.attestation.tpm_attestation import BOOT_PCR, FIRMWARE_PCRS, pcr_digest, quote_nonce
from armillary.wire.device import checkin
from armillary.wire.encoding import cose

NOW = 1_790_000_000
KEY = b"k" * 32
GOOD = release(1)
CLIENT_KEY = cose.spki_from_point(cose.point_of(dice.alias_key(b"c" * 32).public_key()))
REFERENCE = ReferenceValues([component.reference("mt3620", "26.11") for component in GOOD])
TPM = new_key()  # the attestation key of the device's TPM


def device(**changes: Any) -> Prover:
    return Prover(**({"uds": b"u" * 32, "components": GOOD, "root_of_trust": "tpm2"} | changes))


def request(prover: Prover, *, random: bytes = b"r" * 16) -> checkin.CheckinRequest:
    challenge = ch.mint(KEY, now=NOW, random=random, peer_key=prover.peer_key)
    return prover.request(challenge, CLIENT_KEY)


def with_log(prover: Prover, log: FirmwareLog | None, *, quoted: bytes | None = None) -> checkin.CheckinRequest:
    """A check-in with a log of the machine's firmware; its TPM quotes what the log says, or other values of PCRs."""
    made = request(prover)
    values = [] if log is None else [log.pcr_values if quoted is None else quoted]
    pcrs = (BOOT_PCR,) if log is None else (*FIRMWARE_PCRS, BOOT_PCR)
    made_quote = quote(TPM, quote_nonce(made.evidence), pcr_digest([*values, prover.log_head]), *pcrs)
    return dataclasses.replace(made, firmware=log, tpm_quote=made_quote)


def failing(appraisal: Appraisal) -> dict[int, str]:
    return {step.number: step.detail for step in appraisal.steps if step.result == "fail"}


def genuine_quote(made: checkin.CheckinRequest, prover: Prover, key: ec.EllipticCurvePrivateKey = TPM) -> bytes:
    return quote(key, quote_nonce(made.evidence), pcr_digest([prover.log_head]))


def judge(
    prover: Prover,
    sent: checkin.CheckinRequest,
    *,
    tier: str = "tpm",
    key: bytes | None = None,
    policy: PolicyInForce | None = None,
) -> Appraisal:
    attestation_key = cose.point_of(TPM.public_key()) if key is None else key
    enrolment = dataclasses.replace(prover.enrolment(trust_tier=tier), attestation_key=attestation_key)
    received = checkin.parse_request(checkin.encode_request(sent))
    return appraise(
        received,
        enrolment=enrolment,
        reference=REFERENCE,
        peer_key=prover.peer_key,
        challenge_key=KEY,
        now=NOW + 5,
        service_name="localhost",
        policy=policy,
    )


def quoted(change: Callable[[checkin.CheckinRequest, Prover], bytes | None]) -> tuple[Prover, checkin.CheckinRequest]:
    prover = device()
    made = request(prover)
    return prover, dataclasses.replace(made, tpm_quote=change(made, prover))


def test_a_genuine_quote_is_attested():
    """The positive control of every attack below."""
    appraisal = judge(*quoted(genuine_quote))
    assert appraisal.verdict == "attested"
    assert {step.result for step in appraisal.steps if step.name != "firmware log"} == {"pass"}


def forged(made: checkin.CheckinRequest, prover: Prover) -> bytes:
    """Right nonce, right PCR, right values; a signature nobody made."""
    structure = attest(0x8018, quote_nonce(made.evidence), quote_body(pcr_digest([prover.log_head]), 23))
    signature = bytearray(sign(TPM, structure))
    signature[-1] ^= 1
    return len(structure).to_bytes(2, "big") + structure + bytes(signature)


def software_made(made: checkin.CheckinRequest, prover: Prover) -> bytes:
    """The quote of a structure that does not begin with TPM_GENERATED_VALUE: what a restricted key never signs."""
    body = quote_body(pcr_digest([prover.log_head]), 23)
    structure = attest(0x8018, quote_nonce(made.evidence), body, magic=0x00544347)
    return len(structure).to_bytes(2, "big") + structure + sign(TPM, structure)


ATTACKS: dict[str, tuple[Callable[[checkin.CheckinRequest, Prover], bytes | None], str]] = {
    "no quote": (lambda _made, _prover: None, "sent no quote"),
    "bad signature": (forged, "does not verify"),
    "attestation key of another TPM": (lambda made, prover: genuine_quote(made, prover, new_key()), "does not verify"),
    "quote of an earlier challenge": (
        lambda _, prover: genuine_quote(request(prover, random=b"o" * 16), prover),
        "quote nonce",
    ),
    "wrong PCR": (
        lambda made, prover: quote(TPM, quote_nonce(made.evidence), pcr_digest([prover.log_head]), 16),
        "quote selection",
    ),
    "another PCR besides": (
        lambda made, prover: quote(TPM, quote_nonce(made.evidence), pcr_digest([prover.log_head]), 16, 23),
        "quote selection",
    ),
    "wrong PCR value": (
        lambda made, _: quote(TPM, quote_nonce(made.evidence), pcr_digest([bytes(32)])),
        "PCR digest",
    ),
    "value of another boot": (
        lambda made, _: quote(TPM, quote_nonce(made.evidence), pcr_digest([device(components=release(2)).log_head])),
        "PCR digest",
    ),
    "certification posing as a quote": (
        lambda made, _: certification(TPM, quote_nonce(made.evidence), b"\0\x0b" + bytes(32)),
        "got a certification",
    ),
    "structure that no TPM generated": (software_made, "TPM_GENERATED_VALUE"),
    "garbage": (lambda _made, _prover: b"\xff" * 642, "at most"),
    "nothing": (lambda _made, _prover: b"", "more bytes"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_only_the_quote_step_stops_it(name: str, monkeypatch: pytest.MonkeyPatch):
    change, named = ATTACKS[name]
    prover, sent = quoted(change)
    appraisal = judge(prover, sent)
    assert appraisal.verdict == "update-only"
    assert list(failing(appraisal)) == [16]
    assert named in appraisal.steps[15].detail
    monkeypatch.setattr(rules, "quote_fault", lambda *_: "")
    assert judge(prover, sent).verdict == "attested"


def test_a_quote_fits_no_other_evidence_of_the_same_boot():
    """The relay: a genuine quote, moved to evidence for another client key under the same challenge."""
    prover = device()
    made = request(prover)
    challenge = ch.mint(KEY, now=NOW, random=b"r" * 16, peer_key=prover.peer_key)
    other_key = cose.spki_from_point(cose.point_of(dice.alias_key(b"d" * 32).public_key()))
    moved = dataclasses.replace(prover.request(challenge, other_key), tpm_quote=genuine_quote(made, prover))
    assert judge(prover, dataclasses.replace(made, tpm_quote=genuine_quote(made, prover))).verdict == "attested"
    assert "quote nonce" in judge(prover, moved).steps[15].detail


@pytest.mark.parametrize("tier", ["tpm", "silicon"])
def test_a_tier_without_a_proven_key_fails_closed(tier: str):
    prover, sent = quoted(genuine_quote)
    appraisal = judge(prover, sent, tier=tier, key=b"")
    assert appraisal.verdict == "update-only"
    assert "no attestation key" in appraisal.steps[15].detail


@pytest.mark.parametrize("tier", ["simulated", "software"])
def test_a_quote_never_lifts_a_device_above_its_record(tier: str):
    appraisal = judge(*quoted(genuine_quote), tier=tier)
    assert (appraisal.trust_tier, appraisal.steps[15].result) == (tier, "not-run")


def test_every_byte_of_a_quote_matters():
    prover, sent = quoted(genuine_quote)
    good = sent.tpm_quote or b""
    for at in range(len(good)):
        changed = good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :]
        assert judge(prover, dataclasses.replace(sent, tpm_quote=changed)).verdict == "update-only"


def test_a_quote_travels_as_version_2_and_nothing_else_does():
    prover, sent = quoted(genuine_quote)
    assert checkin.encode_request(sent)[1] == checkin.QUOTED_VERSION
    assert checkin.encode_request(request(prover))[1] == checkin.PROTOCOL_VERSION
    for data in (
        b"\x85\x02" + checkin.encode_request(request(prover))[2:],
        b"\x86\x01" + checkin.encode_request(sent)[2:],
        checkin.encode_request(sent)[:-3],
        b"\x86\x03" + checkin.encode_request(sent)[2:],
        b"\x80",
    ):
        with pytest.raises(checkin.WireError):
            checkin.parse_request(data)
