# SPDX-License-Identifier: Apache-2.0
"""One client's connection to the general broker: what its packets mean, and what is sent to it when.

What every MQTT connection does is in ``hub/link/link.py``; sessions and routing are in ``broker.py`` and ``router.py``.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Protocol

from armillary.errors import ArmillaryError, RateLimitedError, WireError
from armillary.hub.broker.journal import Journal
from armillary.hub.broker.limits import (
    MAX_KEEPALIVE_S,
    MAX_RETAINED_AT_ONCE,
    MAX_TOPIC_ALIASES,
    RECEIVE_MAXIMUM,
    RETAINED_IN_FLIGHT,
    SEND_WINDOW,
)
from armillary.hub.broker.router import Router
from armillary.hub.broker.session import MOVE_OF_PACKET, DeliveryState, Message, Move, OutgoingMessage, Session
from armillary.hub.broker.topics import split_share
from armillary.hub.link.admission import credentials_of
from armillary.hub.link.link import Link, Owner, integer_of, topic_of
from armillary.hub.link.reasons import Reason
from armillary.wire.hub.credentials import HubCredentials, HubPeer
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import CODE_PROTOCOL, FORMAT, Properties, Property
from armillary.wire.mqtt.packet import (
    LEVEL_5,
    Acknowledgement,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from armillary.wire.mqtt.reasons import ReasonCode
from armillary.wire.mqtt.session import BROKER_TRANSITIONS, Event, State, step
from armillary.wire.mqtt.stream import MAX_PACKET_BYTES

# SUBACK's failure of 3.1.1; in MQTT 5 this and what is above are failures.
_FAILURE = int(ReasonCode.UNSPECIFIED_ERROR)


class Sessions(Owner, Protocol):
    """What a client's connection needs of its broker."""

    @property
    def journal(self) -> Journal:
        """Where what is to outlive a crash is noted."""

    @property
    def router(self) -> Router:
        """Subscriptions and what waits for sessions."""

    @property
    def forbidden_filters(self) -> frozenset[str]:
        """Topic filters that clients may not subscribe to."""

    def now(self) -> float:
        """Unix time, seconds."""

    def identify(self, credentials: HubCredentials, /) -> HubPeer:
        """Who a client is. Raises ArmillaryError to refuse it."""

    def connect(self, link: BrokerConnection, peer: HubPeer, packet: Connect, /) -> None:
        """Give an authenticated client its session, and accept its connection once that is kept."""

    def change_expiry(self, session: Session, expiry_s: int, /) -> None:
        """Change how long a session is kept after its connection (seconds)."""

    def check_publish(self, topic: str, /) -> None:
        """Raises WireError if clients may not publish to the topic."""

    def publish(self, topic: str, packet: Publish, origin: Session, /) -> int:
        """Hand a message on; to how many sessions. Raises RateLimitedError if there is no room to retain it."""


class BrokerConnection(Link):
    """A client's connection from accept to loss; ``session`` is None until CONNECT is accepted."""

    __slots__ = (
        "_aliases_in",
        "_aliases_out",
        "_aliases_out_maximum",
        "_pending",
        "_resending",
        "_window",
        "_window_used",
        "assigned",
        "session",
    )

    _owner: Sessions
    table = BROKER_TRANSITIONS

    def __init__(self, owner: Sessions) -> None:
        super().__init__(owner)
        self.session: Session | None = None
        self.assigned = False
        self._aliases_in: dict[int, str] = {}
        self._aliases_out: dict[str, int] = {}
        self._aliases_out_maximum = 0
        self._pending: deque[OutgoingMessage] = deque()  # to be sent on this connection, in order
        self._resending: frozenset[OutgoingMessage] | None = None  # what waits until the disk knows that it is sent
        self._window = SEND_WINDOW
        self._window_used = 0

    # From the broker --------------------------------------------------------------------------------------------

    def accept(self, session: Session, *, resumed: bool, properties: Properties) -> None:
        """The session is ready, and on the disk if it is persistent: send CONNACK and the messages that wait."""
        if self._state is not State.ESTABLISHING:
            return  # it went away meanwhile
        self._state = step(self._state, Event.ACCEPTED, self.table)
        self.send(Connack(reason=0, session_present=resumed, properties=properties))
        self._resend(session)
        self._proceed()
        self.flow()

    def take_will(self) -> Will | None:
        """The will, which is removed by that."""
        will, self._will = self._will, None
        return will

    def send_at_once(self, message: Message, *, retain: bool, identifiers: tuple[int, ...]) -> bool:
        """Send a message with QoS 0; False when the client takes nothing now."""
        if self._stalled or not self.connected:
            return False
        self._send_publish(message, qos=0, retain=retain, identifiers=identifiers)
        return True

    def offer(self, item: OutgoingMessage) -> None:
        """Send a message as soon as the client's receive maximum allows it."""
        if self._resending is None or item not in self._resending:  # else it came while the session was resumed
            self._pending.append(item)
        self._pump()

    def resume_writing(self) -> None:
        """The send buffer has room again."""
        super().resume_writing()
        self._pump()

    def _resend(self, session: Session) -> None:
        """Send what waits in the session, once the disk knows that it is sent: DUP is for what may have been sent."""
        waiting = list(session.outgoing.values())
        if session.number:
            for item in waiting:
                if item.state is DeliveryState.QUEUED:
                    state = int(item.state_when_sent)
                    self._owner.journal.note("delivery-state", state, session.number, item.packet_id)

        self._pending.extend(waiting)
        self._resending = frozenset(waiting)

        def send() -> None:
            self._resending = None
            self._pump()

        self._reply(send)

    def _take(self, packet: Packet) -> None:
        if isinstance(packet, Connect):
            self._connect(packet)
            return
        session = self.session
        if isinstance(packet, Disconnect):
            self._disconnect(packet)
        elif session is None:
            return  # the table lets nothing else in before CONNECT
        elif isinstance(packet, Publish):
            self._publish(session, packet)
        elif isinstance(packet, Acknowledgement):
            self._acknowledged(session, packet)
        elif isinstance(packet, Subscribe):
            self._subscribe(session, packet)
        elif isinstance(packet, Unsubscribe):
            self._unsubscribe(session, packet)
        elif isinstance(packet, Pingreq):
            self.send(Pingresp())

    def _connect(self, packet: Connect) -> None:
        self.flow()
        self._begun = 0.0
        try:
            if Property.AUTHENTICATION_METHOD in dict(packet.properties):
                self.refuse(Reason.METHOD, "authentication method: there is none but the certificate")
                return
            if not packet.client_id and packet.level < LEVEL_5 and not packet.clean_start:
                self.refuse(Reason.CLIENT_ID, "client id: a session that is kept needs one")
                return
            if packet.will is not None:
                self._owner.check_publish(packet.will.topic)
            peer = self._owner.identify(credentials_of(packet, self._certificate))
        except WireError as error:
            self.refuse(Reason.WILL, error.message)
            return
        except ArmillaryError as error:
            self.refuse(Reason.NOT_AUTHORIZED, error.message)
            return
        self._certificate = None
        self.expires = peer.expires
        self.device_id = peer.identity or packet.client_id
        self._will = packet.will
        self._keepalive_s = packet.keepalive_s
        if packet.level >= LEVEL_5:
            self._keepalive_s = min(packet.keepalive_s, MAX_KEEPALIVE_S)
            self._send_limit = integer_of(packet.properties, Property.MAXIMUM_PACKET_SIZE, 0)
            self._window = min(integer_of(packet.properties, Property.RECEIVE_MAXIMUM, SEND_WINDOW), SEND_WINDOW)
            maximum = integer_of(packet.properties, Property.TOPIC_ALIAS_MAXIMUM, 0)
            self._aliases_out_maximum = min(maximum, MAX_TOPIC_ALIASES)
        self._owner.connect(self, peer, packet)

    def offered(self, connect: Connect) -> Properties:
        """What CONNACK says of this broker (MQTT 5 §3.2.2.3)."""
        if connect.level < LEVEL_5:
            return ()
        found: Properties = (
            (Property.RECEIVE_MAXIMUM, RECEIVE_MAXIMUM),
            (Property.MAXIMUM_PACKET_SIZE, MAX_PACKET_BYTES),
            (Property.TOPIC_ALIAS_MAXIMUM, MAX_TOPIC_ALIASES),
        )
        if self._keepalive_s != connect.keepalive_s:
            found += ((Property.SERVER_KEEP_ALIVE, self._keepalive_s),)
        return found

    def _disconnect(self, packet: Disconnect) -> None:
        if packet.reason != Reason.WITH_WILL.value.level_5:
            self._will = None
        expiry = dict(packet.properties).get(Property.SESSION_EXPIRY_INTERVAL)
        if self.session is not None and isinstance(expiry, int):
            if expiry and not self.session.expiry_s:
                raise WireError(
                    FORMAT, expected="no session expiry where CONNECT gave none", got=str(expiry), code=CODE_PROTOCOL
                )
            self._owner.change_expiry(self.session, expiry)
        self._owner.left(self)
        self._transport.close()

    # Messages from the client -----------------------------------------------------------------------------------

    def _publish(self, session: Session, packet: Publish) -> None:
        alias, topic = integer_of(packet.properties, Property.TOPIC_ALIAS, 0), packet.topic
        if alias:
            topic = topic_of(topic, alias, self._aliases_in, MAX_TOPIC_ALIASES)
        if Property.SUBSCRIPTION_IDENTIFIER in dict(packet.properties):
            raise WireError(FORMAT, expected="no subscription identifier in PUBLISH", got="one", code=CODE_PROTOCOL)
        packet_id = packet.packet_id or 0
        if packet.qos == 2:
            if packet_id in session.incoming:  # sent again: it is here already (§4.3.3)
                self._acknowledge(PacketType.PUBREC, packet_id, 0)
                return
            if self.level >= LEVEL_5 and len(session.incoming) >= RECEIVE_MAXIMUM:
                raise WireError(
                    FORMAT,
                    expected=f"at most {RECEIVE_MAXIMUM} messages whose exchange is not over",
                    got="one more",
                    code="wire.mqtt-receive-maximum",
                )
        reason = self._route(session, packet, topic)
        if packet.qos == 1:
            self._acknowledge(PacketType.PUBACK, packet_id, reason)
        elif packet.qos == 2:
            if reason < _FAILURE:
                session.incoming.add(packet_id)
                if session.number:
                    self._owner.journal.note("incoming", session.number, packet_id)
            self._acknowledge(PacketType.PUBREC, packet_id, reason)

    def _route(self, session: Session, packet: Publish, topic: str) -> int:
        """Hand the message on; the reason code of its acknowledgement."""
        try:
            self._owner.check_publish(topic)
            matched = self._owner.publish(topic, packet, session)
        except RateLimitedError as error:
            return self._refused(packet, Reason.BUSY, error.message, "wire.mqtt-quota")
        except WireError as error:
            if error.code != "wire.mqtt-not-authorized":
                raise
            return self._refused(packet, Reason.NOT_AUTHORIZED, error.message, error.code)
        return 0 if matched or self.level < LEVEL_5 else int(ReasonCode.NO_MATCHING_SUBSCRIBERS)

    def _refused(self, packet: Publish, reason: Reason, why: str, code: str) -> int:
        self._owner.counters.broker_publishes_refused += 1
        if self.level < LEVEL_5 or not packet.qos:  # §3.3.5: no way to say no but to close
            raise WireError(FORMAT, expected="a message that this broker takes", got=why, code=code)
        return reason.value.level_5

    def _acknowledge(self, kind: PacketType, packet_id: int, reason: int) -> None:
        """Acknowledge after the commit."""
        packet = Acknowledgement(type=kind, packet_id=packet_id, reason=reason)
        self._reply(lambda: self.acknowledge(encode_packet(packet, level=self.level)))

    def _reply(self, act: Callable[[], object], *, weight: int = 1) -> None:
        """Do something once all facts noted so far are committed; until then it counts as in flight."""
        self.in_flight += weight

        def done() -> None:
            self.in_flight -= weight
            act()
            self.flow()

        self._owner.journal.after(done)

    # Messages to the client -------------------------------------------------------------------------------------

    def _acknowledged(self, session: Session, packet: Acknowledgement) -> None:
        if packet.type is PacketType.PUBREL:
            known = packet.packet_id in session.incoming
            if known:
                session.incoming.discard(packet.packet_id)
                if session.number:
                    self._owner.journal.note("incoming-over", session.number, packet.packet_id)
            self._acknowledge(PacketType.PUBCOMP, packet.packet_id, 0 if known else self._at_level_5(Reason.PACKET_ID))
            return
        move = MOVE_OF_PACKET[packet.type]
        if move is Move.PUBREC and packet.reason >= _FAILURE:
            move = Move.REFUSED
        item = session.acknowledged(packet.packet_id, move)
        if item is None:
            if move is Move.PUBREC:  # §4.3.3: of a message that is over; let the client forget it too
                reason = self._at_level_5(Reason.PACKET_ID)
                self.send(Acknowledgement(type=PacketType.PUBREL, packet_id=packet.packet_id, reason=reason))
            return
        if item.state is DeliveryState.DONE:
            self._window_used = max(0, self._window_used - 1)  # it may be of an earlier connection
            self._owner.router.over(session, item)
            self._pump()
            return
        if session.number:
            state = int(item.state)
            self._owner.journal.note("delivery-state", state, session.number, item.packet_id)
        self._acknowledge(PacketType.PUBREL, item.packet_id, 0)

    def _at_level_5(self, reason: Reason) -> int:
        return reason.value.level_5 if self.level >= LEVEL_5 else 0

    def _pump(self) -> None:
        """Send what waits, as far as the window and the transport allow."""
        session = self.session
        if self._resending is not None:
            return
        while self._pending and self.connected and not self._stalled and session is not None:
            item = self._pending[0]
            if not item.qos:  # a retained message
                self._pending.popleft()
                self._send_publish(item.message, qos=0, retain=item.retain, identifiers=item.identifiers)
                continue
            if self._window_used >= self._window:
                return
            self._pending.popleft()
            if item.state is DeliveryState.DONE:
                continue
            self._send_item(session, item)

    def _send_item(self, session: Session, item: OutgoingMessage) -> None:
        if item.state is DeliveryState.AWAITING_PUBCOMP:
            self._window_used += 1
            self.send(Acknowledgement(type=PacketType.PUBREL, packet_id=item.packet_id))
            return
        again = item.state is not DeliveryState.QUEUED
        sent = (again or not item.message.is_over(self._owner.now())) and self._send_publish(
            item.message,
            qos=item.qos,
            retain=item.retain,
            identifiers=item.identifiers,
            packet_id=item.packet_id,
            duplicate=again,
        )
        if sent:
            self._window_used += 1
            item.move(item.sending)
        else:  # too old, or longer than the client takes (§3.1.2.11.4): over
            item.state = DeliveryState.DONE
            session.drop(item)
            self._owner.router.over(session, item)

    def _send_publish(
        self,
        message: Message,
        *,
        qos: int,
        retain: bool,
        identifiers: tuple[int, ...],
        packet_id: int | None = None,
        duplicate: bool = False,
    ) -> bool:
        packet = Publish(
            topic=message.topic,
            payload=message.payload,
            qos=qos,
            packet_id=packet_id,
            retain=retain,
            duplicate=duplicate,
        )
        if self.level >= LEVEL_5:
            properties = message.outgoing_properties(self._owner.now(), identifiers)
            packet = self._with_alias(dataclasses.replace(packet, properties=properties))
        self._owner.counters.broker_messages_sent += 1
        return self.send(packet)

    def _with_alias(self, packet: Publish) -> Publish:
        """The packet with an alias in the place of its topic, where the client takes aliases (§3.3.2.3.4)."""
        known = self._aliases_out.get(packet.topic)
        if known is None:
            # The limit of the packet's size is judged later: a packet that is not sent must not set an alias.
            if len(self._aliases_out) >= self._aliases_out_maximum or self._send_limit:
                return packet
            known = self._aliases_out[packet.topic] = len(self._aliases_out) + 1
            return dataclasses.replace(packet, properties=(*packet.properties, (Property.TOPIC_ALIAS, known)))
        return dataclasses.replace(packet, topic="", properties=(*packet.properties, (Property.TOPIC_ALIAS, known)))

    # Subscriptions ----------------------------------------------------------------------------------------------

    def _subscribe(self, session: Session, packet: Subscribe) -> None:
        identifier = integer_of(packet.properties, Property.SUBSCRIPTION_IDENTIFIER, 0)
        reasons: list[int] = []
        retained: list[tuple[Message, int]] = []
        for subscription in packet.subscriptions:
            reason, messages = self._subscribe_one(session, subscription, identifier)
            reasons.append(reason)
            room = MAX_RETAINED_AT_ONCE - len(retained)
            self._owner.counters.broker_messages_dropped += max(0, len(messages) - room)
            retained += [(message, reason) for message in messages[:room]]
        answer = Suback(packet_id=packet.packet_id, reasons=tuple(reasons))
        identifiers = (identifier,) if identifier else ()

        def tell() -> None:
            self.send(answer)
            if not self.connected:
                return
            for message, granted in retained:
                qos = min(message.qos, granted)
                if qos:
                    self._owner.router.deliver(session, message, qos, retain=True, identifiers=identifiers)
                else:
                    self._pending.append(OutgoingMessage(message, 0, 0, retain=True, identifiers=identifiers))
            self._pump()

        self._reply(tell, weight=1 + len(retained) // RETAINED_IN_FLIGHT)

    def _subscribe_one(
        self, session: Session, subscription: Subscription, identifier: int
    ) -> tuple[int, list[Message]]:
        """The reason code of SUBACK, and the retained messages to send."""
        modern = self.level >= LEVEL_5
        counters = self._owner.counters
        try:
            share, plain = split_share(subscription.filter)
            if share and subscription.options & 4:
                _refuse_no_local()
            if plain in self._owner.forbidden_filters:
                counters.subscriptions_refused += 1
                return _FAILURE, []
            return subscription.qos, self._owner.router.subscribe(session, subscription, identifier)
        except RateLimitedError:
            counters.subscriptions_refused += 1
            return Reason.BUSY.value.level_5 if modern else _FAILURE, []
        except WireError as error:
            if error.code == CODE_PROTOCOL:
                raise
            counters.subscriptions_refused += 1
            return Reason.TOPIC_FILTER.value.level_5 if modern else _FAILURE, []

    def _unsubscribe(self, session: Session, packet: Unsubscribe) -> None:
        reasons = tuple(
            0 if self._owner.router.unsubscribe(session, topic_filter) else int(ReasonCode.NO_SUBSCRIPTION_EXISTED)
            for topic_filter in packet.filters
        )
        self._reply(lambda: self.send(Unsuback(packet_id=packet.packet_id, reasons=reasons)))


def _refuse_no_local() -> None:
    """MQTT 5 §3.8.3.1."""
    raise WireError(FORMAT, expected="no No Local on a shared subscription", got="it", code=CODE_PROTOCOL)
