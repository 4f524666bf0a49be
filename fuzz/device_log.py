# SPDX-License-Identifier: Apache-2.0
"""Logs of devices: any bytes are a log that is written back the same, or a WireError; kept lines stay one line each."""

from __future__ import annotations

from uuid import UUID

from armillary.errors import WireError
from armillary.service.device_logs.intake import shown_line
from armillary.wire.device.device_log import DeviceLog, encode_log, encode_log_receipt, parse_log, parse_log_receipt

_LINES = ("2026-11-28 19:00:00  booted  boot_count=2", "2026-11-28 19:00:01  output  text=\u202e\x1b[31mpumpe ü", "")


def seeds() -> list[bytes]:
    log = DeviceLog(request_id=UUID(int=1), at=1_790_000_000, left_out=7, lines=_LINES)
    empty = DeviceLog(request_id=UUID(int=1), at=0, left_out=0, lines=())
    return [encode_log(log), encode_log(empty), encode_log_receipt(UUID(int=1))]


def fuzz(data: bytes) -> None:
    try:
        found = parse_log(data)
    except WireError:
        found = None
    if found is not None:
        assert encode_log(found) == data
        for line in map(shown_line, found.lines):
            assert line.isprintable()
            line.encode()
    try:
        receipt = parse_log_receipt(data)
    except WireError:
        return
    assert encode_log_receipt(receipt) == data
