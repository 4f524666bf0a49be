# SPDX-License-Identifier: Apache-2.0
"""The two routes of manufacture with a TPM: who may call them, and that refusals are explained."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from tests.api.running_service import RunningService, running_service
from tests.attest.tpm_maker import Maker, SoftTpm

from armillary.attest.tpm_credential import Credential
from armillary.attest.tpm_enrolment import UnverifiedTpmClaim
from armillary.identity.device_id import device_id_of_key

ASK, MAKE = "/api/v1/factory/tpm-challenges", "/api/v1/factory/tpm-devices"
TPM = SoftTpm(Maker(now=int(time.time())))
CLAIM = TPM.claim()


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder: Path = tmp_path_factory.mktemp("tpm-api")
    with running_service(folder) as running:
        roots = Path(running.service.context.settings.data) / "tpm-roots"
        roots.mkdir()
        (roots / "maker.pem").write_bytes(TPM.maker.root.public_bytes(Encoding.PEM))
        yield running


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def shown(claim: UnverifiedTpmClaim = CLAIM, **changes: object) -> dict[str, object]:
    return {
        "chip": "imx8mp",
        "endorsement_certificate": text(claim.endorsement_certificate),
        "attestation_key": text(claim.attestation_key),
        "identity_key": text(claim.identity_key),
        "certification": text(claim.certification),
        **changes,
    }


def asked(
    service: RunningService, tpm: SoftTpm, told: dict[str, object], token: str = ""
) -> tuple[dict[str, object], Credential]:
    """What a TPM answers to the question about it but for the secret, without which no device is made; the credential."""
    question = service.call("POST", ASK, told, token=token)
    assert question.status == 200, question.body
    blob, seed = (base64.b64decode(question.body[name]) for name in ("credential_blob", "encrypted_seed"))
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(tpm.identity, hashes.SHA256())
    pem = csr.public_bytes(Encoding.PEM).decode()
    answer = {**told, "expires_at": question.body["expires_at"], "csr": pem}
    forged = service.call("POST", MAKE, {**answer, "secret": text(bytes(32))}, token=token)
    assert (forged.status, forged.body["code"]) == (409, "device.appraisal")
    return answer, Credential(blob, seed)


def test_a_tpm_is_asked_and_its_device_made(trusting: RunningService):
    answer, credential = asked(trusting, TPM, shown())
    made = trusting.call("POST", MAKE, {**answer, "secret": text(TPM.activate(credential))})
    assert made.status == 201, made.body
    assert made.body["device_id"] == device_id_of_key(TPM.identity.public_key())
    assert trusting.call("GET", f"/api/v1/devices/{made.body['device_id']}").body["trust_tier"] == "tpm"


def test_a_token_does_instead_of_a_login_and_the_tpm_still_has_to_prove_itself(trusting: RunningService):
    trusting.service.registry.catalogs.create("Gateways", actor="test")
    token = trusting.service.enrolments.create("Gateways", actor="test", chip="imx8mp")
    tpm = SoftTpm(TPM.maker)
    answer, credential = asked(trusting, tpm, shown(tpm.claim()), token.secret)
    for _ in range(2):  # the second time the reply was lost
        secret = text(tpm.activate(credential))
        made = trusting.call("POST", MAKE, {**answer, "secret": secret}, token=token.secret)
        assert made.status == 201, made.body
    device = trusting.call("GET", f"/api/v1/devices/{made.body['device_id']}").body
    assert (device["trust_tier"], device["catalog"]) == ("tpm", "Gateways")
    assert trusting.service.enrolments.list("Gateways")[0].used == 1


@pytest.mark.parametrize("path", [ASK, MAKE])
def test_readers_and_unauthenticated_callers_make_no_devices(trusting: RunningService, path: str):
    assert trusting.call("POST", path, shown(), token=trusting.token_of("Reader")).status == 403
    assert trusting.call("POST", path, shown(), token=None).status == 401


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"attestation_key": "!"}, 400, "request.invalid"),
        ({"attestation_key": text(b"\0")}, 400, "wire.malformed"),
        ({"endorsement_certificate": text(b"\x30\0")}, 400, "wire.malformed"),
        ({"endorsement_certificate": "A" * 5465}, 400, "request.invalid"),
        ({"intermediates": ["AAAA"] * 5}, 400, "request.invalid"),
        ({"chip": "z80"}, 404, "request.not-found"),
        ({"trust_tier": "silicon"}, 400, "request.invalid"),
    ],
)
def test_what_is_wrong_is_said(trusting: RunningService, changes: dict[str, object], status: int, code: str):
    reply = trusting.call("POST", ASK, shown(**changes))
    assert (reply.status, reply.body["code"]) == (status, code)
    assert reply.body["remedy"]
