# SPDX-License-Identifier: Apache-2.0
"""The log of the machine's firmware as it travels in a check-in request of protocol version 4."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from armillary.wire.attestation.tpm_attestation import FIRMWARE_PCRS, PCR_VALUE_BYTES
from armillary.wire.encoding.cbor_fields import take_array, take_bytes

# Half a request: logs of plain gateways have 10 to 30 KiB. A device with a longer one sends none.
MAX_FIRMWARE_LOG_BYTES: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class FirmwareLog:
    """Measurements of the machine's firmware before the device's OS ran, as the device reports them."""

    pcr_values: bytes  # of FIRMWARE_PCRS one after the other, 32 bytes each; the quote covers them too
    log: bytes = field(repr=False)  # TCG crypto-agile event log (``tcg_event_log.py``)


def firmware_fields(firmware: FirmwareLog) -> list[Any]:
    """The CBOR array of a log."""
    return [firmware.pcr_values, firmware.log]


def firmware_from_fields(value: Any) -> FirmwareLog:
    """The log in a decoded array; raises WireError unless that is two byte strings within their limits."""
    fields = take_array(value, "check-in firmware log", limit=2, size=2)
    return FirmwareLog(
        take_bytes(fields[0], "check-in PCR values", size=PCR_VALUE_BYTES * len(FIRMWARE_PCRS)),
        take_bytes(fields[1], "check-in firmware log", limit=MAX_FIRMWARE_LOG_BYTES),
    )
