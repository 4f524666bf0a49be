# SPDX-License-Identifier: Apache-2.0
"""What MQTT connections of every kind have: bytes in, packets out, and when to read, write and close.

The hub's front (``hub/front/connection.py``) and the general broker (``hub/broker/connection.py``) are two kinds of
link. When a packet may come is the kind's table of ``wire/mqtt/session.py``; what it means is the kind's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol, cast

import structlog

from armillary.errors import RateLimitedError, WireError
from armillary.hub.link.counters import Counters
from armillary.hub.link.limits import (
    CONNECT_TIMEOUT_S,
    KEEPALIVE_FACTOR,
    LINGER_S,
    MAX_RUNS_IN_FLIGHT,
    MAX_SEND_BUFFER_BYTES,
    PACKET_TIMEOUT_S,
    STALLED_SEND_S,
    SWEEP_SLICE,
)
from armillary.hub.link.reasons import TOOK_NOTHING, Reason, why_ended
from armillary.hub.link.tls import Transport
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import CODE_PROTOCOL, CODE_TOPIC_ALIAS, FORMAT, Properties, Property
from armillary.wire.mqtt.packet import LEVEL_3_1_1, LEVEL_5, Connack, Disconnect, Packet, Publish, Will, type_of
from armillary.wire.mqtt.session import EVENT_OF_PACKET, TRANSITIONS, Event, State, step
from armillary.wire.mqtt.stream import PacketDecoder

_log = structlog.get_logger(__name__)

# MQTT begins with CONNECT (0x10), an HTTP request with GET.
_GET = b"G"
# And this one with a request that is no upgrade: POST (PUBREC, which no client begins with).
_POST = b"P"

# Why a link is closed, by the code of what was wrong with what came.
_REASON_OF_CODE = {
    "wire.mqtt-too-large": Reason.TOO_LARGE,
    CODE_PROTOCOL: Reason.PROTOCOL,
    CODE_TOPIC_ALIAS: Reason.TOPIC_ALIAS,
    "wire.hub-topic-foreign": Reason.NOT_AUTHORIZED,
    "wire.mqtt-qos": Reason.QOS,
    "wire.mqtt-receive-maximum": Reason.RECEIVE_MAXIMUM,
    "wire.mqtt-not-authorized": Reason.NOT_AUTHORIZED,
    "wire.mqtt-topic-name": Reason.TOPIC_NAME,
    "wire.mqtt-quota": Reason.BUSY,
    "wire.mqtt-subscription-identifier": Reason.SUBSCRIPTION_IDENTIFIERS,
}


class Owner(Protocol):
    """What a link needs of the server that accepted it: the front, or the broker."""

    counters: Counters
    loop: asyncio.AbstractEventLoop

    def monotonic(self) -> float:
        """Seconds of a clock that only goes forward."""

    def entered(self, link: Any, /) -> None:
        """The TCP connection is there; may abort it."""

    def left(self, link: Any, /) -> None:
        """The link is closed or closing; may be called more than once."""


class Link(asyncio.Protocol):
    """A connection from accept to loss."""

    __slots__ = (
        "_begun",
        "_certificate",
        "_decoder",
        "_keepalive_s",
        "_opening",
        "_owner",
        "_reading",
        "_send_limit",
        "_stalled",
        "_state",
        "_transport",
        "_will",
        "device_id",
        "ended",
        "expires",
        "heard",
        "held",
        "in_flight",
    )

    table = TRANSITIONS
    http_begins: frozenset[bytes] = frozenset((_GET, _POST))
    _transport: Transport

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._decoder = PacketDecoder()
        self._state = State.AWAITING_CONNECT
        self._certificate: bytes | None = None
        self._keepalive_s = 0
        self._opening = b""  # what came of an HTTP request, while that does not say yet who answers it
        self._reading = True
        self._send_limit = 0
        self._stalled = 0.0
        self._will: Will | None = None
        self._begun = owner.monotonic()  # of the packet under way; at first, of the wait for CONNECT
        self.device_id = ""  # Who the client is, for the log; empty before it is known
        self.ended = ""  # Why it ended, once it has, in a word; empty where that is unknown
        self.in_flight = 0  # Things received and not acknowledged
        self.held = False  # Whether the owner asked it not to read
        self.heard = self._begun  # Monotonic time of the last bytes
        self.expires: float | None = None  # End of its certificate's validity, Unix seconds; None without certificate

    @property
    def level(self) -> int:
        """MQTT protocol level."""
        return self._decoder.level or LEVEL_3_1_1

    @property
    def address(self) -> str:
        """The network address that it comes from, "" where there is none."""
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) and peer else ""

    @property
    def is_closed(self) -> bool:
        """Whether it is closed, or closing."""
        return self._state is State.CLOSED

    @property
    def connected(self) -> bool:
        """Whether CONNECT was accepted and the connection stands."""
        return self._state is State.CONNECTED

    # What a kind of link fills in ---------------------------------------------------------------------------

    def _take(self, packet: Packet) -> None:
        """Act on a packet that may come now; ``_state`` has moved on already."""
        raise NotImplementedError

    def _take_run(self) -> bool:
        """Take packets in bulk from the decoder of a connected link; False when there is nothing to take so."""
        return False

    def _gone(self) -> None:
        """The connection is lost; ``_will`` is still there when it is to be published."""

    def begin_http(self, data: bytes) -> None:
        """The connection begins with an HTTP request: ``data`` is what came of it so far."""
        if data[:1] == _GET:
            self._upgrade(data)
        else:
            self.serve_http(self._transport, data)

    def serves(self, target: str) -> bool:  # noqa: ARG002 - for a kind of link that does
        """Whether a GET request for this target is no WebSocket's but is answered here."""
        return False

    def serve_http(self, transport: Transport, data: bytes) -> None:  # noqa: ARG002 - for a kind of link that does
        """The client asks something over HTTP: ``data`` is what it sent so far, ``transport`` what is below."""
        self._violated(WireError(FORMAT, expected="an MQTT packet", got="HTTP"))

    # From the transport -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A plain connection is open (benchmarks and tests only: without TLS there is no identity)."""
        plain = cast("asyncio.Transport", transport)
        plain.set_write_buffer_limits(high=MAX_SEND_BUFFER_BYTES)
        self.attached(plain)

    def attached(self, transport: Transport) -> None:
        """The TCP connection is there."""
        self._transport = transport
        self._owner.entered(self)

    def secured(self, certificate_der: bytes | None) -> None:
        """The TLS handshake is done and the client's certificate verified."""
        self._certificate = certificate_der

    def data_received(self, data: bytes) -> None:
        """Bytes from the client; those that come after the end are discarded."""
        if self._state is State.CLOSED:
            return
        self.heard = self._owner.monotonic()
        if self._state is State.AWAITING_CONNECT and not self._decoder.buffered:
            opening, self._opening = self._opening + data, b""
            if opening[:1] in self.http_begins:
                self.begin_http(opening)
                return
        self._decoder.feed(data)
        self._proceed()

    def eof_received(self) -> bool | None:
        """The client closed its side: close ours."""
        return None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        """The connection is gone."""
        self._state = step(self._state, Event.LOST, self.table)
        self._gone()
        self._owner.left(self)

    def pause_writing(self) -> None:
        """The send buffer is full: read nothing from the client either."""
        self._stalled = self._owner.monotonic()
        self.flow()

    def resume_writing(self) -> None:
        """The send buffer has room again."""
        self._stalled = 0.0
        self.flow()

    # From the owner -----------------------------------------------------------------------------------------

    def refuse(self, reason: Reason, why: str) -> None:
        """Answer CONNECT with a refusal and close."""
        self._will = None
        self._owner.counters.connections_refused += 1
        _log.info("hub.connection-refused", device=self.device_id[:16], reason=reason.name, why=why)
        code = reason.value.level_5 if self.level >= LEVEL_5 else reason.value.level_3_1_1
        properties: Properties = ((Property.REASON_STRING, why[:256]),) if self.level >= LEVEL_5 else ()
        self.send(Connack(reason=code, properties=properties))
        self.close()

    def acknowledge(self, packets: bytes) -> None:
        """Send acknowledgements of what is durable now; QoS 0 has none."""
        if packets and self._state is State.CONNECTED:
            self._transport.write(packets)

    def send(self, packet: Packet) -> bool:
        """Send a packet; the connection of a client that reads nothing is aborted: nothing is buffered for it.

        Returns False if the packet is longer than the client takes: it was not sent.
        """
        if self._state is State.CLOSED or self._transport.is_closing():
            return True
        if self._stalled:
            self.shed()
            return True
        data = encode_packet(packet, level=self.level)
        if self._send_limit and len(data) > self._send_limit:
            _log.info("hub.packet-too-large-for-device", device=self.device_id[:16], size=len(data))
            if not isinstance(packet, Publish):
                self.abort()  # it would wait for an answer that it does not take
            return False  # MQTT 5 §3.1.2.11.4: a message is as if it had been sent
        self._transport.write(data)
        return True

    def shed(self) -> None:
        """Abort the connection of a client that does not read what is sent to it."""
        self._owner.counters.slow_consumers_shed += 1
        _log.warning("hub.slow-consumer-shed", device=self.device_id[:16])
        self.ended = self.ended or TOOK_NOTHING
        self.abort()

    def close(self, reason: Reason | None = None, *, keep_will: bool = True, linger: bool = False) -> None:
        """Close after what is buffered; MQTT 5 clients get the reason. ``keep_will``: whether the will is published.

        ``linger``: the client may still be sending; what it sends is discarded for a while, because the system would
        answer it with a reset, and the client might never read the reason.
        """
        if not keep_will:
            self._will = None
        if self._state is State.CLOSED:
            return
        self.ended = self.ended or why_ended(reason)
        says_why = reason is not None and self.connected and self.level >= LEVEL_5 and not self._stalled
        if says_why and reason is not None:
            self.send(Disconnect(reason=reason.value.level_5))
        self._state = State.CLOSED
        self._owner.left(self)
        if says_why and linger and not self._transport.is_closing():
            self._transport.write_eof()
            self._transport.resume_reading()
            self._owner.loop.call_later(LINGER_S, self._transport.abort)
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._state = State.CLOSED
        self._owner.left(self)
        self._transport.abort()

    def flow(self) -> None:
        """Start or stop reading, as the state, the limits and the send buffer allow now."""
        wanted = self._may_take()
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
            self._proceed()
        else:
            self._transport.pause_reading()

    def check(self, now: float, unix_now: float) -> None:
        """Close if a time limit is exceeded; called about every second."""
        silent = now - self.heard
        counters = self._owner.counters
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

    def _proceed(self) -> None:
        """Take what is in the buffer, as far as the state allows."""
        try:
            while self._decoder.buffered and self._may_take():
                if self._state is State.CONNECTED and self._take_run():
                    continue
                packet = self._decoder.next()
                if packet is None:
                    break
                self._state = step(self._state, EVENT_OF_PACKET[type_of(packet)], self.table)
                self._take(packet)
        except WireError as error:
            self._violated(error)
        except RateLimitedError as error:  # not kept, so not acknowledged: the device sends it again
            if self._state is State.ESTABLISHING:
                self.refuse(Reason.BUSY, error.message)
            else:
                self.close(Reason.BUSY, linger=True)
        self._begun = (self._begun or self.heard) if self._decoder.buffered else 0.0

    def _upgrade(self, data: bytes) -> None:
        """The client speaks HTTP: put WebSocket between the transport and this link."""
        from armillary.hub.link.websocket import WebSocketChannel  # noqa: PLC0415 - its library costs memory; few use it

        transport = self._transport
        if isinstance(transport, WebSocketChannel):  # HTTP inside WebSocket
            self._violated(WireError(FORMAT, expected="an MQTT packet", got="HTTP"))
            return
        channel = WebSocketChannel(transport, self)
        self._transport = channel
        transport.set_protocol(channel)
        channel.data_received(data)

    def _may_take(self) -> bool:
        return (
            self._state in (State.AWAITING_CONNECT, State.CONNECTED)
            and not self.held
            and not self._stalled
            and self.in_flight < MAX_RUNS_IN_FLIGHT
        )

    def _violated(self, error: WireError) -> None:
        self._owner.counters.protocol_violations += 1
        _log.info("hub.protocol-violation", device=self.device_id[:16], code=error.code, why=error.message)
        if self._state is State.AWAITING_CONNECT and error.code == "wire.mqtt-level":
            self.refuse(Reason.LEVEL, error.message)  # §3.1.2.2: the one violation that is answered
            return
        if self._state is State.CLOSED:  # it was the client's DISCONNECT that was wrong
            self._owner.left(self)
            self._transport.close()
            return
        self.close(_REASON_OF_CODE.get(error.code, Reason.MALFORMED), linger=True)


def topic_of(topic: str, alias: int, aliases: dict[int, str], maximum: int) -> str:
    """The topic of a message with an alias, which it may give a topic (MQTT 5 §3.3.2.3.4).

    ``topic`` is empty for the one that the alias has; ``aliases`` of the connection are changed in place; ``maximum``
    is how many the client was offered.

    Raises:
        WireError: the alias is beyond what was offered, or has no topic.
    """
    if topic and alias <= maximum:
        aliases[alias] = topic
    found = aliases.get(alias)
    if found is None:
        code = CODE_TOPIC_ALIAS if alias > maximum else CODE_PROTOCOL
        expected = f"a topic alias of 1 to {maximum} that was given a topic"
        raise WireError(FORMAT, expected=expected, got=str(alias), code=code)
    return found


def integer_of(properties: Properties, name: Property, default: int) -> int:
    """A property that is a number; the default where it is not there."""
    value = dict(properties).get(name)
    return value if isinstance(value, int) else default


def check_all(
    loop: asyncio.AbstractEventLoop, links: Sequence[Link], now: float, unix_now: float, start: int = 0
) -> None:
    """Look at the times of many links, a slice with each turn of the event loop."""
    for link in links[start : start + SWEEP_SLICE]:
        link.check(now, unix_now)
    if start + SWEEP_SLICE < len(links):
        loop.call_soon(check_all, loop, links, now, unix_now, start + SWEEP_SLICE)
