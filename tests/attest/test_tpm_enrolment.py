# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from tests.attest.tpm_maker import NOW, OTHER_USAGE, Maker, SoftTpm
from tests.wire.tpm_samples import certification, new_key, public_of

from armillary.attest import tpm_enrolment
from armillary.attest.tpm_credential import make_credential
from armillary.attest.tpm_endorsement import verify_endorsement_certificate
from armillary.errors import AppraisalError, ChallengeError, SignatureError, WireError
from armillary.wire.attestation.tpm_public import name_of

MAKER = Maker()
RSA_KEY = rsa.generate_private_key(65537, 2048)
SERVICE_KEY = b"k" * 32


def ask(tpm: SoftTpm, chip: str = "imx8mp") -> tuple[tpm_enrolment.TpmClaim, tpm_enrolment.CredentialChallenge]:
    claim = tpm_enrolment.examine(tpm.claim(), [tpm.maker.root], now=NOW)
    return claim, tpm_enrolment.ask(claim, SERVICE_KEY, chip=chip, now=NOW, seed=b"s" * 32, ephemeral=new_key())


def answer(
    claim: tpm_enrolment.TpmClaim, expires_at: int, secret: bytes, *, chip: str = "imx8mp", now: int = NOW
) -> None:
    tpm_enrolment.check_answer(claim, SERVICE_KEY, chip=chip, expires_at=expires_at, answer=secret, now=now)


@pytest.mark.parametrize("endorsement", [new_key(), RSA_KEY], ids=["P-256", "RSA-2048"])
def test_the_tpm_that_holds_the_keys_is_enrolled(endorsement):
    tpm = SoftTpm(MAKER, endorsement)
    claim, question = ask(tpm)
    answer(claim, question.expires_at, tpm.activate(question.credential))
    assert claim.endorsement.manufacturer == "id:41524D49"
    assert claim.endorsement.model == "soft"


@pytest.mark.parametrize("endorsement", [new_key(), RSA_KEY], ids=["P-256", "RSA-2048"])
def test_a_tpm_with_another_attestation_key_cannot_open_the_credential(endorsement):
    """The credential for another name: same EK, other AK."""
    _, question = ask(SoftTpm(MAKER, endorsement))
    with pytest.raises(ValueError, match="integrity"):
        SoftTpm(MAKER, endorsement).activate(question.credential)


def test_an_answer_is_good_for_its_own_claim_chip_and_time_only():
    tpm, other = SoftTpm(MAKER), SoftTpm(MAKER)
    claim, question = ask(tpm)
    secret = tpm.activate(question.credential)
    answer(claim, question.expires_at, secret)  # positive control
    with pytest.raises(AppraisalError, match="secret"):
        answer(claim, question.expires_at, secret[:-1] + bytes((secret[-1] ^ 1,)))
    with pytest.raises(AppraisalError, match="secret"):
        answer(claim, question.expires_at, b"")
    with pytest.raises(AppraisalError, match="secret"):
        answer(ask(other)[0], question.expires_at, secret)
    with pytest.raises(AppraisalError, match="secret"):
        answer(claim, question.expires_at, secret, chip="mt3620")
    with pytest.raises(AppraisalError, match="secret"):
        answer(claim, question.expires_at - 1, secret)
    with pytest.raises(ChallengeError, match="before"):
        answer(claim, question.expires_at, secret, now=question.expires_at)
    with pytest.raises(ChallengeError, match="before"):
        answer(claim, NOW + 10**9, secret)


def refused(claim: tpm_enrolment.UnverifiedTpmClaim, kind: type[WireError], named: str) -> None:
    with pytest.raises(kind, match=named):
        tpm_enrolment.examine(claim, [MAKER.root], now=NOW)


def test_an_identity_key_that_the_tpm_did_not_certify_is_refused():
    """A software key beside a genuine TPM: everything but the certification is right."""
    tpm = SoftTpm(MAKER)
    tpm_enrolment.examine(tpm.claim(), [MAKER.root], now=NOW)  # positive control
    software = public_of(new_key(), restricted=False)
    refused(tpm.claim(identity_key=software), WireError, "certification name")
    forged = certification(new_key(), tpm_enrolment.CERTIFICATION_NONCE, name_of(software[2:]))
    refused(tpm.claim(identity_key=software, certification=forged), SignatureError, "does not verify")
    other = certification(tpm.attestation, b"another purpose", name_of(public_of(tpm.identity, restricted=False)[2:]))
    refused(tpm.claim(certification=other), WireError, "certification nonce")


def test_keys_of_the_wrong_kind_are_refused():
    tpm = SoftTpm(MAKER)
    refused(tpm.claim(attestation_key=public_of(tpm.attestation, restricted=False)), WireError, "exactly the uses")
    refused(tpm.claim(identity_key=public_of(tpm.identity, restricted=True)), WireError, "exactly the uses")


def test_without_a_root_nobody_is_trusted():
    with pytest.raises(SignatureError, match="no trusted root at all"):
        tpm_enrolment.examine(SoftTpm(MAKER).claim(), [], now=NOW)


def test_an_intermediate_of_the_maker_is_followed():
    middle = Maker(called="middle")
    link = MAKER.authority(middle.key.public_key(), "middle")
    tpm = SoftTpm(middle)
    chain = (link.public_bytes(Encoding.DER),)
    tpm_enrolment.examine(tpm.claim(intermediates=chain), [MAKER.root], now=NOW)
    refused(tpm.claim(), SignatureError, "trusted TPM maker")
    for bad in ({"ca": False}, {"signs": False}):
        link = MAKER.authority(middle.key.public_key(), "middle", **bad)
        refused(tpm.claim(intermediates=(link.public_bytes(Encoding.DER),)), SignatureError, "trusted TPM maker")
    refused(tpm.claim(intermediates=chain * 5), WireError, "at most 4")


CRITICAL = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


@pytest.mark.parametrize(
    ("changes", "maker", "kind", "named"),
    [
        ({"usage": OTHER_USAGE}, MAKER, SignatureError, "2.23.133.8.1"),
        ({"named": False}, MAKER, SignatureError, "manufacturer"),
        ({"ca": True}, MAKER, SignatureError, "is no endorsement key"),
        ({"not_after": NOW - 1}, MAKER, SignatureError, "valid"),
        ({"not_before": NOW + 60}, MAKER, SignatureError, "valid"),
        ({"extra": CRITICAL}, MAKER, SignatureError, "critical"),
        ({}, Maker(), SignatureError, "signature does not match"),
        ({"key": rsa.generate_private_key(65537, 3072).public_key()}, MAKER, WireError, "RSA-2048 or P-256"),
        ({"key": ec.generate_private_key(ec.SECP384R1()).public_key()}, MAKER, WireError, "RSA-2048 or P-256"),
    ],
    ids=["usage", "no maker", "authority", "expired", "early", "critical", "same-name root", "RSA-3072", "P-384"],
)
def test_certificates_that_are_not_what_they_should_be_are_refused(changes, maker, kind, named):
    verify_endorsement_certificate(MAKER.endorse(RSA_KEY.public_key()), [], [MAKER.root], now=NOW)  # positive control
    certificate = maker.endorse(changes.pop("key", RSA_KEY.public_key()), **changes)
    with pytest.raises(kind, match=named):
        verify_endorsement_certificate(certificate, [], [MAKER.root], now=NOW)


@pytest.mark.parametrize("data", [b"", b"\x30\x82", b"\0" * 4097, b"\0" * 10_485_760])
def test_hostile_certificates_are_refused(data: bytes):
    with pytest.raises(WireError):
        verify_endorsement_certificate(data, [], [MAKER.root], now=NOW)


def test_arguments_of_the_wrong_size_are_refused():
    good = {"seed": b"s" * 32, "ephemeral": new_key()}
    name = b"\0\x0b" + bytes(32)
    for arguments in ((name[:-1], b"x" * 32), (name, b""), (name, b"x" * 33)):
        with pytest.raises(ValueError, match="credential"):
            make_credential(RSA_KEY.public_key(), *arguments, **good)
    for key in (rsa.generate_private_key(65537, 3072), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(WireError, match="RSA-2048 or P-256"):
            make_credential(key.public_key(), name, b"x" * 32, **good)


def test_nothing_secret_is_in_a_repr():
    claim, question = ask(SoftTpm(MAKER))
    assert question.credential.blob.hex() not in repr(question)
    assert repr(replace(claim)) == repr(claim)
