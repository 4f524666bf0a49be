# SPDX-License-Identifier: Apache-2.0
"""The event log of the machine's firmware, as Linux provides it, if the service would accept it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from armillary.errors import WireError
from armillary.wire.attestation.firmware_log import MAX_FIRMWARE_LOG_BYTES, FirmwareLog
from armillary.wire.attestation.tcg_event_log import parse_log, verify_log
from armillary.wire.attestation.tpm_attestation import FIRMWARE_PCRS

# Of the first TPM; readable for root and for whom the administrator lets in.
KERNEL_LOG: Final = Path("/sys/kernel/security/tpm0/binary_bios_measurements")


def replaying_log(path: Path, pcr_values: Sequence[bytes]) -> FirmwareLog | None:
    """The log at ``path``; None if it is missing, unreadable, too long for a check-in, or does not replay.

    A machine without a log is still accepted; one whose log does not replay (firmware that lost events, no SHA-256
    bank) would be refused, so such a log is not sent. ``pcr_values`` are those of the firmware's PCRs, 32 bytes each,
    ascending.
    """
    try:
        with path.open("rb") as file:
            log = file.read(MAX_FIRMWARE_LOG_BYTES + 1)
    except OSError:
        return None
    if not log or len(log) > MAX_FIRMWARE_LOG_BYTES:
        return None
    try:
        verify_log(parse_log(log), dict(zip(FIRMWARE_PCRS, pcr_values, strict=True)))
    except WireError:
        return None
    return FirmwareLog(b"".join(pcr_values), log)
