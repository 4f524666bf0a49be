# SPDX-License-Identifier: Apache-2.0
"""The boot event log: one event per measured component, chained into the head that the boot ROM signs.

::

    event-log = [ 1*64 boot-event ]
    boot-event = [
        component        : tstr .size (1..64)   ; name in the chip profile, e.g. "SecurityMonitor"
        image-type       : uint .size 2         ; image type of the package's IDENTITY section
        component-id     : bstr .size 16
        image-id         : bstr .size 16
        digest           : bstr .size 32        ; SHA-256 of the whole image package
        security-version : uint .size 4         ; anti-rollback version, 0 where the package has none
    ]
    head_0 = 32 zero bytes;  head_n = SHA-256(head_n-1 || SHA-256(encoded boot-event n))

The log itself is a claim of the device. It proves something only where it replays to a signed head:
``attest/appraise.py`` judges no event before that (the trap is described in go-attestation's
event-log-disclosure: a verifier that reads fields the digest does not cover). Here the digest covers every
field of every event, their number and their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from armillary.errors import WireError
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array, take_bytes, take_text, take_uint, take_uuid

# The largest chip profile has 9 boot components; 64 leaves room and bounds the work per check-in.
MAX_EVENTS: Final = 64
MAX_LOG_BYTES: Final = 16 * 1024  # 64 events of the largest size
# Items of CBOR in a log: one with 64 events has 449. A usual log has fewer bytes than this and is not counted.
MAX_LOG_ITEMS: Final = 1024
MAX_COMPONENT_BYTES: Final = 64
MAX_IMAGE_TYPE: Final = 0xFFFF  # 16-bit field of the image package
MAX_SECURITY_VERSION: Final = 0xFFFF_FFFF

DIGEST_BYTES: Final = 32
EMPTY_HEAD: Final = bytes(DIGEST_BYTES)


@dataclass(frozen=True, slots=True)
class BootEvent:
    """One measured boot component."""

    component: str  # name in the chip profile
    image_type: int
    component_id: UUID
    image_id: UUID
    digest: bytes  # SHA-256 of the whole image package, 32 bytes
    security_version: int  # anti-rollback version; 0 where the package has none


@dataclass(frozen=True, slots=True)
class UnverifiedEventLog:
    """A well-formed log that has not been compared with a signed head."""

    events: tuple[BootEvent, ...]


def encode_log(events: Iterable[BootEvent]) -> bytes:
    """Encode a log; raises WireError unless it has 1 to :data:`MAX_EVENTS` events with fields in their limits."""
    data = cbor.encode_ordered([_event_fields(event) for event in events])
    parse_log(data)  # once per boot: what leaves here is what the service accepts
    return data


def parse_log(data: bytes) -> UnverifiedEventLog:
    """Parse a log; raises WireError if it is not of the form above."""
    value = cbor.decode(data, what="event log", limit=MAX_LOG_BYTES, items=MAX_LOG_ITEMS)
    items = take_array(value, "event log", limit=MAX_EVENTS)
    if not items:
        raise WireError("event log", expected="at least one event", got="none")
    return UnverifiedEventLog(tuple(_event(item) for item in items))


def log_head(events: Iterable[BootEvent]) -> bytes:
    """The chained digest of ``events``, 32 bytes."""
    head = EMPTY_HEAD
    for event in events:
        head = extend(head, event)
    return head


def extend(head: bytes, event: BootEvent) -> bytes:
    """The head after one more event: SHA-256(head || SHA-256(encoded event))."""
    return sha256(head + sha256(encode_event(event)).digest()).digest()


def encode_event(event: BootEvent) -> bytes:
    """The encoded boot-event whose SHA-256 enters the chain."""
    return cbor.encode_ordered(_event_fields(event))


def _event_fields(event: BootEvent) -> list[Any]:
    return [
        event.component,
        event.image_type,
        event.component_id.bytes,
        event.image_id.bytes,
        event.digest,
        event.security_version,
    ]


def _event(value: Any) -> BootEvent:
    component, image_type, component_id, image_id, digest, security_version = take_array(
        value, "boot event", limit=6, size=6
    )
    if component == "":
        raise WireError("boot event", expected="a component name", got="an empty one")
    return BootEvent(
        component=take_text(component, "boot event component", limit=MAX_COMPONENT_BYTES),
        image_type=take_uint(image_type, "boot event image type", limit=MAX_IMAGE_TYPE),
        component_id=take_uuid(component_id, "boot event component id"),
        image_id=take_uuid(image_id, "boot event image id"),
        digest=take_bytes(digest, "boot event digest", size=DIGEST_BYTES),
        security_version=take_uint(security_version, "boot event security version", limit=MAX_SECURITY_VERSION),
    )
