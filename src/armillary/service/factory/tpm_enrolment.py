# SPDX-License-Identifier: Apache-2.0
"""Enrolment by a TPM: the only way to the trust tier ``tpm``.

Two requests: the device shows its TPM and gets a credential; it returns the secret that only this TPM could take out,
with its certificate request. What is checked is in ``attest/tpm_enrolment.py``; nothing is stored in between.

The makers the operator trusts are the certificates in ``tpm-roots/*.pem`` of the data folder, roots or issuing
authorities. They are read at every enrolment: a new maker needs no restart. Without any, nobody is tier ``tpm``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.attest import tpm_enrolment as rules
from armillary.attest.tpm_credential import SEED_BYTES
from armillary.errors import DataFolderError
from armillary.service.authority.authority import Authority
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.factory.factory import Admission, Factory, ProvenTpm
from armillary.service.factory.reply import FactoryReply

ROOTS_FOLDER: Final = "tpm-roots"
MAX_ROOT_FILES: Final = 64  # makers of TPMs and their issuing authorities
MAX_ROOT_BYTES: Final = 64 * 1024  # some makers publish all theirs in one file


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmAnswer:
    """A device's answer to its credential: claim, chip and end (Unix seconds UTC) as in the question.

    ``secret`` is what the TPM took out of the credential, 32 bytes; ``os_version`` and ``is_flashed`` as in
    ``Factory.enrol``.
    """

    claim: rules.UnverifiedTpmClaim
    chip: str
    expires_at: int
    secret: bytes = field(repr=False)
    os_version: str | None = None
    is_flashed: bool = False


class TpmEnrolments:
    """Asks and enrols devices with a TPM."""

    def __init__(self, context: Context, authority: Authority, factory: Factory, chips: Chips) -> None:
        self._context = context
        self._authority = authority
        self._factory = factory
        self._chips = chips

    def ask(self, claim: rules.UnverifiedTpmClaim, chip: str) -> rules.CredentialChallenge:
        """A credential for a device's TPM.

        Raises:
            NotFoundError: no such chip.
            WireError, SignatureError: the claim does not hold: ``attest.tpm_enrolment.examine``.
        """
        self._chips.get(chip)
        now = self._context.now()
        return rules.ask(
            rules.examine(claim, self._roots(), now=now),
            self._authority.challenge_key,
            chip=chip,
            now=now,
            seed=os.urandom(SEED_BYTES),
            ephemeral=ec.generate_private_key(ec.SECP256R1()),
        )

    def enrol(
        self, answer: TpmAnswer, request_pem: str, actor: str, *, admission: Admission | None = None
    ) -> FactoryReply:
        """Manufacture the device whose TPM gave the answer; see ``Factory.enrol``.

        Raises:
            ChallengeError: the answer is too late.
            AppraisalError: the TPM did not open the credential.
        """
        now = self._context.now()
        claim = rules.examine(answer.claim, self._roots(), now=now)
        rules.check_answer(
            claim,
            self._authority.challenge_key,
            chip=answer.chip,
            expires_at=answer.expires_at,
            answer=answer.secret,
            now=now,
        )
        proven = ProvenTpm(
            identity_key=claim.identity_key.point,
            attestation_key=claim.attestation_key.point,
            endorsement_certificate=answer.claim.endorsement_certificate,
            manufacturer=claim.endorsement.manufacturer,
            model=claim.endorsement.model,
        )
        return self._factory.enrol(
            request_pem,
            answer.chip,
            actor,
            tpm=proven,
            admission=admission,
            os_version=answer.os_version,
            is_flashed=answer.is_flashed,
        )

    def _roots(self) -> list[x509.Certificate]:
        roots: list[x509.Certificate] = []
        files = sorted((self._context.settings.data / ROOTS_FOLDER).glob("*.pem"))
        if len(files) > MAX_ROOT_FILES:  # to leave some out would be to trust fewer makers than the operator thinks
            raise DataFolderError(
                f"{ROOTS_FOLDER}: expected at most {MAX_ROOT_FILES} files, got {len(files)}",
                remedy="Put the certificates of several makers into one file.",
            )
        for path in files:
            try:
                roots += _certificates(path)
            except (OSError, ValueError) as error:
                raise DataFolderError(
                    f"{path.name} in {ROOTS_FOLDER}: expected certificates of TPM makers in PEM, got {error}",
                    remedy="Mend, divide or remove the file.",
                ) from error
        return roots


def _certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a file; ValueError if it has none, or is larger than what is read."""
    with path.open("rb") as file:
        content = file.read(MAX_ROOT_BYTES + 1)
    if len(content) > MAX_ROOT_BYTES:
        raise ValueError(f"more than {MAX_ROOT_BYTES} bytes")
    return x509.load_pem_x509_certificates(content)
