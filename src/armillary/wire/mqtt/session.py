# SPDX-License-Identifier: Apache-2.0
"""The server's side of one MQTT connection as a table: which packet may come when, and what state follows.

Rule 1: everything that affects the state is an :class:`Event`; nothing else changes it.
Rule 2: a missing cell is a protocol violation: the connection is closed (MQTT 3.1.1 §4.8, MQTT 5 §4.13).
Rule 3: the server reads no packet between CONNECT and its answer (``ESTABLISHING``), so none is in that row;
packets a client sends early (§3.1.4 allows it) wait unread.

::

    AWAITING_CONNECT --CONNECT--> ESTABLISHING --ACCEPTED--> CONNECTED --DISCONNECT--> CLOSED
                                        '---REFUSED--> CLOSED      every state --LOST--> CLOSED
"""

from __future__ import annotations

import enum

from armillary.errors import WireError
from armillary.wire.mqtt.fields import FORMAT
from armillary.wire.mqtt.packet import PacketType


class State(enum.Enum):
    """State of a connection."""

    AWAITING_CONNECT = "awaiting-connect"
    ESTABLISHING = "establishing"
    CONNECTED = "connected"
    CLOSED = "closed"


class Event(enum.Enum):
    """What can happen to a connection: a packet from the client, or a decision of the server."""

    CONNECT = "CONNECT"
    PUBLISH = "PUBLISH"
    PUBACK = "PUBACK"
    PUBREC = "PUBREC"
    PUBREL = "PUBREL"
    PUBCOMP = "PUBCOMP"
    SUBSCRIBE = "SUBSCRIBE"
    UNSUBSCRIBE = "UNSUBSCRIBE"
    PINGREQ = "PINGREQ"
    DISCONNECT = "DISCONNECT"
    AUTH = "AUTH"
    CONNACK = "CONNACK"
    SUBACK = "SUBACK"
    UNSUBACK = "UNSUBACK"
    PINGRESP = "PINGRESP"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    LOST = "lost"


# The machine of the hub's front. CONNACK, SUBACK, UNSUBACK and PINGRESP are the server's own packets: never accepted.
# A second CONNECT is a violation (§3.1). AUTH needs an authentication method, which CONNECT refuses. PUBREC, PUBREL
# and PUBCOMP belong to QoS 2, which IoT Hub does not speak.
TRANSITIONS: dict[State, dict[Event, State]] = {
    State.AWAITING_CONNECT: {Event.CONNECT: State.ESTABLISHING, Event.LOST: State.CLOSED, Event.REFUSED: State.CLOSED},
    State.ESTABLISHING: {Event.ACCEPTED: State.CONNECTED, Event.REFUSED: State.CLOSED, Event.LOST: State.CLOSED},
    State.CONNECTED: {
        Event.PUBLISH: State.CONNECTED,
        Event.PUBACK: State.CONNECTED,
        Event.SUBSCRIBE: State.CONNECTED,
        Event.UNSUBSCRIBE: State.CONNECTED,
        Event.PINGREQ: State.CONNECTED,
        Event.DISCONNECT: State.CLOSED,
        Event.REFUSED: State.CLOSED,
        Event.LOST: State.CLOSED,
    },
    State.CLOSED: {Event.LOST: State.CLOSED},
}

# The machine of the general broker: as above, with QoS 2 both ways.
BROKER_TRANSITIONS: dict[State, dict[Event, State]] = TRANSITIONS | {
    State.CONNECTED: TRANSITIONS[State.CONNECTED]
    | dict.fromkeys((Event.PUBREC, Event.PUBREL, Event.PUBCOMP), State.CONNECTED)
}

EVENT_OF_PACKET: dict[PacketType, Event] = {kind: Event[kind.name] for kind in PacketType}


def step(state: State, event: Event, table: dict[State, dict[Event, State]] = TRANSITIONS) -> State:
    """The state after ``event`` in one of the tables above.

    Raises WireError if the event may not happen in this state; the connection must be closed then.
    """
    following = table[state].get(event)
    if following is None:
        allowed = ", ".join(each.value for each in table[state] if each.value.isupper())
        raise WireError(
            FORMAT,
            expected=f"{allowed or 'nothing'} while {state.value}",
            got=event.value,
            remedy="Correct the MQTT client's order of packets; IoT Hub's front has no QoS 2.",
            code="wire.mqtt-order",
        )
    return following
