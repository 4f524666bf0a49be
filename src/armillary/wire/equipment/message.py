# SPDX-License-Identifier: Apache-2.0
"""Messages of a guardian to the hub: what it keeps until the hub has it, and the properties that travel with each.

- ``$.mid``: ``{boot}.{sequence}``, IoT Hub's message id
- ``$.ct``, ``$.ce``: ``application/json``, ``utf-8``
- ``guardian-sequence``: ``{boot}.{sequence}.{after}.{floor}`` (:class:`Place`), by which the hub stores each once
- ``guardian-kind``: ``telemetry``, ``event``, ``alarm`` or ``audit``
- ``clock``: ``synced`` or ``unsynced``, whether the time can be relied on
- ``historical``: ``true`` where the message waited in the queue; absent where it is live
- ``iothub-creation-time-utc``: when the values were acquired, ISO 8601 with milliseconds; absent where not known
- ``guardian-clock-said``: what the clock said then, where the time was corrected afterwards

Source: ``docs/reference/telemetry.md``. Both ends read and write them here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Final

from armillary.errors import WireError

SEQUENCE_PROPERTY: Final = "guardian-sequence"
CLOCK_PROPERTY: Final = "clock"
KIND_PROPERTY: Final = "guardian-kind"
CLOCK_SAID_PROPERTY: Final = "guardian-clock-said"
MESSAGE_ID_PROPERTY: Final = "$.mid"
CREATION_TIME_PROPERTY: Final = "iothub-creation-time-utc"  # These two as in ``wire/hub/telemetry.py``
HISTORICAL_PROPERTY: Final = "historical"

# A sequence is a row number of SQLite: at most 63 bits.
MAX_SEQUENCE: Final = 2**63 - 1

# One message, as IoT Hub's limit of 256 KB with room for properties: a larger one is refused before it is stored.
MAX_BODY_BYTES: Final = 240 * 1024

# Before 2000-01-01 no guardian was made: a clock that says so was never set, and the hub refuses such a time.
EARLIEST: Final = 946_684_800.0

# Year 9999 is the end of ISO 8601's four digits.
LATEST: Final = 253_402_300_799.0

_BOOT: Final = "[0-9a-f]{16}"
_PLACE: Final = re.compile(rf"({_BOOT})\.([0-9]{{1,19}})\.([0-9]{{1,19}})\.([0-9]{{1,19}})", re.ASCII)


class MessageKind(IntEnum):
    """What a message says. The order is that in which messages are given up when there is no room: lowest first."""

    TELEMETRY = 0  # Readings
    EVENT = 1  # A span that ended, with what was captured
    ALARM = 2  # Raised or cleared
    AUDIT = 3  # What was asked of the equipment and what became of it; what the queue had to drop


class ClockQuality(StrEnum):
    """How far the wall clock could be relied on when something was stamped."""

    SYNCED = "synced"
    UNSYNCED = "unsynced"


class Lane(StrEnum):
    """Which way a message takes: live messages first, older ones beside them at a bounded rate."""

    LIVE = "live"
    BACKFILL = "backfill"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to be kept and sent."""

    equipment: str  # Its name; empty for the guardian itself
    kind: MessageKind
    body: bytes  # One JSON object in UTF-8, at most MAX_BODY_BYTES
    at: float  # Unix seconds of the acquisition, by the wall clock
    monotonic: float  # The same moment in seconds since the machine started (``engines.equipment.queue.monotonic``)
    clock: ClockQuality


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands among all of its identity, so that the hub can tell one that comes again.

    Between ``after`` and ``sequence`` no message of this identity is still to come, and none below ``floor``: the hub
    keeps what it has seen in a few spans (``seen.py``).
    """

    boot: str  # 16 hexadecimal digits, new whenever the queue is opened
    sequence: int  # 1 to MAX_SEQUENCE, rising in the whole queue, never used twice
    after: int  # The highest lower sequence of the identity and boot that is not settled; 0 for none
    floor: int  # The lowest sequence of the identity and boot that is not settled; at most ``sequence``


@dataclass(frozen=True, slots=True)
class Stored:
    """A message that is safely in the queue, on its way to the hub."""

    sequence: int
    equipment: str
    kind: MessageKind
    body: bytes
    at: float  # Unix seconds of the acquisition; corrected where ``clock_said`` is not None
    clock: ClockQuality
    lane: Lane
    place: Place
    clock_said: float | None = None  # What the clock said then, where that was corrected

    @property
    def properties(self) -> dict[str, str]:
        """The properties of the message, by name, not encoded for a topic."""
        place = self.place
        found = {
            MESSAGE_ID_PROPERTY: f"{place.boot}.{place.sequence}",
            "$.ct": "application/json",
            "$.ce": "utf-8",
            SEQUENCE_PROPERTY: f"{place.boot}.{place.sequence}.{place.after}.{place.floor}",
            KIND_PROPERTY: self.kind.name.lower(),
            CLOCK_PROPERTY: self.clock.value,
        }
        if self.lane is Lane.BACKFILL:
            found[HISTORICAL_PROPERTY] = "true"
        if EARLIEST <= self.at <= LATEST and (self.lane is Lane.BACKFILL or self.clock is ClockQuality.SYNCED):
            # A live message with a wrong time is better stamped by its arrival.
            found[CREATION_TIME_PROPERTY] = _iso(self.at)
        if self.clock_said is not None and 0 <= self.clock_said <= LATEST:
            found[CLOCK_SAID_PROPERTY] = _iso(self.clock_said)
        return found


def read_place(text: str) -> Place:
    """The place that ``guardian-sequence`` states.

    Raises:
        WireError: it is not in this form, or its numbers contradict each other.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise _fault("boot.sequence.after.floor (16 hexadecimal digits, three numbers)", ascii(text[:80]))
    sequence, after, floor = (int(number) for number in found.groups()[1:])
    if not (0 <= after < sequence <= MAX_SEQUENCE and floor <= sequence):
        raise _fault("after < sequence, floor <= sequence, below 2**63", ascii(text))
    return Place(found[1], sequence, after, floor)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fault(expected: str, got: str) -> WireError:
    return WireError(
        SEQUENCE_PROPERTY,
        expected=expected,
        got=got,
        remedy="Send what the guardian's queue says, or leave the property out.",
        code="wire.telemetry",
    )
