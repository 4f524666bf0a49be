# SPDX-License-Identifier: Apache-2.0
"""The general broker: an ordinary MQTT broker beside the hub's front, for clients that talk to each other.

Any topics, wildcards, retained messages, QoS 0 to 2, sessions, wills, shared subscriptions; MQTT 3.1.1 and 5. It has a
port of its own, is off unless configured, and knows nothing of telemetry, twins and methods: those are the front's.

A client's certificate is its identity. Its session belongs to identity and client id together, so that no client takes
over another's. Clients of different catalogs never receive each other's messages; within one, every client may publish
and subscribe to every topic.

Sessions with an expiry, their messages (QoS 1 and 2), QoS 2 exchanges and retained messages are on disk before they are
acknowledged; sessions that end with their connection and wills are in memory only.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Callable

import structlog

from armillary.engines.hub.broker import BrokerStore
from armillary.errors import ArmillaryError, WireError
from armillary.hub.broker.connection import BrokerConnection
from armillary.hub.broker.journal import Journal
from armillary.hub.broker.limits import MAX_SESSION_EXPIRY_S, MAX_SESSIONS, MAX_SESSIONS_OF_ONE, TICK_S
from armillary.hub.broker.router import Router
from armillary.hub.broker.session import ENDS_WITH_CONNECTION, DeliveryState, Message, OutgoingMessage, Session
from armillary.hub.broker.topics import check_extent
from armillary.hub.link.admission import Identify
from armillary.hub.link.counters import Counters
from armillary.hub.link.gate import Gate
from armillary.hub.link.limits import SWEEP_INTERVAL_S
from armillary.hub.link.link import check_all, integer_of
from armillary.hub.link.reasons import Reason
from armillary.wire.hub.credentials import HubPeer
from armillary.wire.mqtt.fields import FORMAT, FieldReader, Properties, Property
from armillary.wire.mqtt.packet import LEVEL_5, Connect, Publish, Subscription, Will

_log = structlog.get_logger(__name__)

# After the disk refused, what is on it is read again as soon as its queue is empty; looked at so often (seconds).
_RECOVERY_S = 0.5

# Topics that are the broker's own (§4.7.2): clients subscribe there and do not publish.
_RESERVED = ("$SYS/", "$share/")


class MqttBroker:
    """A general MQTT broker. Belongs to the event loop it is made in.

    Raises:
        DataFolderError: what is kept cannot be read.
    """

    def __init__(
        self,
        identify: Identify,  # Says who a client is; must not block
        counters: Counters,
        *,
        store: BrokerStore | None = None,  # Where kept sessions are; None keeps everything in memory
        clock: Callable[[], float] = time.time,  # Unix time, seconds
        forbidden_filters: frozenset[str] = frozenset(),
    ) -> None:
        self.counters = counters
        self.forbidden_filters = forbidden_filters
        self.identify = identify
        self.now = clock
        self.monotonic = time.monotonic
        self.loop = asyncio.get_running_loop()
        self._store = store
        self._gate: Gate[BrokerConnection] = Gate("broker", counters)
        self._sessions: dict[tuple[str, str, str], Session] = {}
        self._of_one: Counter[tuple[str, str]] = Counter()  # sessions of one client, whatever its client ids
        self._wills: dict[Session, tuple[float, Will]] = {}  # until when they wait
        self._due: list[tuple[float, int, Session]] = []  # when a will or a session's end is to be looked at
        self._order = itertools.count()
        self._recovering = False
        self._begin()
        self._ticking = self.loop.create_task(self._tick(), name="broker-tick")

    def _begin(self) -> None:
        """Forget everything in memory, and read what is on disk."""
        self.journal = Journal(self._store, self.loop, self._disk_refused)
        self.router = Router(self.journal, self.counters, self.now)
        self._sessions.clear()
        self._of_one.clear()
        self._wills.clear()
        self._due.clear()
        if self._store is not None:
            self._restore(self._store)

    # Listening --------------------------------------------------------------------------------------------------

    async def listen(self, context: ssl.SSLContext | None, host: str, port: int) -> int:
        """Accept clients; as :meth:`Gate.listen`. Without TLS clients have no certificate: ``identify`` decides."""
        return await self._gate.listen(context, lambda: BrokerConnection(self), host, port)

    async def close(self) -> None:
        """Stop accepting, close every connection, keep what is to be kept."""
        self._ticking.cancel()
        self._gate.close()
        await asyncio.sleep(0)  # the journal's last facts are posted
        if self._store is not None:
            await self.loop.run_in_executor(None, self._store.close)

    def disconnect(self, device_id: str) -> None:
        """Close the connections of a device and its modules because it was revoked."""
        for connection in self._gate.links:
            if connection.session is not None and connection.session.identity.partition("/")[0] == device_id:
                connection.close(Reason.REVOKED, keep_will=False)

    def gauges(self) -> dict[str, int]:
        """How many sessions, connections and retained messages there are now."""
        return {
            "broker_sessions_now": len(self._sessions),
            "broker_connections_now": sum(each.connection is not None for each in self._sessions.values()),
            "broker_retained_now": self.router.retained_count,
        }

    # From connections -------------------------------------------------------------------------------------------

    def entered(self, link: BrokerConnection) -> None:
        """A connection is open; it is closed at once if too many are not authenticated."""
        self._gate.entered(link)

    def left(self, link: BrokerConnection) -> None:
        """A connection is closed or closing; may be called more than once."""
        self._gate.left(link)
        session = link.session
        if session is None or session.connection is not link:
            return
        session.connection = None
        will = link.take_will()
        now = self.now()
        if session.expiry_s == ENDS_WITH_CONNECTION:
            self._over(session)
        else:
            self._ends(session, now + session.expiry_s)
        if will is None:
            return
        until = now + min(integer_of(will.properties, Property.WILL_DELAY_INTERVAL, 0), session.expiry_s)
        if until <= now:
            self._publish_will(will, session)
        else:
            self._wills[session] = (until, will)
            self._look_at(session, until)

    def connect(self, link: BrokerConnection, peer: HubPeer, packet: Connect) -> None:
        """Find or make the session of an authenticated client, and accept its connection once that is kept."""
        if self._recovering:
            link.refuse(Reason.UNAVAILABLE, "the broker's disk refused; it reads it again")
            return
        client_id = packet.client_id
        assigned: Properties = ()
        if not client_id:
            client_id = f"auto-{secrets.token_hex(16)}"
            if packet.level >= LEVEL_5:
                assigned = ((Property.ASSIGNED_CLIENT_IDENTIFIER, client_id),)
        key = (peer.catalog, peer.identity, client_id)
        session = self._sessions.get(key)
        if session is not None and session.connection is not None:
            self.counters.connections_taken_over += 1
            session.connection.close(Reason.TAKEN_OVER)
            session = self._sessions.get(key)  # it may have ended with its connection
        if session is not None and packet.clean_start:
            self._over(session)
            session = None
        expiry, answered = _expiry(packet)
        resumed = session is not None
        if session is None:
            if len(self._sessions) >= MAX_SESSIONS or (peer.identity and self._of_one[key[:2]] >= MAX_SESSIONS_OF_ONE):
                link.refuse(Reason.BUSY, f"sessions: {MAX_SESSIONS} at most, and {MAX_SESSIONS_OF_ONE} of one client")
                return
            session = self._made(key, expiry)
        self._wills.pop(session, None)  # §3.1.3.2.2: back before it was due
        self._ends(session, None, expiry)
        session.connection = link
        link.session = session
        self._gate.authenticated(link)
        self.counters.connections_accepted += 1
        properties = link.offered(packet) + answered + assigned
        found = session
        self.journal.after(lambda: link.accept(found, resumed=resumed, properties=properties))

    def change_expiry(self, session: Session, expiry_s: int) -> None:
        """DISCONNECT changed how long the session is to be kept (§3.14.2.2.2)."""
        session.expiry_s = min(expiry_s, MAX_SESSION_EXPIRY_S)

    def check_publish(self, topic: str) -> None:
        """Raise WireError if clients may not publish to a topic, or it is too long."""
        check_extent(topic)
        if topic.startswith(_RESERVED):
            raise WireError(
                FORMAT,
                expected="a topic outside $SYS/ and $share/",
                got=ascii(topic[:64]),
                remedy="Publish to another topic; these are the broker's own.",
                code="wire.mqtt-not-authorized",
            )

    def publish(self, topic: str, packet: Publish, origin: Session) -> int:
        """Hand a client's message on; returns how many sessions it was for.

        Raises:
            RateLimitedError: it is to be retained and there is no room.
        """
        message = self._message(topic, packet.payload, packet.qos, retain=packet.retain, properties=packet.properties)
        matched = self.router.publish(message, origin)
        self.counters.broker_messages_received += 1
        return matched

    # Sessions ---------------------------------------------------------------------------------------------------

    def _made(self, key: tuple[str, str, str], expiry_s: int) -> Session:
        session = Session(key, expiry_s)
        if expiry_s and self.journal.keeps:
            session.number = self.router.next_number()
            self.journal.note("session", session.number, *key, expiry_s, None)
        self._add(session)
        return session

    def _add(self, session: Session) -> None:
        self._sessions[session.key] = session
        self._of_one[session.key[:2]] += 1

    def _ends(self, session: Session, at: float | None, expiry_s: int | None = None) -> None:
        """Note when the session ends (Unix seconds); None while it is connected."""
        session.ends_at = at
        if expiry_s is not None:
            session.expiry_s = expiry_s
        if session.number:
            self.journal.note("session-ends", session.expiry_s, at, session.number)
        if at is not None:
            self._look_at(session, at)

    def _over(self, session: Session) -> None:
        """End the session now; a will that waits is published at once (§3.1.3.2.2)."""
        if self._sessions.get(session.key) is not session:
            return  # it is over already
        del self._sessions[session.key]
        self._of_one[session.key[:2]] -= 1
        if not self._of_one[session.key[:2]]:
            del self._of_one[session.key[:2]]
        self.router.forget(session)
        waiting = self._wills.pop(session, None)
        if waiting is not None:
            self._publish_will(waiting[1], session)

    def _publish_will(self, will: Will, session: Session) -> None:
        self.counters.broker_wills_published += 1
        message = self._message(will.topic, will.payload, will.qos, retain=will.retain, properties=will.properties)
        try:
            self.router.publish(message, session)
        except ArmillaryError as error:  # no room to retain it, and no client to tell
            self.counters.broker_publishes_refused += 1
            _log.warning("broker.will-refused", client=session.client_id[:32], why=error.message)

    def _message(self, topic: str, payload: bytes, qos: int, *, retain: bool, properties: Properties) -> Message:
        expiry = dict(properties).get(Property.MESSAGE_EXPIRY_INTERVAL)
        return Message(
            topic=topic,
            payload=payload,
            qos=qos,
            retain=retain,
            properties=tuple(pair for pair in properties if pair[0] not in _NOT_PASSED_ON),
            expires_at=self.now() + expiry if isinstance(expiry, int) else None,
        )

    # Time -------------------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        swept = self.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            self.tick()
            if self.monotonic() - swept >= SWEEP_INTERVAL_S:
                swept = self.monotonic()
                check_all(self.loop, self._gate.links, swept, self.now())

    def tick(self) -> None:
        """Publish the wills and end the sessions whose time has come."""
        now = self.now()
        while self._due and self._due[0][0] <= now:
            session = heapq.heappop(self._due)[2]
            waiting = self._wills.get(session)
            if waiting is not None and waiting[0] <= now:
                del self._wills[session]
                self._publish_will(waiting[1], session)
            if session.ends_at is not None and session.ends_at <= now and session.connection is None:
                session.ends_at = None
                self._over(session)

    def _look_at(self, session: Session, at: float) -> None:
        heapq.heappush(self._due, (at, next(self._order), session))

    # Disk -------------------------------------------------------------------------------------------------------

    def _restore(self, store: BrokerStore) -> None:
        kept = store.load()
        self.router.begin_after(kept.last_number, kept.last_place)
        by_number: dict[int, Session] = {}
        for number, catalog, identity, client_id, expiry_s, ends_at in kept.sessions:
            session = by_number[number] = Session((catalog, identity, client_id), expiry_s, number=number)
            self._add(session)
            session.ends_at = self.now() + expiry_s if ends_at is None else ends_at
            self._look_at(session, session.ends_at)
        for number, topic_filter, options, identifier in kept.subscriptions:
            self.router.restore_subscription(by_number[number], Subscription(topic_filter, options), identifier)
        messages = {
            number: Message(
                topic, payload, qos, bool(retain), FieldReader(listed).properties("publish"), expires_at, number
            )
            for number, topic, payload, qos, retain, listed, expires_at in kept.messages
        }
        for number, packet_id, message, qos, retain, identifiers, state in kept.deliveries:
            if message not in messages:
                continue  # the disk refused it, so it was not acknowledged
            item = OutgoingMessage(
                messages[message],
                packet_id,
                qos,
                bool(retain),
                tuple(int(each) for each in identifiers.split(",") if each),
                DeliveryState(state),
            )
            self.router.restore_delivery(by_number[number], item)
        for number, packet_id in kept.incoming:
            by_number[number].incoming.add(packet_id)
        for catalog, message in kept.retained:
            if message in messages:
                self.router.restore_retained(catalog, messages[message])
        for number, message_ in messages.items():
            if not message_.holders:
                self.journal.note("message-over", number)
        _log.info("broker.restored", sessions=len(by_number), messages=len(messages))

    def _disk_refused(self, error: Exception) -> None:
        """The last facts are not kept: what depends on them is dropped, and memory is read from disk again."""
        self.counters.broker_commits_failed += 1
        _log.error("broker.not-kept", why=str(error))
        self._recovering = True
        for connection in self._gate.links:
            connection.close(Reason.NOT_KEPT, keep_will=False)
        self._recover()

    def _recover(self) -> None:
        if self._store is None or self._store.commits.queued:
            self.loop.call_later(_RECOVERY_S, self._recover)
            return
        self._begin()
        self._recovering = False


# What belongs to the one hop from the publisher; time is passed on as what is left of it.
_NOT_PASSED_ON = frozenset((Property.MESSAGE_EXPIRY_INTERVAL, Property.TOPIC_ALIAS, Property.WILL_DELAY_INTERVAL))


def _expiry(packet: Connect) -> tuple[int, Properties]:
    """How long a session is kept after its connection, and what CONNACK says of it."""
    if packet.level < LEVEL_5:
        return (ENDS_WITH_CONNECTION if packet.clean_start else MAX_SESSION_EXPIRY_S), ()
    wanted = integer_of(packet.properties, Property.SESSION_EXPIRY_INTERVAL, ENDS_WITH_CONNECTION)
    given = min(wanted, MAX_SESSION_EXPIRY_S)
    return given, ((Property.SESSION_EXPIRY_INTERVAL, given),) if given != wanted else ()
