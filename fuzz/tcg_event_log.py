# SPDX-License-Identifier: Apache-2.0
"""TCG event logs: any bytes are a log that replays, or a WireError."""

from __future__ import annotations

import struct

from armillary.errors import WireError
from armillary.wire.attestation import tcg_event_log

_HEADER = b"Spec ID Event03\0" + struct.pack("<IBBBBIHHHHB", 0, 0, 2, 0, 2, 2, 4, 20, 11, 32, 0)


def _event(pcr: int, kind: int, data: bytes) -> bytes:
    digests = struct.pack("<H", 4) + bytes(20) + struct.pack("<H", 11) + bytes(range(32))
    return struct.pack("<III", pcr, kind, 2) + digests + struct.pack("<I", len(data)) + data


def seeds() -> list[bytes]:
    header = struct.pack("<II", 0, 3) + bytes(20) + struct.pack("<I", len(_HEADER)) + _HEADER
    locality = _event(0, tcg_event_log.EV_NO_ACTION, b"StartupLocality\0\x03")
    return [header, header + locality + _event(0, 8, b"version") + _event(7, 0x80000001, b"SecureBoot")]


def fuzz(data: bytes) -> None:
    try:
        log = tcg_event_log.parse_log(data)
    except WireError:
        return
    values = tcg_event_log.replay(log)
    measured = tcg_event_log.verify_log(log, values)
    assert len(measured) <= len(log.events) <= len(data)
