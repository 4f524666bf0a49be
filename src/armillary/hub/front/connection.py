# SPDX-License-Identifier: Apache-2.0
"""One device's connection to the front: who it is, what of it is telemetry, what it was told of the hub.

What every MQTT connection does is in ``hub/link/link.py``; what a packet means once connected is in
``conversation.py``; what all connections share is in ``front.py``.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from armillary.errors import ArmillaryError, WireError
from armillary.hub.front import conversation
from armillary.hub.link.http_opening import HttpOpening
from armillary.hub.link.limits import MAX_TOPIC_ALIASES
from armillary.hub.link.link import Link, unusable_alias
from armillary.hub.link.reasons import SAID_GOODBYE, Reason
from armillary.hub.link.tls import TlsChannel, Transport
from armillary.wire.hub.credentials import HubCredentials
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
)
from armillary.wire.mqtt.session import Event, State, step
from armillary.wire.mqtt.stream import MAX_PACKET_BYTES, PublishRun

if TYPE_CHECKING:
    from armillary.engines.hub.devices import DeviceRow
    from armillary.hub.front.front import Front

# The session of a client that asked for a persistent one does not end (MQTT 5 §3.1.2.11.2).
_NO_SESSION_EXPIRY = 0xFFFFFFFF

# A client that names none takes as many as there are packet ids (§3.1.2.11.3).
_NO_RECEIVE_MAXIMUM = 0xFFFF

# MQTT 5: what this server does and does not do (§3.2.2.3). Sent with every accepted CONNACK. A receive maximum is not
# named: whoever sends faster than the disk takes it is not read from.
_OFFER: tuple[tuple[Property, PropertyValue], ...] = (
    (Property.MAXIMUM_QOS, 1),
    (Property.MAXIMUM_PACKET_SIZE, MAX_PACKET_BYTES),
    (Property.TOPIC_ALIAS_MAXIMUM, MAX_TOPIC_ALIASES),
    (Property.RETAIN_AVAILABLE, 0),
    (Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE, 0),
    (Property.SHARED_SUBSCRIPTION_AVAILABLE, 0),
)


class Connection(Link):
    """A device's connection from accept to loss.

    Attributes:
        device_id: The device, once connected; empty before.
        number: Its number in the store.
        inboxes: What it has subscribed to.
        persistent: Whether its subscriptions outlive the connection.
        assigned: Whether the client left its id to the hub (MQTT 5 §3.1.3.1).
        model_id: The model it says it follows, or None.
        receive_maximum: Messages with QoS 1 that it takes before it acknowledges one (MQTT 5 §3.1.2.11.3).
        registers: Whether it is no device but one that asks to be registered (``hub/provisioning/mqtt.py``).
    """

    __slots__ = (
        "_aliases",
        "_front",
        "assigned",
        "inboxes",
        "model_id",
        "number",
        "persistent",
        "receive_maximum",
        "registers",
    )

    http_begins = Link.http_begins | {b"D"}  # DELETE: PUBACK, which nobody begins with

    def __init__(self, front: Front) -> None:
        super().__init__(front)
        self._front = front
        self._aliases: dict[int, str] | None = None
        self.number = 0
        self.inboxes = Inbox(0)
        self.persistent = False
        self.assigned = False
        self.model_id: str | None = None
        self.receive_maximum = _NO_RECEIVE_MAXIMUM
        self.registers = False

    # From the front -----------------------------------------------------------------------------------------

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
        self._front.accepted(self)
        self._proceed()
        self.flow()

    def begin_http(self, data: bytes) -> None:
        """An HTTP request: of a service where those are answered, else of a device."""
        transport, service_api = self._transport, self._front.service_api
        if service_api is None or not isinstance(transport, TlsChannel):  # not within WebSocket
            super().begin_http(data)
            return
        opening = HttpOpening(self, transport, service_api)
        transport.set_protocol(opening)
        opening.data_received(data)

    def serve_devices(self, transport: TlsChannel, data: bytes) -> None:
        """The request is no service's: a WebSocket's, or what devices ask."""
        transport.set_protocol(self)
        super().begin_http(data)

    def give_up(self) -> bytes | None:
        """Somebody else has the connection now; the client's certificate."""
        self._state = State.CLOSED
        self._front.left(self)
        return self._certificate

    def serves(self, target: str) -> bool:
        """Whether a GET request is one of a device that registers over HTTP."""
        return self._front.https is not None and self._front.provisioning is not None and is_provisioning(target)

    def serve_http(self, transport: Transport, data: bytes) -> None:
        """What devices ask over HTTP is answered by :class:`armillary.hub.provisioning.routes.DeviceHttps`."""
        https = self._front.https
        if https is None or not isinstance(transport, TlsChannel):  # not within WebSocket
            super().serve_http(transport, data)
            return
        self._state = State.CLOSED
        https.take(self, transport, self._certificate, data)

    # Inside -------------------------------------------------------------------------------------------------

    def _gone(self) -> None:
        will, self._will = self._will, None
        if will is not None and self.number:
            self._front.publish_will(self, will)

    def _take_run(self) -> bool:
        run = self._decoder.take_run(self._is_telemetry)
        if run is None:
            return False
        self._front.ingest(self, run)
        return True

    def _take(self, packet: Packet) -> None:
        if isinstance(packet, Connect):
            self._connect(packet)
        elif isinstance(packet, Disconnect):
            if packet.reason != Reason.WITH_WILL.value.level_5:
                self._will = None
            expiry = dict(packet.properties).get(Property.SESSION_EXPIRY_INTERVAL)
            if expiry is not None:
                conversation.change_session_end(self._front, self, persistent=bool(expiry))
            self.ended = self.ended or SAID_GOODBYE
            self._front.left(self)
            self._transport.close()
        elif isinstance(packet, Publish) and self.level >= LEVEL_5:
            self._publish(packet)
        else:
            conversation.converse(self._front, self, packet)

    def _publish(self, packet: Publish) -> None:
        """A message that was not taken as one of a run: one with a topic alias, or no telemetry."""
        alias = dict(packet.properties).get(Property.TOPIC_ALIAS)
        if isinstance(alias, int):
            packet = self._without_alias(packet, alias)
        if packet.qos < 2 and self._is_telemetry(packet.topic):
            acknowledgement = b""
            if packet.packet_id is not None:
                acknowledgement = encode_packet(Acknowledgement(type=PacketType.PUBACK, packet_id=packet.packet_id))
            self._front.ingest(self, PublishRun(encode_packet(packet, level=LEVEL_5), 1, acknowledgement))
        else:
            conversation.converse(self._front, self, packet)

    def _without_alias(self, packet: Publish, alias: int) -> Publish:
        """The message with the topic that its alias stands for: it may be an earlier message's (MQTT 5 §3.3.2.3.4)."""
        if self._aliases is None:
            self._aliases = {}
        if packet.topic:
            self._aliases[alias] = packet.topic
        topic = self._aliases.get(alias)
        if topic is None or alias > MAX_TOPIC_ALIASES:
            raise unusable_alias(alias, MAX_TOPIC_ALIASES)
        properties = tuple(pair for pair in packet.properties if pair[0] is not Property.TOPIC_ALIAS)
        return dataclasses.replace(packet, topic=topic, properties=properties)

    def _is_telemetry(self, topic: str) -> bool:
        try:
            return isinstance(parse_topic(topic, self.device_id), TelemetryTopic)
        except WireError:
            return False

    def _connect(self, packet: Connect) -> None:
        self.flow()
        self._begun = 0.0
        try:
            provisioning = self._front.provisioning
            if provisioning is not None and provisioning.begin(self, packet, self._certificate):
                return
            self._identify(packet)
        except _RefusedError as refused:
            self.refuse(refused.reason, refused.message)
        except ArmillaryError as error:
            self.refuse(Reason.NOT_AUTHORIZED, error.message)
        else:
            self._front.register(self, clean=packet.clean_start or not self.persistent)

    def _identify(self, packet: Connect) -> None:
        password = None if packet.password is None else packet.password.decode("utf-8", "replace")
        peer = self._front.identify(HubCredentials(self._certificate, packet.client_id, password))
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
        limit = properties.get(Property.MAXIMUM_PACKET_SIZE, 0)
        self._send_limit = limit if isinstance(limit, int) else 0
        window = properties.get(Property.RECEIVE_MAXIMUM, _NO_RECEIVE_MAXIMUM)
        self.receive_maximum = window if isinstance(window, int) else _NO_RECEIVE_MAXIMUM
        if packet.level >= LEVEL_5:
            self.persistent = bool(properties.get(Property.SESSION_EXPIRY_INTERVAL, 0))
        else:
            self.persistent = not packet.clean_start


class _RefusedError(ArmillaryError):
    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason
