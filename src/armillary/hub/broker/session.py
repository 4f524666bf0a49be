# SPDX-License-Identifier: Apache-2.0
"""One client's session with the general broker: subscriptions, what waits for it, what is under way. Pure rules.

Sources: MQTT 5.0 (OASIS 2019) §3.1.2.11, §4.1, §4.3, §4.4, §4.9; 3.1.1 §3.1.2.4, §4.3, §4.4.

A message to the client gets its packet identifier when it is queued, so that what is kept on disk says already under
which identifier it was, or will be, sent: an exchange of QoS 2 goes on after a crash instead of starting again.

::

    QoS 1   QUEUED --SENT--> AWAITING_PUBACK --PUBACK--> DONE
    QoS 2   QUEUED --SENT--> AWAITING_PUBREC --PUBREC--> AWAITING_PUBCOMP --PUBCOMP--> DONE
                                    '--REFUSED (PUBREC with a reason of 0x80 or above)--> DONE
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import Protocol

from armillary.errors import WireError
from armillary.hub.broker.limits import MAX_QUEUED_BYTES, MAX_QUEUED_MESSAGES
from armillary.hub.link.reasons import Reason
from armillary.wire.mqtt.fields import CODE_PROTOCOL, FORMAT, Properties, Property
from armillary.wire.mqtt.packet import PacketType, Subscription

# A message costs about this much beside its topic, payload and properties.
_OVERHEAD_BYTES = 200

# The expiry of a session that ends with its connection (MQTT 5 §3.1.2.11.2).
ENDS_WITH_CONNECTION = 0


class DeliveryState(enum.IntEnum):
    """How far a message on its way to the client is. The values are kept in storage: never renumber."""

    QUEUED = 0
    AWAITING_PUBACK = 1
    AWAITING_PUBREC = 2
    AWAITING_PUBCOMP = 3
    DONE = 4


class Move(enum.Enum):
    """What can happen to a message on its way to the client."""

    SENT_QOS_1 = "sent with QoS 1"
    SENT_QOS_2 = "sent with QoS 2"
    PUBACK = "PUBACK"
    PUBREC = "PUBREC"
    REFUSED = "PUBREC that refuses"
    PUBCOMP = "PUBCOMP"


# Sent again after a reconnect is the same cell once more; a second PUBREC asks for PUBREL once more (§4.3.3). A missing
# cell is an acknowledgement of the wrong kind: a protocol violation.
DELIVERIES: dict[DeliveryState, dict[Move, DeliveryState]] = {
    DeliveryState.QUEUED: {
        Move.SENT_QOS_1: DeliveryState.AWAITING_PUBACK,
        Move.SENT_QOS_2: DeliveryState.AWAITING_PUBREC,
    },
    DeliveryState.AWAITING_PUBACK: {
        Move.SENT_QOS_1: DeliveryState.AWAITING_PUBACK,
        Move.PUBACK: DeliveryState.DONE,
    },
    DeliveryState.AWAITING_PUBREC: {
        Move.SENT_QOS_2: DeliveryState.AWAITING_PUBREC,
        Move.PUBREC: DeliveryState.AWAITING_PUBCOMP,
        Move.REFUSED: DeliveryState.DONE,
    },
    DeliveryState.AWAITING_PUBCOMP: {
        Move.PUBREC: DeliveryState.AWAITING_PUBCOMP,
        Move.PUBCOMP: DeliveryState.DONE,
    },
    DeliveryState.DONE: {},
}


@dataclass(slots=True, eq=False)
class Message:
    """A published message, shared by all who get it."""

    topic: str
    payload: bytes
    qos: int  # As published
    retain: bool  # As published
    properties: Properties = ()  # Those that are passed on: neither alias nor expiry
    expires_at: float | None = None  # Unix time, seconds; None when never
    number: int = 0  # Its row in the journal; 0 when it has none
    holders: int = 0  # How many kept sessions, and topics that retain it, hold it; the row goes with the last

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        properties = sum(
            len(value) if isinstance(value, (str, bytes)) else sum(map(len, value)) if isinstance(value, tuple) else 4
            for _, value in self.properties
        )
        return _OVERHEAD_BYTES + len(self.topic) + len(self.payload) + properties

    def is_over(self, now: float) -> bool:
        """Whether its time has run out (MQTT 5 §3.3.2.3.3)."""
        return self.expires_at is not None and now >= self.expires_at

    def outgoing_properties(self, now: float, identifiers: tuple[int, ...]) -> Properties:
        """Its properties as they are sent now: with the time that is left and the subscriptions' identifiers."""
        found = self.properties
        if self.expires_at is not None:
            # Rounded up: a message that is passed on within its first second has all of its time left.
            found += ((Property.MESSAGE_EXPIRY_INTERVAL, max(0, math.ceil(self.expires_at - now))),)
        return found + tuple((Property.SUBSCRIPTION_IDENTIFIER, each) for each in identifiers)


@dataclass(slots=True, eq=False)
class OutgoingMessage:
    """A message of QoS 1 or 2 on its way to one client."""

    message: Message
    packet_id: int
    qos: int
    retain: bool
    identifiers: tuple[int, ...] = ()
    state: DeliveryState = DeliveryState.QUEUED

    @property
    def state_when_sent(self) -> DeliveryState:
        """The state that sending it leads to."""
        return DELIVERIES[DeliveryState.QUEUED][self.sending]

    @property
    def sending(self) -> Move:
        """The move that sending it is."""
        return Move.SENT_QOS_1 if self.qos == 1 else Move.SENT_QOS_2

    def move(self, move: Move) -> DeliveryState:
        """Go on to the next state; raises WireError if the acknowledgement does not belong to this one."""
        following = DELIVERIES[self.state].get(move)
        if following is None:
            raise WireError(
                FORMAT,
                expected=f"what follows {self.state.name} of packet {self.packet_id}",
                got=move.value,
                code=CODE_PROTOCOL,
            )
        self.state = following
        return following


@dataclass(slots=True, eq=False)
class Subscribed:
    """One subscription of a session."""

    session: Session
    subscription: Subscription
    identifier: int = 0

    @property
    def no_local(self) -> bool:
        """Whether the client's own messages are left out (MQTT 5 §3.8.3.1)."""
        return bool(self.subscription.options & 4)

    @property
    def retain_as_published(self) -> bool:
        """Whether the retain flag is passed on as it was published."""
        return bool(self.subscription.options & 8)

    @property
    def retain_handling(self) -> int:
        """0: send retained messages; 1: only for a new subscription; 2: never."""
        return self.subscription.options >> 4 & 3


class SessionConnection(Protocol):
    """A session's connection, as the broker's other parts use it."""

    def send_at_once(self, message: Message, *, retain: bool, identifiers: tuple[int, ...]) -> bool:
        """Send a message with QoS 0; False when the client takes nothing now."""

    def offer(self, item: OutgoingMessage, /) -> None:
        """Send a message as soon as the client's receive maximum allows it."""

    def close(self, reason: Reason | None = None, /) -> None:
        """Close after what is buffered."""


@dataclass(slots=True, eq=False)
class Session:
    """What the broker keeps of a client: it outlives the connection by ``expiry_s``."""

    key: tuple[str, str, str]  # Catalog, identity, client id: no other client reaches this session
    expiry_s: int = ENDS_WITH_CONNECTION  # How long it is kept after its connection, seconds; 0 for not at all
    ends_at: float | None = None  # When it ends, Unix seconds; None while it is connected
    number: int = 0  # Its row in the journal; 0 when it is not kept
    subscriptions: dict[str, Subscribed] = field(default_factory=dict)  # By filter, as the client wrote it
    outgoing: dict[int, OutgoingMessage] = field(default_factory=dict)  # By packet identifier, in the order of delivery
    incoming: set[int] = field(default_factory=set)  # Packet identifiers of QoS 2 that were received and not released
    connection: SessionConnection | None = None  # None while it is not connected
    queued_bytes: int = 0
    _last_id: int = 0

    @property
    def catalog(self) -> str:
        """The client's catalog."""
        return self.key[0]

    @property
    def identity(self) -> str:
        """Who the client is; empty without TLS."""
        return self.key[1]

    @property
    def client_id(self) -> str:
        """The client's own id."""
        return self.key[2]

    def enqueue(
        self, message: Message, qos: int, *, retain: bool, identifiers: tuple[int, ...]
    ) -> OutgoingMessage | None:
        """Add a message of QoS 1 or 2; None when there is no room for it."""
        if len(self.outgoing) >= MAX_QUEUED_MESSAGES or self.queued_bytes + message.size > MAX_QUEUED_BYTES:
            return None
        while True:
            self._last_id = self._last_id % 65535 + 1
            if self._last_id not in self.outgoing:
                break
        item = OutgoingMessage(message, self._last_id, qos, retain, identifiers)
        self.restore(item)
        return item

    def restore(self, item: OutgoingMessage) -> None:
        """Put back a message that was kept on disk; in the order in which they were queued."""
        self.outgoing[item.packet_id] = item
        self.queued_bytes += item.message.size
        self._last_id = item.packet_id

    def acknowledged(self, packet_id: int, move: Move) -> OutgoingMessage | None:
        """The client acknowledged a message (None if no such one is under way), dropped here with the last step.

        Raises:
            WireError: an acknowledgement of the wrong kind.
        """
        item = self.outgoing.get(packet_id)
        if item is None or item.state is DeliveryState.QUEUED:
            return None
        if item.move(move) is DeliveryState.DONE:
            self.drop(item)
        return item

    def drop(self, item: OutgoingMessage) -> None:
        """Forget a message."""
        del self.outgoing[item.packet_id]
        self.queued_bytes -= item.message.size


MOVE_OF_PACKET = {
    PacketType.PUBACK: Move.PUBACK,
    PacketType.PUBREC: Move.PUBREC,
    PacketType.PUBCOMP: Move.PUBCOMP,
}
