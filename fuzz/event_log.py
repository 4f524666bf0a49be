# SPDX-License-Identifier: Apache-2.0
"""Event logs: any bytes are a log that is written back the same, or a WireError."""

from __future__ import annotations

from armillary.errors import WireError
from armillary.sim.device.prover import release
from armillary.wire.attestation import event_log


def seeds() -> list[bytes]:
    events = [component.event for component in release(1, components=8)]
    return [event_log.encode_log(events), event_log.encode_log(events[:1])]


def fuzz(data: bytes) -> None:
    try:
        events = event_log.parse_log(data).events
    except WireError:
        return
    assert event_log.encode_log(events) == data
    assert len(event_log.log_head(events)) == event_log.DIGEST_BYTES
