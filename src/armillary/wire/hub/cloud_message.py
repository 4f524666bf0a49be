# SPDX-License-Identifier: Apache-2.0
"""Cloud-to-device messages: their fields and limits, and the topic they are published to.

System properties follow IoT Hub: ``$.mid`` message id, ``$.cid`` correlation id, ``$.uid`` user id, ``$.ct`` content
type, ``$.ce`` content encoding, ``$.exp`` the time of expiry, ``$.to`` the address, and ``iothub-ack`` which outcomes
the sender wants to read. A device takes it with PUBACK; MQTT has no refusal, so the
outcomes are *success*, *expired*, *delivery-count-exceeded* and *purged*.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from armillary.errors import InvalidArgumentError
from armillary.wire.hub.topics import MAX_PROPERTIES, Bag, device_address, encode_bag

# IoT Hub: 64 KB a message, properties included.
MAX_MESSAGE_BYTES: Final = 64 * 1024
# IoT Hub: 48 hours at most, one hour by default.
MAX_LIFETIME_S: Final = 48 * 3600
DEFAULT_LIFETIME_S: Final = 3600
# IoT Hub: 1 to 100 deliveries, 10 by default.
MAX_DELIVERIES: Final = 100
DEFAULT_DELIVERIES: Final = 10
# IoT Hub: 128 characters of its character set.
_ID: Final = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")
_INPUT: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_TEXT: Final = 256

Ack = Literal["none", "positive", "negative", "full"]
ACKS: Final[tuple[Ack, ...]] = ("none", "positive", "negative", "full")

MessageOutcome = Literal["success", "expired", "delivery-count-exceeded", "purged"]

_REMEDY: Final = "Correct the message; nothing was sent."


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudMessage:
    """A message to one device or module."""

    message_id: str  # identifies it in lists and feedback
    body: bytes
    properties: Mapping[str, str] = field(default_factory=dict)  # the application's own
    correlation_id: str = ""  # empty for none; so are the next three
    user_id: str = ""  # who sent it
    content_type: str = ""  # such as ``application/json``
    content_encoding: str = ""  # such as ``utf-8``
    ack: Ack = "none"  # which outcomes are kept for the sender to read
    lifetime_s: int = DEFAULT_LIFETIME_S  # after which it expires
    max_deliveries: int = DEFAULT_DELIVERIES  # attempts
    input: str = ""  # of a module, to which it goes

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.message_id):
            raise _fault("message_id: expected 1 to 128 ASCII letters, digits and -:.+%_#*?!(),=@;$'", self.message_id)
        if self.ack not in ACKS:
            raise _fault(f"ack: expected one of {', '.join(ACKS)}", self.ack)
        if not 1 <= self.lifetime_s <= MAX_LIFETIME_S:
            raise _fault(f"lifetime_s: expected 1 to {MAX_LIFETIME_S}", self.lifetime_s)
        if not 1 <= self.max_deliveries <= MAX_DELIVERIES:
            raise _fault(f"max_deliveries: expected 1 to {MAX_DELIVERIES}", self.max_deliveries)
        if self.input and not _INPUT.fullmatch(self.input):
            raise _fault("input: expected 1 to 64 letters, digits and ._-", self.input)
        for name in ("correlation_id", "user_id", "content_type", "content_encoding"):
            value = getattr(self, name)
            if len(value) > MAX_TEXT or not value.isprintable():
                raise _fault(f"{name}: expected at most {MAX_TEXT} printable characters", value)
        self._check_properties()

    def _check_properties(self) -> None:
        if len(self.properties) > MAX_PROPERTIES - 8:  # room for the system properties
            raise _fault(f"properties: expected at most {MAX_PROPERTIES - 8}", len(self.properties))
        size = len(self.body)
        for name, value in self.properties.items():
            if not name or name.startswith(("$", "iothub-")) or not (name + value).isprintable():
                raise _fault("properties: expected printable names that begin with neither $ nor iothub-", name)
            size += len(name.encode()) + len(value.encode())
        if size > MAX_MESSAGE_BYTES:
            raise _fault(f"body and properties: expected at most {MAX_MESSAGE_BYTES} bytes", size)


def keeps_feedback(ack: str, outcome: MessageOutcome) -> bool:
    """Whether ``ack`` asks for feedback about this outcome."""
    return ack in ("full", "positive" if outcome == "success" else "negative")


def topic_of(identity: str, message: CloudMessage, expires_ms: int) -> str:
    """The topic of a message to a device id or ``device/module``; it expires at ``expires_ms``, Unix milliseconds."""
    prefix = f"{device_address(identity)}/messages/devicebound"
    if message.input:
        prefix = f"{device_address(identity)}/inputs/{message.input}"
    return f"{prefix}/{encode_bag(_bag(f'/{prefix}', message, expires_ms))}"


def _bag(address: str, message: CloudMessage, expires_ms: int) -> Bag:
    expires = datetime.fromtimestamp(expires_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{expires_ms % 1000:03}Z"
    system = (
        ("$.mid", message.message_id),
        ("$.to", address),
        ("$.exp", expires),
        ("$.cid", message.correlation_id),
        ("$.uid", message.user_id),
        ("$.ct", message.content_type),
        ("$.ce", message.content_encoding),
        ("iothub-ack", message.ack if message.ack != "none" else ""),
    )
    return tuple(pair for pair in system if pair[1]) + tuple(message.properties.items())


def _fault(expected: str, got: object) -> InvalidArgumentError:
    return InvalidArgumentError(f"{expected}, got {got!a:.80}", remedy=_REMEDY)
