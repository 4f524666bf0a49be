# SPDX-License-Identifier: Apache-2.0
"""Bodies of the messages of equipment, as its DTDL interface describes them (``guard/interface.py``).

Telemetry is flat: ``{"brewTemp": 92.5, "state": "idle", "quality": {"steamTemp": "stale"}}``. A reading that is not
good has no value in it that could be taken for one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from armillary.guardian.clocks import GuardianClock
from armillary.wire.equipment.message import MessageKind, Outgoing
from armillary.wire.equipment.reading import Quality, Reading

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def telemetry(readings: Iterable[Reading]) -> bytes:
    """The body of readings of one moment."""
    body: dict[str, object] = {}
    quality: dict[str, str] = {}
    for point, value, found, _ in readings:
        if found is Quality.GOOD:
            body[point] = value
        else:
            quality[point] = found.value
    if quality:
        body["quality"] = quality
    return _encode(body).encode()


def body_of(document: Mapping[str, object]) -> bytes:
    """The body of any other message."""
    return _encode(document).encode()


@dataclass(frozen=True, slots=True)
class Stamping:
    """Makes messages of one piece of equipment (or, without a name, of the guardian) with the time of now."""

    equipment: str
    clock: GuardianClock

    def message(self, kind: MessageKind, body: bytes, *, at: float, monotonic: float) -> Outgoing:
        """A message of something acquired at this moment."""
        return Outgoing(self.equipment, kind, body, at, monotonic, self.clock.quality)
