# SPDX-License-Identifier: Apache-2.0
"""MQTT control packets as frozen values, protocol levels 4 (3.1.1) and 5 (5.0).

Sources: MQTT 3.1.1 (OASIS 2014) §2, §3; MQTT 5.0 (OASIS 2019) §2, §3. ``wire/mqtt/codec.py`` turns them into
bytes and back. Properties are always empty on level 4.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import get_args

from armillary.wire.mqtt.fields import Properties

LEVEL_3_1_1 = 4
LEVEL_5 = 5


class PacketType(enum.IntEnum):
    """The number of each control packet type (§2.2.1 table 2.1; AUTH in MQTT 5: §2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """The message that a server publishes for a client whose connection ends without DISCONNECT (§3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A client opens a session (§3.1); ``level`` is 4 or 5, and a ``keepalive_s`` of 0 turns the check off."""

    client_id: str
    level: int = LEVEL_3_1_1
    clean_start: bool = True
    keepalive_s: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = ()

    def __repr__(self) -> str:  # a password never reaches a log
        return f"Connect(client_id={self.client_id!r}, level={self.level}, username={self.username!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connack:
    """The answer to CONNECT (§3.2); ``reason`` 0 accepts, others are return codes (3.1.1) or reason codes (5)."""

    reason: int
    session_present: bool = False
    properties: Properties = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """A message on a topic, in either direction (§3.3); ``packet_id`` is None exactly when ``qos`` is 0."""

    topic: str
    payload: bytes
    qos: int = 0
    packet_id: int | None = None
    duplicate: bool = False
    retain: bool = False
    properties: Properties = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """PUBACK, PUBREC, PUBREL or PUBCOMP (§3.4 to §3.7); ``reason`` and properties in MQTT 5 only."""

    type: PacketType
    packet_id: int
    reason: int = 0
    properties: Properties = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """One topic filter with its options byte: QoS in bits 0-1; in MQTT 5 also bits 2 to 5 (§3.8.3.1)."""

    filter: str
    options: int = 0

    @property
    def qos(self) -> int:
        """The highest QoS the client wants."""
        return self.options & 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """A client subscribes to topic filters (§3.8)."""

    packet_id: int
    subscriptions: tuple[Subscription, ...]
    properties: Properties = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suback:
    """The answer to SUBSCRIBE (§3.9): for each filter the granted QoS, 0 to 2, or 0x80 and above for a refusal."""

    packet_id: int
    reasons: tuple[int, ...]
    properties: Properties = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """A client ends its subscriptions to topic filters (§3.10)."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsuback:
    """The answer to UNSUBSCRIBE (§3.11); ``reasons``, one for each filter, in MQTT 5 only."""

    packet_id: int
    reasons: tuple[int, ...] = ()
    properties: Properties = ()


@dataclass(frozen=True, slots=True)
class Pingreq:
    """A client shows that it is there (§3.12)."""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """The answer to PINGREQ (§3.13)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """The last packet of a connection (§3.14); ``reason`` and properties in MQTT 5 only."""

    reason: int = 0
    properties: Properties = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """A step of an extended authentication (MQTT 5 §3.15)."""

    reason: int = 0
    properties: Properties = ()


Packet = (
    Connect
    | Connack
    | Publish
    | Acknowledgement
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)

_TYPES = {kind: PacketType[kind.__name__.upper()] for kind in get_args(Packet) if kind is not Acknowledgement}


def type_of(packet: Packet) -> PacketType:
    """The control packet type of a packet."""
    return packet.type if isinstance(packet, Acknowledgement) else _TYPES[type(packet)]
