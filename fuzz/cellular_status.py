# SPDX-License-Identifier: Apache-2.0
"""What devices say of their modems: any bytes are a status that is written back the same, or a WireError."""

from __future__ import annotations

from armillary.errors import WireError
from armillary.wire.device.cellular_status import CellularStatus, encode_status, parse_status

_STATUS = CellularStatus(
    state="connected",
    sim="ready",
    registration="roaming",
    operator="Operator",
    technology="lte-m",
    signal_dbm=-97,
    sessions=2,
    bytes_received=1_500_000,
    bytes_sent=42_000,
)


def seeds() -> list[bytes]:
    return [encode_status(_STATUS)]


def fuzz(data: bytes) -> None:
    try:
        found = parse_status(data)
    except WireError:
        return
    assert encode_status(found) == data
    assert found.operator.isprintable()
