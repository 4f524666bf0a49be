# SPDX-License-Identifier: Apache-2.0
"""One device's connection: its CONNECT, its telemetry, and what is asked over HTTP on the same port.

What every MQTT connection does is in ``hub/link/link.py``; what a packet means once connected is in
``conversation.py``; what all connections share is in ``front.py``.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

from armillary.errors import ArmillaryError, WireError
from armillary.hub.link.admission import credentials_of
from armillary.hub.link.http_opening import ServiceConnections, has_line, is_of_service
from armillary.hub.link.limits import MAX_TOPIC_ALIASES
from armillary.hub.link.link import Link, Owner, integer_of, topic_of
from armillary.hub.link.reasons import SAID_GOODBYE, Reason
from armillary.hub.link.tls import TlsChannel, Transport
from armillary.wire.equipment.message import SEQUENCE_PROPERTY
from armillary.wire.hub.credentials import HubCredentials, HubPeer
from armillary.wire.hub.provisioning_http import is_provisioning
from armillary.wire.hub.topics import Inbox, TelemetryTopic, check_username, parse_topic
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import Property, PropertyValue
from armillary.wire.mqtt.packet import (
    LEVEL_5,
    Acknowledgement,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    Publish,
    Will,
)
from armillary.wire.mqtt.session import Event, State, step
from armillary.wire.mqtt.stream import MAX_PACKET_BYTES, PublishRun

if TYPE_CHECKING:
    from armillary.engines.hub.devices import DeviceRow
    from armillary.hub.link.https import HttpReply, HttpRequest

# The session of a client that asked for a persistent one does not end (MQTT 5 §3.1.2.11.2).
_NO_SESSION_EXPIRY = 0xFFFFFFFF

# A client that names none takes as many as there are packet ids (§3.1.2.11.3).
_NO_RECEIVE_MAXIMUM = 0xFFFF

# In the topics of messages that say their place.
_PLACE_KEY = f"{SEQUENCE_PROPERTY}="

# MQTT 5: what this server does and does not do (§3.2.2.3). Sent with every accepted CONNACK. A receive maximum is not
# named: a client that sends faster than the disk writes is not read from.
_OFFER: tuple[tuple[Property, PropertyValue], ...] = (
    (Property.MAXIMUM_QOS, 1),
    (Property.MAXIMUM_PACKET_SIZE, MAX_PACKET_BYTES),
    (Property.TOPIC_ALIAS_MAXIMUM, MAX_TOPIC_ALIASES),
    (Property.RETAIN_AVAILABLE, 0),
    (Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE, 0),
    (Property.SHARED_SUBSCRIPTION_AVAILABLE, 0),
)


class MessageIntake(Protocol):
    """Takes messages into the log."""

    def ingest(self, connection: HubConnection, run: PublishRun, /) -> None:
        """Keep messages and acknowledge them then. Raises RateLimitedError when there is no room."""

    def publish_will(self, connection: HubConnection, will: Will, /) -> None:
        """Keep the will of a vanished device."""

    def expect_placed(self) -> None:
        """A guardian is connected."""


class DeviceConversation(Protocol):
    """Acts on devices' packets."""

    def converse(self, connection: HubConnection, packet: Packet, /) -> None:
        """Act on a packet. Raises WireError if the device may not do this."""

    def change_session_end(self, connection: HubConnection, /, *, persistent: bool) -> None:
        """DISCONNECT changed how long the session lasts. Raises WireError where CONNECT gave it no length."""


class RegistrationConversation(Protocol):
    """Acts on the packets of clients that ask to be registered."""

    def converse(self, connection: HubConnection, packet: Packet, /) -> None:
        """Act on a packet. Raises WireError if such a client may not do this."""

    def begin(self, connection: HubConnection, packet: Connect, certificate: bytes | None, /) -> bool:
        """Take a connection that asks for registration; False for a device. Raises ArmillaryError to refuse it."""

    def left(self, connection: HubConnection, /) -> None:
        """The connection is gone."""

    def close(self) -> None:
        """Begin no more registrations."""


class DeviceRequests(Protocol):
    """Answers what devices ask over HTTP."""

    @property
    def registers(self) -> bool:
        """Whether devices may register."""

    def take(self, transport: TlsChannel, certificate: bytes | None, data: bytes, /) -> None:
        """Take over a connection that begins with these bytes."""

    async def answer(self, request: HttpRequest, /) -> HttpReply:
        """The answer to a request; raises nothing."""

    def close(self) -> None:
        """Close every connection."""


class Listening(Owner, Protocol):
    """What a device's connection needs of the front."""

    @property
    def intake(self) -> MessageIntake:
        """Where messages go."""

    @property
    def conversation(self) -> DeviceConversation:
        """What acts on other packets of devices."""

    @property
    def provisioning(self) -> RegistrationConversation | None:
        """What acts on packets of clients that ask to be registered; None where none may."""

    @property
    def https(self) -> DeviceRequests | None:
        """What answers devices over HTTP; None where nothing does."""

    @property
    def services(self) -> ServiceConnections:
        """Where connections of services go."""

    def identify(self, credentials: HubCredentials, /) -> HubPeer:
        """Who a client is. Raises ArmillaryError to refuse it."""

    def register(self, connection: HubConnection, /, *, clean: bool) -> None:
        """Store a device's row, then accept its connection; ``clean`` removes its subscriptions."""

    def accepted(self, connection: HubConnection, /) -> None:
        """A client is connected; its older connection, if any, ends."""


class HubConnection(Link):
    """A device's connection from accept to loss."""

    __slots__ = (
        "_aliases",
        "assigned",
        "inboxes",
        "model_id",
        "number",
        "persistent",
        "placed",
        "receive_maximum",
        "registers",
    )

    _owner: Listening
    http_begins = Link.http_begins | {b"D"}  # DELETE: PUBACK, which no client begins with

    def __init__(self, owner: Listening) -> None:
        super().__init__(owner)
        self._aliases: dict[int, str] | None = None
        self.number = 0  # Its number in the store
        self.inboxes = Inbox(0)  # What it has subscribed to
        self.placed = False  # Whether it is a guardian's: its messages say their place (``wire/equipment/message.py``)
        self.persistent = False  # Whether its subscriptions outlive the connection
        self.assigned = False  # Whether the client left its id to the hub (MQTT 5 §3.1.3.1)
        self.model_id: str | None = None  # The model it says it follows, or None
        self.receive_maximum = _NO_RECEIVE_MAXIMUM  # Unacknowledged messages with QoS 1 (MQTT 5 §3.1.2.11.3)
        self.registers = False  # Whether it is no device but a client that asks to be registered

    # From the owner -----------------------------------------------------------------------------------------

    def established(self, row: DeviceRow) -> None:
        """The device is registered durably: accept it."""
        if self._state is not State.ESTABLISHING:
            return  # it went away meanwhile
        resumed = self.persistent and row.inboxes != 0
        self.number = row.number
        self.inboxes = Inbox(row.inboxes) if self.persistent else Inbox(0)
        self._state = step(self._state, Event.ACCEPTED)
        properties = _OFFER
        if self.persistent:
            properties += ((Property.SESSION_EXPIRY_INTERVAL, _NO_SESSION_EXPIRY),)
        if self.assigned:
            properties += ((Property.ASSIGNED_CLIENT_IDENTIFIER, self.device_id),)
        self.send(Connack(reason=0, session_present=resumed, properties=properties))
        self._owner.accepted(self)
        self._proceed()
        self.flow()

    def begin_http(self, data: bytes) -> None:
        """An HTTP request: of a service where those are answered, else of a device."""
        transport, services = self._transport, self._owner.services
        if not (services.are_answered and isinstance(transport, TlsChannel)):  # not within WebSocket
            super().begin_http(data)
        elif not has_line(data):
            self._opening = data
        elif is_of_service(data):
            services.hand_over(transport, self._give_up(), data)
        else:
            super().begin_http(data)

    def serves(self, target: str) -> bool:
        """Whether a GET request is one of a device that registers over HTTP."""
        https = self._owner.https
        return https is not None and https.registers and is_provisioning(target)

    def serve_http(self, transport: Transport, data: bytes) -> None:
        """Hand requests of devices over HTTP to what answers them."""
        https = self._owner.https
        if https is None or not isinstance(transport, TlsChannel):  # not within WebSocket
            super().serve_http(transport, data)
            return
        https.take(transport, self._give_up(), data)

    def _give_up(self) -> bytes | None:
        """Have nothing more to do with the connection; returns the client's certificate (DER)."""
        self._state = State.CLOSED
        self._owner.left(self)
        return self._certificate

    def _gone(self) -> None:
        will, self._will = self._will, None
        if will is not None and self.number:
            self._owner.intake.publish_will(self, will)

    def _take_run(self) -> bool:
        run = self._decoder.take_run(self._is_telemetry)
        if run is None:
            return False
        self._owner.intake.ingest(self, run)
        return True

    def _take(self, packet: Packet) -> None:
        if isinstance(packet, Connect):
            self._connect(packet)
        elif isinstance(packet, Disconnect):
            if packet.reason != Reason.WITH_WILL.value.level_5:
                self._will = None
            expiry = dict(packet.properties).get(Property.SESSION_EXPIRY_INTERVAL)
            if expiry is not None:
                self._owner.conversation.change_session_end(self, persistent=bool(expiry))
            self.ended = self.ended or SAID_GOODBYE
            self._owner.left(self)
            self._transport.close()
        elif isinstance(packet, Publish) and self.level >= LEVEL_5:
            self._publish(packet)
        else:
            self._converse(packet)

    def _converse(self, packet: Packet) -> None:
        if self.registers and self._owner.provisioning is not None:
            self._owner.provisioning.converse(self, packet)
        else:
            self._owner.conversation.converse(self, packet)

    def _publish(self, packet: Publish) -> None:
        """A message that was not taken as one of a run: one with a topic alias, or no telemetry."""
        alias = integer_of(packet.properties, Property.TOPIC_ALIAS, 0)
        if alias:
            packet = self._without_alias(packet, alias)
        if packet.qos < 2 and self._is_telemetry(packet.topic):
            acknowledgement = b""
            if packet.packet_id is not None:
                acknowledgement = encode_packet(Acknowledgement(type=PacketType.PUBACK, packet_id=packet.packet_id))
            self._owner.intake.ingest(self, PublishRun(encode_packet(packet, level=LEVEL_5), 1, acknowledgement))
        else:
            self._converse(packet)

    def _without_alias(self, packet: Publish, alias: int) -> Publish:
        """The message with the topic that its alias stands for: it may be an earlier message's (MQTT 5 §3.3.2.3.4)."""
        if self._aliases is None:
            self._aliases = {}
        topic = topic_of(packet.topic, alias, self._aliases, MAX_TOPIC_ALIASES)
        properties = tuple(pair for pair in packet.properties if pair[0] is not Property.TOPIC_ALIAS)
        return dataclasses.replace(packet, topic=topic, properties=properties)

    def _is_telemetry(self, topic: str) -> bool:
        """Called for topics that are not that of the message before, so never for most messages."""
        try:
            is_telemetry = isinstance(parse_topic(topic, self.device_id), TelemetryTopic)
        except WireError:
            return False
        if _PLACE_KEY in topic and is_telemetry and not self.placed:
            self.placed = True
            self._owner.intake.expect_placed()
        return is_telemetry

    def _connect(self, packet: Connect) -> None:
        self.flow()
        self._begun = 0.0
        try:
            provisioning = self._owner.provisioning
            if provisioning is not None and provisioning.begin(self, packet, self._certificate):
                return
            self._identify(packet)
        except _RefusedError as refused:
            self.refuse(refused.reason, refused.message)
        except ArmillaryError as error:
            self.refuse(Reason.NOT_AUTHORIZED, error.message)
        else:
            self._owner.register(self, clean=packet.clean_start or not self.persistent)

    def _identify(self, packet: Connect) -> None:
        peer = self._owner.identify(credentials_of(packet, self._certificate))
        device_id, self.expires = peer.identity, peer.expires
        self.assigned = not packet.client_id and packet.level >= LEVEL_5 and self._certificate is not None
        self._certificate = None
        if packet.client_id != device_id and not self.assigned:
            raise _RefusedError("client id: expected the device id of the certificate, got another", Reason.CLIENT_ID)
        self.device_id = device_id
        properties = dict(packet.properties)
        if Property.AUTHENTICATION_METHOD in properties:
            raise _RefusedError("authentication method: the certificate is the only one", Reason.METHOD)
        try:
            self.model_id = check_username(packet.username, device_id)
            if packet.will is not None and not (packet.will.qos < 2 and self._is_telemetry(packet.will.topic)):
                raise _RefusedError("will: expected QoS 0 or 1 on the device's own telemetry topic", Reason.WILL)
        except WireError as error:
            raise _RefusedError(error.message, Reason.USER_NAME) from error
        self._will = packet.will
        self._keepalive_s = packet.keepalive_s
        self._send_limit = integer_of(packet.properties, Property.MAXIMUM_PACKET_SIZE, 0)
        self.receive_maximum = integer_of(packet.properties, Property.RECEIVE_MAXIMUM, _NO_RECEIVE_MAXIMUM)
        if packet.level >= LEVEL_5:
            self.persistent = bool(properties.get(Property.SESSION_EXPIRY_INTERVAL, 0))
        else:
            self.persistent = not packet.clean_start


class _RefusedError(ArmillaryError):
    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason
