# SPDX-License-Identifier: Apache-2.0
"""One device's connection: bytes in, packets out, and when to read, write and close.

What a packet means once connected is in ``conversation.py``; when a packet may come is the table in
``wire/mqtt_session.py``; what all connections share is in ``front.py``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import structlog

from armillary.errors import ArmillaryError, RateLimitedError, WireError
from armillary.hub import conversation
from armillary.hub.limits import (
    CONNECT_TIMEOUT_S,
    KEEPALIVE_FACTOR,
    MAX_RUNS_IN_FLIGHT,
    MAX_SEND_BUFFER_BYTES,
    PACKET_TIMEOUT_S,
    STALLED_SEND_S,
)
from armillary.hub.reasons import Reason
from armillary.hub.tls import Transport
from armillary.wire.hub_topics import Inbox, TelemetryTopic, check_username, parse_topic
from armillary.wire.mqtt import encode_packet
from armillary.wire.mqtt_fields import Property, PropertyValue
from armillary.wire.mqtt_packet import LEVEL_3_1_1, LEVEL_5, Connack, Connect, Disconnect, Packet, Will, type_of
from armillary.wire.mqtt_session import EVENT_OF_PACKET, Event, State, step
from armillary.wire.mqtt_stream import PacketDecoder

if TYPE_CHECKING:
    from armillary.engines.series.devices import DeviceRow
    from armillary.hub.front import Front

_log = structlog.get_logger(__name__)

# The session of a client that asked for a persistent one does not end (MQTT 5 §3.1.2.11.2).
_NO_SESSION_EXPIRY = 0xFFFFFFFF

# MQTT 5: what this server does not do (§3.2.2.3). Sent with every accepted CONNACK.
_OFFER: tuple[tuple[Property, PropertyValue], ...] = (
    (Property.MAXIMUM_QOS, 1),
    (Property.RETAIN_AVAILABLE, 0),
    (Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE, 0),
    (Property.SHARED_SUBSCRIPTION_AVAILABLE, 0),
)


class Connection(asyncio.Protocol):
    """A connection from accept to loss.

    Attributes:
        device_id: The device, once connected; empty before.
        number: Its number in the store.
        inboxes: What it has subscribed to.
        persistent: Whether its subscriptions outlive the connection.
        in_flight: Runs received and not acknowledged.
        held: Whether the front asked it not to read.
        heard: Monotonic time of the last bytes.
        expires: End of its certificate's validity, Unix seconds; None without certificate.
    """

    __slots__ = (
        "_begun",
        "_certificate",
        "_decoder",
        "_front",
        "_keepalive_s",
        "_reading",
        "_send_limit",
        "_stalled",
        "_state",
        "_transport",
        "_will",
        "device_id",
        "expires",
        "heard",
        "held",
        "in_flight",
        "inboxes",
        "number",
        "persistent",
    )

    _transport: Transport

    def __init__(self, front: Front) -> None:
        self._front = front
        self._decoder = PacketDecoder()
        self._state = State.AWAITING_CONNECT
        self._certificate: bytes | None = None
        self._keepalive_s = 0
        self._reading = True
        self._send_limit = 0
        self._stalled = 0.0
        self._will: Will | None = None
        self._begun = front.monotonic()  # of the packet under way; at first, of the wait for CONNECT
        self.device_id = ""
        self.number = 0
        self.inboxes = Inbox(0)
        self.persistent = False
        self.in_flight = 0
        self.held = False
        self.heard = self._begun
        self.expires: float | None = None

    @property
    def level(self) -> int:
        """MQTT protocol level."""
        return self._decoder.level or LEVEL_3_1_1

    @property
    def is_closed(self) -> bool:
        """Whether it is closed, or closing."""
        return self._state is State.CLOSED

    @property
    def connected(self) -> bool:
        """Whether CONNECT was accepted and the connection stands."""
        return self._state is State.CONNECTED

    # From the transport -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A plain connection is open (benchmarks only: without TLS there is no identity)."""
        plain = cast("asyncio.Transport", transport)
        plain.set_write_buffer_limits(high=MAX_SEND_BUFFER_BYTES)
        self.attached(plain)

    def attached(self, transport: Transport) -> None:
        """The TCP connection is there."""
        self._transport = transport
        self._front.entered(self)

    def secured(self, certificate_der: bytes | None) -> None:
        """The TLS handshake is done and the device's certificate verified."""
        self._certificate = certificate_der

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self.heard = self._front.monotonic()
        self._decoder.feed(data)
        self._proceed()

    def eof_received(self) -> bool | None:
        """The client closed its side: close ours."""
        return None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        """The connection is gone."""
        self._state = step(self._state, Event.LOST)
        will, self._will = self._will, None
        if will is not None and self.number:
            self._front.publish_will(self, will)
        self._front.left(self)

    def pause_writing(self) -> None:
        """The client takes nothing: read nothing from it either."""
        self._stalled = self._front.monotonic()
        self.flow()

    def resume_writing(self) -> None:
        """The client takes what is sent again."""
        self._stalled = 0.0
        self.flow()

    # From the front -----------------------------------------------------------------------------------------

    def established(self, row: DeviceRow) -> None:
        """The device is registered durably: accept it."""
        if self._state is not State.ESTABLISHING:
            return  # it went away meanwhile
        resumed = self.persistent and row.inboxes != 0
        self.number = row.number
        self.inboxes = Inbox(row.inboxes) if self.persistent else Inbox(0)
        self._state = step(self._state, Event.ACCEPTED)
        properties = _OFFER + (((Property.SESSION_EXPIRY_INTERVAL, _NO_SESSION_EXPIRY),) if self.persistent else ())
        self.send(Connack(reason=0, session_present=resumed, properties=properties))
        self._front.accepted(self)
        self._proceed()
        self.flow()

    def refuse(self, reason: Reason, why: str) -> None:
        """Answer CONNECT with a refusal and close."""
        self._will = None
        self._front.counters.connections_refused += 1
        _log.info("hub.connection-refused", device=self.device_id[:16], reason=reason.name, why=why)
        code = reason.value.level_5 if self.level >= LEVEL_5 else reason.value.level_3_1_1
        properties = ((Property.REASON_STRING, why[:256]),) if self.level >= LEVEL_5 else ()
        self.send(Connack(reason=code, properties=properties))
        self.close()

    def acknowledge(self, packets: bytes) -> None:
        """Send PUBACKs of runs that are durable now; QoS 0 has none."""
        if packets and self._state is State.CONNECTED:
            self._transport.write(packets)

    def send(self, packet: Packet) -> None:
        """Send a packet; a client that takes nothing is cut off instead of buffered for."""
        if self._state is State.CLOSED or self._transport.is_closing():
            return
        if self._stalled:
            self.shed()
            return
        data = encode_packet(packet, level=self.level)
        if self._send_limit and len(data) > self._send_limit:
            _log.info("hub.packet-too-large-for-device", device=self.device_id[:16], size=len(data))
            return  # MQTT 5 §3.1.2.11.4: as if it had been sent
        self._transport.write(data)

    def shed(self) -> None:
        """Cut off a client that does not take what is sent to it."""
        self._front.counters.slow_consumers_shed += 1
        _log.warning("hub.slow-consumer-shed", device=self.device_id[:16])
        self.abort()

    def close(self, reason: Reason | None = None, *, keep_will: bool = True) -> None:
        """Close after what is buffered; MQTT 5 clients are told why."""
        if not keep_will:
            self._will = None
        if self._state is State.CLOSED:
            return
        if reason is not None and self.connected and self.level >= LEVEL_5 and not self._stalled:
            self.send(Disconnect(reason=reason.value.level_5))
        self._state = State.CLOSED
        self._front.left(self)
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._state = State.CLOSED
        self._front.left(self)
        self._transport.abort()

    def flow(self) -> None:
        """Read or do not read, as things stand now."""
        wanted = (
            self._state in (State.AWAITING_CONNECT, State.CONNECTED)
            and not self.held
            and not self._stalled
            and self.in_flight < MAX_RUNS_IN_FLIGHT
        )
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
            self._proceed()
        else:
            self._transport.pause_reading()

    def check(self, now: float, unix_now: float) -> None:
        """Close when a time is over; called about every second."""
        silent = now - self.heard
        counters = self._front.counters
        if self._state is State.AWAITING_CONNECT and now - self._begun > CONNECT_TIMEOUT_S:
            counters.connections_silent += 1
            self.abort()
        elif self.connected and self._keepalive_s and silent > self._keepalive_s * KEEPALIVE_FACTOR:
            counters.connections_silent += 1
            self.close(Reason.KEEP_ALIVE)
        elif self._begun and self._reading and now - self._begun > PACKET_TIMEOUT_S:
            counters.connections_silent += 1
            self.close(Reason.MALFORMED)
        elif self.expires is not None and unix_now >= self.expires:
            counters.connections_expired += 1
            self.close(Reason.NOT_AUTHORIZED)
        elif self._stalled and now - self._stalled > STALLED_SEND_S:
            self.shed()

    # Inside -------------------------------------------------------------------------------------------------

    def _proceed(self) -> None:
        """Take what is in the buffer, as far as the state allows."""
        try:
            while self._decoder.buffered and self._may_take():
                if self._state is State.CONNECTED:
                    run = self._decoder.take_run(self._is_telemetry)
                    if run is not None:
                        self._front.ingest(self, run)
                        continue
                packet = self._decoder.next()
                if packet is None:
                    break
                self._take(packet)
        except WireError as error:
            self._violated(error)
        except RateLimitedError as error:  # not kept, so not acknowledged: the device sends it again
            if self._state is State.ESTABLISHING:
                self.refuse(Reason.BUSY, error.message)
            else:
                self.close(Reason.BUSY)
        self._begun = (self._begun or self.heard) if self._decoder.buffered else 0.0

    def _may_take(self) -> bool:
        return (
            self._state in (State.AWAITING_CONNECT, State.CONNECTED)
            and not self.held
            and not self._stalled
            and self.in_flight < MAX_RUNS_IN_FLIGHT
        )

    def _take(self, packet: Packet) -> None:
        self._state = step(self._state, EVENT_OF_PACKET[type_of(packet)])
        if isinstance(packet, Connect):
            self._connect(packet)
        elif isinstance(packet, Disconnect):
            if packet.reason != Reason.WITH_WILL.value.level_5:
                self._will = None
            self._front.left(self)
            self._transport.close()
        else:
            conversation.converse(self._front, self, packet)

    def _is_telemetry(self, topic: str) -> bool:
        try:
            return isinstance(parse_topic(topic, self.device_id), TelemetryTopic)
        except WireError:
            return False

    def _connect(self, packet: Connect) -> None:
        self.flow()
        self._begun = 0.0
        try:
            self._identify(packet)
        except _RefusedError as refused:
            self.refuse(refused.reason, refused.message)
        except ArmillaryError as error:
            self.refuse(Reason.NOT_AUTHORIZED, error.message)
        else:
            self._front.register(self, clean=packet.clean_start or not self.persistent)

    def _identify(self, packet: Connect) -> None:
        device_id, self.expires = self._front.identify(self._certificate, packet.client_id)
        self._certificate = None
        if packet.client_id != device_id:
            what = "modules are not supported" if packet.client_id.startswith(device_id + "/") else "another id"
            raise _RefusedError(f"client id: expected the device id of the certificate, got {what}", Reason.CLIENT_ID)
        self.device_id = device_id
        properties = dict(packet.properties)
        if Property.AUTHENTICATION_METHOD in properties:
            raise _RefusedError("authentication method: the certificate is the only one", Reason.METHOD)
        try:
            check_username(packet.username, device_id)
            if packet.will is not None and not (packet.will.qos < 2 and self._is_telemetry(packet.will.topic)):
                raise _RefusedError("will: expected QoS 0 or 1 on the device's own telemetry topic", Reason.WILL)
        except WireError as error:
            raise _RefusedError(error.message, Reason.USER_NAME) from error
        self._will = packet.will
        self._keepalive_s = packet.keepalive_s
        limit = properties.get(Property.MAXIMUM_PACKET_SIZE, 0)
        self._send_limit = limit if isinstance(limit, int) else 0
        if packet.level >= LEVEL_5:
            self.persistent = bool(properties.get(Property.SESSION_EXPIRY_INTERVAL, 0))
        else:
            self.persistent = not packet.clean_start

    def _violated(self, error: WireError) -> None:
        self._front.counters.protocol_violations += 1
        _log.info("hub.protocol-violation", device=self.device_id[:16], code=error.code, why=error.message)
        if self._state is State.AWAITING_CONNECT and error.code == "wire.mqtt-level":
            self.refuse(Reason.LEVEL, error.message)  # §3.1.2.2: the one violation that is answered
            return
        self.close(_REASON_OF_CODE.get(error.code, Reason.MALFORMED))


class _RefusedError(ArmillaryError):
    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


_REASON_OF_CODE = {
    "wire.mqtt-too-large": Reason.TOO_LARGE,
    "wire.mqtt-order": Reason.PROTOCOL,
    "wire.hub-topic-foreign": Reason.NOT_AUTHORIZED,
    "wire.mqtt-qos": Reason.QOS,
}
