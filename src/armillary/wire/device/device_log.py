# SPDX-License-Identifier: Apache-2.0
"""The newest lines of a device's log, sent to ``POST /v1/device-log`` where the reply to a check-in asks for them.

::

    device-log = [
        version : 1,
        request-id : bstr .size 16,              ; of the reply that asked
        at : uint,                               ; Unix seconds UTC, by the device's clock
        left-out : uint,                         ; older lines that it has and did not send
        lines : [0*1024 tstr .size (0..2048)]    ; oldest first, one entry of the log each
    ]
    device-log-receipt = [request-id : bstr .size 16]

A line is text that the device chose: for whoever reads it, not for a program. Nothing is decided by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from armillary.errors import WireError
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array, take_text, take_time, take_uint, take_uuid

LOG_MESSAGE_VERSION: Final = 1  # 1: 2026-11, first
# Some hundred lines: what a person reads, and what a device on a metered link can send. Below the 64 KiB of a request.
MAX_LOG_BYTES: Final = 60 * 1024
MAX_LINES: Final = 1024
# A line of output that a device keeps (1,024 characters) with its time and its application.
MAX_LINE_BYTES: Final = 2048
MAX_LOG_ITEMS: Final = MAX_LINES + 6  # of CBOR: two arrays, what stands before the lines, and these
MAX_LEFT_OUT: Final = 2**32
MAX_LOG_RECEIPT_BYTES: Final = 32
# Bytes that a message has beside its lines, and a line beside its text, at most.
HEAD_BYTES: Final = 64
LINE_HEAD_BYTES: Final = 3
_WHAT: Final = "device log"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLog:
    """The newest lines of a device's log, oldest first, for one request."""

    request_id: UUID
    at: int
    left_out: int
    lines: tuple[str, ...]


def encode_log(log: DeviceLog) -> bytes:
    """Encode a log; WireError above :data:`MAX_LOG_BYTES` or for a field out of its limits."""
    data = cbor.encode_ordered([LOG_MESSAGE_VERSION, log.request_id.bytes, log.at, log.left_out, list(log.lines)])
    parse_log(data)
    return data


def parse_log(data: bytes) -> DeviceLog:
    """A log from its bytes; WireError if it is not of the form above. It is the device's word, nothing more."""
    version, request_id, at, left_out, lines = take_array(
        cbor.decode(data, what=_WHAT, limit=MAX_LOG_BYTES, items=MAX_LOG_ITEMS), _WHAT, limit=5, size=5
    )
    if type(version) is not int or version != LOG_MESSAGE_VERSION:
        raise WireError(_WHAT, expected=f"version {LOG_MESSAGE_VERSION}", got=f"{version!r:.20}")
    return DeviceLog(
        request_id=take_uuid(request_id, "device log request id"),
        at=take_time(at, "device log time"),
        left_out=take_uint(left_out, "device log lines left out", limit=MAX_LEFT_OUT),
        lines=tuple(
            take_text(line, "device log line", limit=MAX_LINE_BYTES)
            for line in take_array(lines, "device log lines", limit=MAX_LINES)
        ),
    )


def encode_log_receipt(request_id: UUID) -> bytes:
    """What answers a log that is kept."""
    return cbor.encode_ordered([request_id.bytes])


def parse_log_receipt(data: bytes) -> UUID:
    """The request id in a receipt; WireError for anything else."""
    what = "device log receipt"
    fields = take_array(cbor.decode(data, what=what, limit=MAX_LOG_RECEIPT_BYTES), what, limit=1, size=1)
    return take_uuid(fields[0], "receipt request id")
