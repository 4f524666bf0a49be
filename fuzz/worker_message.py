# SPDX-License-Identifier: Apache-2.0
"""Messages between a service and its workers: any bytes are messages of the table or a WireError."""

from __future__ import annotations

from armillary.errors import WireError
from armillary.wire.device import worker_message

DEVICE = "ab" * 64


def seeds() -> list[bytes]:
    return [
        worker_message.encode(worker_message.Start("{}", 8444, "localhost", 8883)),
        worker_message.encode(worker_message.Cut(7, DEVICE)) + worker_message.encode(worker_message.Done(7)),
        worker_message.encode(worker_message.Reread(2**40, worker_message.OFFERS)),
        worker_message.encode(worker_message.Heartbeat(10, 0, 3, {"check-ins": 5, "refused 401": 1})),
        worker_message.encode(worker_message.Failed("host.data-folder", "no", "yes")),
        b"\x00\x00\x00\x01\x80",
        b"\xff\xff\xff\xff",
    ]


def fuzz(data: bytes) -> None:
    try:
        found = worker_message.Stream().feed(data)
    except WireError:
        return
    assert data.startswith(b"".join(map(worker_message.encode, found)))
