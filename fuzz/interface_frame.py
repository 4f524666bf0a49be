# SPDX-License-Identifier: Apache-2.0
"""What an application sends to its device: any bytes are requests or WireError."""

from __future__ import annotations

from armillary.errors import WireError
from armillary.wire.device.interface.frame import FrameReader, encode_frame
from armillary.wire.device.interface.message import read_request


def seeds() -> list[bytes]:
    return [
        encode_frame({"id": 1, "method": "describe"})
        + encode_frame({"id": 2, "method": "log.write", "parameters": {}}),
        encode_frame({"id": 3, "method": "log.write", "parameters": {"level": "info", "text": "\u00e4\ud800"}}),
        b"\0\0\0\x02{}",
        b"\xff\xff\xff\xff",
    ]


def fuzz(data: bytes) -> None:
    reader = FrameReader()
    try:
        found = [read_request(message) for half in (data[:7], data[7:]) for message in reader.feed(half)]
    except WireError:
        return
    for request in found:
        again = encode_frame({"id": request.id, "method": request.method, "parameters": request.parameters})
        assert [read_request(message) for message in FrameReader().feed(again)] == [request]
