# SPDX-License-Identifier: Apache-2.0
"""The front: all connections, the way of their messages into the log, and the clock that closes what is over.

Everything here runs in one event loop. The disk is reached through the store's group commit only, so the loop
never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from cryptography import x509

from armillary.engines.database.group_commit import LoopSink, Rejected
from armillary.engines.hub.announcements import announced
from armillary.engines.hub.devices import DeviceRow, enrolled, seen
from armillary.engines.series.log.blocks import Block, Run
from armillary.engines.series.store import SeriesStore
from armillary.engines.series.writer import Change
from armillary.errors import (
    DeviceFault,
    DeviceOfflineError,
    DeviceStateError,
    HostError,
    NotLetInError,
    RateLimitedError,
    WireError,
)
from armillary.hub.front.cloud_messages import CloudMessages
from armillary.hub.front.connection import Connection
from armillary.hub.front.methods import OpenMethods
from armillary.hub.link.counters import Counters
from armillary.hub.link.gate import Gate
from armillary.hub.link.limits import (
    BUSY_ABOVE_WEIGHT,
    DECODE_PAUSE_BUSY_S,
    DECODE_RETRY_S,
    DECODE_SLICE_BUSY_S,
    DECODE_SLICE_S,
    HOLD_ABOVE_BACKLOG_BYTES,
    HOLD_ABOVE_WEIGHT,
    MAINTENANCE_PAUSE_S,
    RELEASE_BELOW_WEIGHT,
    SEEN_INTERVAL_S,
    SWEEP_INTERVAL_S,
    WEIGHT_BYTES,
)
from armillary.hub.link.link import check_all
from armillary.hub.link.reasons import Reason, why_ended
from armillary.hub.link.tls import TlsChannel
from armillary.hub.provisioning.mqtt import Provisioning
from armillary.wire.hub.credentials import HubCredentials, HubPeer
from armillary.wire.hub.topics import Inbox, method_answer_topic, twin_desired_topic
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import Properties, Property
from armillary.wire.mqtt.packet import LEVEL_5, Publish, Will
from armillary.wire.mqtt.stream import PublishRun

if TYPE_CHECKING:
    from armillary.hub.link.http_opening import ServiceApi
    from armillary.hub.provisioning.routes import DeviceHttps

_log = structlog.get_logger(__name__)

# Who a client is; raises DeviceFault.
Identify = Callable[[HubCredentials], HubPeer]


class Front:
    """All connections of one hub.

    Args:
        store: Where messages go.
        identify: Says who a client is; must not block.
        counters: What is counted.
        clock: Unix time, seconds.
    """

    def __init__(
        self, store: SeriesStore, identify: Identify, counters: Counters, clock: Callable[[], float] = time.time
    ) -> None:
        self.store = store
        self.counters = counters
        self.loop = asyncio.get_running_loop()
        self.methods = OpenMethods(counters)
        self.monotonic = time.monotonic
        self.cloud_messages = CloudMessages(self)
        self.provisioning: Provisioning | None = None  # the hub sets it where devices may register
        self.https: DeviceHttps | None = None  # the hub sets it: what devices ask over HTTP
        self.service_api: ServiceApi | None = None  # the owner sets it: what services ask over HTTP
        self.sessions: dict[str, Connection] = {}
        self.names: dict[int, str] = {}  # of devices connected in this life, by number: for live values
        self._identify = identify
        self._clock = clock
        self._connections: set[Connection] = set()
        self._held: set[Connection] = set()
        self._gate = Gate("hub", counters)
        self._runs: LoopSink[Any, Any] = LoopSink(self.loop, self._kept)
        self.runs_under_way = 0  # received, and not yet with the decoder
        self.decoded: Callable[[], None] = lambda: None  # a slice of decoding is over; the owner sets it
        self.twin_changed: Callable[[str], None] = lambda _: None  # a device's twin was changed; the owner sets it
        self.model_announced: Callable[[str, str], None] = lambda *_: None  # in a thread; the owner sets it
        self.came: Callable[[str], None] = lambda _: None  # a device is connected; the owner sets it
        self.went: Callable[[str, str], None] = lambda *_: None  # it is not any more, and why; the owner sets it
        self._decoding = False
        self._closing = False
        self._seen_at = self.monotonic()
        self._sweeper = self.loop.create_task(self._sweep(), name="hub-sweep")
        self._decode_soon()  # what an earlier life left undecoded

    # Listening ----------------------------------------------------------------------------------------------

    async def listen(self, context: ssl.SSLContext | None, host: str, port: int) -> int:
        """Accept connections; returns the port.

        Args:
            context: TLS settings. None listens without TLS: for benchmarks only, a plain connection has no identity.
            host: Address.
            port: Port; 0 picks a free one.

        Raises:
            PortInUseError: another process listens there.
        """
        failed = self._handshake_failed  # one for all: a bound method of its own would stay with each connection

        def accept() -> tuple[asyncio.Protocol, object]:
            connection = Connection(self)
            return connection if context is None else TlsChannel(context, connection, failed), connection

        return await self._gate.listen(accept, host, port)

    async def close(self) -> None:
        """Stop accepting, close every connection."""
        self._sweeper.cancel()
        if self.provisioning is not None:
            self.provisioning.close()
        if self.https is not None:
            self.https.close()
        self._closing = True
        self._gate.close()
        self._note_seen(list(self.sessions.values()))
        for connection in list(self._connections):
            connection.close(Reason.SHUTTING_DOWN, keep_will=False)
        await asyncio.sleep(0)  # let transports flush

    def disconnect(self, device_id: str) -> bool:
        """Close the connections of a revoked device and of its modules; False when there is none."""
        prefix = f"{device_id}/"
        found = [each for name, each in self.sessions.items() if name == device_id or name.startswith(prefix)]
        for connection in found:
            connection.close(Reason.REVOKED, keep_will=False)
        return bool(found)

    def send_method(self, device_id: str, topic: str, body: bytes) -> None:
        """Send a direct method call.

        Raises:
            DeviceOfflineError: the device is not connected, or takes none.
        """
        connection = self.sessions.get(device_id)
        if connection is None or not connection.inboxes & Inbox.METHODS:
            raise DeviceOfflineError(f"device {device_id[:16]}... is not connected, or takes no direct methods")
        self.counters.methods_invoked += 1
        properties: Properties = ()
        if connection.level >= LEVEL_5:  # §4.10: any client that knows requests can answer, with status 200 at least
            request_id = topic.rpartition("=")[2]
            properties = (
                (Property.CONTENT_TYPE, "application/json"),
                (Property.RESPONSE_TOPIC, method_answer_topic(200, request_id)),
                (Property.CORRELATION_DATA, request_id.encode()),
            )
        connection.send(Publish(topic=topic, payload=body, properties=properties))

    def notify_desired(self, device_id: str, notice: Mapping[str, Any], version: int) -> None:
        """Tell a connected device of new desired properties."""
        connection = self.sessions.get(device_id)
        if connection is None or not connection.inboxes & Inbox.TWIN_DESIRED:
            return
        self.counters.desired_notices += 1
        body = json.dumps(notice, separators=(",", ":")).encode()
        connection.send(Publish(topic=twin_desired_topic(version), payload=body))

    # From connections ---------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return int(self._clock() * 1000)

    def entered(self, connection: Connection) -> None:
        """A connection is there; it is cut off at once when too many wait to say who they are."""
        self._connections.add(connection)
        if not self._gate.came(connection):
            connection.abort()

    def left(self, connection: Connection) -> None:
        """A connection is closed or closing; may be called more than once."""
        self._connections.discard(connection)
        self._gate.went(connection)
        self._held.discard(connection)
        self.cloud_messages.left(connection)
        if self.provisioning is not None and connection.registers:
            self.provisioning.left(connection)
        if self.sessions.get(connection.device_id) is connection:
            del self.sessions[connection.device_id]
            self.methods.abandon(connection.device_id)
            self._note_seen([connection])
            if not connection.registers:
                self.went(connection.device_id, connection.ended or why_ended(None))

    def identify(self, credentials: HubCredentials) -> HubPeer:
        """Who a client is, and when what it shows ends: certificate or token, whichever is first.

        Raises:
            WireError, DeviceStateError: its certificate is none, or not valid now.
            NotLetInError: which of all reasons it was is for the log.
            RateLimitedError: not now.
        """
        expires = self.check_certificate(credentials.certificate)
        try:
            peer = self._identify(credentials)
        except RateLimitedError:
            raise
        except (DeviceFault, WireError) as error:
            _log.info("hub.client-refused", client=credentials.client_id[:40], why=error.message)
            raise NotLetInError(
                "not let in: no such device, or what it showed is not its own, is over or is not admitted",
                remedy="Ask the operator: the service's log has the reason.",
            ) from error
        ends = [each for each in (expires, peer.expires) if each is not None]
        return HubPeer(peer.identity, min(ends, default=None), peer.catalog)

    def check_certificate(self, der: bytes | None) -> float | None:
        """When a client certificate ends, Unix seconds; None where there is none.

        Raises:
            WireError, DeviceStateError: it is none, or not valid now.
        """
        if der is None:
            return None
        try:
            certificate = x509.load_der_x509_certificate(der)
        except ValueError as error:  # OpenSSL is more lenient
            raise WireError("certificate", expected="DER as in RFC 5280", got=str(error)[:100]) from error
        expires = certificate.not_valid_after_utc.timestamp()
        if not certificate.not_valid_before_utc.timestamp() <= self._clock() < expires:
            raise DeviceStateError(
                "the client certificate is not valid now",
                remedy="Check in again: every check-in gives a new certificate.",
            )
        return expires

    def register(self, connection: Connection, *, clean: bool) -> None:
        """Write a device down, then accept its connection."""

        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            row = outcomes[0]
            if isinstance(row, DeviceRow):
                connection.established(row)
                if connection.model_id is not None:
                    self.loop.run_in_executor(None, self.model_announced, connection.device_id, connection.model_id)
            else:
                _log.error("hub.device-not-registered", device=connection.device_id[:16], why=str(row))
                connection.refuse(Reason.UNAVAILABLE, "the hub cannot write to its disk")

        if connection.model_id is not None:
            model = announced(connection.device_id, connection.model_id, now_ms=self.now_ms())
            self.store.commits.post(model, LoopSink(self.loop, lambda *_: None))
        change = enrolled(connection.device_id, now_ms=self.now_ms(), clean=clean)
        self.store.commits.post(change, LoopSink(self.loop, deliver))

    def accepted(self, connection: Connection) -> None:
        """A device is connected; its older connection, if any, ends."""
        self._gate.went(connection)
        older = self.sessions.get(connection.device_id)
        if older is not None:
            self.counters.connections_taken_over += 1
            older.close(Reason.TAKEN_OVER)
        self.sessions[connection.device_id] = connection
        if connection.registers:
            return
        self.names[connection.number] = connection.device_id
        self.counters.connections_accepted += 1
        self.came(connection.device_id)
        self.cloud_messages.wake(connection)

    def ingest(self, connection: Connection, run: PublishRun) -> None:
        """Bring messages into the log; the device is acknowledged when they are in it.

        Raises:
            RateLimitedError: the queue is full or closing.
        """
        counters = self.counters
        counters.messages_received += run.count
        counters.bytes_received += len(run.data)
        item = Run(
            connection.level,
            connection.number,
            int(self._clock() * 1000),
            run.data,
            run.count,
            (connection, run.acknowledgements),
        )
        self.store.commits.post(item, self._runs, weight=max(run.count, len(run.data) // WEIGHT_BYTES))
        self.runs_under_way += 1
        connection.in_flight += 1
        self._limit(connection)

    def request(
        self, connection: Connection, change: Change, answer: Callable[[Any], None], *, size_bytes: int = 0
    ) -> None:
        """Run a change for a device in the writing thread; ``answer`` gets its result or :class:`Rejected`.

        Requests count as in flight like messages, so a device that asks faster than the disk answers waits.

        Raises:
            RateLimitedError: the queue is full or closing.
        """

        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            connection.in_flight -= 1
            answer(outcomes[0])
            connection.flow()

        self.store.commits.post(change, LoopSink(self.loop, deliver), weight=1 + size_bytes // WEIGHT_BYTES)
        connection.in_flight += 1
        self._limit(connection)

    def publish_will(self, connection: Connection, will: Will) -> None:
        """Bring the will of a vanished device into the log."""
        packet = Publish(
            topic=will.topic,
            payload=will.payload,
            qos=will.qos,
            packet_id=1 if will.qos else None,
            properties=tuple(pair for pair in will.properties if pair[0] is not Property.WILL_DELAY_INTERVAL),
        )
        data = encode_packet(packet, level=connection.level)
        run = Run(connection.level, connection.number, self.now_ms(), data, 1, (connection, b""))
        connection.in_flight += 1
        with contextlib.suppress(RateLimitedError):  # as lost as the device itself
            self.store.commits.post(run, self._runs)
            self.runs_under_way += 1

    # From the store -----------------------------------------------------------------------------------------

    def _kept(self, items: list[Run], outcomes: list[Block | Rejected]) -> None:
        """A batch is in the log, or was refused by the disk: acknowledge, or close without."""
        self.runs_under_way -= len(items)
        acknowledgements: dict[Connection, list[bytes]] = {}
        block: Block | None = None
        for run, outcome in zip(items, outcomes, strict=True):
            connection: Connection = run.context[0]
            packets: bytes = run.context[1]
            connection.in_flight -= 1
            if isinstance(outcome, Rejected):
                self._not_kept(connection, outcome.error)
                continue
            if outcome is not block:
                block = outcome
                self.store.decoder.add(block)
            self.counters.messages_kept += run.count
            acknowledgements.setdefault(connection, []).append(packets)
        for each, parts in acknowledgements.items():
            each.acknowledge(parts[0] if len(parts) == 1 else b"".join(parts))
            each.flow()
        if self._held:
            self._release()
        self._decode_soon()

    def _not_kept(self, connection: Connection, error: Exception) -> None:
        self.counters.commits_failed += 1
        if not connection.is_closed:
            _log.error("hub.messages-not-kept", device=connection.device_id[:16], why=str(error))
            connection.close(Reason.NOT_KEPT)

    def _limit(self, connection: Connection) -> None:
        """Stop reading from a connection where disk or decoder have enough to do."""
        if self.store.commits.queued > HOLD_ABOVE_WEIGHT or self.store.decoder.backlog_bytes > HOLD_ABOVE_BACKLOG_BYTES:
            self._hold(connection)
        else:
            connection.flow()

    def _hold(self, connection: Connection) -> None:
        self.counters.reads_held += 1
        self._held.add(connection)
        connection.held = True
        connection.flow()

    def _release(self) -> None:
        if (
            self.store.commits.queued > RELEASE_BELOW_WEIGHT
            or self.store.decoder.backlog_bytes > HOLD_ABOVE_BACKLOG_BYTES // 2
        ):
            return
        held, self._held = self._held, set()
        for connection in held:
            connection.held = False
            connection.flow()

    # Decoding -----------------------------------------------------------------------------------------------

    def _decode_soon(self) -> None:
        if not self._decoding:
            self._decoding = True
            self.loop.call_soon(self._decode)

    def _decode(self) -> None:
        """One slice of decoding; the next follows at once, or later while acknowledgements are waiting."""
        if self._closing:
            return
        busy = self.store.commits.queued > BUSY_ABOVE_WEIGHT
        try:
            more = self.store.decoder.work(DECODE_SLICE_BUSY_S if busy else DECODE_SLICE_S)
        except HostError as error:
            _log.error("hub.log-not-readable", why=error.message)
            self.loop.call_later(DECODE_RETRY_S, self._decode)
            return
        self.decoded()
        if self.store.flush_due():
            self._flush()
        if self._held:
            self._release()
        if not more:
            self._decoding = False
        elif busy and self.store.decoder.backlog_bytes < HOLD_ABOVE_BACKLOG_BYTES // 2:
            self.loop.call_later(DECODE_PAUSE_BUSY_S, self._decode)
        else:
            self.loop.call_soon(self._decode)

    def _flush(self) -> None:
        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            kept = not isinstance(outcomes[0], Rejected)
            self.store.end_flush(kept=kept)
            if not kept:
                _log.error("hub.flush-failed", why=str(outcomes[0].error))

        change = self.store.begin_flush(self.now_ms())
        try:
            self.store.commits.post(change, LoopSink(self.loop, deliver))
        except RateLimitedError:  # it is tried again, as one that failed
            self.store.end_flush(kept=False)

    def _maintain(self) -> None:
        """One slice of sealing hours and deleting old ones; the next follows when acknowledgements have passed."""
        if self._closing:
            return
        change = self.store.begin_maintenance(self.now_ms())
        if change is None:
            return

        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            failed = isinstance(outcomes[0], Rejected)
            self.store.end_maintenance(more=not failed and outcomes[0])
            if failed:
                _log.error("hub.maintenance-failed", why=str(outcomes[0].error))
            elif outcomes[0]:
                self.loop.call_later(MAINTENANCE_PAUSE_S, self._maintain)

        try:
            self.store.commits.post(change, LoopSink(self.loop, deliver))
        except RateLimitedError:  # it can wait
            self.store.end_maintenance(more=True)

    # Time ---------------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            self.sweep()
            self.cloud_messages.tick()
            if self.store.flush_due():
                self._flush()
            self._maintain()
            if self.monotonic() - self._seen_at > SEEN_INTERVAL_S:
                self._note_seen([each for each in self.sessions.values() if each.heard >= self._seen_at])
                self._seen_at = self.monotonic()

    def sweep(self) -> None:
        """Look at every connection's times now."""
        check_all(self.loop, list(self._connections), self.monotonic(), self._clock())

    def _note_seen(self, connections: list[Connection]) -> None:
        if not connections:
            return
        offset = self._clock() - self.monotonic()
        times = [(each.number, int((each.heard + offset) * 1000)) for each in connections]
        with contextlib.suppress(RateLimitedError):  # written again in a few seconds, or closing
            self.store.commits.post(seen(times), LoopSink(self.loop, lambda *_: None))

    def _handshake_failed(self) -> None:
        self.counters.handshakes_failed += 1
