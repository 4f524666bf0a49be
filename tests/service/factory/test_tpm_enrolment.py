# SPDX-License-Identifier: Apache-2.0
"""Tier tpm comes from a proven TPM and from nowhere else. TPMs in software here; a real one in tests/e2e/test_tpm.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.attest.tpm_maker import NOW, Maker, SoftTpm
from tests.fixtures.clocks import Clock
from tests.wire.tpm_samples import new_key

from armillary.errors import (
    AppraisalError,
    ArmillaryError,
    ChallengeError,
    ConflictError,
    DataFolderError,
    InvalidArgumentError,
    NotFoundError,
    SignatureError,
)
from armillary.identity.device_id import device_id_of_key
from armillary.service.factory import tpm_enrolment
from armillary.service.factory.tpm_enrolment import TpmAnswer
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.encoding import cose

MAKER = Maker()


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def host(tmp_path: Path, clock: Clock) -> Iterator[ServiceHost]:
    with ServiceHost(tmp_path / "service", clock=clock) as running:
        trust(tmp_path / "service", MAKER)
        yield running


def trust(data: Path, maker: Maker) -> None:
    (data / "tpm-roots").mkdir(exist_ok=True)
    (data / "tpm-roots" / "maker.pem").write_bytes(maker.root.public_bytes(Encoding.PEM))


def csr(key: ec.EllipticCurvePrivateKey) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def answered(host: ServiceHost, tpm: SoftTpm, chip: str = "imx8mp") -> TpmAnswer:
    claim = tpm.claim()
    question = host.service.tpms.ask(claim, chip)
    secret = tpm.activate(question.credential)
    return TpmAnswer(claim=claim, chip=chip, expires_at=question.expires_at, secret=secret)


def enrol(host: ServiceHost, answer: TpmAnswer, key: ec.EllipticCurvePrivateKey) -> str:
    return host.service.tpms.enrol(answer, csr(key), "t").device_id


def tier_of(host: ServiceHost, device_id: str) -> str | None:
    """What the verifier will read, None for a device that is not recorded."""
    found = host.service.context.records.lookup.device(device_id)
    return None if found is None else found.trust_tier


def test_a_proven_tpm_is_enrolled_as_tier_tpm(host: ServiceHost):
    tpm = SoftTpm(MAKER)
    device_id = enrol(host, answered(host, tpm), tpm.identity)
    assert device_id == device_id_of_key(tpm.identity.public_key())
    assert tier_of(host, device_id) == "tpm"
    found = host.service.context.records.lookup.device(device_id)
    assert found is not None
    assert found.attestation_key == cose.point_of(tpm.attestation.public_key())


def test_enrolling_again_gives_the_same_device(host: ServiceHost):
    tpm = SoftTpm(MAKER)
    first, again = (enrol(host, answered(host, tpm), tpm.identity) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    "make_secret", [lambda _: b"", lambda _: bytes(32), lambda good: good[::-1]], ids=["none", "zeros", "reversed"]
)
def test_without_the_tpms_answer_nothing_is_recorded(host: ServiceHost, make_secret):
    tpm = SoftTpm(MAKER)
    answer = answered(host, tpm)
    with pytest.raises(AppraisalError, match="secret"):
        enrol(host, replace(answer, secret=make_secret(answer.secret)), tpm.identity)
    assert tier_of(host, device_id_of_key(tpm.identity.public_key())) is None
    enrol(host, answer, tpm.identity)  # positive control


def test_an_answer_ends(host: ServiceHost, clock: Clock):
    tpm = SoftTpm(MAKER)
    answer = answered(host, tpm)
    clock.now += 299
    enrol(host, answer, tpm.identity)
    clock.now += 1
    with pytest.raises(ChallengeError, match="before"):
        enrol(host, answer, tpm.identity)


def test_the_answer_of_another_tpm_is_not_taken(host: ServiceHost):
    one, other = SoftTpm(MAKER), SoftTpm(MAKER)
    with pytest.raises(AppraisalError, match="secret"):
        enrol(host, replace(answered(host, one), secret=answered(host, other).secret), one.identity)


def test_a_software_key_beside_a_genuine_tpm_is_not_enrolled(host: ServiceHost):
    """The TPM is real and answers; the certificate request is for a key in a file."""
    tpm = SoftTpm(MAKER)
    with pytest.raises(InvalidArgumentError, match="identity key that the TPM certified"):
        enrol(host, answered(host, tpm), new_key())


def test_the_chip_of_the_answer_is_that_of_the_question(host: ServiceHost):
    tpm = SoftTpm(MAKER)
    with pytest.raises(AppraisalError, match="secret"):
        enrol(host, replace(answered(host, tpm), chip="mt3620"), tpm.identity)
    with pytest.raises(NotFoundError):
        host.service.tpms.ask(tpm.claim(), "no chip")


def test_a_device_is_not_lifted_by_enrolling_it_again(host: ServiceHost):
    tpm = SoftTpm(MAKER)
    host.service.factory.enrol(csr(tpm.identity), "imx8mp", "t")
    with pytest.raises(ConflictError, match="tier software"):
        enrol(host, answered(host, tpm), tpm.identity)
    device_id = device_id_of_key(tpm.identity.public_key())
    assert tier_of(host, device_id) == "software"


def test_a_device_does_not_move_to_another_attestation_key(host: ServiceHost):
    tpm = SoftTpm(MAKER)
    enrol(host, answered(host, tpm), tpm.identity)
    other = SoftTpm(MAKER, endorsement=tpm.endorsement, identity=tpm.identity)
    with pytest.raises(ConflictError, match="another attestation key"):
        enrol(host, answered(host, other), tpm.identity)


def test_a_device_with_a_tpm_recovers_with_its_key_and_keeps_its_tier(host: ServiceHost):
    tpm = SoftTpm(MAKER)
    device_id = enrol(host, answered(host, tpm), tpm.identity)
    assert host.service.factory.enrol(csr(tpm.identity), "imx8mp", "t").device_id == device_id
    assert tier_of(host, device_id) == "tpm"


@pytest.mark.parametrize("tier", ["tpm", "silicon"])
def test_nobody_can_ask_for_the_tier(host: ServiceHost, tier: str):
    with pytest.raises(InvalidArgumentError, match="trust tier"):
        host.service.factory.enrol(csr(new_key()), "imx8mp", "t", trust_tier=tier)


def test_only_makers_in_the_folder_are_trusted(host: ServiceHost, tmp_path: Path):
    with pytest.raises(SignatureError, match="trusted TPM maker"):
        answered(host, SoftTpm(Maker()))
    data = tmp_path / "service" / "tpm-roots"
    (data / "maker.pem").unlink()
    with pytest.raises(SignatureError, match="no trusted root at all"):
        answered(host, SoftTpm(MAKER))
    (data / "bad.pem").write_text("no certificate")
    with pytest.raises(DataFolderError, match=r"bad\.pem"):
        answered(host, SoftTpm(MAKER))


def test_no_maker_is_left_out_without_a_word(host: ServiceHost, tmp_path: Path):
    """A file that is read in part, or files that are not read, would be makers whom the operator thinks trusted."""
    data = tmp_path / "service" / "tpm-roots"
    mine, other = (maker.root.public_bytes(Encoding.PEM) for maker in (MAKER, Maker()))
    (data / "maker.pem").write_bytes(other * (tpm_enrolment.MAX_ROOT_BYTES // len(other)))
    with pytest.raises(SignatureError, match="trusted TPM maker"):
        answered(host, SoftTpm(MAKER))
    with (data / "maker.pem").open("ab") as file:
        file.write(mine)
    with pytest.raises(DataFolderError, match=r"maker\.pem in tpm-roots: .* got more than 65536 bytes"):
        answered(host, SoftTpm(MAKER))
    (data / "maker.pem").write_bytes(mine)
    for number in range(1, tpm_enrolment.MAX_ROOT_FILES):
        (data / f"a{number}.pem").write_bytes(other)
    answered(host, SoftTpm(MAKER))
    (data / "b.pem").write_bytes(other)
    with pytest.raises(DataFolderError, match="expected at most 64 files, got 65"):
        answered(host, SoftTpm(MAKER))


def test_a_root_that_is_withdrawn_between_question_and_answer_counts(host: ServiceHost, tmp_path: Path):
    tpm = SoftTpm(MAKER)
    answer = answered(host, tpm)
    (tmp_path / "service" / "tpm-roots" / "maker.pem").unlink()
    with pytest.raises(SignatureError, match="no trusted root"):
        enrol(host, answer, tpm.identity)


def test_refusals_carry_a_remedy_and_secrets_stay_out_of_reprs(host: ServiceHost):
    tpm = SoftTpm(MAKER)
    answer = answered(host, tpm)
    assert answer.secret.hex() not in repr(answer)
    assert repr(answer.secret) not in repr(answer)
    with pytest.raises(ArmillaryError) as caught:
        answered(host, SoftTpm(Maker()))
    assert tpm_enrolment.ROOTS_FOLDER in caught.value.remedy
