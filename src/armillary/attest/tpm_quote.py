# SPDX-License-Identifier: Apache-2.0
"""Appraisal step 16: did the device's TPM measure this boot?"""

from __future__ import annotations

from armillary.errors import WireError
from armillary.wire import cose
from armillary.wire.tpm_attestation import BOOT_PCR, parse_attestation, pcr_digest, quote_nonce, verify_quote


def quote_fault(quote: bytes | None, evidence: bytes, log_head: bytes, attestation_key: bytes) -> str:
    """What is wrong with a check-in's quote; empty if the TPM says what the rest of the check-in says.

    The event log is folded the way a PCR is, so the boot PCR has to hold the head that the endorsement names. The
    nonce is the digest of the evidence, which holds the challenge: the quote is fresh and fits no other evidence.

    Args:
        quote: TPM2B_ATTEST and signature as sent, None where there was none.
        evidence: The encoded evidence it travelled with.
        log_head: From the verified endorsement, 32 bytes.
        attestation_key: X || Y from the enrolment record, 64 bytes; empty where the record has none.
    """
    if not attestation_key:
        return "The enrolment record has no attestation key of a TPM."
    if quote is None:
        return "The device was enrolled with a TPM and sent no quote of it."
    try:
        verify_quote(
            parse_attestation(quote),
            cose.public_key(attestation_key),
            nonce=quote_nonce(evidence),
            pcrs=(BOOT_PCR,),
            pcr_digest=pcr_digest([log_head]),
        )
    except WireError as error:
        return f"{error.message[:1].upper()}{error.message[1:]}."
    return ""
