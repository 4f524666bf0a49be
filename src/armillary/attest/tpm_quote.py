# SPDX-License-Identifier: Apache-2.0
"""Appraisal steps 16 and 20: did the device's TPM measure this boot, and does the firmware's log agree with it?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from armillary.errors import WireError
from armillary.wire.attestation.firmware_log import FirmwareLog
from armillary.wire.attestation.tpm_attestation import (
    BOOT_PCR,
    FIRMWARE_PCRS,
    PCR_VALUE_BYTES,
    parse_attestation,
    pcr_digest,
    quote_nonce,
    verify_quote,
)
from armillary.wire.encoding import cose

if TYPE_CHECKING:
    from armillary.wire.attestation.tcg_event_log import UnverifiedTcgLog

# Firmware logs cached: a machine's stays until it restarts, and machines of a kind may share one. At 33 KiB each,
# 4 MiB at most.
MAX_FIRMWARE_LOGS: Final = 128


def quote_fault(
    quote: bytes | None, evidence: bytes, log_head: bytes, attestation_key: bytes, firmware: FirmwareLog | None = None
) -> str:
    """What is wrong with a check-in's quote; empty if the TPM says what the rest of the check-in says.

    The event log is folded the way a PCR is, so the boot PCR has to hold the head that the endorsement names. The
    nonce is the digest of the evidence, which holds the challenge: the quote is fresh and fits no other evidence.

    Args:
        quote: TPM2B_ATTEST and signature as sent, None where there was none.
        evidence: The encoded evidence it travelled with.
        log_head: From the verified endorsement, 32 bytes.
        attestation_key: X || Y from the enrolment record, 64 bytes; empty where the record has none.
        firmware: As sent; the quote has to cover its PCR values too.
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
            pcrs=(BOOT_PCR,) if firmware is None else (*FIRMWARE_PCRS, BOOT_PCR),
            pcr_digest=pcr_digest([log_head] if firmware is None else [firmware.pcr_values, log_head]),
        )
    except WireError as error:
        return sentence(error)
    return ""


def firmware_fault(firmware: FirmwareLog, known: dict[FirmwareLog, None] | None = None) -> str:
    """What is wrong with the log of the machine's firmware; empty if it replays to the values beside it.

    ``known`` holds logs that replayed before; this one is added, and the oldest goes first.
    """
    if known is not None and firmware in known:
        return ""
    try:
        replayed(firmware)
    except WireError as error:
        return sentence(error)
    if known is not None:
        if len(known) >= MAX_FIRMWARE_LOGS:
            known.pop(next(iter(known)))
        known[firmware] = None
    return ""


def replayed(firmware: FirmwareLog) -> tuple[UnverifiedTcgLog, Mapping[int, bytes]]:
    """The parsed log of a machine's firmware, and by PCR the values beside it, to which it replays.

    The values are worth something only where the quote covers them (step 16). Of a log that replays the digests are
    known to be what was measured; neither the types nor the data of its events are
    (``wire/attestation/tcg_event_log.py``).

    Raises:
        WireError: the log is malformed or does not replay to the values.
    """
    from armillary.wire.attestation.tcg_event_log import parse_log, verify_log  # noqa: PLC0415 - few devices send one

    values = {
        pcr: firmware.pcr_values[number * PCR_VALUE_BYTES : (number + 1) * PCR_VALUE_BYTES]
        for number, pcr in enumerate(FIRMWARE_PCRS)
    }
    log = parse_log(firmware.log)
    verify_log(log, values)
    return log, values


def sentence(error: WireError) -> str:
    """An error's message as a sentence, for the detail of a step."""
    return f"{error.message[:1].upper()}{error.message[1:]}."
