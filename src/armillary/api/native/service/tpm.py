# SPDX-License-Identifier: Apache-2.0
"""Native routes of manufacture with a TPM: a question that only its TPM can answer, then the device."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import FACTORY, Route
from armillary.api.http.routes import enrolment_of, operator_of, service_of
from armillary.api.native.parameters import V1, Name, StrictBody
from armillary.api.native.service.devices import factory_document, hold_large
from armillary.api.native.service.requests import BASE64
from armillary.attest.tpm_endorsement import MAX_INTERMEDIATES
from armillary.attest.tpm_enrolment import UnverifiedTpmClaim
from armillary.errors import InvalidArgumentError
from armillary.service.factory.tpm_enrolment import TpmAnswer

# Certificates of at most 4 KiB and structures of at most 642 bytes, in base64.
Certificate = Annotated[str, Field(min_length=1, max_length=5464, json_schema_extra=dict(BASE64))]
Structure = Annotated[str, Field(min_length=1, max_length=860, json_schema_extra=dict(BASE64))]


class TpmBody(StrictBody):
    """A TPM and the keys in it; all but the chip in base64.

    Attributes:
        chip: Chip profile name.
        endorsement_certificate: DER, as its maker put it into the TPM.
        intermediates: DER, between it and a root.
        attestation_key: TPM2B_PUBLIC of the restricted signing key.
        identity_key: TPM2B_PUBLIC of the device identity key.
        certification: TPM2B_ATTEST and signature: the former's certification of the latter.
    """

    chip: Name
    endorsement_certificate: Certificate
    intermediates: Annotated[list[Certificate], Field(max_length=MAX_INTERMEDIATES)] = Field(default=[])
    attestation_key: Structure
    identity_key: Structure
    certification: Structure


class TpmDeviceBody(TpmBody):
    """The same again, with the TPM's answer.

    Attributes:
        csr: Certificate signing request over the device identity key, PEM.
        expires_at: As in the question.
        secret: What the TPM took out of the credential, base64.
        is_flashed: Its disk was flashed with the OS: the answer has of each component what follows its payload.
        os_version: The release in force that is on its disk; None for the newest.
    """

    csr: Annotated[str, Field(min_length=1, max_length=8192)]
    expires_at: int
    secret: Annotated[str, Field(min_length=1, max_length=64, json_schema_extra=dict(BASE64))]
    is_flashed: bool = False
    os_version: Annotated[str, Field(min_length=1, max_length=32)] | None = None


def make_tpm_challenge(request: Request, body: TpmBody) -> dict[str, Any]:
    """A credential that only the shown TPM opens, and only for its attestation key."""
    question = service_of(request).tpms.ask(_claim(body), body.chip)
    return {
        "credential_blob": base64.b64encode(question.credential.blob).decode("ascii"),
        "encrypted_seed": base64.b64encode(question.credential.encrypted_seed).decode("ascii"),
        "expires_at": question.expires_at,
    }


def make_tpm_device(request: Request, body: TpmDeviceBody) -> dict[str, Any]:
    """Manufacture a device whose TPM opened the credential: trust tier tpm."""
    hold_large(request, body.chip, body.os_version, is_flashed=body.is_flashed)
    answer = TpmAnswer(
        claim=_claim(body),
        chip=body.chip,
        expires_at=body.expires_at,
        secret=_bytes("secret", body.secret),
        os_version=body.os_version,
        is_flashed=body.is_flashed,
    )
    service, token = service_of(request), enrolment_of(request)
    if token is not None:
        made = service.enrolments.enrol_tpm(token, answer, body.csr)
    else:
        made = service.tpms.enrol(answer, body.csr, operator_of(request).name)
    return factory_document(made)


def _claim(body: TpmBody) -> UnverifiedTpmClaim:
    return UnverifiedTpmClaim(
        endorsement_certificate=_bytes("endorsement_certificate", body.endorsement_certificate),
        intermediates=tuple(_bytes("intermediates", one) for one in body.intermediates),
        attestation_key=_bytes("attestation_key", body.attestation_key),
        identity_key=_bytes("identity_key", body.identity_key),
        certification=_bytes("certification", body.certification),
    )


def _bytes(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(f"{name}: expected base64, got {error}", remedy="Encode it again.") from error


_row = partial(Route, tag="factory")
ROUTES = (
    _row("POST", V1 + "/factory/tpm-challenges", make_tpm_challenge, FACTORY),
    _row("POST", V1 + "/factory/tpm-devices", make_tpm_device, FACTORY, status=201),
)
